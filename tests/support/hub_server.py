"""A Hugging Face Hub on loopback: `resolve` answers that point to a second origin, as the real one's do for large files.

with HubServer({"models/owner/name/model.gguf": HubContent(b"...")}) as hub:
    fetch_file("owner/name", "model.gguf", env={"HF_ENDPOINT": hub.url, "XDG_CACHE_HOME": str(tmp_path)})
"""

from __future__ import annotations

import hashlib
import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

from tests.support.http_server import QuietHTTPServer

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@dataclass
class HubContent:
    """One file. `etag` and `size` are what the Hub announces, by default the truth."""

    data: bytes
    large: bool = True  # served from the second origin, with the SHA-256 as its ETag
    status: int = 200
    etag: str | None = None
    size: int | None = None
    token: str | None = None  # needed to see it
    breaks: list[int] = field(default_factory=list)  # bytes after which the next downloads break off
    ranges: bool = True  # whether the second origin continues downloads
    gate: threading.Event | None = None  # the download waits for it after its first piece
    moved_to: str | None = None  # the repository was renamed: path to redirect to

    @property
    def entry(self) -> dict[str, Any]:
        """How the list of a folder's files describes it."""
        size = len(self.data) if self.size is None else self.size
        blob = hashlib.sha1(b"blob %d\0" % len(self.data) + self.data).hexdigest()
        large = {"lfs": {"oid": self.announced_etag, "size": size, "pointerSize": 130}} if self.large else {}
        return {"type": "file", "oid": self.etag or blob, "size": size, **large}

    @property
    def announced_etag(self) -> str:
        if self.etag is not None:
            return self.etag
        return hashlib.sha256(self.data).hexdigest() if self.large else hashlib.sha1(self.data).hexdigest()


@dataclass
class Seen:
    method: str
    path: str
    headers: dict[str, str]


