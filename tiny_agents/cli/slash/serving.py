"""Slash commands about servers and what they offer: tools, prompts, resources."""

from __future__ import annotations

import asyncio
import difflib
import json
import shlex
from collections.abc import AsyncGenerator, Iterable, Sequence
from typing import Any

from tiny_agents.cli.screen.events import Item, ToolCall, ToolResult, content_text
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.cli.screen.turns import listening
from tiny_agents.cli.slash.talk import Run, SlashCommand, Talk
from tiny_agents.errors import UsageError
from tiny_agents.mcp_client.resources.prompts import Prompt
from tiny_agents.mcp_client.resources.resources import ResourceContent

SHOWN_CHARS = 20_000
HANG = 4


async def servers(talk: Talk, _: str) -> Run | None:
    """Each server, how it is, and how many tools it has."""
    for name, connection in talk.agent.connections.items():
        count = len(connection.tools)
        state = "up" if connection.state == "ready" else connection.state
        talk.say(f"{one_line(name)}: {state}, {count} tool{'' if count == 1 else 's'}")
    for name, error in talk.agent.failed_servers.items():
        talk.say(f"{one_line(name)}: down: {one_line(str(error), 300)}", hang=HANG)
    if not talk.agent.connections and not talk.agent.failed_servers:
        talk.say("This agent has no servers.")
    return None


async def tools(talk: Talk, wanted: str) -> Run | None:
    """All tools, or one with its arguments."""
    found = talk.tools()
    if wanted:
        _, _, name = _tool(talk, wanted)
        tool = next(tool for tool in talk.agent.available_tools if tool.function.name == name)
        talk.say(tool.function.description or "(no description)")
        talk.say(json.dumps(tool.function.parameters, indent=2, ensure_ascii=False))
        return None
    descriptions = {tool.function.name: tool.function.description or "" for tool in talk.agent.available_tools}
    for server, own, name in found:
        talk.say(f"{_full(server, own)}: {one_line(descriptions[name], 200)}".rstrip(": "), hang=HANG)
    if not found:
        talk.say("There are no tools.")
    return None


async def call(talk: Talk, arguments: str) -> Run | None:
    """A call of the user's own; the model doesn't get to know of it."""
    wanted, _, text = arguments.partition(" ")
    if not wanted:
        raise UsageError('which tool? /call SERVER.TOOL {"argument": "value"}')
    _, _, name = _tool(talk, wanted)
    given = _json_object(text)
    view = talk.view()
    with listening(talk.agent, view):
        try:
            view.show(ToolCall("", name, text.strip() or "{}"))
            result = await talk.agent.call_tool(name, given)
            whole = result.message if result.is_error else result.whole or result.text
            view.show(ToolResult(name, whole, of_several=False))
        finally:
            view.end()
    return None


def _json_object(text: str) -> dict[str, Any]:
    try:
        given = json.loads(text.strip() or "{}")
    except json.JSONDecodeError as error:
        shown = text.strip()[max(error.pos - 20, 0) : error.pos]
        raise UsageError(
            f"the arguments are no JSON: {error.msg} at character {error.pos + 1}, behind {one_line(shown)!r}"
        ) from error
    if not isinstance(given, dict):
        raise UsageError('the arguments have to be a JSON object, such as {"name": "value"}')
    return given


def _tool(talk: Talk, wanted: str) -> tuple[str, str, str]:
    known = talk.tools()
    for each in known:
        if wanted in (_full(each[0], each[1]), each[2]):
            return each
    same = [each for each in known if each[1] == wanted]
    if len(same) == 1:
        return same[0]
    if not known:
        raise UsageError("this agent has no tools")
    names = [_full(server, own) for server, own, _ in same or known]
    near = names if same else difflib.get_close_matches(wanted, names, n=3)
    hint = f"did you mean {' or '.join(near)}?" if near else "/tools shows those there are"
    raise UsageError(f"there is no tool {wanted!r}: {hint}")


def _full(server: str, own: str) -> str:
    return f"{server}.{own}" if server else own


async def tool_names(talk: Talk) -> Sequence[str]:
    return [_full(server, own) for server, own, _ in talk.tools()]


