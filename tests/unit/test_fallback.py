"""After which errors another model is asked."""

from __future__ import annotations

from typing import Any

import pytest

from tiny_agents import errors
from tiny_agents.inference.types.chat import ChatCompletionStreamOutput
from tiny_agents.mcp_client.asking.fallback import may_fall_back, says_something


def answered(status: int, said: str = "sorry") -> errors.ProviderError:
    return errors.ProviderError(said, status=status, body=said)


NO_KEY = errors.MissingCredentialsError("no key")


@pytest.mark.parametrize(
    ("error", "same_place", "other_place"),
    [
        (answered(404), True, True),
        (answered(408), True, True),
        (answered(429), True, True),
        (answered(500), True, True),
        (answered(503, "overloaded"), True, True),
        (answered(400, "The requested model 'x' is not supported by any provider you have enabled."), True, True),
        (answered(400, '{"code": "model_not_supported"}'), True, True),
        (answered(400, "The model `x` has been decommissioned and is no longer supported."), True, True),
        (answered(200, "Overloaded"), True, True),
        (answered(200, "the prompt is too long"), False, False),
        (answered(400), False, False),
        (answered(400, "maximum context length is 8192 tokens"), False, False),
        (answered(413), False, False),
        (answered(422), False, False),
        (answered(401), False, True),
        (answered(402), False, True),
        (answered(403), False, True),
        (NO_KEY, False, True),
        (errors.InferenceTimeoutError("late"), True, True),
        (errors.InferenceConnectionError("refused"), True, True),
        (errors.IncompleteStreamError("cut"), True, True),
        (errors.UnsupportedTaskError("no chat", task="chat"), True, True),
        (errors.LocalModelError("no weights"), True, True),
        (errors.InvalidResponseError("a web page"), True, True),
        (errors.InferenceError("something"), False, False),
    ],
)
def test_only_what_another_model_may_do_better(error: Any, same_place: bool, other_place: bool) -> None:
    assert may_fall_back(error, other_place=False) is same_place
    assert may_fall_back(error, other_place=True) is other_place


@pytest.mark.parametrize(
    ("choice", "something"),
    [
        ({"delta": {"role": "assistant", "content": ""}}, False),
        ({"delta": {"content": "a"}}, True),
        ({"delta": {"reasoning": "a"}}, True),
        ({"delta": {"reasoning_content": "a"}}, True),
        ({"delta": {"tool_calls": [{"index": 0}]}}, True),
        ({"delta": {}, "finish_reason": "stop"}, True),
    ],
)
def test_a_chunk_says_something_or_not(choice: dict[str, Any], something: bool) -> None:
    chunk = ChatCompletionStreamOutput.parse_obj_as_instance({"choices": [choice]})
    assert says_something(chunk) is something
    assert not says_something(ChatCompletionStreamOutput())