class HubServer:
    """Files by `models/owner/name/path` or `datasets/owner/name/path`. `seen` and `content_seen` record.

    Attributes:
        revisions: Name of a branch or tag -> commit, for the API.
        versions: Commit -> its files, where they aren't `files`.
        refusals: Statuses that the API answers with, one after the other, and their headers, before it answers.
        refusing: A status that the API answers with always.
        listed: Added to what the API lists of a folder, as it is.
        page: Entries that the API lists at once.
        token: Needed for the API.
    """

    def __init__(self, files: dict[str, HubContent]) -> None:
        self.files = files
        self.revisions = {"main": COMMIT}
        self.versions: dict[str, dict[str, HubContent]] = {}
        self.refusals: list[tuple[int, dict[str, str]]] = []
        self.refusing: int | None = None
        self.listed: list[Any] = []
        self.page = 1000
        self.token: str | None = None
        self.seen: list[Seen] = []
        self.content_seen: list[Seen] = []
        self.begun = threading.Event()
        self._hub = QuietHTTPServer(("127.0.0.1", 0), self._hub_handler())
        self._content = QuietHTTPServer(("127.0.0.1", 0), self._content_handler())
        self._threads = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._hub.server_port}"

    @property
    def content_url(self) -> str:
        return f"http://127.0.0.1:{self._content.server_port}"

    def __enter__(self) -> HubServer:
        for server in (self._hub, self._content):
            thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
            thread.start()
            self._threads.append(thread)
        return self

    def __exit__(self, *_: object) -> None:
        for file in self.files.values():
            if file.gate is not None:
                file.gate.set()
        for server, thread in zip((self._hub, self._content), self._threads, strict=True):
            server.shutdown()
            server.server_close()
            thread.join(5)

    def _hub_handler(hub) -> type[BaseHTTPRequestHandler]:
        class Handler(_Handler):
            def do_HEAD(self) -> None:
                self._resolve(body=False)

            def do_GET(self) -> None:
                self._resolve(body=True)

            def _resolve(self, *, body: bool) -> None:
                hub.seen.append(self.record())
                if self.path.startswith("/api/"):
                    return self._api()
                repo, _, rest = self.path.lstrip("/").partition("/resolve/")
                revision, _, name = rest.partition("/")
                kind = "" if repo.startswith("datasets/") else "models/"
                file = hub.versions.get(revision, hub.files).get(f"{kind}{repo}/{unquote(name)}")
                if file is None:
                    return self.answer(404, {"x-error-code": "EntryNotFound"})
                if file.moved_to:
                    return self.answer(307, {"location": file.moved_to})
                if file.token and self.headers.get("authorization") != f"Bearer {file.token}":
                    return self.answer(401, {"x-error-code": "RepoNotFound"})
                if file.status != 200:
                    return self.answer(file.status, {})
                about = {"x-repo-commit": COMMIT}
                if not file.large:
                    about |= {"etag": f'"{file.announced_etag}"'}
                    return self.answer(200, about, file.data, body=body)
                about |= {
                    "x-linked-etag": f'"{file.announced_etag}"',
                    "x-linked-size": str(len(file.data) if file.size is None else file.size),
                    "location": f"{hub.content_url}/{kind}{repo}/{name}?signature=abc",
                }
                return self.answer(302, about)

            def _api(self) -> None:
                url = urlsplit(self.path)
                _, _, kind, owner, name, verb, revision, *folder = url.path.split("/")
                if hub.refusals:
                    return self.answer(*hub.refusals.pop(0))
                if hub.refusing is not None:
                    return self.answer(hub.refusing, {})
                if hub.token and self.headers.get("authorization") != f"Bearer {hub.token}":
                    return self.say({"error": "Invalid username or password."}, 401)
                commit = hub.revisions.get(unquote(revision), unquote(revision))
                repository = f"{kind}/{owner}/{name}/"
                files = hub.versions.get(commit, hub.files)
                if not any(path.startswith(repository) for path in files):
                    return self.say({"error": "Repository not found"}, 404)
                if commit not in {COMMIT, *hub.revisions.values(), *hub.versions}:
                    return self.say({"error": f"Invalid rev id: {revision}"}, 404)
                if verb == "revision":
                    return self.say({"id": f"{owner}/{name}", "sha": commit})
                found = hub._entries(files, repository, unquote("/".join(folder)), "recursive=true" in url.query)
                if not found:
                    return self.say({"error": f"{folder} does not exist"}, 404)
                start = int(parse_qs(url.query).get("cursor", ["0"])[0])
                more = f'<{hub.url}{url.path}?recursive=true&cursor={start + hub.page}>; rel="next"'
                headers = {"link": more} if start + hub.page < len(found) else {}
                return self.say(found[start : start + hub.page], 200, headers)

            def say(self, value: Any, status: int = 200, headers: dict[str, str] | None = None) -> None:
                self.answer(status, {"content-type": "application/json", **(headers or {})}, json.dumps(value).encode())

        return Handler

    def _entries(self, files: dict[str, HubContent], repository: str, folder: str, recursive: bool) -> list[Any]:
        start = f"{folder}/" if folder else ""
        found: dict[str, Any] = {}
        for whole, file in files.items():
            path = whole.removeprefix(repository)
            if whole.startswith(repository) and path.startswith(start):
                *above, _ = path[len(start) :].split("/")
                for depth in range(len(above)):
                    name = start + "/".join(above[: depth + 1])
                    found.setdefault(name, {"type": "directory", "oid": "0" * 40, "size": 0, "path": name})
                if recursive or not above:
                    found[path] = {**file.entry, "path": path}
        if not recursive:
            found = {path: entry for path, entry in found.items() if "/" not in path[len(start) :]}
        return [*found.values(), *(self.listed if recursive and found else [])]

    def _content_handler(hub) -> type[BaseHTTPRequestHandler]:
        class Handler(_Handler):
            def do_GET(self) -> None:
                hub.content_seen.append(self.record())
                file = hub.files[unquote(self.path.partition("?")[0].lstrip("/"))]
                start = 0
                wanted = self.headers.get("range", "")
                if wanted and file.ranges:
                    start = int(wanted.removeprefix("bytes=").rstrip("-"))
                    if start >= len(file.data):
                        return self.answer(416, {})
                data = file.data[start:]
                self.send_response(206 if start else 200)
                if start:
                    self.send_header("content-range", f"bytes {start}-{len(file.data) - 1}/{len(file.data)}")
                self.send_header("content-length", str(len(data)))
                self.end_headers()
                if file.breaks:
                    data = data[: file.breaks.pop(0)]
                    self.close_connection = True
                try:
                    self.wfile.write(data[:1000])
                    self.wfile.flush()
                    hub.begun.set()
                    if file.gate is not None:
                        file.gate.wait(180)
                    self.wfile.write(data[1000:])
                except (BrokenPipeError, ConnectionResetError):
                    self.close_connection = True  # the client gave up, which is what some tests are about
                return None

        return Handler


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: Any) -> None:
        """Quiet: pytest shows what matters."""

    def record(self) -> Seen:
        return Seen(self.command, self.path, {name.lower(): value for name, value in self.headers.items()})

    def answer(self, status: int, headers: dict[str, str], data: bytes = b"", *, body: bool = True) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)
