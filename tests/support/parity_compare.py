"""Whether a replayed call did what was observed; the rules are those of `tests/data/parity/README.md`."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, urlsplit

from tiny_agents.errors import InferenceTimeoutError, InvalidResponseError, ProviderError, TinyAgentsError
from tiny_agents.inference.types.record import Record

HUB = "huggingface.co"
_SECRET = ("authorization", "cookie", "x-hf-bill-to", "x-key")
"""Headers that must not be sent where the observed request has none."""


@dataclass
class Sent:
    """A request as our client sent it. `failed`: it was answered with an error after which it may have been tried again."""

    method: str
    url: str
    query: list[tuple[str, str]]
    headers: dict[str, str]
    body: dict[str, Any] | None
    failed: bool = False


def differences(
    row: Mapping[str, Any], observed: Mapping[str, Any], sent: Sequence[Sent], output: Any, error: Exception | None
) -> list[str]:
    """What is not as the row says; empty if all is well."""
    free = row.get("not_scored") or []
    wanted = row.get("wanted") or {}
    found: list[str] = []
    if "requests" in wanted:
        found += _wanted_headers(wanted["requests"], sent)
    elif "requests" not in free:
        found += _requests(observed["requests"], _without_retries(sent))
    if wanted.get("error") == "any":
        found += [] if error is not None else [f"an error was wanted, not {output!r}"]
    elif "output" in wanted:
        found += _result(wanted["output"], output, error)
    elif "stream_items" in wanted:
        items = len(output) if isinstance(output, list) else -1
        found += [] if items == wanted["stream_items"] else [f"{items} items in the stream ({error!r})"]
    elif "output" not in free and "error" in observed:
        found += _error(observed["error"], output, error)
    elif "output" not in free:
        found += _result(observed["output"], output, error)
        if error is None:
            found += _type(observed.get("type"), output)
    said = str(error)
    found += [f"{text!r} is not in {said!r}" for text in row.get("error_must_mention") or [] if text not in said]
    return found


# ---------------------------------------------------------------- requests


def _without_retries(sent: Sequence[Sent]) -> list[Sent]:
    """Tries of the same request after a failure count once."""
    kept: list[Sent] = []
    for request in sent:
        if kept and kept[-1].failed and _same_request(kept[-1], request):
            kept[-1] = request
        else:
            kept.append(request)
    return kept


def _same_request(one: Sent, other: Sent) -> bool:
    return (one.method, one.url, one.query, one.body) == (other.method, other.url, other.query, other.body)


def _requests(expected: Sequence[Mapping[str, Any]], sent: Sequence[Sent]) -> list[str]:
    if len(expected) != len(sent):
        asked = [(request["method"], request["url"]) for request in expected]
        return [f"{len(asked)} requests were expected: {asked}, not {[(one.method, one.url) for one in sent]}"]
    return [problem for one, other in zip(expected, sent, strict=True) for problem in _request(one, other)]


def _request(expected: Mapping[str, Any], sent: Sent) -> list[str]:
    parts = urlsplit(expected["url"])
    where = (expected["method"], f"{parts.scheme}://{parts.netloc}{parts.path}")
    if where != (sent.method, sent.url):
        return [f"{where} was expected, not {(sent.method, sent.url)}"]
    found = []
    if sorted(parse_qsl(parts.query, keep_blank_values=True)) != sent.query:
        found.append(f"{sent.url}: query {sent.query}, expected {parts.query}")
    found += _headers(expected["headers"], sent, is_hub=parts.netloc == HUB)
    if _body(expected["body"]) != _body(sent.body):
        found.append(f"{sent.url}: body\n  {_shown(sent.body)}\nexpected\n  {_shown(expected['body'])}")
    return found


def _headers(expected: Mapping[str, str], sent: Sent, *, is_hub: bool) -> list[str]:
    names = {*expected, *(name for name in _SECRET if name in sent.headers)}
    if is_hub:
        names.discard("authorization")
    return [
        f"{sent.url}: header {name} is {sent.headers.get(name)!r}, expected {expected.get(name)!r}"
        for name in sorted(names)
        if _header(name, expected.get(name)) != _header(name, sent.headers.get(name))
    ]


def _header(name: str, value: str | None) -> str | None:
    return value.partition(";")[0] if name == "content-type" and value else value


def _body(body: Any) -> Any:
    if isinstance(body, dict) and "multipart" in body:
        parts = [(sorted(part["headers"]), part["data"]) for part in body["multipart"]]
        return sorted(parts)
    return body


def _wanted_headers(wanted: Sequence[Mapping[str, Any]], sent: Sequence[Sent]) -> list[str]:
    if not sent:
        return ["nothing was sent"]
    return [
        f"{request.url}: header {name} is {request.headers.get(name)!r}, wanted {value!r}"
        for want, request in zip(wanted, sent, strict=False)
        for name, value in want["headers"].items()
        if request.headers.get(name) != value
    ]


# ---------------------------------------------------------------- results


def _result(expected: Any, output: Any, error: Exception | None) -> list[str]:
    if error is not None:
        return [f"{type(error).__name__}: {error}"]
    return _unlike(expected, output, "output")


def _unlike(expected: Any, actual: Any, where: str) -> list[str]:
    """Where `actual` is not what the plain data `expected` describes. Fields that are null do not matter."""
    if isinstance(expected, dict) and (special := next((key for key in expected if key in _SPECIAL), None)):
        return _SPECIAL[special](expected, actual, where)
    if isinstance(expected, dict):
        if not isinstance(actual, (Mapping, Record)):
            return [f"{where} is {actual!r}, expected {_shown(expected)}"]
        names = {name for source in (expected, actual) for name in source if source[name] is not None}
        return [
            problem
            for name in sorted(names)
            for problem in _unlike(expected.get(name), actual.get(name), f"{where}.{name}")
        ]
    if isinstance(expected, list):
        if not isinstance(actual, list) or len(expected) != len(actual):
            return [f"{where} is {actual!r}, expected {_shown(expected)}"]
        return [
            problem
            for index, (one, other) in enumerate(zip(expected, actual, strict=True))
            for problem in _unlike(one, other, f"{where}[{index}]")
        ]
    same = expected == actual and isinstance(expected, bool) == isinstance(actual, bool)
    return [] if same else [f"{where} is {actual!r}, expected {expected!r}"]


def _bytes(expected: Any, actual: Any, where: str) -> list[str]:
    if not isinstance(actual, bytes):
        return [f"{where} is {type(actual).__name__}, expected bytes"]
    seen: dict[str, Any] = {"$bytes": len(actual), "sha256": hashlib.sha256(actual).hexdigest()[:16]}
    if "json" in expected:
        seen["json"] = json.loads(actual)
    return [] if all(seen[name] == value for name, value in expected.items()) else [f"{where}: {seen} for {expected}"]


def _image(expected: Any, actual: Any, where: str) -> list[str]:
    if not hasattr(actual, "tobytes"):
        return [f"{where} is {type(actual).__name__}, expected an image"]
    seen = {
        "format": actual.format,
        "mode": actual.mode,
        "size": list(actual.size),
        "sha256": hashlib.sha256(actual.tobytes()).hexdigest()[:16],
    }
    return [] if seen == expected["$image"] else [f"{where}: {seen}, expected {expected}"]


def _array(expected: Any, actual: Any, where: str) -> list[str]:
    if not hasattr(actual, "dtype"):
        return [f"{where} is {type(actual).__name__}, expected an array"]
    seen = {"dtype": str(actual.dtype), "shape": list(actual.shape), "values": actual.tolist()}
    return [] if seen == expected["$array"] else [f"{where}: {seen}, expected {expected}"]


def _stream(expected: Any, actual: Any, where: str) -> list[str]:
    return _unlike(expected["$stream"], actual, f"{where} (stream)")


def _raw_response(expected: Any, actual: Any, where: str) -> list[str]:
    seen = {
        "bytes": len(actual.content),
        "content-type": actual.headers["content-type"],
        "status": actual.status_code,
    }
    return [] if seen == expected["$response"] else [f"{where}: {seen}, expected {expected}"]


_SPECIAL: dict[str, Callable[[Any, Any, str], list[str]]] = {
    "$bytes": _bytes,
    "$image": _image,
    "$array": _array,
    "$stream": _stream,
    "$response": _raw_response,
}


def _type(expected: str | None, output: Any) -> list[str]:
    """Result classes have the names that the other client's users know."""
    if expected is None or "Output" not in expected:
        return []
    outer, _, inner = expected.rstrip("]").rpartition("[")
    items = output if outer else [output]
    return [f"{type(item).__name__}, expected {inner}" for item in items if type(item).__name__ != inner]


# ---------------------------------------------------------------- errors


_FAMILIES: dict[str, type[Exception] | tuple[type[Exception], ...]] = {
    "http": ProviderError,
    "generation": ProviderError,
    "timeout": InferenceTimeoutError,
    "connection": ConnectionError,
    "image": InvalidResponseError,
    "ValueError": ValueError,
    "RuntimeError": RuntimeError,
    "NotImplementedError": NotImplementedError,
    "FileNotFoundError": FileNotFoundError,
}


def _error(expected: Mapping[str, Any], output: Any, error: Exception | None) -> list[str]:
    """Of our own tree, and of a kind that code written for the other client catches."""
    if error is None:
        return [f"{expected} was expected, not {_shown(output)}"]
    if not isinstance(error, TinyAgentsError) or not isinstance(error, _FAMILIES[expected["family"]]):
        return [f"{expected} was expected, not {error!r}"]
    status = expected.get("status")
    if status is not None and getattr(error, "status", None) != status:
        return [f"status {getattr(error, 'status', None)}, expected {status}"]
    return []


def _shown(value: Any) -> str:
    return json.dumps(value, default=repr, sort_keys=True)[:2000]
