"""How requests and errors look on the wire, and what is tried again."""

from __future__ import annotations

import email.utils
import time
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_agents import ChatCompletionInputMessage, InferenceClient
from tiny_agents.errors import ProviderError, UsageError, public_url, redact, redact_addresses
from tiny_agents.inference.call import Request
from tiny_agents.inference.encoding import encode_json
from tiny_agents.inference.wire import (
    error_of,
    is_loopback,
    redirected,
    retry_delay,
    wire_headers,
)

KEY = "pk-secret-0123456789"


@pytest.mark.parametrize(
    ("attempt", "headers", "expected"),
    [
        (0, {}, 0.5),
        (1, {}, 1.0),
        (10, {}, 8.0),
        (0, {"retry-after": "7"}, 7.0),
        (0, {"retry-after": "0.5"}, 0.5),
        (0, {"retry-after": "-3"}, 0.0),
        (0, {"retry-after": "61"}, None),
        (0, {"retry-after": email.utils.formatdate(1_000_030, usegmt=True)}, 30.0),
        (0, {"retry-after": email.utils.formatdate(999_000, usegmt=True)}, 0.0),
        (0, {"retry-after": "soon"}, 0.5),
    ],
)
def test_how_long_to_wait_before_another_try(attempt: int, headers: dict[str, str], expected: float | None) -> None:
    assert retry_delay(attempt, headers, now=1_000_000.0, jitter=0.0) == expected


def test_waits_are_spread_but_never_longer() -> None:
    assert retry_delay(2, {}, now=0.0, jitter=1.0) == 1.5


def test_a_redirect_within_a_host_keeps_everything() -> None:
    request = Request("POST", "https://a.example/v1/x", json={"a": 1}, key=KEY, headers={"x-mine": "1"})
    followed = redirected(request, 308, "/v2/x")
    assert followed == Request("POST", "https://a.example/v2/x", json={"a": 1}, key=KEY, headers={"x-mine": "1"})


def test_an_upgrade_to_tls_keeps_everything() -> None:
    assert redirected(Request("GET", "http://a.example/x", key=KEY), 301, "https://a.example/x").key == KEY


@pytest.mark.parametrize("target", ["https://b.example/x", "https://a.example:8443/x"])
def test_a_read_is_followed_to_another_origin_without_key_and_headers(target: str) -> None:
    request = Request("GET", "https://a.example/x", key=KEY, headers={"cookie": "s=1"})
    assert redirected(request, 302, target) == Request("GET", target)


@pytest.mark.parametrize(
    ("method", "status", "target"),
    [
        ("POST", 307, "https://b.example/x"),
        ("POST", 302, "https://a.example/y"),
        ("POST", 308, "http://a.example/x"),
        ("GET", 302, "file:///etc/passwd"),
        ("GET", 302, "http://a.example/x"),
    ],
)
def test_other_redirects_are_named_and_not_followed(method: str, status: int, target: str) -> None:
    with pytest.raises(ProviderError, match="which is not followed") as caught:
        redirected(Request(method, "https://a.example/x", json={}, key=KEY), status, target)
    assert KEY not in str(caught.value)


def test_addresses_are_shown_without_what_may_be_secret() -> None:
    assert public_url("https://user:pass@a.example:8443/v1?key=1#f") == "https://a.example:8443/v1"


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b'{"error": {"message": "no such model", "code": 1}}', "no such model"),
        (b'{"error": "overloaded"}', "overloaded"),
        (b'{"detail": "not here"}', "not here"),
        (b'{"message": "hm"}', "hm"),
        (b"<html>oops</html>", "<html>oops</html>"),
        (b"", ""),
        (b"\xff\xfe", "\ufffd\ufffd"),
        (b'{"error": "bad \xff byte"}', "bad \ufffd byte"),
        (b'{"detail": [{"loc": ["body"]}]}', '[{"loc": ["body"]}]'),
    ],
)
def test_an_error_says_what_the_server_said(body: bytes, says: str) -> None:
    error = error_of(Request("POST", "https://a.example/v1"), 400, {}, body)
    assert error.status == 400
    assert says in str(error)
    assert says in error.body


def test_an_error_never_repeats_our_keys() -> None:
    request = Request("POST", "https://a.example/v1", key=KEY, headers={"x-token": "other-secret-1"})
    body = f'{{"error": {{"message": "bad key {KEY} and other-secret-1 and hf_abcdefgh12345"}}}}'.encode()
    error = error_of(request, 401, {"x-request-id": "r-1"}, body)
    for text in (str(error), error.body, repr(error)):
        assert KEY not in text
        assert "other-secret-1" not in text
        assert "hf_abcdefgh12345" not in text
    assert "r-1" in str(error)
    assert error.request_id == "r-1"


