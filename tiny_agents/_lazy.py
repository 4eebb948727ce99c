"""Optional packages, imported where they are used; an absent one names the extra that brings it."""

from __future__ import annotations

import importlib
from types import ModuleType

from tiny_agents.errors import MissingDependencyError


def require(package: str, *, extra: str, purpose: str) -> ModuleType:
    """Import `package`, or say which extra of tiny-agents to install.

    Args:
        extra: Name of the extra that contains the package.
        purpose: What needs it, as the start of a sentence: "The embedded model".
    Raises:
        MissingDependencyError: The package isn't installed; the original error is its cause.
    """
    try:
        return importlib.import_module(package)
    except ModuleNotFoundError as error:
        raise MissingDependencyError(package, extra=extra, purpose=purpose) from error
