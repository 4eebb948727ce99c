"""How many tokens a model takes: what is known beforehand, and what a server says when it was sent too much. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from tiny_agents.errors import ProviderError

# Only models that their makers serve with one window everywhere. Open weights are served with the window that whoever
# serves them can afford, so for these the server is believed, once it complains.
# Sources: the makers' model pages, as of March 2026.
KNOWN: Mapping[str, int] = {
    "gpt-5": 400_000,
    "gpt-4.1": 1_047_576,
    "gpt-4o": 128_000,
    "gpt-4-turbo": 128_000,
    "gpt-3.5-turbo": 16_385,
    "o1": 200_000,
    "o3": 200_000,
    "o4-mini": 200_000,
    "claude": 200_000,
    "gemini-2": 1_048_576,
    "gemini-3": 1_048_576,
}
"""Windows by how a model's name begins."""

LEAST_WINDOW = 256
"""What is less is no window, but another number that stood in the message."""


@lru_cache(maxsize=128)
def known_window(model: str | None) -> int | None:
    """The window of a model with this name; None where it isn't known. `maker/name` counts as `name`."""
    name = (model or "").rpartition("/")[2].lower()
    fits = [start for start in KNOWN if name == start or name.startswith((f"{start}-", f"{start}."))]
    return KNOWN[max(fits, key=len)] if fits else None


class Excess(msgspec.Struct, frozen=True):
    """A server was sent more than its model takes.

    Attributes:
        window: How much that is; None where it didn't say.
        sent: How much it was; None where it didn't say.
    """

    window: int | None = None
    sent: int | None = None


_NUMBER = r"(\d[\d,_]*)"
_TOO_LONG = (
    r"(?i)context_length_exceeded|exceed_context_size|context[ _](?:length|size|window)|maximum prompt length"
    r"|too long to fit into the model|(?:input|prompt|messages?|conversation) (?:is|are) too (?:long|large)"
    r"|input token count|too many (?:input )?tokens|reduce the length of the|range of input length"
    r"|must have less than \d+ tokens|max_new_tokens`? must be <=|too large for model with"
    r"|request entity too large|payload too large"
)
_OF_A_RATE = r"(?i)per (?:minute|day|hour|second)|\b[tr]p[md]\b|rate.?limit|quota"
_STATUSES = frozenset({200, 400, 413, 422, 500})
_WINDOWS = (
    rf'"n_ctx"\s*:\s*{_NUMBER}',
    rf"(?:context|prompt) (?:length|size|window)(?: of (?:only )?| is | limit (?:is |of )?|\s*[:( ]\s*){_NUMBER}",
    rf"> {_NUMBER} maximum",
    rf"{_NUMBER} maximum context length",
    rf"maximum number of tokens allowed \(?{_NUMBER}",
    rf"(?:must have less than|must be <=) {_NUMBER}",
    rf"limit for this model is {_NUMBER} tokens",
    rf"input length should be \[\d+, {_NUMBER}\]",
    rf"exceeds? the (?:model's )?(?:context )?(?:limit|maximum) of {_NUMBER}",
)
_SENT = (
    rf'"n_prompt_tokens"\s*:\s*{_NUMBER}',
    rf"(?:resulted in|requested(?: about)?|request contains|request has|prompt contains|given:) {_NUMBER}",
    rf"too long:? {_NUMBER}",
    rf"\(total length {_NUMBER}",
    rf"input token count \(?{_NUMBER}",
)


def excess_in(error: ProviderError) -> Excess | None:
    """What a server says about a conversation that is too long for its model; None where it says something else."""
    said = f"{error} {error.body}"
    if error.status not in _STATUSES or not re.search(_TOO_LONG, said) or re.search(_OF_A_RATE, said):
        return None
    window = _first(_WINDOWS, said)
    return Excess(window if window and window >= LEAST_WINDOW else None, _first(_SENT, said))


def _first(patterns: Sequence[str], text: str) -> int | None:
    found = next((match for each in patterns if (match := re.search(f"(?i){each}", text)) is not None), None)
    return int(re.sub(r"[,_]", "", found[1])) if found is not None else None
