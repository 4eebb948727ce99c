"""The embedded model: `provider="local"`. Light to import; weights, engine and network come with `acquire`."""

from __future__ import annotations

import importlib.util
import threading
from typing import TYPE_CHECKING

from tiny_agents._lazy import require
from tiny_agents.inference.local.catalog import describe
from tiny_agents.inference.progress import Progress, TerminalProgress

if TYPE_CHECKING:
    from tiny_agents.inference.local.engine import LocalEngine

__all__ = ["LocalEngine", "acquire", "describe", "is_available"]


def __getattr__(name: str) -> object:
    if name == "LocalEngine":
        from tiny_agents.inference.local.engine import LocalEngine

        return LocalEngine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def is_available() -> bool:
    """Whether the extra `local` is installed."""
    return importlib.util.find_spec("xllamacpp") is not None


def acquire(
    model: str | None = None, *, progress: Progress | None = None, cancelled: threading.Event | None = None
) -> LocalEngine:
    """A running engine for `model`. Blocks: fetches the weights if they aren't there, then loads them.

    Args:
        model: Path of a GGUF file, "owner/repo:file.gguf" on the Hub, or None for the default model.
        progress: Told how far a download is; by default a bar on standard error.
        cancelled: Set it to give up.

    Raises:
        MissingDependencyError: The extra `local` isn't installed.
        LocalModelError: The weights can't be had or not be loaded; the message says what to do.
        InferenceError: Cancelled, or the Hub's refusal.
    """
    require("xllamacpp", extra="local", purpose="The embedded model")
    from tiny_agents.inference.local.engine import lease
    from tiny_agents.inference.local.weights import find_weights

    return lease(find_weights(model, progress or TerminalProgress(), cancelled))
