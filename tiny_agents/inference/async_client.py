"""`AsyncInferenceClient`: sending and waiting. `client.py` is its twin without `await`; what both decide is in `base.py`."""

from __future__ import annotations

import threading
from collections.abc import Iterable
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, TypeVar, Unpack, overload

import anyio
import anyio.to_thread

from tiny_agents.errors import ProviderError, UsageError
from tiny_agents.inference import legacy
from tiny_agents.inference.base import BaseClient, Rounds, answer_encoded, errors_name, is_whole
from tiny_agents.inference.binding import async_method, documented_by
from tiny_agents.inference.call import Ask, Call, Response, Step
from tiny_agents.inference.events import CHAT, STEPS, TEXT, Kind, is_event_stream
from tiny_agents.inference.media import fetched, has_content, read
from tiny_agents.inference.routing import Destination, Engine, embedded
from tiny_agents.inference.streams import AsyncChatStream, AsyncStream
from tiny_agents.inference.structured import with_parsed
from tiny_agents.inference.tasks import audio, chat, tabular, text, vision

if TYPE_CHECKING:
    from tiny_agents.inference.deadline import Deadline
    from tiny_agents.inference.http.asynchronous import AsyncHTTP
    from tiny_agents.inference.types.chat import ChatCompletionOutput
    from tiny_agents.inference.types.record import Record
    from tiny_agents.inference.types.tasks import TextGenerationOutput, TextGenerationStreamOutput

C = TypeVar("C")
T = TypeVar("T")


