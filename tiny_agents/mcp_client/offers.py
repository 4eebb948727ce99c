"""The verbs of `MCPClient` for what servers offer besides tools: resources and prompts."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tiny_agents.mcp_client.resources.catalog import Catalog
    from tiny_agents.mcp_client.resources.prompts import Completion, FilledPrompt, Prompt
    from tiny_agents.mcp_client.resources.resources import Resource, ResourceContent, ResourceTemplate


class Offers:
    """What all servers of a client offer; `MCPClient` has these methods from here."""

    _catalog: Catalog

    async def list_resources(self, server: str | None = None) -> list[Resource]:
        """What can be read, at one server or at all of them. A server is asked anew unless it said that its list holds.

        Raises:
            UsageError: There is no such server.
            ServerError: The server that was named fails; of all servers, those that fail are left out with a warning.
        """
        return await self._catalog.resources(server)

    async def list_resource_templates(self, server: str | None = None) -> list[ResourceTemplate]:
        """Patterns for what else can be read; otherwise as `list_resources`."""
        return await self._catalog.templates(server)

    async def read_resource(self, uri: str, server: str | None = None) -> tuple[ResourceContent, ...]:
        """Read a resource; one that is a folder, for example, may come in several parts.

        Args:
            server: Whose; may be left out where only one server has resources, or lists this one or a template for it.

        Raises:
            UsageError: It isn't clear which server is meant.
            ServerRefusedError: The server has no such resource, or doesn't give it.
            ServerConnectionError, ServerTimeoutError: It can't be asked.
        """
        return await self._catalog.read(uri, server)

    async def subscribe_resource(self, uri: str, server: str | None = None) -> None:
        """From now on there is a `ResourceUpdated` event when this resource changes; see `events`.

        It holds until `unsubscribe_resource`, also when the server is lost and started again: then the event comes once,
        because nobody knows what was missed. Arguments and errors as of `read_resource`.
        """
        await self._catalog.subscribe(uri, server)

    async def unsubscribe_resource(self, uri: str, server: str | None = None) -> None:
        """The end of `subscribe_resource`; a resource that isn't subscribed to doesn't matter."""
        await self._catalog.unsubscribe(uri, server)

    async def list_prompts(self, server: str | None = None) -> list[Prompt]:
        """The prompts that servers have prepared; as `list_resources`."""
        return await self._catalog.prompts(server)

    async def get_prompt(
        self, name: str, arguments: Mapping[str, str] | None = None, server: str | None = None
    ) -> FilledPrompt:
        """Fill in a prompt: `messages += (await client.get_prompt("review", {"code": code})).messages`.

        Args:
            arguments: Texts, by the names of the prompt's arguments.
            server: Whose prompt; may be left out where only one server has one of this name.

        Raises:
            UsageError: There is no such prompt, or an argument is missing or unknown: the message names it.
            ServerError: As `read_resource`.
        """
        return await self._catalog.get_prompt(name, arguments or {}, server)

    async def complete(
        self, of: Prompt | ResourceTemplate, argument: str, value: str = "", known: Mapping[str, str] | None = None
    ) -> Completion:
        """Values that an argument of a prompt, or a variable of a template, may have; none where the server knows none.

        Args:
            of: As one of the lists has it.
            value: What was typed of it so far.
            known: Other arguments that have their values already.

        Raises:
            UsageError: It has no such argument.
            ServerError: As `read_resource`.
        """
        return await self._catalog.complete(of, argument, value, known or {})
