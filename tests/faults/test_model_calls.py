"""The model's tool calls are wrong: each is answered exactly once, and the history stays valid."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from tests.faults.scenario import Scenario, cases
from tests.faults.talking import talk
from tests.support.leftovers import Leftovers
from tests.support.openai_server import Turn, delta, raw, text
from tiny_agents import Agent, Limits, ProviderError

pytestmark = pytest.mark.anyio

FINE = text("Fine.")
ARGS = '{"n": 3}'
NINE = ["^9$"]
NO_NAME = ["has no function name"]
NESTED = "[" * 50_000


def piece(**fields: Any) -> dict[str, Any]:
    return delta(tool_calls=[fields])


def function(arguments: Any = ARGS, name: Any = "square") -> dict[str, Any]:
    return {"name": name, "arguments": arguments}


def call(arguments: Any = ARGS, name: Any = "square", **fields: Any) -> dict[str, Any]:
    return piece(**{"index": 0, "id": "c", "type": "function", "function": function(arguments, name), **fields})


def called(name: str, told: list[str], *events: Any, finish: str = "tool_calls") -> Scenario:
    """The model calls in this way, is told this, and answers."""
    events = tuple(event for event in events)
    return Scenario(name, ("valid",), [raw(*events, delta(finish)), FINE], "Fine.", told=told, asked=2)


@cases(
    called("arguments that are half", ["not valid JSON"], call('{"n": ')),
    called("arguments that are nearly JSON", NINE, call("{'n': 3,}")),
    called("arguments that were encoded twice", NINE, call('"{\\"n\\": 3}"')),
    called("arguments as an object", NINE, call({"n": 3})),
    called("arguments as a list", ["must be a JSON object"], call([3])),
    called("arguments as a number", ["must be a JSON object"], call(3)),
    called("arguments that are null", ["missing required field `n`"], call(None)),
    called("arguments of the wrong type", ["don't fit: Expected `int`, got `object`"], call('{"n": {"x": 1}}')),
    called("a number as a text", NINE, call('{"n": "3"}')),
    called("an argument too many", ["unknown field `m`"], call('{"n": 3, "m": 4}')),
    called("an argument twice", ["^16$"], call('{"n": 3, "n": 4}')),
    called("arguments nested without end", ["nested too deeply"], call('{"n": ' + NESTED + "]" * 50_000 + "}")),
    called("arguments that begin to nest without end", ["nested too deeply"], call('{"n": ' + NESTED)),
    called("a number of a mile", ["a number is too large"], call('{"n": ' + "9" * 6000 + "}")),
    called("a number beyond all numbers", ["a number is too large"], call('{"n": 1e999}')),
    called("a number that is none", ["NaN is no JSON"], call('{"n": NaN}')),
    called("half a character", ["don't fit"], call(r'{"n": "\ud800"}')),
    called("an unknown name", ["there is no tool 'sqare'. Did you mean 'square'"], call(name="sqare")),
    called("a name of another kind", ["there is no tool 'functions.square'"], call(name="functions.square")),
    called("a name that is a number", NO_NAME, call(name=3)),
    called("a name that is null", NO_NAME, call(name=None)),
    called("a name without end", ["there is no tool 'xxx"], call(name="x" * 100_000)),
    called("a name that moves the cursor", [r"there is no tool '\\x1b\[2Jsquare'"], call(name="\x1b[2Jsquare")),
    called("a name in pieces", NINE, call("", "squ"), piece(index=0, function=function(name="are"))),
    called("a name in every piece", NINE, call(""), call()),
    called("no function", NO_NAME, piece(index=0, id="c")),
    called("a function that is null", NO_NAME, call(function=None)),
    called("a function that is a text", NO_NAME, call(function="square")),
    called("no id", NINE, piece(index=0, function=function())),
    called("an empty id", NINE, call(id="")),
    called("an id that is a number", NINE, call(id=7)),
    called("an id that is an object", NINE, call(id={"a": 1})),
    called("an id without end", NINE, call(id="x" * 100_000)),
    called("an id that moves the cursor", NINE, call(id="\x1b[2J\n")),
    called("the same id twice", [*NINE, "^16$"], call(), call('{"n": 4}', index=1)),
    called("no index", [*NINE, "^16$"], call(index=None), call('{"n": 4}', index=None, id="d")),
    called("no index and no id", [*NINE, "^16$"], call(index=None, id=None), call('{"n": 4}', index=None, id=None)),
    called("an index twice", [*NINE, "^16$"], call(), call('{"n": 4}', id="d")),
    called("an index that is a text", NINE, call(index="0")),
    called("an index below zero", NINE, call(index=-1)),
    called("an index of a mile", NINE, call(index=10**30)),
    called("one call in place of a list", NINE, delta(tool_calls=call()["choices"][0]["delta"]["tool_calls"][0])),
    called("calls of another kind", NO_NAME, piece(index=0, id="c", type="custom", custom={"name": "square"})),
    called("text before the call", NINE, delta(content="Let me see."), call()),
    called("text after the call", NINE, call(), delta(content="So.")),
    called("reasoning before the call", NINE, delta(reasoning_content="hm"), call()),
    called("a stop that doesn't say so", NINE, call(), finish="stop"),
    called("cut off within the arguments", [r"cut off \(finish_reason 'length'\)"], call('{"n": '), finish="length"),
    called("cut off after the arguments", NINE, call(), finish="length"),
    called("arguments after the stop", NINE, call('{"n":'), delta("tool_calls"), piece(index=0, function={"arguments":
           "3}"})),
    called("100 calls at once", NINE * 100, *(call(index=number, id=f"c{number}") for number in range(100))),
    Scenario("a list of calls that are none", ("valid",), [raw(delta(tool_calls=[None, "x"], content="a"), delta("stop"))],
             "a", asked=1),
    Scenario("the same id in the next answer", ("valid",), [raw(call(), delta("tool_calls")), raw(call(),
             delta("tool_calls")), FINE], "Fine.", told=NINE * 2, asked=3),
    Scenario("calls in a document", ("valid",), [Turn(body=b'{"choices": [{"message": {"content": null, "tool_calls": '
             b'{"id": 1, "function": {"name": "square", "arguments": {"n": 3}}}}}]}'), FINE], "Fine.", told=NINE),
    Scenario("a call, and the connection breaks", ("valid",), [raw(call(), then="reset")], error=(Exception, "broke off"),
             told=[], asked=1),
    Scenario("a call, and an error", ("valid",), [raw(call(), {"error": {"message": "boom"}})],
             error=(ProviderError, "boom"), told=[], asked=1),
)  # fmt: skip
async def test_a_call(scenario: Scenario, model: Callable[..., Any], leftovers: Leftovers) -> None:
    await talk(scenario, model, leftovers)


@pytest.mark.promise("valid", "bounded")
async def test_a_model_that_never_stops_calling_is_stopped(model: Callable[..., Any]) -> None:
    server = model(raw(call(), delta("tool_calls")))
    async with Agent(base_url=server.url, model="m", limits=Limits(model_calls=7)) as agent:

        @agent.add_tool
        def square(n: int) -> int:
            return n * n

        result = await agent.run_to_completion("go")
    assert (result.stop_reason, result.model_calls, len(server.chats)) == ("turn_limit", 7, 7)
