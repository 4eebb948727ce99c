"""The providers by name: the rows of `openai_compatible.py`, and modules of their own, imported when first used.

Source: what huggingface_hub 0.33 and 2.4 were seen to send to each provider, and make of its answers (`tests/data/parity`).
A module also names the provider's own reference, for those who want to read on; nobody has called them all from here.
"""

from __future__ import annotations

import difflib
import importlib
from typing import TYPE_CHECKING

from tiny_agents.errors import UsageError
from tiny_agents.inference.providers import openai_compatible

if TYPE_CHECKING:
    from tiny_agents.inference.providers.provider import Provider

_MODULES = {
    name: name.replace("-", "_")
    for name in (
        "black-forest-labs",
        "deepinfra",
        "fal-ai",
        "featherless-ai",
        "hf-inference",
        "hyperbolic",
        "nebius",
        "novita",
        "nscale",
        "replicate",
        "sambanova",
        "scaleway",
        "together",
        "wavespeed",
        "zai-org",
    )
}

AUTO = "auto"
LOCAL = "local"
NAMES = (AUTO, LOCAL, *sorted([*openai_compatible.PROVIDERS, *_MODULES]))
"""Everything `provider=` takes."""


def get_provider(name: str) -> Provider:
    """The provider called `name`.

    Raises:
        UsageError: There is none; the message names the nearest.
    """
    check_name(name)
    if name in openai_compatible.PROVIDERS:
        return openai_compatible.PROVIDERS[name]
    module = importlib.import_module(f"tiny_agents.inference.providers.{_MODULES[name]}")
    found: Provider = module.PROVIDER
    return found


def check_name(name: str) -> None:
    """Raise UsageError if `provider=` doesn't take `name`."""
    if name in NAMES:
        return
    near = difflib.get_close_matches(name, NAMES, n=1)
    hint = f" Did you mean {near[0]!r}?" if near else ""
    raise UsageError(f"There is no provider called {name!r}.{hint} Known: {', '.join(NAMES)}.")
