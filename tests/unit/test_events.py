"""Streamed texts: bytes -> steps, whoever sends them, wherever the bytes split."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tiny_agents import IncompleteStreamError, InferenceConnectionError, InvalidResponseError, ProviderError
from tiny_agents.inference.call import Route
from tiny_agents.inference.events import StepEvents, TextEvents, steps_of
from tiny_agents.inference.types.tasks import TextGenerationOutput

ROUTE = Route("endpoint", "http://h", None, None, is_endpoint=True)


def sse(*events: Any) -> bytes:
    return b"".join(f"data: {event if isinstance(event, str) else json.dumps(event)}\n\n".encode() for event in events)


def token(text: str, **fields: Any) -> dict[str, Any]:
    return {"token": {"id": 1, "text": text, "logprob": -0.5, "special": False}, "generated_text": None, **fields}


TGI = sse(
    token("a", note=1), token(" \u2028b"), token("</s>", generated_text="a b", details={"finish_reason": "length"})
)
OPENAI = sse(
    {"choices": [{"index": 0, "text": "a", "finish_reason": None}]},
    {"choices": [{"index": 0, "text": " b", "finish_reason": "stop"}]},
    {"choices": [], "usage": {"total_tokens": 3}},
    "[DONE]",
)


def all_of(kind: Any, data: bytes, size: int = 10_000) -> list[Any]:
    events = kind(ROUTE, "http://h/generate")
    pieces = [piece for start in range(0, len(data), size) for piece in events.feed(data[start : start + size])]
    return [*pieces, *events.end()]


@pytest.mark.parametrize("size", [1, 2, 7, 64, 10_000])
def test_the_pieces_do_not_depend_on_where_the_bytes_split(size: int) -> None:
    assert all_of(TextEvents, TGI, size) == ["a", " \u2028b", "</s>"]
    assert all_of(TextEvents, OPENAI, size) == ["a", " b"]


def test_a_chat_in_place_of_completions_is_read_as_a_text() -> None:
    chat = sse(
        {"choices": [{"index": 0, "delta": {"role": "assistant", "content": "a"}}]},
        {"choices": [{"index": 0, "delta": {"content": " b"}, "finish_reason": "stop"}]},
        "[DONE]",
    )
    assert all_of(TextEvents, chat) == ["a", " b"]


def test_steps_hold_all_that_is_known() -> None:
    first, _, last = all_of(StepEvents, TGI)
    assert (first.token.text, first.token.logprob, first["note"], first.details) == ("a", -0.5, 1, None)
    assert (last.generated_text, last.details.finish_reason) == ("a b", "length")
    first, last = all_of(StepEvents, OPENAI)
    assert (first.token.text, first.index, first.details) == ("a", 0, None)
    assert (last.token["text"], last["details"]["finish_reason"]) == (" b", "stop")


def test_a_text_that_breaks_off_is_an_error_after_what_had_arrived() -> None:
    events = TextEvents(ROUTE, "http://h/generate?secret=1")
    assert events.feed(sse(token("a"))) == ["a"]
    with pytest.raises(IncompleteStreamError, match=r"http://h/generate broke off"):
        events.end()
    meaning = events.broke(InferenceConnectionError("reset"))
    assert isinstance(meaning, IncompleteStreamError)


def test_a_connection_that_ends_after_the_last_step_has_lost_nothing() -> None:
    events = TextEvents(ROUTE, "http://h")
    events.feed(TGI)
    assert events.end() == []
    assert events.broke(InferenceConnectionError("reset")) is None


@pytest.mark.parametrize("named", [False, True])
def test_an_error_follows_the_pieces_before_it(named: bool) -> None:
    error = b'data: {"error": "Input too long", "error_type": "validation"}\n\n'
    events = TextEvents(ROUTE, "http://h")
    assert events.feed(sse(token("a")) + (b"event: error\n" if named else b"") + error) == ["a"]
    with pytest.raises(ProviderError, match="Input too long"):
        events.feed(b"")


@pytest.mark.parametrize("payload", ["[1]", "nonsense", '"text"', "3"])
def test_what_is_no_step_is_an_error(payload: str) -> None:
    with pytest.raises(InvalidResponseError, match="no step of a generated text"):
        TextEvents(ROUTE, "http://h").feed(sse(payload))


@pytest.mark.parametrize("event", [{}, {"usage": {"total_tokens": 3}}, {"choices": []}])
def test_events_without_text_are_passed_over(event: dict[str, Any]) -> None:
    assert TextEvents(ROUTE, "http://h").feed(sse(event)) == []


def test_broken_characters_cost_themselves_and_nothing_else() -> None:
    data = sse(token("a")).replace(b'"a"', b'"a\xff"')
    assert TextEvents(ROUTE, "http://h").feed(data) == ["a\ufffd"]


def test_a_text_that_came_whole_is_one_step() -> None:
    output = TextGenerationOutput.parse_obj_as_instance(
        {"generated_text": "a b", "details": {"finish_reason": "length", "generated_tokens": 2, "seed": 3}}
    )
    (step,) = steps_of(output)
    assert step == {
        "token": {"text": "a b", "special": False},
        "generated_text": "a b",
        "details": {"finish_reason": "length", "generated_tokens": 2, "seed": 3},
    }
    (step,) = steps_of(TextGenerationOutput(generated_text="x"))
    assert step.details is None
