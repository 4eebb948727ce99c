"""What providers answer: reading it, waiting for jobs, fetching results. Pure; every further request is an `Ask`.

A job is watched by one helper (`poll`) and a result fetched by one (`download`), whichever provider it is. A key goes to
the provider that was asked and nowhere else: `own` puts the path of an address that the provider names onto the host
that was asked, and a download carries neither key nor headers.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from urllib.parse import SplitResult, unquote_to_bytes, urlsplit

import msgspec

from tiny_agents.errors import InferenceTimeoutError, InvalidResponseError, JobFailedError, public_url, redact
from tiny_agents.inference.call import Ask, Request, Response, Route, Step
from tiny_agents.inference.media import image_of
from tiny_agents.inference.providers.chat import error_in_answer
from tiny_agents.inference.reach import may_lead_to
from tiny_agents.inference.types.record import decode_json
from tiny_agents.inference.wire import error_text, secrets_of
from tiny_agents.records import Discreet

T = TypeVar("T")

_SHOWN = 200  # characters of an odd answer that a message quotes


class Answer(Discreet, msgspec.Struct, frozen=True):
    """A JSON object that a provider sent, with what is needed to name it in an error."""

    not_shown = frozenset({"response", "json"})

    route: Route
    response: Response
    json: Mapping[str, Any]

    def get(self, *path: str | int) -> Any:
        """What lies at `path`; None where there is no such thing."""
        found: Any = self.json
        for step in path:
            if isinstance(step, str) and isinstance(found, Mapping):
                found = found.get(step)
            elif isinstance(step, int) and isinstance(found, list) and step < len(found):
                found = found[step]
            else:
                return None
        return found

    def need(self, kind: type[T], *path: str | int) -> T:
        """What lies at `path`, which has to be there.

        Raises:
            ProviderError: The provider sent an error instead.
            InvalidResponseError: It isn't there, or isn't a `kind`.
        """
        found = self.get(*path)
        if isinstance(found, kind) and found != "":
            return found
        if self.json.get("error"):
            raise error_in_answer(self.response.body, self.response.url, self.route, status=self.response.status)
        raise self.odd(f"without {'.'.join(map(str, path))}")

    def odd(self, how: str) -> InvalidResponseError:
        """The error for an answer that isn't what it should be."""
        return odd_answer(self.route, self.response, how)

    def failed(self, said: Any) -> JobFailedError:
        """The error for a job that the provider reports as failed; `said` is its own word on it, if it sent one."""
        secrets = secrets_of(Request("GET", self.response.url, headers=self.route.headers, key=self.route.key))
        text = redact(" ".join(_sentence(said).split()), secrets)
        return JobFailedError(
            f"{self.route.provider} reports that the job for {self.route.model} failed: {text[:500] or 'no reason given'}",
            status=self.response.status,
            body=redact(self.response.body.decode("utf-8", "replace"), secrets),
            url=public_url(self.response.url),
            provider=self.route.provider,
            model=self.route.model,
        )


def _sentence(said: Any) -> str:
    """What a provider says about a failure: a text, or an object that has one, or whatever else it sent."""
    if said is None or isinstance(said, str):
        return said or ""
    data = msgspec.json.encode(said)
    return error_text(data, fallback=data.decode())


def read(route: Route, response: Response) -> Answer:
    """The JSON object in `response`. Raises InvalidResponseError where there is none."""
    try:
        return Answer(route, response, decode_json(response.body, dict[str, Any]))
    except msgspec.DecodeError as error:
        raise odd_answer(route, response, "that is no JSON object") from error


def odd_answer(route: Route, response: Response, how: str) -> InvalidResponseError:
    secrets = secrets_of(Request("GET", response.url, headers=route.headers, key=route.key))
    text = redact(response.body[:4096].decode("utf-8", "replace"), secrets)
    return InvalidResponseError(
        f"{public_url(response.url)} sent an answer {how}: {text[:_SHOWN]!r}",
        body=text,
        provider=route.provider,
        model=route.model,
    )


# ---------------------------------------------------------------- jobs


def own(base_url: str, answer: Answer, *path: str | int) -> str:
    """The address on `base_url` with the path of the one that lies at `path` in `answer`.

    Behind the router a job has to be asked for there as well; and whatever host an answer names, the key stays where the
    call went.
    """
    named = answer.need(str, *path)
    return f"{base_url}/{_parts(answer, named).path.lstrip('/')}"


