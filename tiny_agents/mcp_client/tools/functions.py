"""Python functions as tools: name, description and schema from the function itself, and its call."""

from __future__ import annotations

import asyncio
import functools
import inspect
import logging
import re
import typing
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Annotated, Any

import msgspec
from msgspec.structs import replace

from tiny_agents.errors import ServerTimeoutError, UsageError
from tiny_agents.mcp_client.results.results import ToolResult, failure, read_result
from tiny_agents.mcp_client.tools.table import FUNCTIONS, OWN_TOOLS, ServerTool, object_schema

if TYPE_CHECKING:
    from tiny_agents.mcp_client.events import ServerEvent

logger = logging.getLogger("tiny_agents.mcp_client")

Function = Callable[..., Any]


class FunctionTool(msgspec.Struct, frozen=True):
    """A function and how a model sees it.

    Attributes:
        arguments: A msgspec struct with a field per parameter: what a model sends is converted to it.
        positional: Parameters that can't be given by name.
        limits_itself: It has a time limit of its own, and none of the client's.
    """

    function: Function
    tool: ServerTool
    arguments: type[msgspec.Struct]
    positional: tuple[str, ...] = ()
    limits_itself: bool = False

    async def call(self, given: Mapping[str, Any]) -> ToolResult:
        """Call the function; what it gets wrong, and what is wrong with the arguments, is a result too."""
        try:
            arguments = msgspec.convert(given, self.arguments, strict=False)
        except msgspec.ValidationError as error:
            return failure(f"the arguments of '{self.tool.name}' don't fit: {error}")
        values = {name: getattr(arguments, name) for name in self.arguments.__struct_fields__}
        values = {name: value for name, value in values.items() if value is not msgspec.UNSET}
        inputs = [values.pop(name) for name in self.positional if name in values]
        try:
            if inspect.iscoroutinefunction(self.function):
                answer = await self.function(*inputs, **values)
            else:
                answer = await asyncio.to_thread(self.function, *inputs, **values)
                if inspect.isawaitable(answer):
                    answer = await answer
        except Exception as error:  # whatever a tool raises is told to the model
            logger.debug("the function '%s' failed", self.tool.name, exc_info=True)
            return failure(f"{type(error).__name__}: {error}" if str(error) else type(error).__name__)
        return result_of(answer)


class Functions:
    """The Python functions among the tools of a client, to be used like the connection to a server."""

    def __init__(self, *, tool_timeout_s: float) -> None:
        self.tools: tuple[ServerTool, ...] = ()
        self.identity = FUNCTIONS
        self._functions: dict[str, FunctionTool] = {}
        self._tool_timeout_s = tool_timeout_s

    def has(self, name: str) -> bool:
        return name in self._functions

    def add(
        self,
        function: Function,
        name: str | None,
        description: str | None,
        *,
        own: bool = False,
        limits_itself: bool = False,
    ) -> None:
        """Raises UsageError for one that can't be a tool, or whose name is taken by another; `own`: it is one of ours."""
        made = replace(describe_function(function, name, description), limits_itself=limits_itself)
        if made.tool.name in OWN_TOOLS and not own:
            raise UsageError(
                f"add_tool: '{made.tool.name}' is the name of a tool of the client's own; give another name="
            )
        if made.tool.name in self._functions:
            raise UsageError(f"add_tool: there is a function '{made.tool.name}' already; give this one another name=")
        self._functions[made.tool.name] = made
        self.tools = (*self.tools, made.tool)

    def for_model(self, result: ToolResult) -> ToolResult:
        """`result` as it is: functions are the user's own."""
        return result

    async def call_tool(
        self,
        name: str,
        arguments: dict[str, Any],
        *,
        timeout_s: float | None = None,
        emit: Callable[[ServerEvent], None] | None = None,
    ) -> ToolResult:
        """Call a function; one that isn't asynchronous runs in a thread, which goes on when nobody waits any more.

        Args:
            emit: Not used: a function that wants to tell something finds it in `CALLING`.

        Raises:
            ServerTimeoutError: It takes too long.
        """
        function = self._functions[name]
        limit_s = self._tool_timeout_s if timeout_s is None else timeout_s
        if timeout_s is None and function.limits_itself:
            return await function.call(arguments)
        try:
            async with asyncio.timeout(limit_s) as limit:
                return await function.call(arguments)
        except TimeoutError:
            assert limit.expired()  # what the function raises doesn't get here
            raise ServerTimeoutError(
                f"the function '{name}' did not finish within {limit_s:g} s (tool_timeout); it may have run",
                server=FUNCTIONS,
                timeout_s=limit_s,
            ) from None


