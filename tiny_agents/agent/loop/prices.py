"""What models cost. Pure, but for reading a file of the user's own.

Prices change. The table here is small and dated, the user's own comes before it, and a model that is in neither has no
price: nothing is ever guessed, and unknown is not zero.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any, TypeAlias
from urllib.parse import urlsplit

import msgspec

from tiny_agents.errors import ConfigError, UsageError
from tiny_agents.inference.script import SCRIPTED_HOST

PRICES_VARIABLE = "TINY_AGENTS_PRICES"
"""Environment variable with the path of a file of prices, for agents that are loaded from definitions."""

_MILLION = 1_000_000
_FIELDS = ("input", "output", "cached_input")


class Price(msgspec.Struct, frozen=True):
    """US dollars per million tokens.

    Attributes:
        input: Read by the model.
        output: Written by it.
        cached_input: Read from a cache; None is as much as `input`.
    """

    input: float
    output: float
    cached_input: float | None = None

    def __post_init__(self) -> None:
        for name in _FIELDS:
            value = getattr(self, name)
            if value is None and name == "cached_input":
                continue
            if not isinstance(value, (int, float)) or isinstance(value, bool) or not 0 <= value < math.inf:
                raise UsageError(f"a price's {name} must be US dollars per million tokens; got {value!r}.")

    def cost_usd(self, input_tokens: int, output_tokens: int, cached_tokens: int = 0) -> float:
        """What so many tokens cost; `cached_tokens` are among `input_tokens`."""
        cached = self.input if self.cached_input is None else self.cached_input
        read = (input_tokens - cached_tokens) * self.input + cached_tokens * cached
        return (read + output_tokens * self.output) / _MILLION


Prices: TypeAlias = Mapping[str, Price | Mapping[str, float]]
"""Prices by model ("gpt-4o-mini"), or by model and place ("gpt-4o-mini:openai", "qwen3:localhost"), which comes first."""

_HOSTS = {"api.openai.com": "openai"}

# Source: OpenAI's pricing page as of March 2026, standard tier. Cached input counts in full: a limit errs on the safe side.
# fmt: off
KNOWN: Mapping[str, Price] = {
    "gpt-5.4:openai": Price(2.50, 15.00),
    "gpt-5.1:openai": Price(1.25, 10.00),
    "gpt-5:openai": Price(1.25, 10.00),
    "gpt-5-mini:openai": Price(0.25, 2.00),
    "gpt-5-nano:openai": Price(0.05, 0.40),
    "gpt-4.1:openai": Price(2.00, 8.00),
    "gpt-4.1-mini:openai": Price(0.40, 1.60),
    "gpt-4.1-nano:openai": Price(0.10, 0.40),
    "gpt-4o:openai": Price(2.50, 10.00),
    "gpt-4o-mini:openai": Price(0.15, 0.60),
    "o3:openai": Price(2.00, 8.00),
    "o4-mini:openai": Price(1.10, 4.40),
}
# fmt: on
FREE = Price(0.0, 0.0)


def checked_prices(given: Prices | None) -> dict[str, Price]:
    """The user's prices as `Price`s.

    Raises:
        UsageError: One that isn't `{"input": ..., "output": ...}`.
    """
    return {
        model: price if isinstance(price, Price) else _price(model, price) for model, price in (given or {}).items()
    }


def _price(model: str, given: Any) -> Price:
    if not isinstance(given, Mapping) or not {"input", "output"} <= set(given) <= set(_FIELDS):
        raise UsageError(
            f"prices[{model!r}] must be input, output and perhaps cached_input in US dollars per million tokens, "
            f'such as {{"input": 0.5, "output": 1.5}}; got {given!r}.'
        )
    try:
        return Price(**given)
    except UsageError as error:
        raise UsageError(f"prices[{model!r}]: {error}") from None


def load_prices(path: str | Path) -> dict[str, Price]:
    """Prices from a YAML or JSON file: `gpt-4o-mini: {input: 0.15, output: 0.60}`.

    Raises:
        ConfigError: It can't be read, or holds something else.
    """
    import yaml

    try:
        found = yaml.safe_load(Path(path).read_text(encoding="utf-8-sig"))
        if not isinstance(found, dict) or not all(isinstance(model, str) for model in found):
            raise UsageError("prices are a mapping from models to prices")
        return checked_prices(found)
    except (OSError, UnicodeDecodeError, yaml.YAMLError, UsageError) as error:
        raise ConfigError(f"no prices can be read from it: {' '.join(str(error).split())}", path=path) from error


def price_of(
    model: str | None, *, provider: str | None = None, base_url: str | None = None, own: Mapping[str, Price]
) -> Price | None:
    """What a model costs at a place; None if nobody knows. The embedded model and a script cost nothing.

    Args:
        own: The user's prices.
    """
    host = _host_of(base_url) if base_url else ""
    place = _HOSTS.get(host, host) or provider or "auto"
    for table in (own, KNOWN):
        for key in (f"{model}:{place}", model or ""):
            if key in table:
                return table[key]
    return FREE if provider == "local" or host == SCRIPTED_HOST else None


@lru_cache(maxsize=128)
def _host_of(url: str) -> str:
    return urlsplit(url).hostname or ""


def check_priced(models: Mapping[str, Price | None], tasks: Sequence[str]) -> None:
    """Refuse a limit of costs that can't be kept.

    Args:
        models: The price of each that may be asked; None where nobody knows.
        tasks: Inference tasks that are tools; nobody knows what these cost.

    Raises:
        UsageError: What one of them costs isn't known.
    """
    if tasks:
        raise UsageError(
            f"limits.cost_usd can't be kept, because nobody knows what the task '{tasks[0]}' costs: do without one of "
            "the two."
        )
    unknown = next((name for name, price in models.items() if price is None), None)
    if unknown is not None:
        raise UsageError(
            f"limits.cost_usd can't be kept, because nobody knows what the model {unknown!r} costs: give "
            f'prices={{{unknown!r}: {{"input": ..., "output": ...}}}} in US dollars per million tokens '
            f"(for the command line in a file that {PRICES_VARIABLE} names)."
        )
