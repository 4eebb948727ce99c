"""A streamed answer: bytes -> server-sent events -> what the caller gets. Sans-IO: no socket, no clock.

One parser per kind of answer, all with the same rules: what arrived is handed out before an error that follows it is
raised, and a connection that ends early is an error unless the model had said that it was finished.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Generic, TypeVar

import msgspec

from tiny_agents.errors import (
    IncompleteStreamError,
    InferenceError,
    InferenceTimeoutError,
    InvalidResponseError,
    public_url,
)
from tiny_agents.inference.call import Call, Response, Route
from tiny_agents.inference.providers.chat import error_in_answer, parse_chat, without_keys
from tiny_agents.inference.sse import MAX_EVENT_BYTES, ErrorPayload, SSEDecoder
from tiny_agents.inference.types.chat import ChatCompletionStreamOutput, decode_chunk
from tiny_agents.inference.types.chunks import chunks_of
from tiny_agents.inference.types.odd_chunks import OddChunks, is_error, says_something, use_message
from tiny_agents.inference.types.record import decoder
from tiny_agents.inference.types.tasks import (
    TextGenerationOutput,
    TextGenerationStreamOutput,
    TextGenerationStreamOutputStreamDetails,
    TextGenerationStreamOutputToken,
)

DONE = b"[DONE]"
NO_CALL: Call[Any] = Call("conversational", (), object)
"""Reading an answer doesn't depend on what was asked."""

C = TypeVar("C")


def is_event_stream(body: bytes) -> bool:
    """Whether what is said to be a document is a stream of events: servers and what stands before them mix these up."""
    return body[:64].lstrip().startswith((b"data:", b"event:", b": "))


class Events(ABC, Generic[C]):
    """Bytes of a streamed answer -> its pieces.

    `done` is true once nothing more can follow; `finished` once the model has said why it stopped, so that a connection
    which ends then has lost nothing.
    """

    piece = "piece of an answer"
    """What one event holds, as an error names it."""

    def __init__(self, route: Route, url: str) -> None:
        self.done = False
        self.finished = False
        self._route = route
        self._url = url
        self._decoder = SSEDecoder()
        self._error: InferenceError | None = None
        self._head: list[bytes] | None = []  # what came before the first event, and perhaps in place of any
        self._head_size = 0

    @abstractmethod
    def _read(self, payload: bytes) -> C | None:
        """What one event hands out, if anything; sets `finished`. Raises InferenceError."""

    def feed(self, data: bytes) -> list[C]:
        """The pieces that `data` completes.

        An error that follows pieces is raised by the next call, so that they are handed out first.

        Raises:
            ProviderError: The server sent an error as an event.
            InvalidResponseError: It sent something that is no piece of an answer.
        """
        payloads = self._decoder.feed(data)
        if self._head is not None:
            self._head_size += len(data)
            if payloads or self._head_size > MAX_EVENT_BYTES:
                self._head = None
            else:
                self._head.append(data)
        return self._pieces(payloads)

    def end(self) -> list[C]:
        """What the end of the connection completes. Raises IncompleteStreamError if the answer isn't whole."""
        if self._error is not None:
            raise self._error
        try:
            pieces = self._pieces(self._decoder.finish())
        except InvalidResponseError as error:
            raise self._incomplete() from error
        if not pieces and not self.whole:
            text = b"".join(self._head or ()).strip()
            if not text or text.startswith((b":", b"data", b"event", b"id", b"retry")):
                raise self._incomplete()
            return self._document(text)
        return pieces

    def whole_body(self, body: bytes) -> list[C]:
        """The pieces of an answer that came at once. Raises as `feed` and `end` do."""
        return [*self.feed(body), *self.end()]

    def _document(self, text: bytes) -> list[C]:
        """The pieces of something else that was sent as a stream: an error as JSON, a web page, a line of text."""
        raise self._error_event(text) if text.startswith(b"{") and b'"error"' in text else self._refused(text)

    def told(self) -> bool:
        """Whether the pieces since the last time this was asked say anything."""
        return True

    @property
    def whole(self) -> bool:
        return self.done or self.finished

    def broke(self, cause: InferenceError) -> InferenceError | None:
        """What a broken connection means here: nothing, if the answer was whole; less than an error that came before."""
        if self.whole:
            return None
        if self._error is not None:
            return self._error
        if isinstance(cause, InferenceTimeoutError):
            cause.provider, cause.model = self._route.provider, self._route.model
            return cause
        return cause if isinstance(cause, IncompleteStreamError) else self._incomplete(str(cause))

    def _incomplete(self, why: str = "") -> IncompleteStreamError:
        where = public_url(self._url)
        return IncompleteStreamError(
            f"The answer of {where} broke off before it was finished. {why}".rstrip(),
            url=where,
            provider=self._route.provider,
            model=self._route.model,
        )

    def _pieces(self, payloads: list[bytes]) -> list[C]:
        if self._error is not None:
            raise self._error
        pieces: list[C] = []
        try:
            for payload in payloads:
                if len(payload) < 12 and payload.strip() == DONE:
                    self.done = True
                if self.done:
                    break
                if (piece := self._read(payload)) is not None:
                    pieces.append(piece)
        except InferenceError as error:
            if not pieces:
                raise
            self._error = error
        return pieces

    def _refused(self, payload: bytes) -> InferenceError:
        """The error for an event that is no piece of an answer."""
        if type(payload) is ErrorPayload:
            return self._error_event(payload)
        text = without_keys(payload, self._url, self._route)
        return InvalidResponseError(
            f"{public_url(self._url)} sent something that is no {self.piece}: {text[:200]!r}",
            body=text,
            provider=self._route.provider,
            model=self._route.model,
        )

    def _error_event(self, payload: bytes) -> InferenceError:
        return error_in_answer(payload, self._url, self._route)