class AsyncInferenceClient(BaseClient):
    __doc__ = f"""Asks models, asynchronously. `InferenceClient` is the same without `await`.

    Use it with `async with`, or call `close()` at the end; connections are kept between calls.

    {BaseClient.__doc__}"""

    def _set_up(self) -> None:
        self._opened: AsyncHTTP | None = None
        if self._own_http is not None:
            self._sending()  # raises UsageError where it isn't an asynchronous one
        self._engines: dict[str | None, Engine] = {}
        self._engine_lock = anyio.Lock()
        self.chat = AsyncChat(self)

    # ---- tasks

    @overload
    async def chat_completion(
        self,
        messages: Iterable[chat.Message | Record],
        *,
        stream: Literal[False] = False,
        **options: Unpack[chat.ChatOptions],
    ) -> ChatCompletionOutput: ...

    @overload
    async def chat_completion(
        self, messages: Iterable[chat.Message | Record], *, stream: Literal[True], **options: Unpack[chat.ChatOptions]
    ) -> AsyncChatStream: ...

    @overload
    async def chat_completion(
        self, messages: Iterable[chat.Message | Record], *, stream: bool, **options: Unpack[chat.ChatOptions]
    ) -> ChatCompletionOutput | AsyncChatStream: ...

    @documented_by(chat.chat_completion)
    async def chat_completion(
        self, messages: Iterable[chat.Message | Record], *, stream: bool = False, **options: Unpack[chat.ChatOptions]
    ) -> ChatCompletionOutput | AsyncChatStream:
        call = chat.chat_completion(messages, stream=stream, **options)
        return await self._stream(call, CHAT) if stream else await self.run(call)

    @overload
    async def text_generation(
        self,
        prompt: str,
        *,
        details: Literal[False] | None = False,
        stream: Literal[False] | None = False,
        **options: Unpack[text.TextGenerationOptions],
    ) -> str: ...

    @overload
    async def text_generation(
        self,
        prompt: str,
        *,
        details: Literal[True],
        stream: Literal[False] | None = False,
        **options: Unpack[text.TextGenerationOptions],
    ) -> TextGenerationOutput: ...

    @overload
    async def text_generation(
        self,
        prompt: str,
        *,
        details: Literal[False] | None = False,
        stream: Literal[True],
        **options: Unpack[text.TextGenerationOptions],
    ) -> AsyncStream[str]: ...

    @overload
    async def text_generation(
        self,
        prompt: str,
        *,
        details: Literal[True],
        stream: Literal[True],
        **options: Unpack[text.TextGenerationOptions],
    ) -> AsyncStream[TextGenerationStreamOutput]: ...

    @overload
    async def text_generation(
        self,
        prompt: str,
        *,
        details: bool | None = False,
        stream: bool | None = False,
        **options: Unpack[text.TextGenerationOptions],
    ) -> str | TextGenerationOutput | AsyncStream[str] | AsyncStream[TextGenerationStreamOutput]: ...

    @documented_by(text.text_generation)
    async def text_generation(
        self,
        prompt: str,
        *,
        details: bool | None = False,
        stream: bool | None = False,
        **options: Unpack[text.TextGenerationOptions],
    ) -> str | TextGenerationOutput | AsyncStream[str] | AsyncStream[TextGenerationStreamOutput]:
        call = text.text_generation(prompt, details=details, stream=stream, **options)
        if not stream:
            result: str | TextGenerationOutput = await self.run(call)
            return result
        return await self._stream(call, STEPS) if details else await self._stream(call, TEXT)

    audio_classification = async_method(audio.audio_classification)
    audio_to_audio = async_method(audio.audio_to_audio)
    automatic_speech_recognition = async_method(audio.automatic_speech_recognition)
    document_question_answering = async_method(vision.document_question_answering)
    feature_extraction = async_method(text.feature_extraction)
    fill_mask = async_method(text.fill_mask)
    image_classification = async_method(vision.image_classification)
    image_segmentation = async_method(vision.image_segmentation)
    image_to_image = async_method(vision.image_to_image)
    image_to_text = async_method(vision.image_to_text)
    image_to_video = async_method(vision.image_to_video)
    object_detection = async_method(vision.object_detection)
    question_answering = async_method(text.question_answering)
    sentence_similarity = async_method(text.sentence_similarity)
    summarization = async_method(text.summarization)
    table_question_answering = async_method(tabular.table_question_answering)
    tabular_classification = async_method(tabular.tabular_classification)
    tabular_regression = async_method(tabular.tabular_regression)
    text_classification = async_method(text.text_classification)
    text_to_image = async_method(vision.text_to_image)
    text_to_speech = async_method(audio.text_to_speech)
    text_to_video = async_method(vision.text_to_video)
    token_classification = async_method(text.token_classification)
    translation = async_method(text.translation)
    visual_question_answering = async_method(vision.visual_question_answering)
    zero_shot_classification = async_method(text.zero_shot_classification)
    zero_shot_image_classification = async_method(vision.zero_shot_image_classification)

    # ---- older names

    post = async_method(legacy.post)
    get_model_status = async_method(legacy.get_model_status)
    get_endpoint_info = async_method(legacy.get_endpoint_info)
    health_check = async_method(legacy.health_check)
    list_deployed_models = async_method(legacy.list_deployed_models)
    get_recommended_model = legacy.OfClassOrInstance(
        async_method(legacy.get_recommended_model), legacy.recommended_by_async
    )

    # ---- sending

    def _sending(self) -> AsyncHTTP:
        """What sends requests: made, and what it needs imported, with the first one."""
        if self._opened is None:
            from tiny_agents.inference.http.asynchronous import AsyncHTTP

            self._opened = AsyncHTTP(self._http_settings(), own=self._own_http)
        return self._opened

    async def run(self, call: Call[T]) -> T:
        """Carry out a call that a task builder made, and return its result."""
        deadline = self._deadline()
        destination = await self._locate(call, deadline)
        with errors_name(destination.route):
            if not has_content(call):
                return await self._settle(destination.answer(call), deadline)
            # Files are read, and what holds them is encoded, beside the loop.
            held = await anyio.to_thread.run_sync(read, call, abandon_on_cancel=True)
            held = await self._settle(fetched(held, keep_urls=destination.adapter.takes_urls), deadline)
            step = await anyio.to_thread.run_sync(answer_encoded, destination, held, abandon_on_cancel=True)
            return await self._settle(step, deadline)

    async def _stream(self, call: Call[Any], kind: Kind[C]) -> AsyncStream[C]:
        deadline = self._deadline()
        destination = await self._locate(call, deadline)
        route = destination.route
        with errors_name(route):
            if destination.emulates(call):
                whole = await self._settle(destination.answer(call), deadline)
                return AsyncStream(None, kind.events(route, route.url), kind.pieces(whole))
            response = await self._sending().open(destination.adapter.prepare(call, route), deadline)
            if not is_whole(response.headers):
                return AsyncStream(response, kind.events(route, response.url))
            async with response:
                body = await response.body()
            if is_event_stream(body):
                return AsyncStream(None, events := kind.events(route, response.url), events.whole_body(body))
            answer = Response(response.status, response.headers, body, response.url)
            whole = await self._settle(destination.adapter.parse(call, route, answer), deadline)
            return AsyncStream(None, kind.events(route, answer.url), kind.pieces(whole))

    async def _locate(self, call: Call[Any], deadline: Deadline) -> Destination:
        if self.settings.embedded:
            return embedded(call, await self._engine(self._embedded_model(call)))
        step = self._destination(call)
        return await self._settle(step, deadline) if isinstance(step, Ask) else step

    async def _settle(self, step: Step[T], deadline: Deadline) -> T:
        rounds = Rounds(deadline)
        while isinstance(step, Ask):
            response = self._kept.get(step.request.url) if step.keep else None
            if response is None:
                if pause := rounds.pause_s(step):
                    await anyio.sleep(pause)
                try:
                    response = await self._sending().send(step.request, deadline)
                except ProviderError as error:
                    if step.refused is None:
                        raise
                    step = step.refused(error)
                    continue
                if step.keep:
                    self._kept[step.request.url] = response
            step = step.then(response)
        return step

    # ---- the embedded model

    async def _engine(self, model: str | None) -> Engine:
        from tiny_agents.inference import local  # the extra is only needed here

        async with self._engine_lock:
            if model not in self._engines:
                given_up = threading.Event()

                def acquire() -> Engine:
                    engine = local.acquire(model, cancelled=given_up)
                    if given_up.is_set():
                        engine.close()
                    return engine

                try:
                    self._engines[model] = await anyio.to_thread.run_sync(acquire, abandon_on_cancel=True)
                except BaseException:
                    given_up.set()
                    raise
            return self._engines[model]

    # ---- lifetime

    async def close(self) -> None:
        """Close the connections, and the embedded model if this client started it. Closing twice is fine."""
        with anyio.CancelScope(shield=True):
            if self._opened is not None:
                await self._opened.aclose()
            engines = list(self._engines.values())
            self._engines.clear()
            for engine in engines:
                await anyio.to_thread.run_sync(engine.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self.close()


class AsyncChat:
    """`client.chat`, as in the openai package."""

    def __init__(self, client: AsyncInferenceClient) -> None:
        self.completions = AsyncCompletions(client)


class AsyncCompletions:
    """`client.chat.completions`: `create` is another name for `chat_completion`."""

    def __init__(self, client: AsyncInferenceClient) -> None:
        self.create = client.chat_completion

    async def parse(
        self, messages: Iterable[chat.Message | Record], *, response_format: type[Any], **options: Any
    ) -> ChatCompletionOutput:
        """`create` with a class as `response_format`: the instance is in `choices[0].message.parsed`.

        Args:
            messages: The conversation, oldest first.
            response_format: A dataclass, msgspec struct or pydantic model.
            options: Those of `create`, but for `stream`.

        Returns:
            The answer. `parsed` is None where the model called tools or refused.

        Raises:
            InvalidResponseError: What the model wrote does not fit the class, or was cut off.
            UsageError: No schema can be made of the class. Other errors as for `create`.
        """
        if options.pop("stream", False):
            raise UsageError("parse needs the whole answer: leave stream out, or use create and parse what it wrote.")
        output: ChatCompletionOutput = await self.create(messages, response_format=response_format, **options)
        return with_parsed(output, response_format)
