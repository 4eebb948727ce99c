"""The model's server can't be had, is overloaded, breaks off or falls silent."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any

import pytest

from tests.faults.scenario import Scenario, cases
from tests.faults.talking import talk
from tests.support.leftovers import Leftovers
from tests.support.openai_server import delta, raw, status, text
from tiny_agents import (
    IncompleteStreamError,
    InferenceTimeoutError,
    ProviderError,
)

pytestmark = pytest.mark.anyio

FINE = text("Fine.")
START = delta(role="assistant", content="Once upon ")


def a_date(seconds: float) -> str:
    return format_datetime(datetime.now(UTC) + timedelta(seconds=seconds), usegmt=True)


@cases(
    Scenario("429 with seconds to wait", ("no loss",), [status(429, retry_after="0"), FINE], "Fine.", asked=2),
    Scenario("429 until a date", ("no loss",), [status(429, retry_after=a_date(-5)), FINE], "Fine.", asked=2),
    Scenario("500, then an answer", ("no loss",), [status(500, retry_after="0"), FINE], "Fine.", asked=2),
    Scenario("503 twice, then an answer", ("no loss",), [*[status(503, retry_after="0")] * 2, FINE], "Fine.", asked=3),
    Scenario(
        "nothing but 500",
        ("valid", "no hang"),
        [status(500, retry_after="0")],
        error=(ProviderError, "answered 500: scripted 500"),
        asked=3,
    ),
    Scenario(
        "429 with a wait of an hour",
        ("no hang",),
        [status(429, retry_after="3600")],
        error=(ProviderError, r"answered 429 \(too many requests\)"),
        asked=1,
    ),
    Scenario(
        "disconnected before the answer",
        ("valid",),
        [raw(then="reset")],
        error=(IncompleteStreamError, "broke off before it was finished"),
        asked=1,
    ),
    Scenario(
        "disconnected in the middle of the answer",
        ("valid", "no loss"),
        [raw(START, then="reset")],
        error=(IncompleteStreamError, "broke off before it was finished"),
        kept="Once upon ",
        asked=1,
    ),
    Scenario(
        "falls silent in the middle of the answer",
        ("no hang", "no loss"),
        [raw(START, then="stall")],
        error=(InferenceTimeoutError, r"sent nothing for 0\.3 s"),
        kept="Once upon ",
        options={"timeout": 0.3},
    ),
)
async def test_a_connection(scenario: Scenario, model: Callable[..., Any], leftovers: Leftovers) -> None:
    await talk(scenario, model, leftovers)
