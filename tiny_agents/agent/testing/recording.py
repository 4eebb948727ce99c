"""What a model said, kept as a script, and read again: tests that were run with a model once are played without it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from tiny_agents.data_dir import write_private
from tiny_agents.errors import ConfigError, UsageError
from tiny_agents.inference.script import ScriptedAnswer, ScriptedCall, heard_of
from tiny_agents.inference.types.record import to_builtins
from tiny_agents.mcp_client.observing.observing import ModelCall, Observer, Operation

VERSION = 1
MAX_BYTES = 100_000_000


class Recorder(Observer):
    """Keeps each answer of a model, in the order in which it was asked; those that broke off aren't kept."""

    def __init__(self) -> None:
        self._asked: list[tuple[ModelCall, str]] = []

    def started(self, operation: Operation) -> None:
        known = any(call is operation for call, _ in self._asked)  # another model is asked in place of the first
        if isinstance(operation, ModelCall) and not known:
            self._asked.append((operation, heard_of(operation.messages)))

    @property
    def answers(self) -> tuple[ScriptedAnswer, ...]:
        """What was said so far, without secrets."""
        return tuple(
            _kept(call, heard) for call, heard in self._asked if call.duration_s is not None and not call.error
        )


def _kept(call: ModelCall, heard: str) -> ScriptedAnswer:
    message = call.cleaned(to_builtins(call.answer)) if call.answer is not None else {}
    usage = call.fold.usage if call.fold.usage is not None else None
    calls = [each.get("function", {}) for each in message.get("tool_calls") or ()]
    return ScriptedAnswer(
        text=_text(message.get("content")),
        calls=tuple(ScriptedCall(str(each.get("name", "")), _arguments(each.get("arguments"))) for each in calls),
        reasoning=_text(message.get("reasoning_content") or message.get("reasoning")),
        finish_reason=call.fold.finish_reason or "",
        heard=heard,
        usage=to_builtins(usage) if usage is not None else {},
    )


def _text(content: Any) -> str:
    return content if isinstance(content, str) else ""


def _arguments(given: Any) -> dict[str, Any] | str:
    """A mapping, where it is one: it is easier to read in a file."""
    if not isinstance(given, str):
        return dict(given or {})
    try:
        found = json.loads(given)
    except ValueError:
        return given
    return found if isinstance(found, dict) else given


# ---- the file


class _Call(msgspec.Struct, frozen=True, omit_defaults=True):
    tool: str
    arguments: dict[str, Any] | str = {}


class _Answer(msgspec.Struct, frozen=True, omit_defaults=True):
    text: str = ""
    calls: list[_Call] = []
    reasoning: str = ""
    finish_reason: str = ""
    heard: str = ""
    usage: dict[str, Any] = {}


class _Recording(msgspec.Struct, frozen=True):
    version: int
    tests: dict[str, list[_Answer]]


Recording = Mapping[str, tuple[ScriptedAnswer, ...]]
"""Name of a test -> what the model said."""


def read_recording(path: Path) -> Recording:
    """What `write_recording` wrote.

    Raises:
        ConfigError: The file isn't there, is no recording, or is from a newer version.
    """
    try:
        if path.stat().st_size > MAX_BYTES:
            raise ConfigError(f"is larger than {MAX_BYTES // 1_000_000} MB", path=path)
        data = path.read_bytes()
    except FileNotFoundError as error:
        raise ConfigError("there is no such recording: make it with --record", path=path) from error
    except OSError as error:
        raise ConfigError(f"can't be read: {(error.strerror or str(error)).lower()}", path=path) from error
    try:
        found = msgspec.json.decode(data, type=_Recording)
    except (msgspec.DecodeError, RecursionError) as error:
        raise ConfigError(f"is no recording ({error}): make it anew with --record", path=path) from error
    if found.version > VERSION:
        raise ConfigError("was written by a newer tiny-agents: update tiny-agents, or make it anew", path=path)
    return {name: tuple(map(_read, answers)) for name, answers in found.tests.items()}


def _read(answer: _Answer) -> ScriptedAnswer:
    return ScriptedAnswer(
        text=answer.text,
        calls=tuple(ScriptedCall(call.tool, call.arguments) for call in answer.calls),
        reasoning=answer.reasoning,
        finish_reason=answer.finish_reason,
        heard=answer.heard,
        usage=answer.usage,
    )


def write_recording(path: Path, recording: Recording) -> None:
    """Write it, whole or not at all, as a file to be kept beside the tests.

    Raises:
        UsageError: It can't be written.
    """
    tests = {
        name: [
            _Answer(
                text=answer.text,
                calls=[_Call(call.tool, _plain(call.arguments)) for call in answer.calls],
                reasoning=answer.reasoning,
                finish_reason=answer.finish_reason,
                heard=answer.heard,
                usage=dict(answer.usage),
            )
            for answer in answers
        ]
        for name, answers in recording.items()
    }
    data = msgspec.json.format(msgspec.json.encode(_Recording(VERSION, tests)), indent=2) + b"\n"
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(path, data, mode=0o666)
    except OSError as error:
        raise UsageError(f"the recording can't be written: {path}: {error.strerror or error}") from error


def _plain(arguments: Mapping[str, Any] | str) -> dict[str, Any] | str:
    return arguments if isinstance(arguments, str) else dict(arguments)