class ChatEvents(Events[ChatCompletionStreamOutput]):
    """Chunks of a chat answer."""

    piece = "chunk of a chat answer"

    def __init__(self, route: Route, url: str) -> None:
        super().__init__(route, url)
        self._odd = OddChunks().read
        self._told = False

    def told(self) -> bool:
        told, self._told = self._told, False
        return told

    def _document(self, text: bytes) -> list[ChatCompletionStreamOutput]:
        if not (text.startswith(b"{") and b'"choices"' in text):
            return super()._document(text)
        answer = parse_chat(NO_CALL, self._route, Response(200, {}, text, self._url))
        self.finished = True
        return chunks_of(answer)

    def _read(self, payload: bytes) -> ChatCompletionStreamOutput | None:
        if not payload:
            return None  # a sign of life
        try:
            chunk = decode_chunk(payload, odd=self._odd)
        except msgspec.DecodeError as error:
            raise self._refused(payload) from error
        choices = chunk.choices
        failed = b'"error"' in payload
        if choices:
            choice = choices[0]
            if choice.delta.content and not choice.finish_reason and not failed:  # nearly all of them
                self._told = True
                return chunk
        if failed and (chunk.get("error") or (choices and choices[0].finish_reason == "error")):
            raise self._error_event(payload)  # some providers send it with a choice, and as a reason to stop
        if choices:
            if choice.finish_reason:
                self.finished = True
            if b'"delta"' not in payload:
                use_message(choice)
            elif choice.delta.refusal and not choice.delta.content:
                choice.delta.content = choice.delta.refusal  # what the model says in place of an answer
            if choice.delta.content or choice.finish_reason or says_something(choice.delta):
                self._told = True
        elif type(payload) is ErrorPayload or is_error(chunk):
            raise self._error_event(payload)
        return chunk


# ---------------------------------------------------------------- text generation

_decode_step = decoder(TextGenerationStreamOutput)


class _Steps(Events[C]):
    """Steps of a generated text: as text-generation-inference sends them, or as pieces of OpenAI's completions."""

    piece = "step of a generated text"

    def _step(self, payload: bytes) -> TextGenerationStreamOutput | None:
        try:
            step = _decode_step(payload)
        except msgspec.DecodeError as error:
            raise self._refused(payload) from error
        if step.token is None:
            if type(payload) is ErrorPayload or step.get("error"):
                raise self._error_event(payload)
            if choices := step.get("choices"):
                _take_choice(step, choices[0])
            elif step.generated_text is None and step.details is None:
                return None  # counts of tokens, or a sign of life
        if step.generated_text is not None or step.details is not None:
            self.finished = True
        return step


def _take_choice(step: TextGenerationStreamOutput, choice: Any) -> None:
    """Read a piece of OpenAI's completions, or of a chat where a provider has only that (Hyperbolic), as a step."""
    fields = choice if isinstance(choice, dict) else {}
    delta, reason = fields.get("delta"), fields.get("finish_reason")
    text = delta.get("content") if isinstance(delta, dict) else fields.get("text")
    step.index = fields.get("index")
    step.token = TextGenerationStreamOutputToken(text=text if isinstance(text, str) else "")
    if reason:
        step.details = TextGenerationStreamOutputStreamDetails(finish_reason=str(reason), seed=fields.get("seed"))


class StepEvents(_Steps[TextGenerationStreamOutput]):
    """Steps of a generated text with all that is known of each."""

    def _read(self, payload: bytes) -> TextGenerationStreamOutput | None:
        return self._step(payload)


class TextEvents(_Steps[str]):
    """What each step adds to the text."""

    def _read(self, payload: bytes) -> str | None:
        step = self._step(payload)
        return None if step is None else _text_of(step)


def _text_of(step: TextGenerationStreamOutput) -> str:
    return (step.token.text if step.token is not None else None) or ""


def steps_of(output: TextGenerationOutput) -> list[TextGenerationStreamOutput]:
    """A step that says the same as `output`, for callers who want a stream of an answer that came as one document."""
    details = output.details
    return [
        TextGenerationStreamOutput(
            token=TextGenerationStreamOutputToken(text=output.generated_text, special=False),
            generated_text=output.generated_text,
            details=None
            if details is None
            else TextGenerationStreamOutputStreamDetails(
                finish_reason=details.finish_reason, generated_tokens=details.generated_tokens, seed=details.seed
            ),
        )
    ]


# ---------------------------------------------------------------- kinds of streams


class Kind(msgspec.Struct, Generic[C], frozen=True):
    """What a stream hands out.

    Attributes:
        events: Reads it from a streamed answer.
        pieces: Reads it from a result that came as one document, for servers that don't stream.
    """

    events: Callable[[Route, str], Events[C]]
    pieces: Callable[[Any], list[C]]


CHAT = Kind(ChatEvents, chunks_of)
STEPS = Kind(StepEvents, steps_of)
TEXT: Kind[str] = Kind(TextEvents, lambda text: [text])
