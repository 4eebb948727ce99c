"""Files of a Hub repository at a revision, cached. Plain HTTPS: look the file up, fetch what is missing, check, keep.

    <cache>/hub/models--owner--name/<revision>/<file>          the file
    <cache>/hub/models--owner--name/.about/<revision>/<file>   what the Hub said about it, as JSON
    <cache>/hub/models--owner--name/.part/<etag>               an unfinished download, continued the next time

Source: the Hub's `resolve` endpoint as huggingface_hub uses it: `X-Linked-Etag` and `X-Linked-Size` describe a large file
(its ETag is then the SHA-256 of the content), `X-Repo-Commit` names the revision's commit, `X-Error-Code` says what is
missing.
"""

from __future__ import annotations

import hashlib
import os
import re
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal
from urllib.parse import quote, urljoin, urlsplit

import msgspec

from tiny_agents.data_dir import make_private
from tiny_agents.errors import (
    InferenceConnectionError,
    InferenceError,
    InferenceTimeoutError,
    InvalidResponseError,
    ProviderError,
    UsageError,
    public_url,
)
from tiny_agents.inference.cache import cache_root, check_stopped, locked, sha256_of
from tiny_agents.inference.call import Request
from tiny_agents.inference.http.blocking import SyncHTTP
from tiny_agents.inference.http.settings import HTTPSettings
from tiny_agents.inference.progress import Progress, TerminalProgress, megabytes
from tiny_agents.inference.wire import redirected

HUB_URL = "https://huggingface.co"
READ_TIMEOUT_S = 30.0
RESUMES = 4
"""Times a download that broke off is continued before it is given up; one that got further starts counting again."""

RepoType = Literal["model", "dataset"]
_PREFIX: dict[str, str] = {"model": "", "dataset": "datasets/"}
_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*(?:/[A-Za-z0-9][\w.-]*)?", re.ASCII)
_SHA256 = re.compile(r"[0-9a-f]{64}")
_COMMIT = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class HubFile:
    """One file of a repository: which, and where on the Hub and in the cache."""

    repo_id: str
    filename: str
    repo_type: RepoType
    revision: str
    endpoint: str
    folder: Path

    @property
    def url(self) -> str:
        where = f"{self.endpoint}/{_PREFIX[self.repo_type]}{self.repo_id}"
        return f"{where}/resolve/{quote(self.revision, safe='')}/{quote(self.filename)}"

    @property
    def path(self) -> Path:
        return self.folder / quote(self.revision, safe="") / self.filename

    @property
    def about_path(self) -> Path:
        return self.folder / ".about" / quote(self.revision, safe="") / f"{self.filename}.json"

    def part_path(self, etag: str) -> Path:
        return self.folder / ".part" / hashlib.sha256(f"{self.filename}\n{etag}".encode()).hexdigest()

    def __str__(self) -> str:
        return f"{self.filename} of {_PREFIX[self.repo_type]}{self.repo_id} at {self.revision}"


class About(msgspec.Struct, frozen=True):
    """What the Hub says about a file. `mtime_ns` is the cached file's, so that one changed since is noticed."""

    etag: str
    size: int | None = None
    commit: str | None = None
    mtime_ns: int = 0

    @property
    def sha256(self) -> str | None:
        """The checksum of the content, where the ETag is one (large files)."""
        return self.etag if _SHA256.fullmatch(self.etag) else None


def fetch_file(
    repo_id: str,
    filename: str,
    *,
    repo_type: RepoType = "model",
    revision: str = "main",
    token: str | None = None,
    env: Mapping[str, str] = os.environ,
    progress: Progress | None = None,
    cancelled: threading.Event | None = None,
    sha256: str | None = None,
) -> Path:
    """The local path of a file of a Hub repository, downloaded if the cache has no such version of it.

    The Hub is asked each time whether the file changed (not for a full commit hash, which can't); where it can't be
    reached, or `HF_HUB_OFFLINE` is set, the cached file is taken. `HF_ENDPOINT` names another Hub.

    Args:
        repo_id: "owner/name".
        filename: Path inside the repository, with forward slashes.
        revision: Branch, tag or commit.
        token: Sent to the Hub only, never to where it redirects.
        progress: Told how far it is; by default a bar on standard error.
        cancelled: Set it to give up; what has arrived is kept and continued the next time.
        sha256: The checksum the file must have. A Hub that announces another is not downloaded from.

    Raises:
        UsageError: No possible repository or file name.
        ProviderError: `.status` 404: no such repository, revision or file; 401 or 403: no access to it.
        InferenceConnectionError, InferenceTimeoutError: The Hub can't be reached and the file isn't cached.
        InvalidResponseError: What arrived is not what was announced, or not `sha256`.
        InferenceError: Cancelled, or the cache can't be written.
    """
    file = _hub_file(repo_id, filename, repo_type, revision, env)
    cached = _cached(file, sha256)
    if cached is not None and _COMMIT.fullmatch(revision):
        return cached
    if is_offline(env):
        if cached is not None:
            return cached
        raise InferenceConnectionError(
            f"{file} isn't cached, and HF_HUB_OFFLINE is set, so it isn't fetched.", url=file.endpoint
        )
    try:
        return _fetch(file, token, sha256, progress or TerminalProgress(), cancelled)
    except (InferenceConnectionError, InferenceTimeoutError, ProviderError) as error:
        if cached is None or (isinstance(error, ProviderError) and error.status < 500):
            raise
        return cached
    except OSError as error:
        raise InferenceError(
            f"{file} can't be kept in {file.folder}: {error}. XDG_CACHE_HOME can name another place."
        ) from error


