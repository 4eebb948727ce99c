"""`tiny-agents tools`: what the servers of an agent, or a single server, offer; without any model."""

from __future__ import annotations

import asyncio
import json
import sys
from argparse import Namespace
from collections.abc import Iterator, Mapping
from typing import Any

from tiny_agents.agent.agent import Agent
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.interrupts import leave_by_exception
from tiny_agents.cli.report import Reporter, set_up_diagnostics
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.cli.screen.terminal import Screen, Style
from tiny_agents.cli.servers import model_names, read_target, ready, with_servers
from tiny_agents.mcp_client.tools.table import ServerTool

DESCRIPTION_CHARS = 300


def command(arguments: Namespace, reporter: Reporter) -> int:
    """Do `tiny-agents tools`."""
    set_up_diagnostics(reporter)
    leave_by_exception()
    definition, locked = read_target(arguments, reporter)
    startable = ready(definition, arguments, reporter)
    missing = len(startable.servers) < len(definition.servers)

    async def show(agent: Agent) -> int:
        for error in agent.failed_servers.values():
            reporter.error(error)
        if arguments.json:
            sys.stdout.write(json.dumps(list(as_data(agent)), indent=2, ensure_ascii=True) + "\n")
        else:
            _show(agent, Screen(sys.stdout, sys.stdout))
        return ExitCode.FAILED if agent.failed_servers or missing else ExitCode.DONE

    return asyncio.run(with_servers(startable, locked, show, reporter, whole=not missing))


def as_data(agent: Agent) -> Iterator[dict[str, Any]]:
    """A server each, with its tools."""
    names = model_names(agent)
    for server, connection in agent.connections.items():
        yield {
            "server": server,
            "instructions": connection.instructions,
            "tools": [
                {
                    "name": tool.name,
                    "model_name": names.get((server, tool.name)),
                    "description": tool.description,
                    "parameters": dict(tool.parameters),
                    "read_only": tool.read_only,
                    "idempotent": tool.idempotent,
                    "destructive": tool.destructive,
                    "open_world": tool.open_world,
                }
                for tool in connection.tools
            ],
        }


def _show(agent: Agent, screen: Screen) -> None:
    for number, (server, connection) in enumerate(agent.connections.items()):
        if number:
            screen.line()
        count = len(connection.tools)
        screen.line(f"{one_line(server)}: {count} tool{'' if count == 1 else 's'}", Style.BOLD)
        for tool in connection.tools:
            screen.line(f"  {one_line(tool.name)}{_hints(tool)}", Style.TOOL)
            if tool.description:
                screen.line(f"    {one_line(tool.description, DESCRIPTION_CHARS)}")
            for line in parameter_lines(tool.parameters):
                screen.line(f"    {line}", Style.DIM)


def _hints(tool: ServerTool) -> str:
    hints = [word for word, holds in (("only reads", tool.read_only), ("may destroy", tool.destructive)) if holds]
    return f" ({', '.join(hints)})" if hints else ""


def parameter_lines(schema: Mapping[str, Any]) -> Iterator[str]:
    """The arguments that a JSON Schema describes, a line each, fit for a terminal."""
    properties = schema.get("properties")
    required = schema.get("required")
    for name, about in properties.items() if isinstance(properties, Mapping) else ():
        about = about if isinstance(about, Mapping) else {}
        words = [_kind(about)]
        if isinstance(required, list) and name in required:
            words.append("required")
        elif about.get("default") is not None:
            words.append(f"default {json.dumps(about['default'], ensure_ascii=False)}")
        text = f": {about['description']}" if about.get("description") else ""
        yield one_line(f"{name} ({', '.join(words)}){text}", DESCRIPTION_CHARS)


def _kind(schema: Mapping[str, Any]) -> str:
    """The type in a schema, in a word or a few."""
    if isinstance(choices := schema.get("enum"), list):
        return " | ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)
    for key in ("anyOf", "oneOf"):
        if isinstance(kinds := schema.get(key), list):
            return " | ".join(_kind(kind) for kind in kinds if isinstance(kind, Mapping))
    kind = schema.get("type")
    if kind == "array" and isinstance(items := schema.get("items"), Mapping):
        return f"list of {_kind(items)}"
    return " | ".join(map(str, kind)) if isinstance(kind, list) else str(kind or "any")
