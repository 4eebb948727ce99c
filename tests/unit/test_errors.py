"""Errors as values: they pass between processes and can be copied."""

from __future__ import annotations

import copy
import pickle
from collections.abc import Callable
from typing import Any

import pytest

from tiny_agents import errors
from tiny_agents.errors import TinyAgentsError

ERRORS: list[TinyAgentsError] = [
    errors.UsageError("both given"),
    errors.InputNotFoundError("no such file"),
    errors.MissingDependencyError("PIL", extra="images", purpose="Images"),
    errors.ConfigError("unknown key", path="agent.yaml", key="servers", line=3, column=1),
    errors.UnsupportedTaskError("no", task="chat", available=["a"], provider="p", model="m"),
    errors.InferenceTimeoutError("late", timeout_s=1.5),
    errors.IncompleteStreamError("cut", url="http://h"),
    errors.ProviderError("503", status=503, body="b", url="http://h", request_id="r"),
    errors.JobFailedError("failed", status=200),
    errors.InvalidResponseError("html", body="<html>"),
    errors.OutputError("no JSON", text="hello", result=None, model="m"),
    errors.ServerConnectionError("gone", server="s", stderr_tail="t"),
    errors.ServerTimeoutError("late", server="s", timeout_s=2.0),
    errors.SessionInUseError("open elsewhere", session="3f2a"),
    errors.SessionStoreError("disk full", session="3f2a", path="/x"),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("again", [copy.copy, copy.deepcopy, lambda error: pickle.loads(pickle.dumps(error))])
def test_an_error_can_be_pickled_and_copied(error: TinyAgentsError, again: Callable[[Any], Any]) -> None:
    other = again(error)
    assert type(other) is type(error)
    assert str(other) == str(error)
    assert vars(other) == vars(error)
