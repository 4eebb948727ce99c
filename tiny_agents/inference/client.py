"""`InferenceClient`: sending and waiting. `async_client.py` is its twin with `await`; what both decide is in `base.py`."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from types import TracebackType
from typing import Any, Literal, Self, TypeVar, Unpack, overload

from tiny_agents.errors import ProviderError, UsageError
from tiny_agents.inference import legacy
from tiny_agents.inference.base import BaseClient, Rounds, errors_name, is_whole
from tiny_agents.inference.binding import documented_by, sync_method
from tiny_agents.inference.call import Ask, Call, Response, Step
from tiny_agents.inference.deadline import Deadline
from tiny_agents.inference.events import CHAT, STEPS, TEXT, Kind, is_event_stream
from tiny_agents.inference.http.blocking import SyncHTTP
from tiny_agents.inference.media import fetched, has_content, read
from tiny_agents.inference.routing import Destination, Engine, embedded
from tiny_agents.inference.streams import ChatStream, Stream
from tiny_agents.inference.structured import with_parsed
from tiny_agents.inference.tasks import audio, chat, tabular, text, vision
from tiny_agents.inference.types.chat import ChatCompletionOutput
from tiny_agents.inference.types.record import Record
from tiny_agents.inference.types.tasks import TextGenerationOutput, TextGenerationStreamOutput

C = TypeVar("C")
T = TypeVar("T")


class InferenceClient(BaseClient):
    __doc__ = f"""Asks models. `AsyncInferenceClient` is the same with `await`; this one may be shared by threads.

    Use it with `with`, or call `close()` at the end; connections are kept between calls.

    {BaseClient.__doc__}"""

    def _set_up(self) -> None:
        self._http = SyncHTTP(self._http_settings(), own=self._own_http)
        self._engines: dict[str | None, Engine] = {}
        self._engine_lock = threading.Lock()
        self.chat = Chat(self)

    # ---- tasks

    @overload
    def chat_completion(
        self,
        messages: Iterable[chat.Message | Record],
        *,
        stream: Literal[False] = False,
        **options: Unpack[chat.ChatOptions],
    ) -> ChatCompletionOutput: ...

    @overload
    def chat_completion(
        self, messages: Iterable[chat.Message | Record], *, stream: Literal[True], **options: Unpack[chat.ChatOptions]
    ) -> ChatStream: ...

    @overload
    def chat_completion(
        self, messages: Iterable[chat.Message | Record], *, stream: bool, **options: Unpack[chat.ChatOptions]
    ) -> ChatCompletionOutput | ChatStream: ...

    @documented_by(chat.chat_completion)
    def chat_completion(
        self, messages: Iterable[chat.Message | Record], *, stream: bool = False, **options: Unpack[chat.ChatOptions]
    ) -> ChatCompletionOutput | ChatStream:
        call = chat.chat_completion(messages, stream=stream, **options)
        return self._stream(call, CHAT) if stream else self.run(call)

    @overload
    def text_generation(
        self,
        prompt: str,
        *,
        details: Literal[False] | None = False,
        stream: Literal[False] | None = False,
        **options: Unpack[text.TextGenerationOptions],
    ) -> str: ...

    @overload
    def text_generation(
        self,
        prompt: str,
        *,
        details: Literal[True],
        stream: Literal[False] | None = False,
        **options: Unpack[text.TextGenerationOptions],
    ) -> TextGenerationOutput: ...

    @overload
    def text_generation(
        self,
        prompt: str,
        *,
        details: Literal[False] | None = False,
        stream: Literal[True],
        **options: Unpack[text.TextGenerationOptions],
    ) -> Stream[str]: ...

    @overload
    def text_generation(
        self,
        prompt: str,
        *,
        details: Literal[True],
        stream: Literal[True],
        **options: Unpack[text.TextGenerationOptions],
    ) -> Stream[TextGenerationStreamOutput]: ...

    @overload
    def text_generation(
        self,
        prompt: str,
        *,
        details: bool | None = False,
        stream: bool | None = False,
        **options: Unpack[text.TextGenerationOptions],
    ) -> str | TextGenerationOutput | Stream[str] | Stream[TextGenerationStreamOutput]: ...

    @documented_by(text.text_generation)
    def text_generation(
        self,
        prompt: str,
        *,
        details: bool | None = False,
        stream: bool | None = False,
        **options: Unpack[text.TextGenerationOptions],
    ) -> str | TextGenerationOutput | Stream[str] | Stream[TextGenerationStreamOutput]:
        call = text.text_generation(prompt, details=details, stream=stream, **options)
        if not stream:
            result: str | TextGenerationOutput = self.run(call)
            return result
        return self._stream(call, STEPS) if details else self._stream(call, TEXT)

    audio_classification = sync_method(audio.audio_classification)
    audio_to_audio = sync_method(audio.audio_to_audio)
    automatic_speech_recognition = sync_method(audio.automatic_speech_recognition)
    document_question_answering = sync_method(vision.document_question_answering)
    feature_extraction = sync_method(text.feature_extraction)
    fill_mask = sync_method(text.fill_mask)
    image_classification = sync_method(vision.image_classification)
    image_segmentation = sync_method(vision.image_segmentation)
    image_to_image = sync_method(vision.image_to_image)
    image_to_text = sync_method(vision.image_to_text)
    image_to_video = sync_method(vision.image_to_video)
    object_detection = sync_method(vision.object_detection)
    question_answering = sync_method(text.question_answering)
    sentence_similarity = sync_method(text.sentence_similarity)
    summarization = sync_method(text.summarization)
    table_question_answering = sync_method(tabular.table_question_answering)
    tabular_classification = sync_method(tabular.tabular_classification)
    tabular_regression = sync_method(tabular.tabular_regression)
    text_classification = sync_method(text.text_classification)
    text_to_image = sync_method(vision.text_to_image)
    text_to_speech = sync_method(audio.text_to_speech)
    text_to_video = sync_method(vision.text_to_video)
    token_classification = sync_method(text.token_classification)
    translation = sync_method(text.translation)
    visual_question_answering = sync_method(vision.visual_question_answering)
    zero_shot_classification = sync_method(text.zero_shot_classification)
    zero_shot_image_classification = sync_method(vision.zero_shot_image_classification)

    # ---- older names

    post = sync_method(legacy.post)
    get_model_status = sync_method(legacy.get_model_status)
    get_endpoint_info = sync_method(legacy.get_endpoint_info)
    health_check = sync_method(legacy.health_check)
    list_deployed_models = sync_method(legacy.list_deployed_models)
    get_recommended_model = legacy.OfClassOrInstance(sync_method(legacy.get_recommended_model), legacy.recommended_by)

    # ---- sending

    def run(self, call: Call[T]) -> T:
        """Carry out a call that a task builder made, and return its result."""
        deadline = self._deadline()
        destination = self._locate(call, deadline)
        with errors_name(destination.route):
            if has_content(call):
                call = self._settle(fetched(read(call), keep_urls=destination.adapter.takes_urls), deadline)
            return self._settle(destination.answer(call), deadline)

    def _stream(self, call: Call[Any], kind: Kind[C]) -> Stream[C]:
        deadline = self._deadline()
        destination = self._locate(call, deadline)
        route = destination.route
        with errors_name(route):
            if destination.emulates(call):
                whole = self._settle(destination.answer(call), deadline)
                return Stream(None, kind.events(route, route.url), kind.pieces(whole))
            response = self._http.open(destination.adapter.prepare(call, route), deadline)
            if not is_whole(response.headers):
                return Stream(response, kind.events(route, response.url))
            with response:
                body = response.body()
            if is_event_stream(body):
                return Stream(None, events := kind.events(route, response.url), events.whole_body(body))
            answer = Response(response.status, response.headers, body, response.url)
            whole = self._settle(destination.adapter.parse(call, route, answer), deadline)
            return Stream(None, kind.events(route, answer.url), kind.pieces(whole))

    def _locate(self, call: Call[Any], deadline: Deadline) -> Destination:
        if self.settings.embedded:
            return embedded(call, self._engine(self._embedded_model(call)))
        return self._settle(self._destination(call), deadline)

    def _settle(self, step: Step[T], deadline: Deadline) -> T:
        rounds = Rounds(deadline)
        while isinstance(step, Ask):
            response = self._kept.get(step.request.url) if step.keep else None
            if response is None:
                if pause := rounds.pause_s(step):
                    time.sleep(pause)
                try:
                    response = self._http.send(step.request, deadline)
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

    def _engine(self, model: str | None) -> Engine:
        from tiny_agents.inference import local  # the extra is only needed here

        with self._engine_lock:
            if model not in self._engines:
                self._engines[model] = local.acquire(model)
            return self._engines[model]

    # ---- lifetime

    def close(self) -> None:
        """Close the connections, and the embedded model if this client started it. Closing twice is fine."""
        self._http.close()
        engines = list(self._engines.values())
        self._engines.clear()
        for engine in engines:
            engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()


class Chat:
    """`client.chat`, as in the openai package."""

    def __init__(self, client: InferenceClient) -> None:
        self.completions = Completions(client)


class Completions:
    """`client.chat.completions`: `create` is another name for `chat_completion`."""

    def __init__(self, client: InferenceClient) -> None:
        self.create = client.chat_completion

    def parse(
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
        output: ChatCompletionOutput = self.create(messages, response_format=response_format, **options)
        return with_parsed(output, response_format)