async def prompts(talk: Talk, arguments: str) -> Run | None:
    """The prompts that servers have prepared; one that is named is filled in, and asked."""
    offered = await talk.agent.list_prompts()
    if not arguments:
        for prompt in offered:
            needs = " ".join(f"{a.name}=" if a.required else f"[{a.name}=]" for a in prompt.arguments)
            about = one_line(prompt.description or prompt.title or "", 200)
            talk.say(f"{prompt.server}.{prompt.name} {needs}".rstrip() + (f": {about}" if about else ""), hang=HANG)
        if not offered:
            talk.say("No server has prompts.")
        return None
    try:
        name, *given = shlex.split(arguments)
    except ValueError as error:
        raise UsageError(f"/prompts: {error}") from error
    prompt = _prompt(offered, name)
    values = dict(_pair(each) for each in given)
    filled = await talk.agent.get_prompt(prompt.name, values, prompt.server)
    *before, last = filled.messages or (None,)
    if last is None or last.role != "user":
        raise UsageError(f"the prompt {name!r} doesn't end with a question, so there is nothing to ask")
    talk.aside(*(one_line(content_text(message.content), 400) for message in filled.messages))

    def run(abort: asyncio.Event) -> AsyncGenerator[Item, None]:
        talk.agent.messages += before
        return talk.agent.run(last.content or "", abort_event=abort)

    return run


def _prompt(offered: Iterable[Prompt], name: str) -> Prompt:
    same = [each for each in offered if name in (each.name, f"{each.server}.{each.name}")]
    if len(same) != 1:
        several = ", ".join(f"{each.server}.{each.name}" for each in same)
        raise UsageError(f"which one? {several}" if same else f"no server has a prompt {name!r}: /prompts shows all")
    return same[0]


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals:
        raise UsageError(f"/prompts: {text!r} should be NAME=VALUE")
    return name, value


async def prompt_names(talk: Talk) -> Sequence[str]:
    return [f"{prompt.server}.{prompt.name}" for prompt in await talk.agent.list_prompts()]


async def resources(talk: Talk, uri: str) -> Run | None:
    """What can be read, or the text of one."""
    if uri:
        server, _, rest = uri.partition(":")
        named = server in talk.agent.connections and rest
        parts = await (talk.agent.read_resource(rest, server) if named else talk.agent.read_resource(uri))
        for part in parts:
            talk.aside(f"[{part.uri}]")
            talk.say(_shown(part))
        return None
    listed = await talk.agent.list_resources()
    templates = await talk.agent.list_resource_templates()
    for resource in listed:
        size = f", {resource.size:,} bytes" if resource.size is not None else ""
        about = resource.description or resource.title or resource.name
        talk.say(f"@{resource.server}:{resource.uri} ({one_line(about, 150)}{size})", hang=HANG)
    for template in templates:
        about = one_line(template.description or template.name, 150)
        talk.say(f"@{template.server}:{template.uri_template} ({about})", hang=HANG)
    if not listed and not templates:
        talk.say("No server has resources.")
    return None


def _shown(part: ResourceContent) -> str:
    if part.text is None:
        return f"({len(part.data or b''):,} bytes of {part.mime_type or 'data'})"
    more = len(part.text) - SHOWN_CHARS
    return part.text[:SHOWN_CHARS] + (f"\n… {more:,} more characters" if more > 0 else "")


async def resource_names(talk: Talk) -> Sequence[str]:
    return [f"{resource.server}:{resource.uri}" for resource in await talk.agent.list_resources()]


COMMANDS = (
    SlashCommand("tools", "[NAME]", "the tools; of one all that the model knows of it", tools, tool_names),
    SlashCommand("servers", "", "the servers, and how they are", servers),
    SlashCommand("call", "SERVER.TOOL {JSON}", "call a tool yourself; the model isn't told", call, tool_names),
    SlashCommand("prompts", "[NAME KEY=VALUE ...]", "prompts of servers; ask one", prompts, prompt_names),
    SlashCommand("resources", "[URI]", "what servers let be read; show one", resources, resource_names),
)