@pytest.mark.parametrize(
    "secret", ["hf_abcdefghij12345", "sk-proj-abc_def-12345", "gsk_abcdefgh1234", "Bearer abcdef123456"]
)
def test_what_is_shaped_like_a_key_is_masked_anywhere(secret: str) -> None:
    shown = redact(f"failed with {secret}, sorry")
    assert secret.removeprefix("Bearer ") not in shown
    assert shown.startswith("failed with")
    assert shown.endswith(", sorry")


def test_the_key_goes_into_one_header_and_the_users_own_headers_win() -> None:
    headers = wire_headers(
        Request("POST", "https://a.example", json={}, key=KEY, headers={"User-Agent": "mine"}), stream=True
    )
    assert headers["authorization"] == f"Bearer {KEY}"
    assert headers["user-agent"] == "mine"
    assert headers["accept-encoding"] == "identity"
    assert KEY not in repr(Request("POST", "https://a.example", key=KEY, headers={"x": KEY}))


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://localhost:1", True),
        ("http://127.0.0.2:1", True),
        ("http://[::1]:1", True),
        ("http://a.localhost", True),
        ("http://localhost.evil.example", False),
        ("https://10.0.0.1", False),
        ("http://", False),
    ],
)
def test_loopback_addresses_are_known(url: str, expected: bool) -> None:
    assert is_loopback(url) is expected


@pytest.mark.parametrize("key", ["two\nlines-secret", "pasted\u2026secret", "secret\x00"])
def test_a_key_that_can_not_be_sent_is_refused_and_not_shown(key: str) -> None:
    with pytest.raises(UsageError, match="The key can't be sent") as caught:
        wire_headers(Request("GET", "https://a.example", key=key), stream=False)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("value", ["a\nb", "\u00fc", 1])
def test_a_header_that_can_not_be_sent_is_named(value: Any) -> None:
    with pytest.raises(UsageError, match="header 'x-mine'"):
        wire_headers(Request("GET", "https://a.example", headers={"X-Mine": value}), stream=False)


def test_what_has_no_form_in_json_is_refused() -> None:
    with pytest.raises(UsageError, match="can't be sent as JSON"):
        encode_json({"messages": [{"role": "user", "content": object()}]})


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("POST http://me:pass-1@h:1/v1?api_key=q1&x=2 done", "POST http://***@h:1/v1?api_key=***&x=2 done"),
        ("see https://h/a?access_token=q1#f", "see https://h/a?access_token=***#f"),
        ("http://h/a?page=2&sort=b", "http://h/a?page=2&sort=b"),
        ("mail me@h.example: now", "mail me@h.example: now"),
        ("http://h:80/@scope/name", "http://h:80/@scope/name"),
    ],
)
def test_passwords_and_keys_in_addresses_are_masked(text: str, shown: str) -> None:
    assert redact_addresses(text) == shown


@pytest.mark.parametrize("piece", ["://", "a:", "key", "?", "&key", "-"])
def test_masking_takes_no_longer_for_odd_texts(piece: str) -> None:
    odd = "http://a?" + piece * 100_000
    started = time.process_time()
    assert redact_addresses(redact(odd)) == odd
    assert time.process_time() - started < 5


def test_a_client_shows_its_address_without_what_may_be_secret() -> None:
    client = InferenceClient("http://me:pass-1@h/v1?api_key=q1")
    assert repr(client) == "InferenceClient(model='http://h/v1')"


TEXTS = st.sampled_from(["", "hello", 'é\n"\u2028', "\ud800 lone", '{"a": null, " source": 1}'])


@st.composite
def messages(draw: st.DrawFn) -> ChatCompletionInputMessage:
    call = {"id": draw(TEXTS), "type": "function", "function": {"name": draw(TEXTS), "arguments": draw(TEXTS)}}
    call |= draw(st.sampled_from([{}, {"extra_content": {"a": None}}, {"index": 3}]))
    plain = {"role": draw(st.sampled_from(["user", "assistant", "tool"])), "name": draw(st.none() | TEXTS)}
    plain["content"] = draw(st.none() | TEXTS | st.just([{"type": "text", "text": "hi", "x": None}]))
    plain["tool_calls"] = draw(st.sampled_from([None, [], [call], [call, call]]))
    plain |= draw(st.sampled_from([{}, {"reasoning": "hm"}, {"reasoning_details": [{"a": None}]}, {"undeclared": [1]}]))
    return ChatCompletionInputMessage.parse_obj_as_instance(plain)


@given(st.lists(messages(), max_size=4))
def test_messages_are_sent_with_all_they_hold_however_they_are_written(made: list[ChatCompletionInputMessage]) -> None:
    sent = msgspec.json.decode(encode_json({"messages": made}))["messages"]
    assert sent == [_sendable(message.to_dict()) for message in made]


def _sendable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, dict):
        return {key: _sendable(item) for key, item in value.items()}
    return [_sendable(item) for item in value] if isinstance(value, list) else value
