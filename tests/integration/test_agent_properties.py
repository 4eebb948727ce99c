"""Whatever a model does, and whenever its user leaves: the loop ends, counts exactly, and leaves a history that is valid."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.history import assert_valid
from tests.support.openai_server import OpenAIServer, Recorded, Turn, delta, raw, status, text
from tiny_agents import (
    Agent,
    AgentRun,
    AsyncInferenceClient,
    ChatCompletionInputMessage,
    InferenceError,
    Limits,
    ModelCall,
    Observer,
    Operation,
)

pytestmark = pytest.mark.integration

# ---- what a model may do

WORDS = st.sampled_from(["", "Hm. ", "So ", "42", "é\n", '{"sum": 3}'])
NAMES = st.sampled_from(["add", "add", "fail", "add", "no_such_tool", "task_complete", "not a name!", ""])
ARGUMENTS = st.sampled_from(
    [
        '{"a": 1, "b": 2}',
        '{"a": "1"}',
        "{'a': 1,}",
        '{"a": 1',
        '{"a"',
        "",
        "[]",
        "add(1, 2)",
        '```json\n{"a": 2}\n```',
        "null",
    ]
)
IDS = st.sampled_from(["x", "y", "call_0", "", None])
REASONING = st.sampled_from(
    [{}, {"reasoning": "hm"}, {"reasoning_content": "hm"}, {"reasoning_details": [{"type": "t", "text": "hm"}]}]
)


@st.composite
def answers(draw: st.DrawFn) -> Turn:
    """Text, calls, reasoning, in any mixture, perhaps nothing at all; and how it ends."""
    events: list[Any] = [delta(role="assistant", **draw(REASONING))]
    events += [delta(content=word) for word in draw(st.lists(WORDS, max_size=3))]
    for index, (name, arguments, call_id) in enumerate(draw(st.lists(st.tuples(NAMES, ARGUMENTS, IDS), max_size=3))):
        half = len(arguments) // 2
        events.append(delta(tool_calls=[{"index": index, "id": call_id, "function": {"name": name}}]))
        events += [
            delta(tool_calls=[{"index": index, "function": {"arguments": piece}}])
            for piece in (arguments[:half], arguments[half:])
        ]
    match draw(st.sampled_from(["stop", "stop", "stop", "tool_calls", "length", "reset", "error", "refused"])):
        case "reset":
            return raw(*events, then="reset")
        case "error":
            return raw(*events, 'data: {"error": {"message": "sorry"}}\n\n', done=False)
        case "refused":
            return status(400, {"error": {"message": "sorry"}})
        case reason:
            usage = {"choices": [], "usage": {"prompt_tokens": 10, "completion_tokens": 1}}
            return raw(*events, delta(reason), *draw(st.sampled_from([[], [usage]])))


LIMITS = st.builds(
    Limits,
    model_calls=st.integers(1, 6),
    tool_calls=st.none() | st.integers(0, 4),
    tokens=st.none() | st.integers(1, 100),
    repeat=st.none() | st.integers(2, 3),
    last_answer=st.none() | st.booleans(),
)
LEAVING = st.none() | st.tuples(st.sampled_from(["event", "close", "cancel"]), st.integers(0, 12))


@dataclass
class Model:
    """A server whose script can be changed; when it is at its end, every answer is a text."""

    server: OpenAIServer
    script: list[Turn] = field(default_factory=list)


@pytest.fixture(scope="module")
def model() -> Iterator[Model]:
    found: list[Model] = []

    def next_turn(request: Recorded) -> Turn:
        return found[0].script.pop(0) if found[0].script else text("The end.")

    with OpenAIServer(next_turn) as server:
        found.append(Model(server))
        yield found[0]


# ---- what must hold


@dataclass
class Seen:
    """What a caller saw of a run."""

    said: str = ""
    results: list[ChatCompletionInputMessage] = field(default_factory=list)
    failed: bool = False


class Told(Observer):
    """What those who observe hear; a begin or an end in the wrong place is an error that is logged, and noted here."""

    def __init__(self) -> None:
        self.going_on: list[Operation] = []
        self.runs = self.model_calls = 0
        self.stop_reason = ""

    def started(self, operation: Operation) -> None:
        self.runs += isinstance(operation, AgentRun)
        self.model_calls += isinstance(operation, ModelCall)
        in_place = operation.parent is None or operation.parent in self.going_on
        self.going_on.append(operation)
        if not in_place:
            self.going_on.append(operation)  # which its one end leaves here

    def ended(self, operation: Operation) -> None:
        if not any(other.parent is operation for other in self.going_on):
            self.going_on.remove(operation)
        if isinstance(operation, AgentRun):
            self.stop_reason = operation.stop_reason


async def use(agent: Agent, limits: Limits, leaving: tuple[str, int] | None) -> Seen:
    """Make a request, and leave as `leaving` says: how, and after how many items."""
    seen, event = Seen(), asyncio.Event()
    items = agent.run("go", limits=limits, abort_event=event)
    task = asyncio.current_task()
    assert task is not None
    left = leaving[1] if leaving is not None else -1
    if left == 0 and leaving is not None and leaving[0] == "event":
        event.set()
    try:
        async for item in items:
            if isinstance(item, ChatCompletionInputMessage):
                seen.results.append(item)
            elif item.choices:
                seen.said += item.choices[0].delta.content or ""
            left -= 1
            if left == 0 and leaving is not None:
                match leaving[0]:
                    case "event":
                        event.set()
                    case "close":
                        break
                    case "cancel":
                        task.cancel()
        await asyncio.sleep(0)  # a cancellation after the last item arrives here
    except InferenceError:
        seen.failed = True
    except asyncio.CancelledError:
        pass
    with suppress(asyncio.CancelledError):
        await asyncio.sleep(0)  # as does one after which the run failed before it waited for anything
    if task.cancelling():
        task.uncancel()
    with suppress(asyncio.CancelledError):
        await items.aclose()
    return seen


async def check(model: Model, script: list[Turn], limits: Limits, leaving: tuple[str, int] | None, output: Any) -> None:
    made: list[int] = []

    def add(a: int, b: int = 0) -> int:
        made.append(1)
        return a + b

    def fail() -> None:
        made.append(1)
        raise ValueError("always")

    refusals = sum(turn.status == 400 for turn in script)
    model.script[:] = script
    before = len(model.server.chats)
    async with (
        asyncio.timeout(30),
        AsyncInferenceClient(base_url=model.server.url, max_retries=0) as client,
        Agent(client=client, model="m", output=output, observers=[told := Told()]) as agent,
    ):
        agent.add_tool(add)
        agent.add_tool(fail)
        seen = await use(agent, limits, leaving)
        result = agent.result
        assert result is not None
        used = [chat for chat in model.server.chats[before:] if chat is not None]  # None: left while it was sent
        unanswered = refusals - sum(turn.status == 400 for turn in model.script)

        # counted exactly, and never more than allowed
        assert limits.model_calls is not None
        assert len(used) <= limits.model_calls
        assert result.model_calls <= len(used)
        if leaving is None:
            assert result.model_calls == len(used) - unanswered
            assert seen.failed == (result.stop_reason == "failed")
        assert len(result.calls) == result.model_calls
        assert len(made) <= result.tool_calls
        if limits.tool_calls is not None:
            assert result.tool_calls <= limits.tool_calls

        # every operation that began is over, inner ones first, and those who observe hear how it went
        assert not told.going_on
        assert (told.runs, told.stop_reason) == (1, result.stop_reason)
        if leaving is None:
            assert told.model_calls == len(used)

        # every history is valid: the one that is left, and each that was sent
        assert_valid(agent.messages)
        for chat in used:
            assert_valid(chat["messages"])

        # nothing is lost: what was said and what tools answered, in order
        kept = agent.messages[1:]
        said = [str(m["content"]) for m in kept if m["role"] == "assistant" and m.get("content")]
        remark = said.pop() if said and said[-1].startswith("(") and said[-1].endswith(")") else ""
        assert "".join(said).startswith(seen.said), (said, seen.said)
        assert leaving is not None or "".join(said) == seen.said
        results = [m for m in kept if m["role"] == "tool"]
        assert results[: len(seen.results)] == seen.results
        assert not remark or result.stop_reason not in ("done", "exit_tool")

        # and the conversation goes on
        model.script.clear()
        if output is None:
            assert (await agent.run_to_completion("again")).text == "The end."
        assert_valid(agent.messages)
        count = len(agent.messages)
        taken_back = agent.rollback()
        assert taken_back == ("again" if output is None else "go")
        assert len(agent.messages) < count or taken_back == "go"
        assert_valid(agent.messages)


@settings(
    max_examples=120, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(script=st.lists(answers(), max_size=6), limits=LIMITS, leaving=LEAVING)
def test_whatever_happens_the_loop_ends_and_the_history_is_valid(
    model: Model, script: list[Turn], limits: Limits, leaving: tuple[str, int] | None
) -> None:
    asyncio.run(check(model, script, limits, leaving, None))


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(script=st.lists(answers(), max_size=4), limits=LIMITS, leaving=LEAVING)
def test_it_holds_where_the_answer_has_to_have_a_form(
    model: Model, script: list[Turn], limits: Limits, leaving: tuple[str, int] | None
) -> None:
    schema = {"type": "object", "properties": {"sum": {"type": "integer"}}, "required": ["sum"]}
    asyncio.run(check(model, script, limits, leaving, schema))
