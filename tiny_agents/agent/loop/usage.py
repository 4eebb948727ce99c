"""What requests used: tokens, calls and money. Pure."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

import msgspec

from tiny_agents.inference.types.record import Record, present, to_builtins

if TYPE_CHECKING:
    from tiny_agents.agent.loop.prices import Price

BYTES_PER_TOKEN = 4
MESSAGE_TOKENS = 4
MEDIA_TOKENS = 1_000
"""What an image or a sound counts for where nobody counted."""


class Usage(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """Tokens as the server counted them, and what they cost. Usages can be added.

    Attributes:
        input_tokens: Read by the model, over all calls: a conversation is read again with each.
        output_tokens: Written by the model, its reasoning included.
        cached_tokens: Those of `input_tokens` that came from a cache.
        reasoning_tokens: Those of `output_tokens` that were reasoning.
        model_calls: Calls of the model.
        cost_usd: US dollars; None where the price of a part is not known.
        estimated: Whether tokens of a part were estimated, because the server didn't count them.
    """

    input_tokens: int = 0
    output_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    model_calls: int = 0
    cost_usd: float | None = 0.0
    estimated: bool = False

    @property
    def total_tokens(self) -> int:
        return self.input_tokens + self.output_tokens

    def __add__(self, other: Usage) -> Usage:
        known = self.cost_usd is not None and other.cost_usd is not None
        return Usage(
            input_tokens=self.input_tokens + other.input_tokens,
            output_tokens=self.output_tokens + other.output_tokens,
            cached_tokens=self.cached_tokens + other.cached_tokens,
            reasoning_tokens=self.reasoning_tokens + other.reasoning_tokens,
            model_calls=self.model_calls + other.model_calls,
            cost_usd=(self.cost_usd or 0.0) + (other.cost_usd or 0.0) if known else None,
            estimated=self.estimated or other.estimated,
        )

    def __str__(self) -> str:
        about = "about " if self.estimated else ""
        calls = f"{self.model_calls} model call{'s' if self.model_calls != 1 else ''}"
        tokens = f"{about}{self.input_tokens:,} tokens in, {self.output_tokens:,} out"
        cached = f" ({self.cached_tokens:,} cached)" if self.cached_tokens else ""
        cost = "cost unknown" if self.cost_usd is None else f"{about}{dollars(self.cost_usd)}"
        return f"{calls}, {tokens}{cached}, {cost}"


def dollars(amount: float) -> str:
    """`$1.50`, and small amounts with two significant digits: `$0.0012`."""
    if amount == 0 or amount >= 0.1:
        return f"${amount:,.2f}"
    return f"${amount:.{max(2, 1 - math.floor(math.log10(amount)))}f}"


def usage_of_call(
    counted: Any,
    messages: Iterable[Any],
    tools: Iterable[Any],
    answer: Any | None,
    price: Price | None,
    *,
    estimate: int | None = None,
) -> Usage:
    """The usage of one model call.

    Args:
        counted: What the server sent as `usage`; None for an estimate.
        messages, tools: What was asked.
        answer: The assistant message, None if there was none.
        price: What the model costs; None if nobody knows.
        estimate: How much was read, about, where that is known; None estimates it from what was asked.
    """
    told = to_builtins(counted) if counted is not None else {}
    read, written = _number(told.get("prompt_tokens")), _number(told.get("completion_tokens"))
    estimated = read is None or written is None
    if read is None:
        read = estimate if estimate is not None else estimated_tokens(messages) + estimated_tokens(tools)
    if written is None:
        written = estimated_tokens([answer] if answer is not None else [])
    cached = _detail(told, "prompt_tokens_details", "cached_tokens") or _number(told.get("prompt_cache_hit_tokens"))
    reasoning = _detail(told, "completion_tokens_details", "reasoning_tokens")
    cached = min(cached or 0, read)
    cost = _cost(told.get("cost"))
    if cost is None and price is not None:
        cost = price.cost_usd(read, written, cached)
    return Usage(
        input_tokens=read,
        output_tokens=written,
        cached_tokens=cached,
        reasoning_tokens=min(reasoning or 0, written),
        model_calls=1,
        cost_usd=cost,
        estimated=estimated,
    )


def is_counted(counted: Any) -> bool:
    """Whether a server said how much it wrote."""
    return counted is not None and _number(counted.get("completion_tokens")) is not None


def estimated_tokens(values: Iterable[Any]) -> int:
    """About how many tokens messages or tools are, for a model we know nothing about: four bytes of text each."""
    return sum(MESSAGE_TOKENS + math.ceil(_size(value) / BYTES_PER_TOKEN) for value in values)


def _size(value: Any) -> int:
    """Bytes of text in plain data and records; images and sounds count as `MEDIA_TOKENS`."""
    kind = type(value)
    if kind is str:
        return len(value) if value.isascii() else len(value.encode("utf-8", "surrogatepass"))
    if value is None:
        return 0
    if isinstance(value, Record):
        if value._source is None:
            return _size_of(zip(value.__struct_fields__, msgspec.structs.astuple(value), strict=True))
        value = present(value)
    if isinstance(value, (dict, Mapping)):
        return _size_of(value.items())
    if isinstance(value, (list, tuple)):
        return sum(map(_size, value))
    return _size(str(value))


def _size_of(fields: Iterable[tuple[str, Any]]) -> int:
    size = 0
    for key, item in fields:
        if item is not None:
            if key == "type" and item in ("image_url", "input_audio"):
                return MEDIA_TOKENS * BYTES_PER_TOKEN
            size += len(key) + (len(item) if type(item) is str and item.isascii() else _size(item))
    return size


def _number(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _detail(told: Mapping[str, Any], group: str, name: str) -> int | None:
    details = told.get(group)
    return _number(details.get(name)) if isinstance(details, Mapping) else None


def _cost(value: Any) -> float | None:
    """What the server itself says that the call cost (OpenRouter does), in US dollars."""
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value < math.inf:
        return float(value)
    return None
