"""What agent.yaml and agent.json have in common about servers: their type where it isn't said, and their names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from tiny_agents.agent.definition.document import Value, did_you_mean
from tiny_agents.agent.definition.part_keys import PARAMS
from tiny_agents.inference.settings import is_address
from tiny_agents.mcp_client.connection.servers import HttpServer, ServerType, StdioServer, server_name


def server_type(entries: Mapping[str, Value], server: Value) -> ServerType:
    """The stated type, or the one that `command` or the end of `url` implies."""
    stated = entries.get("type")
    if stated is not None:
        for known in PARAMS:
            if stated.data == known:
                return known
        raise stated.error(f"must be stdio, http or sse, but is {stated.shown}")
    if "command" in entries and "url" in entries:
        raise server.error("has both `command` (a program to start) and `url` (a remote server); keep one")
    if "command" in entries:
        return "stdio"
    if "url" in entries:
        return "sse" if re.search(r"/sse/?(?:[?#]|$)", entries["url"].written) else "http"
    for name, entry in entries.items():
        if hint := did_you_mean(name, ("command", "url")):
            raise entry.error(f"unknown key{hint}")
    raise server.error("needs `command` (a program to start) or `url` (a remote server)")


def derived_name(type: ServerType, params: Mapping[str, Any], taken: Iterable[str]) -> str:
    """The name of a server that was given none."""
    if type == "stdio":
        return server_name(StdioServer(params["command"], params.get("args", ())), list(taken))
    url = params["url"] if is_address(params["url"]) else "http://server"  # its host is a placeholder
    return server_name(HttpServer(url), list(taken))
