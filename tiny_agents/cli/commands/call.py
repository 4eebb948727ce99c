"""`tiny-agents call`: one tool of an agent's servers, or of a single server, called without any model."""

from __future__ import annotations

import asyncio
import json
import sys
from argparse import Namespace
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from tiny_agents.agent.agent import Agent
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.interrupts import leave_by_exception
from tiny_agents.cli.machine.event_records import plain
from tiny_agents.cli.prompt.call_arguments import read_arguments
from tiny_agents.cli.prompt.prompts import read_stdin
from tiny_agents.cli.report import Reporter, set_up_diagnostics
from tiny_agents.cli.saved_media import binary_of, save
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.cli.screen.terminal import Screen
from tiny_agents.cli.servers import model_names, read_target, ready, with_servers
from tiny_agents.errors import TinyAgentsError, UsageError
from tiny_agents.mcp_client.calls.coerce import coerced
from tiny_agents.mcp_client.results.results import ToolResult, read_result
from tiny_agents.mcp_client.tools.table import unknown_tool


def command(arguments: Namespace, reporter: Reporter) -> int:
    """Do `tiny-agents call`."""
    set_up_diagnostics(reporter)
    leave_by_exception()
    piped = read_stdin(sys.stdin, reporter.notice) if "-" in arguments.arguments else None
    given = read_arguments(arguments.arguments, piped)
    definition, locked = read_target(arguments, reporter)
    server, tool = named_tool(arguments.tool, definition)
    startable = ready(definition, arguments, reporter, only=server)

    async def call(agent: Agent) -> int:
        for error in agent.failed_servers.values():
            (reporter.warning if agent.connections else reporter.error)(error)
        if not agent.connections:
            return ExitCode.FAILED
        try:
            name = _known_as(agent, server, tool)
        except UsageError as error:
            if not agent.failed_servers:
                raise
            reporter.error(error)  # perhaps it is one of the server that could not be started
            return ExitCode.FAILED
        parameters = next((t.function.parameters for t in agent.available_tools if t.function.name == name), None)
        result = await agent.call_tool(name, coerced(given, parameters), timeout=arguments.timeout)
        return _show(result, tool, arguments, reporter)

    whole = len(startable.servers) == len(definition.servers)
    return asyncio.run(with_servers(startable, locked, call, reporter, whole=whole))


def named_tool(name: str, definition: AgentDefinition) -> tuple[str | None, str]:
    """Server and tool that `server.tool` or `tool` means; the server is None where it has to be found out."""
    for server in sorted((server.name for server in definition.servers), key=len, reverse=True):
        if name.startswith(f"{server}.") and name != f"{server}.":
            return server, name[len(server) + 1 :]
    return None, name


def _known_as(agent: Agent, server: str | None, tool: str) -> str:
    """What `call_tool` takes.

    Raises:
        UsageError: There is no such tool, or several.
    """
    names = model_names(agent)
    found = {origin: name for origin, name in names.items() if origin[1] == tool and server in (None, origin[0])}
    if len(found) > 1:
        where = " or ".join(f"{one_line(origin[0])}.{one_line(tool)}" for origin in found)
        raise UsageError(f"several servers have a tool {one_line(tool)!r}: write {where}")
    if found:
        return next(iter(found.values()))
    if server is None and tool in names.values():
        return tool  # as a model knows it
    raise UsageError(unknown_tool(tool, [origin[1] for origin in names if server in (None, origin[0])]))


def _show(result: ToolResult, tool: str, arguments: Namespace, reporter: Reporter) -> int:
    """The result to standard output; of a failure, what it says to standard error."""
    code = ExitCode.FAILED if result.is_error else ExitCode.DONE
    if arguments.json:
        data = {
            "is_error": result.is_error,
            "text": result.whole if result.whole is not None else result.text,
            "content": plain(list(result.content)),
            "structured_content": plain(result.structured_content),
        }
        sys.stdout.write(json.dumps(data, ensure_ascii=True) + "\n")
        return code
    if result.is_error:
        reporter.error(TinyAgentsError(f"the tool {tool!r} failed: {result.text}"))
        return code
    text = "\n".join(_block(block, tool, Path(arguments.save)) for block in result.content)
    if not any(block.get("type") == "text" and block.get("text") for block in result.content):
        shown = json.dumps(plain(result.structured_content), indent=2, ensure_ascii=False)
        text = "\n".join(part for part in (shown if result.structured_content is not None else "", text) if part)
    if text:
        screen = Screen(sys.stdout, sys.stderr)
        screen.text(text if text.endswith("\n") else f"{text}\n")
    else:
        reporter.notice("The tool returned nothing.")
    return code


def _block(block: Mapping[str, Any], tool: str, folder: Path) -> str:
    """A part of a result as text: what is no text becomes a file, and the text is its path."""
    binary = binary_of(block)
    if binary is not None:
        mime, data = binary
        return str(save(data, mime, folder, tool))
    return read_result([dict(block)], max_chars=sys.maxsize).text
