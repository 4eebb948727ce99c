"""Asks a model for one turn, in the way its server takes it; and the next model, where the first can't be had."""

from __future__ import annotations

import copy
import logging
from collections.abc import Awaitable, Callable, Mapping, MutableSequence, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tiny_agents.errors import InferenceError, ProviderError, UsageError, public_url
from tiny_agents.inference.async_client import AsyncInferenceClient
from tiny_agents.inference.encoding import Remembered, Written, without_nulls
from tiny_agents.inference.settings import is_url
from tiny_agents.inference.tasks.chat import check_messages
from tiny_agents.inference.types.chat import ChatCompletionInputMessage, ChatCompletionStreamOutput
from tiny_agents.mcp_client.asking.fallback import may_fall_back, says_something
from tiny_agents.mcp_client.asking.refusals import TOOLS, ChatRequest, refusal_in, without
from tiny_agents.mcp_client.events import ModelChanged
from tiny_agents.mcp_client.observing.observing import ModelCall, host_and_port
from tiny_agents.mcp_client.results.media import REFUSING_STATUSES, TakesImages, hide_media

if TYPE_CHECKING:
    from tiny_agents.inference.streams import AsyncChatStream

logger = logging.getLogger("tiny_agents.mcp_client")

Message = dict[str, Any] | ChatCompletionInputMessage


class Seat(msgspec.Struct):
    """One model, and what its server turned out not to take.

    Attributes:
        client: Asks it.
        model: Its name as it is sent; None is the client's own.
        images: Whether it takes images that tools return.
        refused: What it doesn't take, by the names of `refusals.py`.
        owned: Whether the client was made for this seat, and is closed with it.
    """

    client: AsyncInferenceClient
    model: str | None
    images: TakesImages = "auto"
    refused: set[str] = msgspec.field(default_factory=set)
    owned: bool = False
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

    def _send(self, request: ChatRequest) -> Awaitable[AsyncChatStream]:
        params: dict[str, Any] = {**request.params}
        if request.tools:
            params = {"tool_choice": "auto", **params, "tools": request.tools}
        client = self._in_words() if request.tools and TOOLS in self.refused else self.client
        create = client.chat.completions.create
        stream: Awaitable[AsyncChatStream] = create(request.messages, model=self.model, stream=True, **params)
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

    @property
    def name(self) -> str:
        """The model, as messages call it."""
        return self.model or public_url(self.client.model or "the embedded model")

    @property
    def address(self) -> tuple[str, int]:
        """Host and port, where they are known before it is asked."""
        model = self.client.settings.model
        return host_and_port(model) if model is not None and is_url(model) else ("", 0)

    @property
    def place(self) -> tuple[Any, ...]:
        """Where it is, and with which key."""
        settings = self.client.settings
        return settings.provider, settings.model if is_url(settings.model) else None, settings.key

    async def close(self) -> None:
        """Close what was opened here."""
        if self._emulating is not None:
            await self._emulating.close()
        if self.owned:
            await self.client.close()


class Seats:
    """The models of a client, in the order in which they are asked, for one conversation.

    Args:
        seats: At least one.
        emit: Told when another one is asked.
    """

    def __init__(self, seats: Sequence[Seat], emit: Callable[[ModelChanged], None]) -> None:
        self.all = tuple(seats)
        self.now = self.all[0]
        self._emit = emit
        self._messages, self._tools = Written(without_nulls, check_messages), Written()

    def start_over(self) -> None:
        """The first model may be there again."""
        self.now = self.all[0]

    def remembered(self, request: ChatRequest) -> ChatRequest:
        """A copy of a request of this conversation: what hasn't changed since the one before isn't written anew."""
        return replace(
            request,
            messages=Remembered(request.messages, self._messages),
            tools=Remembered(request.tools, self._tools),
        )

    async def ask(self, messages: MutableSequence[Message], request: ChatRequest, call: ModelCall) -> AsyncChatStream:
        """Ask; a model that can't be had, and has said nothing yet, is followed by the next, which then stays.

        Args:
            call: Told what is asked, for those who observe; it goes on when the answer begins.
        """
        while True:
            seat = self.now
            following = self.all[self.all.index(seat) + 1 :]
            try:
                with call.asking(seat.name, seat.client.settings.provider or "", seat.address):
                    stream = await seat.ask(messages, request)
                    call.host, call.port = host_and_port(stream.url) if stream.url else seat.address
                    return await _begun(stream) if following else stream
            except InferenceError as error:
                other = _other(seat, following, error)
                if other is None:
                    raise
                self.now = other
                logger.warning("%s: asking the model '%s' instead", error, self.now.name)
                self._emit(ModelChanged(seat.name, self.now.name, str(error)))

    async def close(self) -> None:
        for seat in self.all:
            await seat.close()


def _other(seat: Seat, following: Sequence[Seat], error: InferenceError) -> Seat | None:
    """The one that is asked after an error of `seat`."""
    place = seat.place
    return next((each for each in following if may_fall_back(error, other_place=each.place != place)), None)


async def _begun(stream: AsyncChatStream) -> AsyncChatStream:
    """`stream`, once it has said something or has ended."""
    held: list[ChatCompletionStreamOutput] = []
    try:
        while chunks := await stream.arrived():
            held += chunks
            if any(says_something(chunk) for chunk in chunks):
                break
    except BaseException:
        await stream.aclose()
        raise
    stream.put_back(held)
    return stream


_KEYS = ("model", "provider", "base_url", "api_key", "timeout")


def fallback_seat(given: str | Mapping[str, Any], first: Seat, timeout: float | None) -> Seat:
    """The seat of a model that is asked when `first` can't be had; a name is one at the same place.

    Raises:
        UsageError: It is neither a name nor a dictionary of the known keys.
    """
    if isinstance(given, str) and given and not is_url(given):
        return Seat(first.client, given, first.images)
    where: Any = {"base_url": given} if isinstance(given, str) and given else given
    if not isinstance(where, Mapping) or not where or not set(where) <= set(_KEYS):
        raise UsageError(
            f"fallbacks: a model is a name, a URL, or a dictionary of {', '.join(_KEYS)}; got "
            f"{sorted(given) if isinstance(given, Mapping) else given!r}."
        )
    model, base_url = where.get("model"), where.get("base_url")
    client = AsyncInferenceClient(
        model=None if base_url is not None else model,
        provider=where.get("provider"),
        base_url=base_url,
        api_key=where.get("api_key"),
        timeout=where.get("timeout", timeout),
        max_retries=first.client.settings.max_retries,
        trust_env=first.client.settings.trust_env,
        tool_emulation=False,
    )
    images: TakesImages = False if client.settings.embedded and first.images == "auto" else first.images
    return Seat(client, model, images, owned=True)
