"""What builders have in common: turning arguments into the parameters of a call."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from tiny_agents.errors import UsageError


def given(**parameters: Any) -> dict[str, Any]:
    """Those that were given: None leaves the choice to the server."""
    return {name: value for name, value in parameters.items() if value is not None}


def texts(values: Iterable[str], argument: str) -> list[str]:
    """Several texts as a list. Raises UsageError for a single one, which would be taken apart into its letters."""
    if isinstance(values, str):
        raise UsageError(f"{argument}: a list of texts is needed, got the text {values[:40]!r}.")
    return list(values)
