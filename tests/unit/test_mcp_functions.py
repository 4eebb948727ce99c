"""Python functions as tools: the schema says what the function takes, and what a model sends arrives as that."""

from __future__ import annotations

import asyncio
import enum
import functools
import threading
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Annotated, Any, Literal

import msgspec
import pytest

from tiny_agents.errors import ServerTimeoutError, UsageError
from tiny_agents.mcp_client.results.results import ToolResult, failure
from tiny_agents.mcp_client.tools.functions import FUNCTIONS, Functions, describe_function, read_docstring


@dataclass
class Point:
    x: int
    y: int = 0


class Color(enum.Enum):
    RED = "red"


def plot(
    point: Point,
    scale: float,
    kind: Literal["dot", "line"] = "dot",
    more: list[Point] | None = None,
    times: Annotated[int, "How often", msgspec.Meta(ge=1)] = 1,
    color: Color = Color.RED,
    day: date = date(2026, 1, 2),
    anything={},  # type: ignore[no-untyped-def]  # noqa: B006
) -> dict[str, Any]:
    """Plot a point.

    Or several.

    Args:
        point: Where,
            exactly.
        scale (float): How large.
        times: Not this one.

    Returns:
        point: not a parameter
    """
    return {"x": point.x, "scale": scale, "more": more and more[0].y, "times": times, "day": day, "anything": anything}


def test_signature_and_docstring_become_the_schema() -> None:
    tool = describe_function(plot).tool
    assert (tool.name, tool.description) == ("plot", "Plot a point.\n\nOr several.")
    assert tool.parameters["type"] == "object"
    assert tool.parameters["required"] == ["point", "scale"]
    assert tool.parameters["additionalProperties"] is False
    assert tool.parameters["properties"] == {
        "point": {"description": "Where, exactly.", "$ref": "#/$defs/Point"},
        "scale": {"description": "How large.", "type": "number"},
        "kind": {"enum": ["dot", "line"], "default": "dot"},
        "more": {"anyOf": [{"type": "array", "items": {"$ref": "#/$defs/Point"}}, {"type": "null"}], "default": None},
        "times": {"description": "How often", "type": "integer", "minimum": 1, "default": 1},
        "color": {"$ref": "#/$defs/Color", "default": "red"},
        "day": {"type": "string", "format": "date", "default": "2026-01-02"},
        "anything": {"default": {}},
    }
    assert set(tool.parameters["$defs"]) == {"Point", "Color"}


def call(function: Callable[..., Any], **arguments: Any) -> ToolResult:
    return asyncio.run(asyncio.wait_for(describe_function(function, "f").call(arguments), 20))


def test_what_a_model_sends_becomes_what_the_function_takes() -> None:
    result = call(plot, point={"x": 1}, scale="2.5", more=[{"x": 3}], day="2020-02-03")
    assert result.structured_content == {
        "x": 1,
        "scale": 2.5,
        "more": 0,
        "times": 1,
        "day": "2020-02-03",
        "anything": {},
    }


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({"scale": 1}, "missing required field `point`"),
        ({"point": {"x": "a"}, "scale": 1}, "Expected `int`, got `str` - at `$.point.x`"),
        ({"point": {"x": 1}, "scale": 1, "times": 0}, "`int` >= 1 - at `$.times`"),
        ({"point": {"x": 1}, "scale": 1, "sclae": 1}, "unknown field `sclae`"),
    ],
)
def test_arguments_that_do_not_fit_are_told_to_the_model(arguments: dict[str, Any], problem: str) -> None:
    result = call(plot, **arguments)
    assert result.is_error
    assert result.text.startswith("the arguments of 'f' don't fit: ")
    assert problem in result.text


def raising(error: Exception) -> Callable[[], None]:
    def f() -> None:
        raise error

    return f


class Callable_:
    async def __call__(self, a: int, /, b: str = "x") -> str:
        return f"{a}{b}"


