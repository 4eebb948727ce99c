"""Flags of `tiny-agents run` about its output and about limits. Imports nothing but argparse."""

from __future__ import annotations

import argparse
import math
import re
from typing import Any

LIMITS = {
    "max_turns": "model_calls",
    "max_tool_calls": "tool_calls",
    "max_tokens": "tokens",
    "max_cost": "cost_usd",
    "max_seconds": "seconds",
    "max_repeat": "repeat",
}
"""Flag -> the limit it sets, by its name in `limits` of a definition."""


def whole_number(least: int) -> Any:
    """Reads a number from `least` on."""

    def read(text: str) -> int:
        if not re.fullmatch(r"\d{1,12}", text) or int(text) < least:
            raise argparse.ArgumentTypeError(f"must be a whole number, at least {least}")
        return int(text)

    return read


def amount(text: str) -> float:
    """A number above 0."""
    try:
        value = float(text)
    except ValueError:
        value = 0.0
    if not 0 < value < math.inf:
        raise argparse.ArgumentTypeError("must be a number above 0")
    return value


def add_output(run: Any) -> None:
    """Add the flags that say what goes to standard output, and in which form."""
    output = run.add_argument_group("what is printed")
    output.add_argument(
        "--output",
        choices=("text", "json", "jsonl"),
        default="text",
        help="the answer (the default), one JSON object with all about it, or each event as a line of JSON",
    )
    output.add_argument(
        "--output-schema",
        metavar="FILE",
        help="JSON Schema of the answer: what is printed is JSON that fits it, or the run has failed",
    )
    output.add_argument("-q", "--quiet", action="store_true", help="nothing but the answer, and errors")


def add_limits(run: Any) -> None:
    """Add the flags that limit a request."""
    limits = run.add_argument_group("limits of each request (exit status 3)")
    limits.add_argument("--max-turns", metavar="N", type=whole_number(1), help="calls of the model")
    limits.add_argument("--max-tool-calls", metavar="N", type=whole_number(0), help="calls of tools")
    limits.add_argument(
        "--max-tokens", metavar="N", type=whole_number(1), help="tokens read and written, over all calls of the model"
    )
    limits.add_argument("--max-cost", metavar="USD", type=amount, help="US dollars")
    limits.add_argument("--max-seconds", metavar="S", type=amount, help="seconds from the prompt to the answer")
    limits.add_argument(
        "--max-repeat", metavar="N", type=whole_number(2), help="the same tool call with the same result, in a row"
    )


def limits_given(arguments: argparse.Namespace) -> dict[str, Any]:
    """The limits that the command line sets, by their names in a definition."""
    return {name: value for flag, name in LIMITS.items() if (value := getattr(arguments, flag)) is not None}
