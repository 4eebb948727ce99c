"""What all servers of a client offer besides tools: resources and prompts, found by name and asked of the right one."""

from __future__ import annotations

import asyncio
import difflib
import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from tiny_agents.errors import ServerError, UsageError
from tiny_agents.mcp_client.connection.changes import CHANGED_BY, ListKind, Offered
from tiny_agents.mcp_client.connection.watch import Refused
from tiny_agents.mcp_client.resources.prompts import (
    Completion,
    FilledPrompt,
    Prompt,
    check_arguments,
    fill,
    read_completion,
    read_prompt_entry,
)
from tiny_agents.mcp_client.resources.resources import (
    Resource,
    ResourceContent,
    ResourceTemplate,
    read_contents,
    read_resource_entry,
    read_template_entry,
)
from tiny_agents.mcp_client.text import encodable

if TYPE_CHECKING:
    from tiny_agents.mcp_client.connection.connection import Connection
    from tiny_agents.mcp_client.results.media import TakesImages

logger = logging.getLogger("tiny_agents.mcp_client")

T = TypeVar("T")

Read = Callable[[str, Mapping[str, Any]], T]
"""The server's name and an entry of its list -> our own type."""


class Catalog:
    """The resources and prompts of `connections`, which may grow; nothing is asked before it is needed.

    Args:
        images, audio: Whether the model takes those of prompts.
    """

    def __init__(
        self, connections: Mapping[str, Connection], *, images: Callable[[], TakesImages], audio: bool
    ) -> None:
        self._connections = connections
        self._images = images
        self._audio = audio

    # ---- resources

    async def resources(self, server: str | None) -> list[Resource]:
        return await self._list("resources", read_resource_entry, server)

    async def templates(self, server: str | None) -> list[ResourceTemplate]:
        return await self._list("resource templates", read_template_entry, server)

    async def read(self, uri: str, server: str | None) -> tuple[ResourceContent, ...]:
        uri = encodable(uri)
        connection = await self._that_has(uri, server)

        async def contents(session: Any) -> tuple[ResourceContent, ...]:
            answer = await session.read_resource(uri)
            try:
                return read_contents(answer)
            except ValueError as error:
                raise Refused(str(error)) from error

        return await connection.ask(f"to read {uri!r}", contents)

    async def subscribe(self, uri: str, server: str | None) -> None:
        uri = encodable(uri)
        await (await self._that_has(uri, server)).subscribe(uri)

    async def unsubscribe(self, uri: str, server: str | None) -> None:
        uri = encodable(uri)
        for connection in self._asked(server, "resources"):
            if uri in connection.subscriptions:
                await connection.unsubscribe(uri)

    async def _that_has(self, uri: str, server: str | None) -> Connection:
        """The server that a URI belongs to: the one that was named, the only one there is, or the one that lists it."""
        if server is not None:
            return self._one(server)
        offering = self._asked(None, "resources")
        if len(offering) == 1:
            return offering[0]
        owners = {resource.server for resource in await self.resources(None) if resource.uri == uri}
        owners = owners or {template.server for template in await self.templates(None) if template.fits(uri)}
        if len(owners) == 1:
            return self._connections[owners.pop()]
        if not offering:
            raise UsageError(f"no MCP server offers resources, so {uri!r} can't be read")
        candidates = ", ".join(sorted(owners) or [connection.name for connection in offering])
        problem = "several MCP servers list" if owners else "no MCP server lists"
        raise UsageError(f"{problem} {uri!r}; say which one is meant with server=, one of: {candidates}")

    # ---- prompts

    async def prompts(self, server: str | None) -> list[Prompt]:
        return await self._list("prompts", read_prompt_entry, server)

    async def get_prompt(self, name: str, given: Mapping[str, Any], server: str | None) -> FilledPrompt:
        listed = await self.prompts(server)
        found = [prompt for prompt in listed if prompt.name == name]
        if not found:
            near = difflib.get_close_matches(name, [prompt.name for prompt in listed], n=1)
            hint = f"did you mean '{near[0]}'?" if near else f"there are: {_names(listed)}"
            raise UsageError(f"no MCP server offers the prompt {name!r}; {hint}")
        if len(found) > 1:
            candidates = ", ".join(prompt.server for prompt in found)
            raise UsageError(f"several MCP servers offer the prompt '{name}'; say which with server=: {candidates}")
        arguments = check_arguments(found[0], given)
        answer = await self._connections[found[0].server].ask(
            f"to fill in the prompt {name!r}", lambda session: session.get_prompt(name, arguments)
        )
        return fill(answer, images=self._images(), audio=self._audio)

    async def complete(
        self, of: Prompt | ResourceTemplate, argument: str, value: str, known: Mapping[str, str]
    ) -> Completion:
        kind: Literal["prompt", "template"] = "prompt" if isinstance(of, Prompt) else "template"
        names = [a.name for a in of.arguments] if isinstance(of, Prompt) else list(of.variables)
        key = of.name if isinstance(of, Prompt) else of.uri_template
        if argument not in names:
            raise UsageError(f"the {kind} '{key}' has no argument {argument!r}; it has: {', '.join(names) or 'none'}")
        connection = self._one(of.server)
        if not connection.offers("completions"):
            return Completion(())
        answer = await connection.ask(
            f"to complete {argument!r}", lambda session: session.complete(kind, key, argument, encodable(value), known)
        )
        return read_completion(answer)

    # ---- servers

    async def _list(self, kind: ListKind, read: Read[T], server: str | None) -> list[T]:
        """One list of one server, or of all; then those that fail are left out, with a warning."""
        if server is not None:
            connection = self._one(server)
            return [read(server, item) for item in await connection.list_offered(kind)]

        async def of(connection: Connection) -> list[T]:
            try:
                return [read(connection.name, item) for item in await connection.list_offered(kind)]
            except ServerError as error:
                logger.warning("%s", error)
                return []

        lists = await asyncio.gather(*(of(connection) for connection in self._asked(None, CHANGED_BY[kind])))
        return [item for items in lists for item in items]

    def _asked(self, server: str | None, what: Offered) -> list[Connection]:
        if server is not None:
            return [self._one(server)]
        return [connection for connection in self._connections.values() if connection.offers(what)]

    def _one(self, server: str) -> Connection:
        connection = self._connections.get(server)
        if connection is None:
            raise UsageError(f"there is no MCP server {server!r}; there are: {', '.join(self._connections) or 'none'}")
        return connection


def _names(prompts: Sequence[Prompt]) -> str:
    shown = ", ".join(prompt.name for prompt in prompts[:20])
    return f"{shown}, ..." if len(prompts) > 20 else shown or "none"