def _hub_file(repo_id: str, filename: str, repo_type: RepoType, revision: str, env: Mapping[str, str]) -> HubFile:
    if not _REPO_ID.fullmatch(repo_id) or ".." in repo_id:
        raise UsageError(f"{repo_id!r} is no repository on the Hub: it must look like 'owner/name'.")
    parts = filename.split("/")
    if not filename or "\\" in filename or any(part in ("", ".", "..") or ":" in part for part in parts):
        raise UsageError(f"{filename!r} is no path inside a repository.")
    if not revision or revision.startswith("."):
        raise UsageError(f"{revision!r} is no branch, tag or commit.")
    endpoint = (env.get("HF_ENDPOINT") or HUB_URL).rstrip("/")
    # Another Hub may have another file under the same name.
    host = "" if endpoint == HUB_URL else f"@{quote(urlsplit(endpoint).netloc, safe='')}"
    folder = cache_root(env) / "hub" / f"{repo_type}s--{repo_id.replace('/', '--')}{host}"
    return HubFile(repo_id, filename, repo_type, revision, endpoint, folder)


def is_offline(env: Mapping[str, str]) -> bool:
    """Whether the user said that the Hub isn't to be asked."""
    return env.get("HF_HUB_OFFLINE", "").strip().lower() in ("1", "true", "yes", "on")


# ---------------------------------------------------------------- the cache


def _cached(file: HubFile, sha256: str | None) -> Path | None:
    """The cached file, if it is there and what it was when it was downloaded."""
    about = _read_about(file)
    if about is None or (sha256 is not None and about.sha256 not in (None, sha256)):
        return None
    try:
        found = file.path.stat()
    except OSError:
        return None
    if about.size is not None and found.st_size != about.size:
        return None
    # Hashing gigabytes at each start would be slow: done only if the file was touched since, or a checksum is demanded
    # that the Hub didn't promise.
    wanted = sha256 or about.sha256
    if wanted and (found.st_mtime_ns != about.mtime_ns or about.sha256 is None) and sha256_of(file.path) != wanted:
        return None
    return file.path


def _read_about(file: HubFile) -> About | None:
    try:
        return msgspec.json.decode(file.about_path.read_bytes(), type=About)
    except (OSError, msgspec.DecodeError):
        return None  # never downloaded, or by a process that was killed: both mean it isn't known


def _keep(file: HubFile, part: Path, about: About) -> Path:
    """Move a complete download into place. A reader sees the old file or the new one."""
    make_private(file.path.parent)
    make_private(file.about_path.parent)
    os.replace(part, file.path)
    known = msgspec.structs.replace(about, mtime_ns=file.path.stat().st_mtime_ns)
    temporary = part.with_suffix(".json")
    temporary.write_bytes(msgspec.json.encode(known))
    os.replace(temporary, file.about_path)
    return file.path


# ---------------------------------------------------------------- the network


def _fetch(
    file: HubFile, token: str | None, sha256: str | None, progress: Progress, cancelled: threading.Event | None
) -> Path:
    http = SyncHTTP(HTTPSettings(timeout_s=READ_TIMEOUT_S))
    looking = SyncHTTP(HTTPSettings(timeout_s=READ_TIMEOUT_S, follow_redirects=False))
    try:
        about, source = _look_up(file, token, looking)
        if sha256 is not None and about.sha256 not in (None, sha256):
            raise InvalidResponseError(
                f"{file} isn't the expected file: the Hub says its SHA-256 is {about.sha256}, expected {sha256}."
            )
        with locked(file.folder / ".lock", cancelled):
            known = _read_about(file)
            if known is not None and known.etag == about.etag != "" and (path := _cached(file, sha256)) is not None:
                return path
            part = file.part_path(about.etag)
            make_private(part.parent)
            _download(file, about, source, part, http, progress, cancelled)
            _check(file, about, sha256 or about.sha256, part)
            return _keep(file, part, about)
    finally:
        looking.close()
        http.close()


