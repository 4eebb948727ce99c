"""What limits may be, and which come first."""

from __future__ import annotations

from typing import Any

import pytest

from tiny_agents import UsageError
from tiny_agents.agent.loop.limits import Limits


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("model_calls", 0),
        ("model_calls", 1.5),
        ("model_calls", True),
        ("tool_calls", -1),
        ("tokens", "many"),
        ("cost_usd", 0),
        ("cost_usd", float("nan")),
        ("seconds", float("inf")),
        ("seconds", -1),
        ("repeat", 1),
        ("last_answer", "no"),
    ],
)
def test_a_limit_that_makes_no_sense_is_refused_by_name(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=name):
        Limits(**{name: value})


def test_no_tool_calls_at_all_is_a_limit() -> None:
    assert Limits(tool_calls=0).tool_calls == 0


def test_what_a_request_says_comes_before_what_the_agent_says() -> None:
    agent = Limits(model_calls=5, tokens=1000, last_answer=False)
    assert Limits(model_calls=9, seconds=2.5).over(agent) == Limits(
        model_calls=9, tokens=1000, seconds=2.5, last_answer=False
    )
