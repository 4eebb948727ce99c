"""A file beside the tools: `from .rounding import rounded`. Its functions become no tools."""

from __future__ import annotations

from decimal import Decimal


def rounded(number: Decimal) -> str:
    return f"{number.quantize(Decimal('0.0001')).normalize():f}"
