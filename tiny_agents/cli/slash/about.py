"""Slash commands that say or set something about the conversation."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from tiny_agents.agent.loop.limits import Limits
from tiny_agents.agent.permissions.gate import PermissionGate
from tiny_agents.agent.permissions.rules import in_words
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.cli.slash.talk import Run, SlashCommand, Talk
from tiny_agents.errors import UsageError
from tiny_agents.mcp_client.events import ListChanged, ServerEvent, ServerLog, ServerLost, ServerReturned

LOG_LINES = 30
SHOWN_CHARS = 200_000


async def model(talk: Talk, name: str) -> Run | None:
    """Which model answers; a name asks another one at the same place from now on."""
    if name:
        talk.agent.use_model(name)
    talk.say(f"The model is {one_line(talk.agent.model_name)}.")
    return None


async def usage(talk: Talk, _: str) -> Run | None:
    """What was used so far, and by the last request."""
    talk.say(f"All requests: {talk.agent.usage}.")
    result = talk.agent.result
    if result is not None:
        talk.say(f"The last one: {result.usage}, {result.tool_calls} tool calls, {result.duration_s:.1f} s.")
    tokens = talk.agent.context.tokens
    if tokens:
        talk.say(f"The conversation is about {tokens:,} tokens long.")
    return None


async def limits(talk: Talk, given: str) -> Run | None:
    """The limits of a request; NAME=VALUE changes one, NAME= takes it away."""
    for pair in given.split():
        name, equals, value = pair.partition("=")
        if name not in _LIMITS or not equals:
            raise UsageError(f"/limits: {pair!r} should be NAME=VALUE; the names are {', '.join(_LIMITS)}")
        if not value and name == "model_calls":
            raise UsageError("/limits: model_calls always has a limit, so that no request goes on for ever")
        talk.agent.limits = msgspec.structs.replace(
            talk.agent.limits, **{name: _number(pair, value) if value else None}
        )
    for name in _LIMITS:
        value = getattr(talk.agent.limits, name)
        talk.say(f"{name}: {'no limit' if value is None else f'{value:,}'}")
    return None


_LIMITS = [name for name in Limits.__struct_fields__ if name != "last_answer"]


def _number(pair: str, value: str) -> Any:
    try:
        return json.loads(value.replace("_", ""))
    except ValueError as error:
        raise UsageError(f"/limits: in {pair!r} the value is no number") from error


async def limit_names(_: Talk) -> Sequence[str]:
    return [f"{name}=" for name in _LIMITS]


async def permissions(talk: Talk, _: str) -> Run | None:
    """Which calls are made, asked about, refused."""
    gate = talk.agent.gate
    if not isinstance(gate, PermissionGate):
        talk.say("All calls of tools are made.")
        return None
    talk.say(*(f"{line[:1].upper()}{line[1:]}." for line in in_words(gate.permissions)))
    for name in gate.allowed_now:
        talk.say(f"Allowed for this session: {one_line(name)}")
    talk.aside("What was allowed for good is listed by: tiny-agents permissions list")
    return None


async def log(talk: Talk, _: str) -> Run | None:
    """What happened at the servers lately."""
    lines = [line for event in talk.happened for line in _in_words(event)][-LOG_LINES:]
    talk.say(*lines or ["Nothing has been reported by a server."])
    return None


def _in_words(event: ServerEvent) -> Iterable[str]:
    words = _WORDS.get(type(event))
    return [] if words is None else [one_line(words(event), 500)]


_WORDS: dict[type, Callable[[Any], str]] = {
    ServerLog: lambda e: f"{e.server}: {e.level}: {e.data if isinstance(e.data, str) else json.dumps(e.data)}",
    ServerLost: lambda e: f"{e.server} {e.how}",
    ServerReturned: lambda e: f"{e.server} was started again",
    ListChanged: lambda e: f"{e.server} has other {e.of} than before",
}


async def show(talk: Talk, number: str) -> Run | None:
    """All of a tool's result that was shown in part."""
    results = talk.shelf.results
    if not results:
        raise UsageError("no tool was called yet")
    if number and (not number.isdecimal() or int(number) not in results):
        raise UsageError(f"/show: there is no result {number!r}; there are {min(results)} to {max(results)}")
    kept = results[int(number) if number else max(results)]
    talk.aside(f"{one_line(kept.name)} {one_line(kept.arguments, 1000)}")
    talk.say(kept.text[:SHOWN_CHARS])
    if (more := len(kept.text) - SHOWN_CHARS) > 0:
        talk.aside(f"… {more:,} more characters")
    return None


async def reasoning(talk: Talk, wanted: str) -> Run | None:
    """What the model thought last; "on" shows it all as it comes from now on."""
    if wanted in ("on", "off"):
        talk.unfolded = wanted == "on"
        talk.say(f"What the model thinks is {'shown whole' if talk.unfolded else 'folded'} from now on.")
        return None
    if wanted:
        raise UsageError("/reasoning shows what the model thought last; /reasoning on and off are for all that comes")
    talk.aside(talk.shelf.thoughts[-1].strip() if talk.shelf.thoughts else "The model has not thought aloud yet.")
    return None


async def on_and_off(_: Talk) -> Sequence[str]:
    return ["on", "off"]


async def leave(talk: Talk, _: str) -> Run | None:
    """The end."""
    talk.leaving = True
    return None


COMMANDS = (
    SlashCommand("model", "[NAME]", "which model answers; ask another one", model),
    SlashCommand("usage", "", "tokens and costs so far", usage),
    SlashCommand("limits", "[NAME=VALUE ...]", "how much a request may use", limits, limit_names),
    SlashCommand("permissions", "", "which calls are made, asked about, refused", permissions),
    SlashCommand("show", "[N]", "a tool's result whole; the last one without N", show),
    SlashCommand("reasoning", "[on|off]", "what the model thought; whether it is shown whole", reasoning, on_and_off),
    SlashCommand("log", "", "what servers reported", log),
)
QUIT = SlashCommand("quit", "", "leave (so does Ctrl+D)", leave)
