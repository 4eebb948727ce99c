"""Replays observed calls of another client against ours: see `tests/data/parity/README.md`.

The network is replaced where a user can replace it, too: an `httpx2` client with a transport of its own is handed in as
`http_client=`. The transport records what was asked and answers as the row says.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import inspect
import io
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass, field
from email.parser import BytesParser
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import parse_qsl, urlsplit

import anyio
import anyio.lowlevel
import httpx2
import pytest

from tests.support.parity_compare import Sent
from tiny_agents import AsyncInferenceClient, InferenceClient
from tiny_agents.errors import TinyAgentsError
from tiny_agents.inference.wire import RETRIED_STATUS

DATA = Path(__file__).parent.parent / "data" / "parity"
MOST_REQUESTS = 300  # a row that asks more often would never end
_MIME = {".png": "image/png", ".wav": "audio/wav", ".flac": "audio/flac", ".mp4": "video/mp4"}
_EXCEPTIONS: dict[str, Callable[[str, httpx2.Request], Exception]] = {
    "refused": lambda text, request: httpx2.ConnectError(text, request=request),
    "timeout": lambda text, request: httpx2.ReadTimeout(text, request=request),
    "reset": lambda text, request: httpx2.ReadError(text, request=request),
}


def rows() -> list[dict[str, Any]]:
    """All rows of all files, in the order of the files' names."""
    return [json.loads(line) for path in sorted(DATA.glob("*.jsonl")) for line in path.read_bytes().splitlines()]


def reasons(name: str) -> dict[str, str]:
    """`row id: reason` per line of a list beside the rows; lines that start with `#` are comments."""
    path = DATA / name
    lines = path.read_text(encoding="utf-8").splitlines() if path.exists() else []
    pairs = (line.partition(": ") for line in lines if line.strip() and not line.startswith("#"))
    return {row_id.strip(): reason.strip() for row_id, _, reason in pairs}


ASSETS = {
    name: base64.b64decode(text)
    for name, text in json.loads((DATA / "assets.json").read_text(encoding="utf-8")).items()
}


# ---------------------------------------------------------------- what the other side does


class _Pieces(httpx2.SyncByteStream, httpx2.AsyncByteStream):
    """A body that arrives in pieces, for both kinds of client."""

    def __init__(self, data: bytes, size: int | None) -> None:
        size = size or max(len(data), 1)
        self._pieces = [data[start : start + size] for start in range(0, len(data), size)]

    def __iter__(self) -> Iterator[bytes]:
        return iter(self._pieces)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for piece in self._pieces:
            yield piece


class Network:
    """Answers as the row says, and keeps what was asked."""

    def __init__(self, server: Mapping[str, Any]) -> None:
        self.sent: list[Sent] = []
        self._hub = server.get("hub")
        self._post = list(server.get("post") or [])
        self._get = {url: list(answers) for url, answers in (server.get("get") or {}).items()}

    def __call__(self, request: httpx2.Request) -> httpx2.Response:
        if len(self.sent) >= MOST_REQUESTS:
            raise AssertionError(f"more than {MOST_REQUESTS} requests; the last was {request.method} {request.url}")
        answer = self._answer(request)
        failed = "fault" in answer or answer.get("status", 200) in RETRIED_STATUS
        self.sent.append(_recorded(request, failed=failed))
        if fault := answer.get("fault"):
            raise _EXCEPTIONS[fault](f"scripted: {fault}", request)
        return _response(answer)

    def _answer(self, request: httpx2.Request) -> dict[str, Any]:
        url = str(request.url).partition("?")[0]
        if request.method == "POST" and self._post:
            return _next(self._post)
        if url in self._get:
            return _next(self._get[url])
        if url.startswith("https://huggingface.co/api/models/") and self._hub is not None:
            scripted: dict[str, Any] = self._hub.get("$response") or {"json": self._hub}
            return scripted
        return {"status": 404, "text": f"this row has no answer for {request.method} {url}"}


def _next(answers: list[dict[str, Any]]) -> dict[str, Any]:
    """Answers in order; the last repeats."""
    return answers.pop(0) if len(answers) > 1 else answers[0]


def _response(answer: Mapping[str, Any]) -> httpx2.Response:
    kind, data = _body(answer)
    headers = {"content-type": kind, **answer.get("headers", {})}
    return httpx2.Response(answer.get("status", 200), headers=headers, stream=_Pieces(data, answer.get("chunk")))


def _body(answer: Mapping[str, Any]) -> tuple[str, bytes]:
    if "json" in answer:
        return "application/json", json.dumps(answer["json"]).encode()
    if "asset" in answer:
        name = answer["asset"]
        return _MIME[Path(name).suffix], ASSETS[name]
    if "sse" in answer:
        return "text/event-stream", _events(answer).encode()
    return "text/plain; charset=utf-8", str(answer.get("text", "")).encode()


def _events(answer: Mapping[str, Any]) -> str:
    eol, prefix = answer.get("eol", "\n"), answer.get("prefix", "data: ")
    lines = []
    for event in answer["sse"]:
        if not isinstance(event, str):
            lines.append(prefix + json.dumps(event, ensure_ascii=not answer.get("raw_unicode")) + eol + eol)
        elif event.startswith("event:"):
            lines.append(event + eol)
        else:
            lines.append(("" if event.startswith(":") else prefix) + event + eol + eol)
    return "".join(lines)


