"""What every strict chat server demands of a history, as one assertion."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

_LEGAL_NAME = re.compile(r"[A-Za-z0-9_-]{1,64}")
_ROLES = {"system", "developer", "user", "assistant", "tool"}


def assert_valid(messages: Iterable[Any]) -> None:
    """Fail with the place and the reason if a strict server would refuse these messages (dictionaries or records).

    Every tool call is answered exactly once, right after its assistant message; ids are unique in the whole history;
    arguments are JSON objects; names are legal; nothing is empty that must not be; all of it can be written as UTF-8.
    """
    plain = [_plain(message) for message in messages]
    seen: set[str] = set()
    open_calls: dict[str, str] = {}
    for index, message in enumerate(plain):
        where = f"messages[{index}]"
        json.dumps(message, ensure_ascii=False, allow_nan=False).encode()
        role = message.get("role")
        assert role in _ROLES, f"{where}: role {role!r}"
        if role == "tool":
            answered = message.get("tool_call_id")
            assert answered in open_calls, f"{where}: answers {answered!r}, open are {sorted(open_calls)}"
            name = open_calls.pop(answered)
            assert message.get("name") in (None, name), f"{where}: answers {name!r} as {message.get('name')!r}"
            assert isinstance(message.get("content"), (str, list)), f"{where}: content {message.get('content')!r}"
            continue
        assert not open_calls, f"{where}: {sorted(open_calls)} have no answer"
        content = message.get("content")
        if role == "assistant":
            open_calls = _calls(message, where, seen)
            assert content is None or isinstance(content, str), f"{where}: content {content!r}"
            assert content or open_calls, f"{where}: says nothing and calls nothing"
        else:
            assert "tool_calls" not in message, f"{where}: {role} calls tools"
            assert isinstance(content, (str, list)), f"{where}: content {content!r}"
            assert content, f"{where}: is empty"
    assert not open_calls, f"at the end {sorted(open_calls)} have no answer"


def _plain(message: Any) -> dict[str, Any]:
    plain = message.to_dict() if hasattr(message, "to_dict") else message
    assert isinstance(plain, Mapping), f"no message: {message!r}"
    return {key: value for key, value in plain.items() if value is not None}


def _calls(message: Mapping[str, Any], where: str, seen: set[str]) -> dict[str, str]:
    calls: dict[str, str] = {}
    assert message.get("tool_calls") != [], f"{where}: an empty list of tool calls"
    for number, call in enumerate(message.get("tool_calls") or ()):
        place = f"{where}.tool_calls[{number}]"
        assert call.get("type") == "function", f"{place}: type {call.get('type')!r}"
        call_id = call.get("id")
        assert isinstance(call_id, str), f"{place}: id {call_id!r}"
        assert call_id, f"{place}: an empty id"
        assert call_id not in seen, f"{place}: id {call_id!r} is used twice"
        seen.add(call_id)
        name = call["function"].get("name")
        assert isinstance(name, str), f"{place}: name {name!r}"
        assert _LEGAL_NAME.fullmatch(name), f"{place}: name {name!r}"
        arguments = call["function"].get("arguments")
        assert isinstance(arguments, str), f"{place}: arguments {arguments!r}"
        assert isinstance(json.loads(arguments, parse_constant=_refuse), dict), f"{place}: arguments {arguments!r}"
        calls[call_id] = name
    return calls


def _refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is no JSON")