def describe_function(function: Function, name: str | None = None, description: str | None = None) -> FunctionTool:
    """How a model sees a function: its signature as a schema, its docstring as descriptions.

    A parameter's description is its entry under "Args:" (or `:param name:`), or a text in `Annotated[int, "..."]`;
    `Annotated[int, msgspec.Meta(ge=0)]` says more. Annotations are what msgspec knows: plain types, lists and mappings,
    `Literal`, enums, dates, dataclasses, typed dictionaries, structs. One without an annotation takes anything.

    Raises:
        UsageError: It is no function, has `*args` or `**kwargs`, or an annotation that has no JSON.
    """
    if not callable(function):
        raise UsageError(f"add_tool: a function is needed, not {type(function).__name__}")
    name = name or getattr(inspect.unwrap(function), "__name__", None)
    if name is None and isinstance(function, functools.partial):
        name = getattr(function.func, "__name__", None)
    if not name or name == "<lambda>":
        raise UsageError("add_tool: what has no name of its own needs name=")
    text, entries = read_docstring(inspect.getdoc(function) if not isinstance(function, functools.partial) else None)
    try:
        parameters = inspect.signature(function).parameters
        hints = _hints(function)
    except (ValueError, TypeError, NameError) as error:
        raise UsageError(f"add_tool: the signature of '{name}' can't be read: {error}") from error
    fields: list[tuple[str, Any] | tuple[str, Any, Any]] = []
    for parameter in parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            stars = "*" if parameter.kind is parameter.VAR_POSITIONAL else "**"
            raise UsageError(f"add_tool: '{name}' takes {stars}{parameter.name}; name a tool's parameters one by one")
        kind = _described(hints.get(parameter.name, Any), entries.get(parameter.name))
        optional = parameter.default is not parameter.empty
        field = (parameter.name, kind | msgspec.UnsetType, msgspec.UNSET) if optional else (parameter.name, kind)
        fields.append(field)
    defaults = {p.name: p.default for p in parameters.values() if p.default is not p.empty}
    try:
        arguments = msgspec.defstruct("Arguments", fields, kw_only=True, forbid_unknown_fields=True)
        schema = _schema(arguments, defaults)
    except TypeError as error:
        raise UsageError(f"add_tool: a parameter of '{name}' has a type that JSON has no word for: {error}") from error
    tool = ServerTool(name, description or text or None, object_schema(schema))
    positional = tuple(p.name for p in parameters.values() if p.kind is p.POSITIONAL_ONLY)
    return FunctionTool(function, tool, arguments, positional)


def result_of(answer: Any) -> ToolResult:
    """What a function returned: text as it is, data as JSON, a `ToolResult` unchanged."""
    if isinstance(answer, ToolResult):
        return answer
    if answer is None:
        return read_result([])
    if isinstance(answer, str):
        return read_result([{"type": "text", "text": answer}])
    try:
        data = msgspec.to_builtins(answer, str_keys=True)
    except (TypeError, ValueError, RecursionError):
        return read_result([{"type": "text", "text": str(answer)}])
    return read_result([], structured_content=data)


# ---------------------------------------------------------------- schema


def _hints(function: Function) -> dict[str, Any]:
    bare = function.func if isinstance(function, functools.partial) else inspect.unwrap(function)
    if not (inspect.isfunction(bare) or inspect.ismethod(bare) or inspect.isclass(bare)):
        bare = type(bare).__call__ if hasattr(type(bare), "__call__") else bare  # noqa: B004 - an object that can be called
    bare = bare.__init__ if inspect.isclass(bare) else bare
    return typing.get_type_hints(bare, include_extras=True)


def _described(kind: Any, entry: str | None) -> Any:
    """`kind` with a description: a text of its `Annotated`, or else its entry in the docstring."""
    metadata = getattr(kind, "__metadata__", ())
    own = next((item for item in metadata if isinstance(item, str)), None)
    said = any(isinstance(item, msgspec.Meta) and item.description for item in metadata)
    text = own or (None if said else entry)
    return Annotated[kind, msgspec.Meta(description=text)] if text else kind


def _schema(arguments: type[msgspec.Struct], defaults: Mapping[str, Any]) -> dict[str, Any]:
    """JSON Schema of the struct, with what it refers to under `$defs`."""
    _, parts = msgspec.json.schema_components([arguments], ref_template="#/$defs/{name}")
    own = next(key for key in parts if key == "Arguments" or key.endswith(".Arguments"))
    schema = {key: value for key, value in parts.pop(own).items() if key != "title"}
    for name, default in defaults.items():
        try:
            schema["properties"][name]["default"] = msgspec.to_builtins(default, str_keys=True)
        except (TypeError, ValueError):
            continue  # the function knows it; a model needn't
    return {**schema, "additionalProperties": False, **({"$defs": parts} if parts else {})}


# ---------------------------------------------------------------- docstrings

_SECTION = re.compile(r"(?i)^(args|arguments|parameters|returns?|yields?|raises?|examples?|notes?|attributes):(.*)$")
_GOOGLE_ENTRY = re.compile(r"^\*{0,2}(\w+)\s*(?:\([^)]*\))?:\s*(.*)$")
_FIELD_ENTRY = re.compile(r"^:param\s+(?:[^:]*\s)?(\w+):\s*(.*)$")


def read_docstring(text: str | None) -> tuple[str, dict[str, str]]:
    """What a docstring says before its sections, and its description of each parameter."""
    before: list[str] = []
    entries: dict[str, list[str]] = {}
    section = ""
    entry: list[str] | None = None
    indent = 0
    for line in (text or "").splitlines():
        stripped = line.strip()
        if (heading := _SECTION.match(line)) is not None:
            section, entry, indent = heading[1].lower(), None, 0
        elif stripped.startswith(":"):
            section, entry = "fields", None
            if (found := _FIELD_ENTRY.match(stripped)) is not None:
                entry = entries[found[1]] = [found[2]]
        elif not section:
            before.append(line)
        elif section == "fields":
            if entry is not None and stripped:
                entry.append(stripped)
        elif section in ("args", "arguments", "parameters") and stripped:
            depth = len(line) - len(line.lstrip())
            indent = indent or depth
            found = _GOOGLE_ENTRY.match(stripped) if depth <= indent else None
            if found is not None:
                entry = entries[found[1]] = [found[2]]
            elif entry is not None:
                entry.append(stripped)
    described = {name: " ".join(part for part in parts if part) for name, parts in entries.items()}
    return "\n".join(before).strip(), {name: words for name, words in described.items() if words}
