"""Asks the model for one turn, in the way its server takes it."""

from __future__ import annotations

import copy
import logging
from collections.abc import MutableSequence
from dataclasses import dataclass, field, replace
from typing import Any

from tiny_agents.errors import ProviderError
from tiny_agents.inference.async_client import AsyncInferenceClient
from tiny_agents.inference.streams import AsyncChatStream
from tiny_agents.inference.types.chat import ChatCompletionInputMessage
from tiny_agents.mcp_client.media import REFUSING_STATUSES, TakesImages, hide_media
from tiny_agents.mcp_client.refusals import TOOLS, ChatRequest, refusal_in, without

logger = logging.getLogger("tiny_agents.mcp_client")

Message = dict[str, Any] | ChatCompletionInputMessage


@dataclass(slots=True)
class Seat:
    """One model, and what its server turned out not to take.

    Attributes:
        client: Asks it.
        model: Its name as it is sent; None is the client's own.
        images: Whether it takes images that tools return.
        refused: What it doesn't take, by the names of `refusals.py`.
    """

    client: AsyncInferenceClient
    model: str | None
    images: TakesImages = "auto"
    refused: set[str] = field(default_factory=set)
    _emulating: AsyncInferenceClient | None = None
    _why: ProviderError | None = None

    async def ask(self, messages: MutableSequence[Message], request: ChatRequest) -> AsyncChatStream:
        """Ask; what the server refuses is left out, and images of tools that were sent on trial are taken out of `messages`.

        Args:
            messages: The history, of which `request.messages` is what is sent.
        """
        while True:
            asked = without(request, self.refused)
            try:
                stream = await self._send(asked)
            except ProviderError as error:
                if (refusal := refusal_in(error, asked)) is not None and refusal.name not in self.refused:
                    self.refused.add(refusal.name)
                    self._why = error
                    continue
                if self.images != "auto" or error.status not in REFUSING_STATUSES or not hide_media(messages):
                    raise
                self.images = False
                logger.info("the model takes no images (%s); what tools return is described to it", error)
                held = list(request.messages)
                hide_media(held)
                request = replace(request, messages=held)
            else:
                self._say_why(asked)
                return stream

    async def _send(self, request: ChatRequest) -> AsyncChatStream:
        params: dict[str, Any] = {**request.params}
        if request.tools:
            params = {"tool_choice": "auto", **params, "tools": request.tools}
        client = self._in_words() if request.tools and TOOLS in self.refused else self.client
        create = client.chat.completions.create
        stream: AsyncChatStream = await create(request.messages, model=self.model, stream=True, **params)
        return stream

    def _in_words(self) -> AsyncInferenceClient:
        """A client that offers tools in words."""
        if self._emulating is None:
            self._emulating = copy.copy(self.client)
            self._emulating.settings = replace(self.client.settings, tool_emulation=True)
            if self.images == "auto":
                self.images = False
        return self._emulating

    def _say_why(self, request: ChatRequest) -> None:
        """Log what a server was found not to take, once going without has helped."""
        error, self._why = self._why, None
        if error is None:
            return
        if request.tools and TOOLS in self.refused:
            logger.warning(
                "%s: tools are offered in words from now on, which takes more calls and works less well "
                "(tool_emulation: true does so from the start)",
                error,
            )
        else:
            logger.info("the server doesn't take all that is asked for (%s); asking without", error)

    async def close(self) -> None:
        """Close what was opened here, not the client."""
        if self._emulating is not None:
            await self._emulating.close()