@pytest.mark.parametrize(
    ("function", "arguments", "result"),
    [
        (lambda: "text", {}, "text"),
        (lambda: None, {}, "[No content]"),
        (lambda: Point(1), {}, '{"x":1,"y":0}'),
        (lambda: [1, None, "ü"], {}, '[1,null,"ü"]'),
        (lambda: 2.5, {}, "2.5"),
        (lambda: {1: Point(2)}, {}, '{"1":{"x":2,"y":0}}'),
        (lambda: ToolResult("as it is"), {}, "as it is"),
        (lambda: failure("no"), {}, "Error: no"),
        (lambda: Ellipsis, {}, "Ellipsis"),
        (raising(KeyError("key")), {}, "Error: KeyError: 'key'"),
        (raising(TimeoutError()), {}, "Error: TimeoutError"),
        (
            functools.partial(plot, scale=1.0),
            {"point": {"x": 1}, "times": 0},
            "Error: the arguments of 'f' don't fit: ",
        ),
        (Callable_(), {"a": 1}, "1x"),
        (lambda x: x, {"x": {"any": "thing"}}, '{"any":"thing"}'),
    ],
)
def test_what_a_function_returns_or_raises_is_told_to_the_model(
    function: Callable[..., Any], arguments: dict[str, Any], result: str
) -> None:
    assert call(function, **arguments).message.startswith(result)


def test_a_function_that_is_not_asynchronous_runs_in_a_thread() -> None:
    async def here() -> int:
        return threading.get_ident()

    assert call(lambda: threading.get_ident()).text != str(threading.get_ident())
    assert call(here).text == str(threading.get_ident())


def variadic(*numbers: int) -> None: ...
def keywords(**options: int) -> None: ...
def untold(event: threading.Event) -> None: ...
def unknown(x: Nonsense) -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "problem"),
    [
        (variadic, "'variadic' takes *numbers; name a tool's parameters one by one"),
        (keywords, "'keywords' takes **options;"),
        (untold, "a parameter of 'untold' has a type that JSON has no word for"),
        (unknown, "the signature of 'unknown' can't be read: name 'Nonsense' is not defined"),
        (lambda: 1, "what has no name of its own needs name="),
        ("print", "a function is needed, not str"),
    ],
)
def test_what_cannot_be_a_tool_is_refused_with_a_reason(function: Any, problem: str) -> None:
    with pytest.raises(UsageError) as caught:
        describe_function(function)
    assert f"add_tool: {problem}" in str(caught.value)


@pytest.mark.parametrize(
    ("text", "before", "entries"),
    [
        (None, "", {}),
        ("Only this.", "Only this.", {}),
        ("Do: it.\n\nArgs:\n    a: One.\n    b (int, optional): Two\n        lines: of it.\n\n    c:\nReturns:\n    d: x",
         "Do: it.", {"a": "One.", "b": "Two lines: of it."}),
        ("Do it.\n\n:param a: One\n    and more.\n:param int b: Two.\n:returns: x", "Do it.",
         {"a": "One and more.", "b": "Two."}),
        ("Example:\n    a: b", "", {}),
    ],
)  # fmt: skip
def test_docstrings_are_read(text: str | None, before: str, entries: dict[str, str]) -> None:
    assert read_docstring(text) == (before, entries)


def test_a_function_that_takes_too_long_is_left() -> None:
    functions = Functions(tool_timeout_s=0.05)

    async def slow() -> None:
        await asyncio.sleep(600)

    functions.add(slow, None, "Slow.")
    with pytest.raises(UsageError, match="there is a function 'slow' already"):
        functions.add(slow, None, None)
    with pytest.raises(UsageError, match="'read_on' is the name of a tool of the client's own"):
        functions.add(slow, "read_on", None)
    assert [(tool.name, tool.description) for tool in functions.tools] == [("slow", "Slow.")]
    with pytest.raises(ServerTimeoutError, match=r"'slow' did not finish within 0.05 s") as caught:
        asyncio.run(functions.call_tool("slow", {}))
    assert (caught.value.server, caught.value.timeout_s) == (FUNCTIONS, 0.05)