def _recorded(request: httpx2.Request, *, failed: bool) -> Sent:
    parts = urlsplit(str(request.url))
    headers = {name.lower(): value for name, value in request.headers.items()}
    return Sent(
        method=request.method,
        url=f"{parts.scheme}://{parts.netloc}{parts.path}",
        query=sorted(parse_qsl(parts.query, keep_blank_values=True)),
        headers=headers,
        body=_recorded_body(headers.get("content-type", ""), request.content),
        failed=failed,
    )


def _recorded_body(content_type: str, data: bytes) -> dict[str, Any] | None:
    if not data:
        return None
    if content_type.startswith("multipart/"):
        return {"multipart": _parts(content_type, data)}
    try:
        return {"json": json.loads(data)}
    except ValueError:
        return {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()[:16]}


def _parts(content_type: str, data: bytes) -> list[dict[str, Any]]:
    message = BytesParser().parsebytes(b"content-type: " + content_type.encode() + b"\r\n\r\n" + data)
    found = []
    for part in message.walk():
        payload = part.get_payload(decode=True)
        if isinstance(payload, bytes):
            found.append(
                {
                    "headers": sorted(f"{name.lower()}: {value}" for name, value in part.items()),
                    "data": payload.decode("latin-1"),
                }
            )
    return found


# ---------------------------------------------------------------- what ours does


class Clock:
    """Time that passes when somebody sleeps, and then at once."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.slept_s = 0.0
        monotonic, now = time.monotonic, time.time
        monkeypatch.setattr(time, "monotonic", lambda: monotonic() + self.slept_s)
        monkeypatch.setattr(time, "time", lambda: now() + self.slept_s)
        monkeypatch.setattr(time, "sleep", self._sleep)
        monkeypatch.setattr(anyio, "sleep", self._sleep_async)

    def _sleep(self, seconds: float) -> None:
        self.slept_s += seconds

    async def _sleep_async(self, seconds: float) -> None:
        self.slept_s += seconds
        await anyio.lowlevel.checkpoint()


@dataclass
class Outcome:
    """What one replay did: the requests, and the result of the calls or the error."""

    sent: list[Sent]
    output: Any = None
    error: TinyAgentsError | None = None


@dataclass
class Arguments:
    """Puts real things in the place of the placeholders in a row's arguments."""

    folder: Path
    opened: list[BinaryIO] = field(default_factory=list)

    def filled(self, value: Any) -> Any:
        if isinstance(value, list):
            return [self.filled(item) for item in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1 and (make := _PLACEHOLDERS.get(next(iter(value)))):
            return make(self, next(iter(value.values())))
        return {key: self.filled(item) for key, item in value.items()}

    def path(self, name: str) -> Path:
        path = self.folder / name
        if name in ASSETS:
            path.write_bytes(ASSETS[name])
        return path

    def file(self, name: str) -> BinaryIO:
        self.opened.append(self.path(name).open("rb"))
        return self.opened[-1]


def _image(name: str) -> Any:
    import PIL.Image

    return PIL.Image.open(io.BytesIO(ASSETS[name]))


_PLACEHOLDERS: dict[str, Callable[[Arguments, str], Any]] = {
    "$bytes": lambda arguments, name: ASSETS[name],
    "$path": lambda arguments, name: arguments.path(name),
    "$strpath": lambda arguments, name: str(arguments.path(name)),
    "$file": lambda arguments, name: arguments.file(name),
    "$pil": lambda arguments, name: _image(name),
}


def replay(row: Mapping[str, Any], mode: str, folder: Path) -> Outcome:
    """Run the calls of `row` on one client, "sync" or "async"."""
    network = Network(row["server"])
    outcome = Outcome(network.sent)
    arguments = Arguments(folder)
    calls = [(method, arguments.filled(args), arguments.filled(kwargs)) for method, args, kwargs in row["calls"]]
    try:
        outputs = _RUNNERS[mode](row, calls, network)
        outcome.output = outputs if len(outputs) > 1 else outputs[0]
    except TinyAgentsError as error:
        outcome.error = error
    finally:
        for opened in arguments.opened:
            opened.close()
    return outcome


Calls = list[tuple[str, list[Any], dict[str, Any]]]


def _run_sync(row: Mapping[str, Any], calls: Calls, network: Network) -> list[Any]:
    with httpx2.Client(transport=httpx2.MockTransport(network)) as http:
        if row["client"] is None:
            return _run_inference_api(calls, http)
        with InferenceClient(**row["client"], http_client=http) as client:
            results = (_method(client, name)(*args, **kwargs) for name, args, kwargs in calls)
            return [list(result) if hasattr(result, "__next__") else result for result in results]


def _run_inference_api(calls: Calls, http: httpx2.Client) -> list[Any]:
    from tiny_agents.inference.inference_api import InferenceApi

    (_, args, kwargs), *further = calls
    api = InferenceApi(*args, **kwargs, http_client=http)
    return [api(*args, **kwargs) for _, args, kwargs in further]


def _run_async(row: Mapping[str, Any], calls: Calls, network: Network) -> list[Any]:
    async def main() -> list[Any]:
        results = []
        async with (
            httpx2.AsyncClient(transport=httpx2.MockTransport(network)) as http,
            AsyncInferenceClient(**row["client"], http_client=http) as client,
        ):
            for name, args, kwargs in calls:
                result = _method(client, name)(*args, **kwargs)
                if inspect.isawaitable(result):
                    result = await result
                results.append([item async for item in result] if hasattr(result, "__anext__") else result)
        return results

    return asyncio.run(main())


_RUNNERS: dict[str, Callable[[Mapping[str, Any], Calls, Network], list[Any]]] = {
    "sync": _run_sync,
    "async": _run_async,
}


def _method(client: Any, name: str) -> Any:
    for part in name.split("."):
        client = getattr(client, part)
    return client
