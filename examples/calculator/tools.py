"""Functions that become tools: their annotations are the schema, their docstrings what the model is told."""

from __future__ import annotations

from decimal import Decimal
from typing import Literal

from .rounding import rounded


def calculate(left: Decimal, operation: Literal["+", "-", "*", "/"], right: Decimal) -> str:
    """Calculate with two numbers, exactly.

    Args:
        left: The first number.
        operation: What is done with them.
        right: The second number.
    """
    results = {
        "+": lambda: left + right,
        "-": lambda: left - right,
        "*": lambda: left * right,
        "/": lambda: left / right,
    }
    return rounded(results[operation]())


async def percent(of: Decimal, rate: Decimal) -> str:
    """Say how much some percent of a number are.

    Args:
        of: The whole.
        rate: How many percent.
    """
    return rounded(of * rate / 100)
