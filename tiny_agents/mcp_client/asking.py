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

    async def ask(self, messages: MutableSequence[Message], request: ChatRequest) -> AsyncChatStream:
        """Ask; what the server refuses is left out, and images of tools that were sent on trial are taken out of `messages`.

        Args:
            messages: The history, of which `request.messages` is what is sent.
        """
        while True:
            asked = without(request, self.refused)
            try:
                return await self._send(asked)
            except ProviderError as error:
                if (refusal := refusal_in(error, asked)) is not None and refusal.name not in self.refused:
                    self.refused.add(refusal.name)
                    if refusal.name == TOOLS:
                        self._emulate(error)
                    else:
                        logger.info("the server takes no %s (%s); asking without", refusal.name, error)
                    continue
                if self.images != "auto" or error.status not in REFUSING_STATUSES or not hide_media(messages):
                    raise
                self.images = False
                logger.info("the model takes no images (%s); what tools return is described to it", error)
                held = list(request.messages)
                hide_media(held)
                request = replace(request, messages=held)

    async def _send(self, request: ChatRequest) -> AsyncChatStream:
        params: dict[str, Any] = {**request.params}
        if request.tools:
            params = {"tool_choice": "auto", **params, "tools": request.tools}
        completions = (self._emulating or self.client).chat.completions
        stream: AsyncChatStream = await completions.create(request.messages, model=self.model, stream=True, **params)
        return stream

    def _emulate(self, error: ProviderError) -> None:
        """From now on tools are offered in words."""
        logger.warning(
            "%s: tools are offered in words from now on, which takes more calls and works less well "
            "(tool_emulation: true does so from the start)",
            error,
        )
        self._emulating = copy.copy(self.client)
        self._emulating.settings = replace(self.client.settings, tool_emulation=True)
        if self.images == "auto":
            self.images = False

    async def close(self) -> None:
        """Close what was opened here, not the client."""
        if self._emulating is not None:
            await self._emulating.close()
