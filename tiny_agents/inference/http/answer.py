"""What an open answer knows of itself, whichever way it is read."""

from __future__ import annotations

import time
from collections.abc import Mapping

from tiny_agents.errors import InferenceTimeoutError, InvalidResponseError, public_url
from tiny_agents.inference.http.tries import MAX_BODY_BYTES, SLOWEST_BYTES_PER_S, Tries


class Answer:
    """What is known of an answer before its body is read."""

    def __init__(self, status: int, headers: Mapping[str, str], tries: Tries) -> None:
        self.status = status
        self.headers = headers
        self.url = tries.request.url  # that of the response lacks what isn't to be logged
        self.request = tries.request
        self.timeout_s = tries.settings.timeout_s
        self.deadline = tries.deadline
        self._limited = tries.deadline.limited

    def _check_body(self, size: int, since: float) -> None:
        where = public_url(self.url)
        if size > MAX_BODY_BYTES:
            raise InvalidResponseError(f"{where} sent more than {MAX_BODY_BYTES:,} bytes; the answer was given up.")
        if time.monotonic() - since > self.timeout_s + size / SLOWEST_BYTES_PER_S:
            raise InferenceTimeoutError(
                f"{where} sent {size:,} bytes in {time.monotonic() - since:.0f} s; the answer was given up.",
                timeout_s=self.timeout_s,
            )
