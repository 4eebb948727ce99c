"""Records read like attributes, like dictionaries, and keep what we don't declare."""

from __future__ import annotations

import copy
import pickle
from typing import Any

import msgspec
import pytest

from tiny_agents import (
    ChatCompletionInputMessage,
    ChatCompletionInputTool,
    ChatCompletionInputToolCall,
    ChatCompletionOutput,
    TextGenerationOutput,
)
from tiny_agents.inference.encoding import encode_json
from tiny_agents.inference.types.chat import decode_chunk, decode_output
from tiny_agents.inference.types.chunks import chunks_of
from tiny_agents.inference.types.record import decoder

RAW = (
    b'{"id": "c1", "object": "chat.completion.chunk", "provider": "acme", "usage": {"total_tokens": 3, "cost": 0.5},'
    b' "choices": [{"index": 0, "native": 1, "delta": {"content": "hi", "mood": {"calm": true},'
    b' "tool_calls": [{"index": 0, "id": "x", "extra": 2, "function": {"name": "f", "arguments": "{}", "why": "?"}}]}}]}'
)


def test_a_chunk_reads_three_ways() -> None:
    chunk = decode_chunk(RAW)
    assert chunk.choices[0].delta is not None
    assert chunk.choices[0].delta.content == "hi"
    assert chunk["choices"][0]["delta"]["content"] == "hi"
    assert chunk.get("choices")[0].get("delta").get("content") == "hi"


def test_undeclared_fields_are_reachable_at_every_level() -> None:
    chunk = decode_chunk(RAW)
    assert chunk.provider == "acme"
    assert chunk.choices[0]["native"] == 1
    delta: Any = chunk.choices[0].delta
    assert delta.mood == {"calm": True}
    assert delta.tool_calls[0].extra == 2
    assert delta.tool_calls[0].function["why"] == "?"
    assert chunk.usage is not None
    assert chunk.usage.get("cost") == 0.5
    assert chunk.to_dict() == msgspec.json.decode(RAW)


def test_what_is_not_there_is_said_as_python_says_it() -> None:
    chunk = decode_chunk(RAW)
    with pytest.raises(AttributeError, match="ChatCompletionStreamOutput has no field 'nope'"):
        _ = chunk.nope
    with pytest.raises(KeyError):
        _ = chunk["nope"]
    assert chunk.get("nope", 7) == 7
    assert "nope" not in chunk
    assert "provider" in chunk
    assert "model" in chunk
    assert chunk["model"] is None


@pytest.mark.parametrize(
    ("raw", "path", "value"),
    [
        (b'{"created": 1.5, "id": 3, "choices": []}', ["created"], 1.5),
        (b'{"choices": [{"delta": {"content": 5, "x": 1}}]}', ["choices", 0, "delta", "content"], 5),
        (b'{"choices": [{"delta": {"content": 5, "x": 1}}]}', ["choices", 0, "delta", "x"], 1),
        (b'{"choices": null, "id": "a"}', ["id"], "a"),
        (b'{"choices": [{"delta": {"tool_calls": [{"id": 9, "function": {"name": "f"}}]}}]}',
         ["choices", 0, "delta", "tool_calls", 0, "function", "name"], "f"),
    ],
)  # fmt: skip
def test_fields_of_an_unexpected_type_are_kept_as_they_came(raw: bytes, path: list[Any], value: Any) -> None:
    found: Any = decode_chunk(raw)
    for step in path:
        found = found[step]
    assert found == value


@pytest.mark.parametrize("choice", ["{}", '{"delta": null, "x": 1}', '{"delta": "text"}'])
def test_a_delta_that_a_server_left_out_is_there_and_empty(choice: str) -> None:
    chunk = decode_chunk(f'{{"choices": [{choice}], "y": 2}}'.encode())
    assert chunk.choices[0].delta.content is None
    assert chunk.choices[0].delta.get("nope") is None
    assert chunk.y == 2
    answer = decode_output(b'{"choices": [{"message": {"tool_calls": [{"id": "1"}]}}]}')
    calls = answer.choices[0].message.tool_calls
    assert calls is not None
    assert calls[0].function.name is None
    assert calls[0].function.get("nope") is None


