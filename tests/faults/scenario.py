"""A scenario of the model's side as data: what its server sends, and what comes of it for the user."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.openai_server import Recorded, Turn

PROMISES = {
    "valid": "It always ends, and always with a history that is valid.",
    "no hang": "Every wait has a limit.",
    "no loss": "What was said and done is kept; what could not be kept is said.",
    "no leak": "Keys get nowhere, and nothing is left running or open.",
    "no surprise": "Nothing that others say has an effect that the rules don't allow.",
    "bounded": "Memory and time stay bounded.",
}
"""What docs/reliability.md promises, by the names that `@pytest.mark.promise` takes."""


@dataclass(frozen=True)
class Scenario:
    """What a model's server does, and what must come of it.

    Attributes:
        name: What goes wrong, in a few words.
        promises: Which of `PROMISES` it proves.
        turns: The server's answers; the last one repeats.
        answer: The text that the user has in the end; None where the outcome is an error.
        error: The error in place of an answer, and a pattern of its message.
        told: Patterns of what the tool calls were answered with, in order; None where it doesn't matter.
        asked: How often the model was asked; None where it doesn't matter.
        kept: What was said before an error and stays in the conversation.
        options: More arguments of `Agent`.
    """

    name: str
    promises: tuple[str, ...]
    turns: Sequence[Turn] | Callable[[Recorded], Turn]
    answer: str | None = None
    error: tuple[type[Exception], str] | None = None
    told: Sequence[str] | None = None
    asked: int | None = None
    kept: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)

    def check_told(self, results: Sequence[str]) -> None:
        if self.told is None:
            return
        assert len(results) == len(self.told), results
        for result, pattern in zip(results, self.told, strict=True):
            assert re.search(pattern, result), (pattern, result)


def cases(*scenarios: Scenario) -> pytest.MarkDecorator:
    """Parametrises a test with scenarios."""
    params = [pytest.param(one, id=one.name, marks=pytest.mark.promise(*one.promises)) for one in scenarios]
    return pytest.mark.parametrize("scenario", params)
