"""How long a whole call may take: look-ups, retries, queues, polls and downloads together."""

from __future__ import annotations

import math
import time

import msgspec

from tiny_agents.errors import InferenceTimeoutError


class Deadline(msgspec.Struct, frozen=True):
    """The end of a call's time. `limit_s` is what was allowed in seconds, `ends_at` when it is over (monotonic clock)."""

    limit_s: float = math.inf
    ends_at: float = math.inf

    @classmethod
    def after(cls, limit_s: float | None) -> Deadline:
        """The deadline of a call that starts now; None allows any time."""
        return NO_DEADLINE if limit_s is None else cls(limit_s, time.monotonic() + limit_s)

    @property
    def left_s(self) -> float:
        """Seconds until the end; infinite without one, negative once it has passed."""
        return self.ends_at - time.monotonic() if self.limited else math.inf

    @property
    def limited(self) -> bool:
        return self.ends_at < math.inf

    def check(self, where: str) -> None:
        """Raise InferenceTimeoutError if the time is over; `where` is the address that was being waited for."""
        if self.left_s <= 0:
            raise self.passed(where)

    def passed(self, where: str) -> InferenceTimeoutError:
        return InferenceTimeoutError(
            f"{where}: the call was not finished within {self.limit_s:g} s (the limit is `total_timeout`).",
            timeout_s=self.limit_s,
        )


NO_DEADLINE = Deadline()
