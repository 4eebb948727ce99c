"""Not run: checked by mypy. What editors and type checkers must understand of the public API."""

from pathlib import Path
from typing import assert_type

import numpy
from numpy.typing import NDArray
from PIL.Image import Image

from tiny_agents import (
    AsyncInferenceClient,
    ChatCompletionOutput,
    ImageClassificationOutputElement,
    InferenceClient,
    SummarizationOutput,
    TextGenerationOutput,
    TextGenerationStreamOutput,
)
from tiny_agents.inference.streams import AsyncChatStream, AsyncStream, ChatStream, Stream


def sync(client: InferenceClient) -> None:
    assert_type(client.chat_completion([{"role": "user", "content": "x"}]), ChatCompletionOutput)
    assert_type(client.chat_completion([], stream=True, temperature=0.5), ChatStream)
    assert_type(client.chat.completions.create(messages=[], stream=True), ChatStream)
    assert_type(client.summarization("x", truncation="longest_first"), SummarizationOutput)
    client.summarization("x", truncation="never")  # type: ignore[arg-type]
    client.chat_completion([], temprature=0.5)  # type: ignore[call-overload]


def reading(client: InferenceClient) -> None:
    answer = client.chat_completion([{"role": "user", "content": "x"}])
    assert_type(answer.choices[0].message.content, str | None)
    for chunk in client.chat_completion([{"role": "user", "content": "x"}], stream=True):
        print(chunk.choices[0].delta.content or "", end="")


async def asynchronous(client: AsyncInferenceClient) -> None:
    assert_type(await client.chat_completion([]), ChatCompletionOutput)
    assert_type(await client.chat_completion([], stream=True), AsyncChatStream)
    assert_type(await client.chat.completions.create(messages=[]), ChatCompletionOutput)
    assert_type(await client.summarization("x"), SummarizationOutput)


def tasks(client: InferenceClient) -> None:
    assert_type(client.text_generation("x"), str)
    assert_type(client.text_generation("x", details=True, top_k=3), TextGenerationOutput)
    assert_type(client.text_generation("x", stream=True), Stream[str])
    assert_type(client.text_generation("x", stream=True, details=True), Stream[TextGenerationStreamOutput])
    assert_type(client.image_classification(b"x", top_k=1), list[ImageClassificationOutputElement])
    assert_type(client.text_to_image("x", extra_body={"a": 1}), Image)
    assert_type(client.image_to_image(Path("x"), "prompt", strength=0.6), Image)
    assert_type(client.text_to_speech("x"), bytes)
    assert_type(client.sentence_similarity("x", ["y"]), list[float])
    client.image_classification(3)  # type: ignore[arg-type]
    client.text_to_image("x", prompt_strength=0.6)  # type: ignore[call-arg]
    client.text_generation("x", top_k="3")  # type: ignore[call-overload]


async def tasks_asynchronous(client: AsyncInferenceClient) -> None:
    assert_type(await client.text_generation("x", stream=True), AsyncStream[str])
    assert_type(await client.text_generation("x", details=True), TextGenerationOutput)
    assert_type(await client.feature_extraction(["x"]), NDArray[numpy.float32])
    assert_type(await client.image_to_video("x.png", seed=1), bytes)
