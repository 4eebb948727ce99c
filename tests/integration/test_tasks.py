"""Tasks beside chat, bound to both clients from one builder."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tests.support.openai_server import OpenAIServer, Turn
from tiny_agents import (
    AsyncInferenceClient,
    InferenceClient,
    InvalidResponseError,
    SummarizationOutput,
    UnsupportedTaskError,
)

pytestmark = pytest.mark.integration


def both(url: str, **options: Any) -> list[SummarizationOutput]:
    async def asynchronous() -> SummarizationOutput:
        async with asyncio.timeout(30), AsyncInferenceClient(base_url=url) as client:
            return await client.summarization("A long text.", **options)

    with InferenceClient(base_url=url) as client:
        return [client.summarization("A long text.", **options), asyncio.run(asynchronous())]


@pytest.mark.parametrize(
    "body", [b'[{"summary_text": "Short.", "score": 1}]', b'{"summary_text": "Short.", "score": 1}']
)
def test_a_text_is_shortened_by_both_clients_alike(body: bytes) -> None:
    with OpenAIServer([Turn(body=body)]) as server:
        answers = both(
            f"{server.origin}/run", truncation="longest_first", generate_parameters={"max_length": 3, "x": None}
        )
        assert [(answer.summary_text, answer["score"]) for answer in answers] == [("Short.", 1)] * 2
        expected = {
            "inputs": "A long text.",
            "parameters": {"truncation": "longest_first", "generate_parameters": {"max_length": 3}},
        }
        assert [(request.path, request.body) for request in server.requests] == [("/run", expected)] * 2


@pytest.mark.parametrize("body", [b"[]", b"3", b"<html>", b""])
def test_an_answer_that_is_no_result_is_an_error(body: bytes) -> None:
    with (
        OpenAIServer([Turn(body=body)]) as server,
        InferenceClient(base_url=server.url) as client,
        pytest.raises(InvalidResponseError, match="no result of summarization"),
    ):
        client.summarization("x")


def test_a_provider_that_does_not_do_a_task_says_what_it_does() -> None:
    with (
        InferenceClient(model="a/b", provider="groq", api_key="pk") as client,
        pytest.raises(UnsupportedTaskError, match="groq does not do summarization. It does: conversational") as caught,
    ):
        client.summarization("x")
    assert caught.value.available == ("conversational",)