def _parts(answer: Answer, url: str) -> SplitResult:
    try:
        return urlsplit(url)
    except ValueError as error:
        raise answer.odd(f"that names {url[:_SHOWN]!r}, which is no address") from error


def done_or_poll(
    answer: Answer, look: Request, outcome: Callable[[Answer], Step[T] | None], *, pauses_s: Sequence[float]
) -> Step[T]:
    """The outcome of a job that may be done with the answer that took it; else as `poll`."""
    found = outcome(answer)
    return found if found is not None else poll(look, answer.route, outcome, pauses_s=pauses_s)


def poll(
    look: Request,
    route: Route,
    outcome: Callable[[Answer], Step[T] | None],
    *,
    pauses_s: Sequence[float],
    looks: int = 0,
) -> Ask[T]:
    """Look at a job until it is done: wait, send `look`, read the answer, and once more.

    Args:
        outcome: The result (or what to ask for it) from an answer; None while the job runs. Raises if it failed.
        pauses_s: Seconds before each look; after the last one the job is given up.
        looks: How often it was looked at so far.

    Raises:
        InferenceTimeoutError: The job was still running at the last look.
    """

    def looked(response: Response) -> Step[T]:
        found = outcome(read(route, response))
        if found is not None:
            return found
        if looks + 1 == len(pauses_s):
            raise still_running(route, sum(pauses_s))
        return poll(look, route, outcome, pauses_s=pauses_s, looks=looks + 1)

    return Ask(look, looked, delay_s=pauses_s[looks])


def still_running(route: Route, waited_s: float) -> InferenceTimeoutError:
    return InferenceTimeoutError(
        f"{route.provider}: the job for {route.model} was still running after {waited_s:g} s. "
        "The model may be starting: try again later.",
        timeout_s=waited_s,
        provider=route.provider,
        model=route.model,
    )


# ---------------------------------------------------------------- results


def unkeyed(answer: Answer, url: str, headers: Mapping[str, str] | None = None) -> Request:
    """A request to an address that an answer names, wherever that is: it carries neither key nor the user's headers."""
    if _parts(answer, url).scheme not in ("http", "https"):
        raise answer.odd(f"that names {url[:_SHOWN]!r}, which is no address to ask")
    if not may_lead_to(answer.route.url, url):
        raise answer.odd(
            f"that leads to {url[:_SHOWN]!r}, on this machine or in a private network; it isn't asked there"
        )
    return Request("GET", url, headers=headers or {})


def download(answer: Answer, url: str, then: Callable[[Response], Step[T]]) -> Step[T]:
    """Fetch a result from the address in an answer. A `data:` address holds it already."""
    if url[:5].lower() == "data:":
        return then(Response(200, {}, _data_of(answer, url), url.partition(",")[0]))
    return Ask(unkeyed(answer, url), then)


def image_at(answer: Answer, *path: str | int) -> Step[Any]:
    """The `PIL.Image` whose address lies at `path`."""
    return download(answer, answer.need(str, *path), lambda response: image_in(response))


def file_at(answer: Answer, *path: str | int) -> Step[bytes]:
    """The bytes of the file whose address lies at `path`."""
    return download(answer, answer.need(str, *path), lambda response: file_in(answer.route, response))


def image_in_base64(answer: Answer, *path: str | int) -> Any:
    """The `PIL.Image` that lies at `path` itself, as base64."""
    data = from_base64(answer, answer.need(str, *path))
    return image_of(data, source=public_url(answer.response.url))


def image_in(response: Response) -> Any:
    return image_of(response.body, source=public_url(response.url))


def file_in(route: Route, response: Response) -> bytes:
    """The bytes of a file. Raises InvalidResponseError for an empty answer, JSON (an error most often) or a web page."""
    kind = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not response.body:
        raise odd_answer(route, response, "without content")
    if kind in ("application/json", "text/html"):
        raise odd_answer(route, response, f"of {kind} in place of a file")
    return response.body


def _data_of(answer: Answer, url: str) -> bytes:
    head, comma, data = url.partition(",")
    if not comma:
        raise answer.odd("with a broken data: address")
    return from_base64(answer, data) if head.endswith(";base64") else unquote_to_bytes(data)


def from_base64(answer: Answer, text: str) -> bytes:
    try:
        return base64.b64decode("".join(text.split()), validate=True)
    except binascii.Error as error:
        raise answer.odd("with data that is no base64") from error