def _look_up(file: HubFile, token: str | None, http: SyncHTTP) -> tuple[About, Request]:
    """What the Hub says about the file, and the request that fetches its content."""
    request = Request("HEAD", file.url, headers={"accept-encoding": "identity"}, key=token)
    for _ in range(5):
        try:
            response = http.send(request)
        except ProviderError as error:
            raise _refused(file, error) from error
        headers = response.headers
        location = urljoin(request.url, headers["location"]) if 300 <= response.status < 400 else request.url
        if location == request.url or "x-linked-etag" in headers or _elsewhere(request.url, location):
            break
        request = Request("HEAD", location, headers=request.headers, key=token)  # the repository was renamed
    else:
        raise InvalidResponseError(f"{file}: the Hub redirects in a circle.")
    etag = (headers.get("x-linked-etag") or headers.get("etag") or "").removeprefix("W/").strip('"')
    size = headers.get("x-linked-size") or (headers.get("content-length") if location == request.url else None)
    about = About(etag, int(size) if size and size.isdigit() else None, headers.get("x-repo-commit"))
    if _elsewhere(file.url, location):
        return about, redirected(Request("GET", file.url, key=token), 302, location)
    return about, Request("GET", location, key=token)


def _elsewhere(url: str, other: str) -> bool:
    here, there = urlsplit(url), urlsplit(other)
    return (here.scheme, here.netloc) != (there.scheme, there.netloc)


def _refused(file: HubFile, error: ProviderError) -> ProviderError:
    """The Hub's refusal in words. It says 401 for repositories that don't exist, so as not to tell which do."""
    reasons = {
        401: f"there is no repository {file.repo_id}, or it is private or gated and the token (HF_TOKEN) gives no access",
        403: f"no access: ask for it at {file.endpoint}/{_PREFIX[file.repo_type]}{file.repo_id}, then pass a token that "
        "has it (HF_TOKEN)",
        404: f"no such repository, revision or file on {file.endpoint}",
    }
    reason = reasons.get(error.status, str(error))
    return ProviderError(
        f"{file}: {reason}.", status=error.status, body=error.body, url=error.url, request_id=error.request_id
    )


def _download(
    file: HubFile,
    about: About,
    source: Request,
    part: Path,
    http: SyncHTTP,
    progress: Progress,
    cancelled: threading.Event | None,
) -> None:
    """Fill `part` from wherever it ends; go on after a break."""
    size = f" ({megabytes(about.size)})" if about.size is not None else ""
    label = f"Fetching {file}{size} from {urlsplit(file.endpoint).netloc}"
    failures = 0
    while True:
        start = part.stat().st_size if part.exists() else 0
        if about.size is not None and start > about.size:
            part.unlink()
            start = 0
        if start and start == about.size:
            return
        try:
            _read_into(part, start, about.size, source, http, lambda done: progress(done, about.size, label), cancelled)
        except (InferenceConnectionError, InferenceTimeoutError) as error:
            failures = 1 if part.exists() and part.stat().st_size > start else failures + 1
            if failures > RESUMES:
                raise InferenceConnectionError(f"{file} could not be read to its end: {error}", url=file.url) from error
            continue
        except ProviderError as error:
            if error.status == 416 and start:  # the part is no beginning of this file
                part.unlink()
                continue
            raise _refused(file, error) from error
        return


def _read_into(
    part: Path,
    start: int,
    size: int | None,
    source: Request,
    http: SyncHTTP,
    tell: Callable[[int], None],
    cancelled: threading.Event | None,
) -> None:
    headers = {**source.headers, **({"range": f"bytes={start}-"} if start else {})}
    with http.open(Request("GET", source.url, headers=headers, key=source.key)) as stream:
        resumed = stream.status == 206 and stream.headers.get("content-range", "").startswith(f"bytes {start}-")
        with part.open("ab" if resumed else "wb") as out:
            done = start if resumed else 0
            tell(done)
            for data in stream.data:
                check_stopped(cancelled)
                out.write(data)
                done += len(data)
                tell(done)
    if size is not None and done < size:
        where = public_url(source.url)
        raise InferenceConnectionError(f"{where} ended after {done} of {size} bytes.", url=where)


def _check(file: HubFile, about: About, sha256: str | None, part: Path) -> None:
    size = part.stat().st_size
    problem = None
    if about.size is not None and size != about.size:
        problem = f"{size} bytes arrived, {about.size} were announced"
    elif sha256 is not None and (found := sha256_of(part)) != sha256:
        problem = f"what arrived has the SHA-256 {found}, not {sha256}"
    if problem:
        part.unlink()
        raise InvalidResponseError(f"{file}: {problem}. It was thrown away; try again.")
