"""What both senders decide alike: how often a request is tried, where it goes next, what an error means."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping

import httpx2
import msgspec

from tiny_agents.errors import (
    InferenceConnectionError,
    InferenceTimeoutError,
    InvalidResponseError,
    ProviderError,
    TinyAgentsError,
    UsageError,
    public_url,
    redact,
)
from tiny_agents.inference.call import Request
from tiny_agents.inference.deadline import NO_DEADLINE, Deadline
from tiny_agents.inference.encoding import encode_json
from tiny_agents.inference.http.settings import HTTPSettings
from tiny_agents.inference.wire import (
    RETRIED_STATUS,
    error_of,
    loading_delay,
    redirected,
    retry_delay,
    secrets_of,
    silence,
)

CONNECT_TIMEOUT_S = 10.0
MAX_REDIRECTS = 5
ERROR_BODY_LIMIT = 64 * 1024
MAX_BODY_BYTES = 256 * 1024 * 1024
"""The largest answer that is read as a whole: images, sounds and films are, weights of models are not."""
SLOWEST_BYTES_PER_S = 1000
"""What sends less for longer than the limit on silence is as good as silent."""


def translate(
    error: Exception, request: Request, timeout_s: float, deadline: Deadline = NO_DEADLINE
) -> TinyAgentsError:
    """What an exception of the HTTP library becomes. What a server sent may be in it: our keys are taken out of both."""
    where = public_url(request.url)
    _mask(error, secrets_of(request))
    if isinstance(error, httpx2.TimeoutException) and deadline.left_s <= 0:
        return deadline.passed(where)
    if isinstance(error, httpx2.ConnectTimeout):
        limit = min(timeout_s, CONNECT_TIMEOUT_S)
        return InferenceTimeoutError(f"{where} could not be reached within {limit:g} s.", timeout_s=limit)
    if isinstance(error, httpx2.TimeoutException):
        return InferenceTimeoutError(silence(where, timeout_s), timeout_s=timeout_s)
    if isinstance(error, (httpx2.InvalidURL, httpx2.UnsupportedProtocol)):
        return UsageError(f"{where!r} is no address that can be asked: {error}")
    if isinstance(error, httpx2.DecodingError):
        return InvalidResponseError(f"{where} sent a body that can't be decompressed: {error}")
    if isinstance(error, httpx2.ConnectError):
        reason = str(error) or type(error).__name__
        advice = "Is the server running?"
        if "CERTIFICATE" in reason.upper():
            advice = "Its certificate is not trusted here: SSL_CERT_FILE can name a file of certificates to trust."
        return InferenceConnectionError(f"{where} can't be reached: {reason}. {advice}", url=where)
    reason = str(error).rstrip(".") or type(error).__name__
    return InferenceConnectionError(f"The connection to {where} broke: {reason}.", url=where)


def without_request(error: Exception) -> Exception:
    """`error`, to be the cause of one of ours, without the request that it carries: there are keys in that."""
    if isinstance(error, httpx2.RequestError) and error._request is not None:
        error.request = httpx2.Request(error.request.method, public_url(str(error.request.url)))
    return error


def _mask(error: BaseException | None, secrets: list[str]) -> None:
    """Take secrets out of an error and of those that led to it, which a traceback shows."""
    while error is not None:
        said = str(error)
        if (shown := redact(said, secrets)) != said:
            error.args = (shown,)
        error = error.__cause__ or error.__context__


def content_of(request: Request) -> bytes | None:
    return encode_json(request.json) if request.json is not None else request.body


_PASSING = (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.RemoteProtocolError, httpx2.ReadError, httpx2.WriteError)
"""Failures before the answer began that another try may not meet. A read that timed out is not among them: the model may
be working on it."""


class Tries(msgspec.Struct, gc=False):
    """The decisions of one sending: how often, how long to wait, where next. Both senders ask it."""

    request: Request
    settings: HTTPSettings
    deadline: Deadline = NO_DEADLINE
    attempt: int = 0
    redirects: int = 0
    loading_until: float | None = None  # monotonic clock

    @property
    def _more_tries(self) -> bool:
        return self.attempt < self.settings.max_retries and not self.request.once

    @property
    def limit_s(self) -> float:
        """Seconds that the next try may take to come to an answer's beginning."""
        return max(0.001, min(self.settings.timeout_s, self.deadline.left_s))

    def begin(self) -> float:
        """`limit_s` of the next try. Raises InferenceTimeoutError if there is no time for one."""
        if self.deadline.limited:
            self.deadline.check(public_url(self.request.url))
        return self.limit_s

    def after_error(self, error: Exception) -> float:
        """Seconds to the next try. Raises the translated error where there is none."""
        if isinstance(error, _PASSING) and self._more_tries:
            delay = retry_delay(self.attempt, {}, now=0.0, jitter=random.random()) or 0.0
            self.attempt += 1
            if delay < self.deadline.left_s:
                return delay
        raise translate(error, self.request, self.settings.timeout_s, self.deadline) from without_request(error)

    def after_status(self, status: int, headers: Mapping[str, str], body: bytes) -> float:
        """Seconds to the next try. Raises the error that the server answered with where there is none."""
        delay = self._loading(status, body)
        if delay is None and status in RETRIED_STATUS and self._more_tries:
            delay = retry_delay(self.attempt, headers, now=time.time(), jitter=random.random())
            self.attempt += 1
        if delay is None or delay >= self.deadline.left_s:
            raise error_of(self.request, status, headers, body)
        return delay

    def _loading(self, status: int, body: bytes) -> float | None:
        """A model that is being loaded is waited for, as long as the deadline or else the limit on silence allows."""
        delay = loading_delay(status, body)
        if delay is None or self.request.once or self.settings.max_retries == 0:
            return None
        now = time.monotonic()
        if self.loading_until is None:
            self.loading_until = self.deadline.ends_at if self.deadline.limited else now + self.settings.timeout_s
        return delay if now + delay < self.loading_until else None

    def follow(self, status: int, headers: Mapping[str, str]) -> None:
        self.redirects += 1
        if self.redirects > MAX_REDIRECTS:
            where = public_url(self.request.url)
            raise ProviderError(f"{where}: more than {MAX_REDIRECTS} redirects.", status=status, url=where)
        self.request = redirected(self.request, status, headers["location"])