@pytest.mark.parametrize("raw", [b"[]", b'"text"', b"3", b"{", b"", b"null"])
def test_what_is_no_object_is_refused(raw: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_chunk(raw)


def test_a_server_can_not_plant_the_inner_reference() -> None:
    chunk = decode_chunk(b'{" source": ["x", [1]], "id": "a", "choices": []}')
    assert chunk.id == "a"
    assert chunk.get("nope") is None


def test_a_message_is_written_like_a_dictionary_and_compares_like_one() -> None:
    message = ChatCompletionInputMessage(role="user", content="hi")
    assert message == {"role": "user", "content": "hi"}
    assert message == ChatCompletionInputMessage("user", "hi")
    assert message != {"role": "user", "content": "ho"}
    message["content"] = "ho"
    message["x-note"] = 1
    assert (message.content, message["x-note"]) == ("ho", 1)
    assert {**message}["content"] == "ho"
    assert dict(message)["role"] == "user"
    assert repr(message) == "ChatCompletionInputMessage(role='user', content='ho', x-note=1)"


def test_records_are_sent_with_undeclared_fields_and_without_what_is_none() -> None:
    raw = b'{"choices": [{"message": {"role": "assistant", "content": null, "thought_signature": "s",'
    raw += b' "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}]}}]}'
    message = decode_output(raw).choices[0].message
    sent = msgspec.json.decode(encode_json([message, {"role": "user", "content": None}]))
    assert sent == [
        {
            "role": "assistant",
            "thought_signature": "s",
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        },
        {"role": "user", "content": None},
    ]


def test_text_that_can_not_be_encoded_is_replaced_not_refused() -> None:
    assert encode_json({"role": "tool", "content": "a\ud800b"}) == b'{"role":"tool","content":"a?b"}'


def test_copies_and_pickles_keep_everything() -> None:
    chunk = decode_chunk(RAW)
    for twin in (copy.deepcopy(chunk), copy.copy(chunk), pickle.loads(pickle.dumps(chunk))):
        assert twin == chunk
        assert twin.provider == "acme"


def test_parsing_takes_text_bytes_and_plain_data() -> None:
    plain = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}, "x": 1}
    for given in (plain, msgspec.json.encode(plain), msgspec.json.encode(plain).decode()):
        tool = ChatCompletionInputTool.parse_obj_as_instance(given)  # type: ignore[arg-type]
        assert (tool.function.name, tool["x"]) == ("f", 1)
    assert [tool.function.name for tool in ChatCompletionInputTool.parse_obj_as_list([plain])] == ["f"]
    assert isinstance(ChatCompletionInputTool.parse_obj([plain]), list)


def test_tool_calls_given_as_dictionaries_become_records() -> None:
    message = ChatCompletionInputMessage.parse_obj_as_instance(
        {
            "role": "assistant",
            "tool_calls": [{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
        }
    )
    assert message.tool_calls is not None
    assert isinstance(message.tool_calls[0], ChatCompletionInputToolCall)


def test_a_whole_answer_in_chunks_says_the_same() -> None:
    output = ChatCompletionOutput.parse_obj_as_instance(
        {
            "id": "1",
            "model": "m",
            "object": "chat.completion",
            "choices": [
                {
                    "index": 0,
                    "finish_reason": "tool_calls",
                    "message": {
                        "role": "assistant",
                        "content": "hm",
                        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
                    },
                }
            ],
            "usage": {"total_tokens": 3, "cost": 1},
            "note": {"x": 1},
        }
    )
    from tiny_agents.inference.fold import ChatFold

    folded = ChatFold()
    chunks = chunks_of(output)
    for chunk in chunks:
        folded.add(chunk)
    assert output.choices[0].message is not None
    assert folded.message() == {
        "role": "assistant",
        "content": "hm",
        "tool_calls": [{"id": "a", "type": "function", "function": {"name": "f", "arguments": "{}"}}],
    }
    assert folded.finish_reason == "tool_calls"
    assert chunks[-1].note == {"x": 1}
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.cost == 1


def test_broken_characters_cost_themselves_and_nothing_else() -> None:
    raw = b'{"choices": [{"delta": {"content": "a\xffb"}, "native": "\xfe"}], "id": "c1", "more": "\xff"}'
    for record in (decode_chunk(raw), ChatCompletionOutput.parse_obj_as_instance(raw)):
        assert (record.id, record["more"], record.choices[0]["native"]) == ("c1", "\ufffd", "\ufffd")
    chunk = decode_chunk(raw)
    assert chunk.choices[0].delta is not None
    assert chunk.choices[0].delta.content == "a\ufffdb"
    assert decode_output(b'{"id": "c1", "more": "\xff"}').more == "\ufffd"


@pytest.mark.parametrize("raw", [b"\xff", b'{"a": "\xff"', b'["\xff"]'])
def test_broken_characters_do_not_make_an_object_of_what_is_none(raw: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_chunk(raw)


def test_records_in_lists_of_lists_keep_what_is_not_declared() -> None:
    tokens = '"details": {"top_tokens": [[{"id": 1, "rank": 2}]]}}'
    for given in ("{" + tokens, '{"generated_text": 3, ' + tokens):
        output = TextGenerationOutput.parse_obj_as_instance(given)
        assert output.details is not None
        assert output.details.top_tokens is not None
        assert output.details.top_tokens[0][0].rank == 2
        decoded = decoder(TextGenerationOutput)(given.encode())
        assert decoded.details is not None
        assert decoded.details.top_tokens is not None
        assert decoded.details.top_tokens[0][0].rank == 2


def test_probabilities_keep_what_is_not_declared() -> None:
    token = '{"token": "a", "bytes": [97], "top_logprobs": [{"token": "b", "bytes": [98]}]}'
    chunk = decode_chunk(f'{{"choices": [{{"delta": {{}}, "logprobs": {{"content": [{token}]}}}}]}}'.encode())
    logprobs = chunk.choices[0].logprobs
    assert logprobs is not None
    assert logprobs.content[0].bytes == [97]
    assert logprobs.content[0].top_logprobs[0].bytes == [98]
