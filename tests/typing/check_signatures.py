"""Not run: checked by mypy. What editors and type checkers must understand of the public API."""

from typing import assert_type

from tiny_agents import (
    AsyncInferenceClient,
    ChatCompletionOutput,
    InferenceClient,
    SummarizationOutput,
)
from tiny_agents.inference.streams import AsyncChatStream, ChatStream


def sync(client: InferenceClient) -> None:
    assert_type(client.chat_completion([{"role": "user", "content": "x"}]), ChatCompletionOutput)
    assert_type(client.chat_completion([], stream=True, temperature=0.5), ChatStream)
    assert_type(client.chat.completions.create(messages=[], stream=True), ChatStream)
    assert_type(client.summarization("x", truncation="longest_first"), SummarizationOutput)
    client.summarization("x", truncation="never")  # type: ignore[arg-type]
    client.chat_completion([], temprature=0.5)  # type: ignore[call-overload]


async def asynchronous(client: AsyncInferenceClient) -> None:
    assert_type(await client.chat_completion([]), ChatCompletionOutput)
    assert_type(await client.chat_completion([], stream=True), AsyncChatStream)
    assert_type(await client.chat.completions.create(messages=[]), ChatCompletionOutput)
    assert_type(await client.summarization("x"), SummarizationOutput)
