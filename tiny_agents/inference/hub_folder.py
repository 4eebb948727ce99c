"""A whole folder of a Hub repository at one revision, cached: all of its files or none, each checked against the Hub's list.

    <cache>/agents/datasets--owner--name/<folder>@<digest>/...         the files; the digest is that of their contents
    <cache>/agents/datasets--owner--name/.known/<folder>@<revision>    what the Hub said about that revision, as JSON
    <cache>/agents/datasets--owner--name/.known/<folder>.part/         a download that isn't whole; the next one removes it

A revision is asked for by one request. What is there already isn't downloaded again, and revisions with the same files
share one copy. At each use every file is compared with its checksum.

Source: the Hub's `revision`, `tree` and `resolve` endpoints.
"""

from __future__ import annotations

import hashlib
import logging
import os
import re
import secrets
import shutil
import stat
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace
from difflib import get_close_matches
from functools import partial
from pathlib import Path
from urllib.parse import quote, urljoin, urlsplit

import msgspec

from tiny_agents.data_dir import make_private, write_private
from tiny_agents.errors import (
    InferenceConnectionError,
    InferenceError,
    InferenceTimeoutError,
    InvalidResponseError,
    ProviderError,
    UsageError,
    public_url,
)
from tiny_agents.inference.at_once import each
from tiny_agents.inference.cache import cache_root, locked
from tiny_agents.inference.call import Request
from tiny_agents.inference.deadline import Deadline
from tiny_agents.inference.http.blocking import SyncHTTP
from tiny_agents.inference.http.settings import HTTPSettings
from tiny_agents.inference.hub import HUB_URL, is_offline
from tiny_agents.inference.hub_tree import (
    MAX_FILES,
    Listing,
    TreeFile,
    blob_oid,
    content_hash,
    path_problem,
    read_listing,
)
from tiny_agents.inference.types.record import decode_json

logger = logging.getLogger("tiny_agents.inference")

READ_TIMEOUT_S = 30.0
ANSWER_LIMIT_S = 20.0
"""Seconds until the copy in the cache is taken in place of an answer, retries included."""
WAIT_LIMIT_S = 90.0
"""The same where there is no copy."""
TRIES = 3
DOWNLOADS_AT_ONCE = 6
MAX_PAGES = 5
MAX_ANSWER_BYTES = 8_000_000

_REPO_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)
_COMMIT = re.compile(r"[0-9a-f]{40}")
_NEXT = re.compile(r'<([^<>]+)>\s*;[^,]*\brel="?next"?')


class KnownFile(msgspec.Struct, frozen=True):
    """A file of a snapshot. `oid` is the Hub's checksum, `sha256` that of what arrived."""

    path: str
    size: int
    oid: str
    sha256: str


class Known(msgspec.Struct, frozen=True):
    """What was found at a revision."""

    commit: str
    digest: str
    files: tuple[KnownFile, ...]


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The files of a folder as they are on this disk.

    Attributes:
        path: The folder.
        commit: The repository's commit they are from.
        files: Path from the folder -> SHA-256 of the content.
        sizes: Path from the folder -> bytes.
        stale: Why the Hub wasn't asked whether there is a newer one, in words; None if it was, or needn't be.
    """

    path: Path
    commit: str
    files: Mapping[str, str]
    sizes: Mapping[str, int]
    stale: str | None = None

    @property
    def content(self) -> str:
        """One SHA-256 for all of it."""
        return content_hash(self.files)


@dataclass(frozen=True, slots=True)
class HubFolder:
    """Which folder of which dataset, and where it is kept.

    Attributes:
        folder: Path in the repository; "" for all of it.
    """

    repo_id: str
    folder: str
    revision: str
    endpoint: str
    base: Path

    @property
    def what(self) -> str:
        place = f"{self.folder} of the dataset {self.repo_id}" if self.folder else f"the dataset {self.repo_id}"
        return f"{place} at {self.revision[:12] if self.is_pinned else self.revision}"

    @property
    def is_pinned(self) -> bool:
        return _COMMIT.fullmatch(self.revision) is not None

    def path(self, digest: str) -> Path:
        parent, _, name = self.folder.rpartition("/")
        return self.base / parent / f"{name}@{digest[:16]}"

    def known_path(self, revision: str) -> Path:
        return self.base / ".known" / f"{quote(self.folder, safe='')}@{quote(revision, safe='')}"

    @property
    def part_path(self) -> Path:
        return self.base / ".known" / f"{quote(self.folder, safe='')}.part"

    @property
    def lock_path(self) -> Path:
        return self.base / ".known" / f"{quote(self.folder, safe='')}.lock"

    def api(self, kind: str, revision: str, folder: str = "") -> str:
        tail = f"/{quote(folder, safe='')}" if folder else ""
        return f"{self.endpoint}/api/datasets/{self.repo_id}/{kind}/{quote(revision, safe='')}{tail}"

    def file_url(self, commit: str, path: str) -> str:
        whole = f"{self.folder}/{path}" if self.folder else path
        return f"{self.endpoint}/datasets/{self.repo_id}/resolve/{commit}/{quote(whole)}"


def fetch_folder(
    repo_id: str,
    folder: str,
    *,
    revision: str = "main",
    token: str | None = None,
    env: Mapping[str, str] = os.environ,
) -> Snapshot:
    """The files of a dataset's folder at a revision, from the cache as far as it has them.

    A commit that is in the cache needs no network. For a branch or a tag the Hub is asked which commit it is; where it
    can't be reached, fails, or is asked too often, and under `HF_HUB_OFFLINE`, what it was last time is taken, and
    `stale` says why.

    Args:
        folder: Path in the repository; "" for all of it.
        revision: Branch, tag or commit.
        token: Sent to the Hub (`HF_ENDPOINT`) only, never to where it redirects.

    Raises:
        UsageError: No possible repository, folder or revision.
        ProviderError: `.status` 404: no such dataset, revision or folder; 401 or 403: no access; others: the Hub failed.
        InferenceConnectionError, InferenceTimeoutError: The Hub can't be reached and the folder isn't in the cache.
        InvalidResponseError: What the Hub says or sends can't be used: hostile paths, too much, other content than it
            announced. Nothing of it is kept.
        InferenceError: The cache can't be written.
    """
    at = _hub_folder(repo_id, folder, revision, env)
    known = _read_known(at, at.revision)
    cached = _verified(at, known)
    if cached is not None and at.is_pinned:
        return cached
    if is_offline(env):
        if cached is not None:
            return replace(cached, stale="HF_HUB_OFFLINE is set")
        raise InferenceConnectionError(
            f"{at.what} isn't in the cache, and HF_HUB_OFFLINE is set, so it isn't fetched.", url=at.endpoint
        )
    visit = _Visit(at, token, ANSWER_LIMIT_S if cached is not None else WAIT_LIMIT_S)
    try:
        return visit.refresh(known)
    except (InferenceConnectionError, InferenceTimeoutError, ProviderError) as error:
        passing = not isinstance(error, ProviderError) or error.status == 429 or error.status >= 500
        if cached is None or not passing:
            raise
        return replace(cached, stale=str(error))
    except OSError as error:
        raise InferenceError(
            f"{at.what} can't be kept in {at.base}: {error.strerror or error}. XDG_CACHE_HOME can name another place."
        ) from error
    finally:
        visit.close()


def _hub_folder(repo_id: str, folder: str, revision: str, env: Mapping[str, str]) -> HubFolder:
    if not _REPO_ID.fullmatch(repo_id) or ".." in repo_id or len(repo_id) > 200:
        raise UsageError(f"{repo_id!r} is no dataset on the Hub: it must look like 'owner/name'.")
    if folder and ("@" in folder or path_problem(folder)):
        raise UsageError(f"{folder!r} is no folder of a dataset that can be fetched.")
    if not re.fullmatch(r"[\w][\w./+-]{0,199}", revision, re.ASCII) or ".." in revision:
        raise UsageError(f"{revision!r} is no branch, tag or commit.")
    endpoint = (env.get("HF_ENDPOINT") or HUB_URL).rstrip("/")
    host = "" if endpoint == HUB_URL else f"@{quote(urlsplit(endpoint).netloc, safe='')}"
    base = cache_root(env) / "agents" / f"datasets--{repo_id.replace('/', '--')}{host}"
    return HubFolder(repo_id, folder, revision, endpoint, base)


# ---------------------------------------------------------------- the cache


def _read_known(at: HubFolder, revision: str) -> Known | None:
    try:
        return msgspec.json.decode(at.known_path(revision).read_bytes(), type=Known)
    except (OSError, msgspec.DecodeError):
        return None  # never fetched, or written by another version: both mean it isn't known


def _write_known(at: HubFolder, known: Known) -> None:
    for revision in {known.commit, at.revision}:
        if _read_known(at, revision) != known:
            write_private(at.known_path(revision), msgspec.json.encode(known))


def _verified(at: HubFolder, known: Known | None) -> Snapshot | None:
    """The snapshot, if every file is there as it was downloaded. Other files (a server's own) don't count."""
    if known is None:
        return None
    folder = at.path(known.digest)
    for file in known.files:
        data = _regular_file(folder / file.path, file.size)
        if data is None or hashlib.sha256(data).hexdigest() != file.sha256:
            return None
    files = {file.path: file.sha256 for file in known.files}
    return Snapshot(folder, known.commit, files, {file.path: file.size for file in known.files})


def _regular_file(path: Path, size: int) -> bytes | None:
    """The content of a file of that size; None for anything else, a link too."""
    try:
        about = path.lstat()
        return path.read_bytes() if stat.S_ISREG(about.st_mode) and about.st_size == size else None
    except OSError:
        return None


# ---------------------------------------------------------------- the network


class _Visit:
    """One conversation with the Hub about a folder."""

    def __init__(self, at: HubFolder, token: str | None, limit_s: float) -> None:
        self._at = at
        self._token = token
        self._http = SyncHTTP(HTTPSettings(timeout_s=READ_TIMEOUT_S))
        self._deadline = Deadline.after(limit_s)

    def close(self) -> None:
        self._http.close()

    def refresh(self, known: Known | None) -> Snapshot:
        """The folder as it is at the revision now."""
        at = self._at
        commit = at.revision if at.is_pinned else self._commit()
        there = _read_known(at, commit)
        if there is None or (snapshot := _verified(at, there)) is None:
            listing = self._list(commit)
            with locked(at.lock_path):
                there = self._take(listing, commit, [entry for entry in (there, known) if entry is not None])
            snapshot = _verified(at, there)
            if snapshot is None:
                raise InferenceError(f"{at.what} was fetched, and is not in {at.base}: another program changed it.")
        _write_known(at, there)
        return snapshot

    def _commit(self) -> str:
        at = self._at
        try:
            body, _ = self._ask(f"{at.api('revision', at.revision)}?expand=sha")
        except ProviderError as error:
            raise self._refused(error, self._missing_revision) from error
        found = _json(body, at)
        commit = found.get("sha") if isinstance(found, dict) else None
        if not isinstance(commit, str) or not _COMMIT.fullmatch(commit):
            raise InvalidResponseError(f"{at.what}: the Hub doesn't say which commit this is.")
        return commit

    def _list(self, commit: str) -> Listing:
        at = self._at
        entries: list[object] = []
        url = f"{at.api('tree', commit, at.folder)}?recursive=true&expand=false"
        for _ in range(MAX_PAGES):
            try:
                body, headers = self._ask(url)
            except ProviderError as error:
                raise self._refused(error, partial(self._missing_folder, commit)) from error
            page = _json(body, at)
            if not isinstance(page, list):
                raise InvalidResponseError(f"{at.what}: the Hub's list of its files is no list.")
            entries += page
            following = _NEXT.search(headers.get("link", ""))
            if following is None:
                listing = read_listing(entries, at.folder, what=at.what)
                if not listing.files:
                    raise ProviderError(self._missing_folder(commit), status=404, url=public_url(url))
                return listing
            url = urljoin(url, following[1])
            if urlsplit(url)[:2] != urlsplit(at.endpoint)[:2]:
                raise InvalidResponseError(f"{at.what}: the Hub's list of its files goes on at another host.")
        raise InvalidResponseError(f"{at.what} has far more than {MAX_FILES} files, and isn't fetched.")

    def names(self, commit: str, folder: str) -> list[str]:
        """What is directly in a folder (the first page of it); nothing where the Hub doesn't say."""
        try:
            body, _ = self._ask(self._at.api("tree", commit, folder))
        except InferenceError as error:
            logger.debug("no names to suggest: %s", error)
            return []
        page = _json(body, self._at)
        paths = [entry.get("path") for entry in page if isinstance(entry, dict)] if isinstance(page, list) else []
        return [path.rpartition("/")[2] for path in paths if isinstance(path, str)]

    def _take(self, listing: Listing, commit: str, candidates: list[Known]) -> Known:
        """Put the files into place, whole. Somebody else may just have done so, or an earlier revision had the same."""
        at = self._at
        for there in (_read_known(at, commit), *candidates):
            if there is not None and there.digest == listing.digest and _verified(at, there) is not None:
                return msgspec.structs.replace(there, commit=commit)
        part, target = at.part_path, at.path(listing.digest)
        shutil.rmtree(part, ignore_errors=True)  # of a process that was killed
        files = part / secrets.token_hex(4)
        make_private(at.base)
        for file in listing.files:
            (files / file.path).parent.mkdir(parents=True, exist_ok=True)
        old = {
            file.oid: at.path(there.digest) / file.path
            for there in candidates
            if _verified(at, there) is not None
            for file in there.files
        }
        try:
            known = tuple(self._fetch_all(listing, commit, files, old))
            make_private(target.parent)
            if target.exists():  # damaged
                os.replace(target, part / "damaged")
            os.replace(files, target)
        finally:
            shutil.rmtree(part, ignore_errors=True)
        there = Known(commit, listing.digest, known)
        _write_known(at, there)
        return there

    def _fetch_all(self, listing: Listing, commit: str, folder: Path, old: Mapping[str, Path]) -> list[KnownFile]:
        logger.info("fetching %d files (%d bytes): %s", len(listing.files), listing.size, self._at.what)
        return each(
            lambda file: self._fetch_one(file, commit, old.get(file.oid)),
            lambda _, fetched: _written(folder, *fetched),
            listing.files,
            threads=DOWNLOADS_AT_ONCE,
        )

    def _fetch_one(self, file: TreeFile, commit: str, old: Path | None) -> tuple[bytes, KnownFile]:
        data = _regular_file(old, file.size) if old is not None else None
        if data is None or blob_oid(data, large=file.is_large) != file.oid:
            data = self._content(file, commit)
        return data, KnownFile(file.path, file.size, file.oid, hashlib.sha256(data).hexdigest())

    def _content(self, file: TreeFile, commit: str) -> bytes:
        """The file, as the list announced it."""
        url = self._at.file_url(commit, file.path)
        problem = ""
        for _ in range(TRIES):
            request = Request("GET", url, headers={"accept": "*/*", "accept-encoding": "identity"}, key=self._token)
            try:
                data = self._read(request, file.size)
            except ProviderError as error:
                if error.status == 404:
                    problem = "the Hub lists it, and doesn't have it"
                    continue
                raise self._refused(error, str) from error
            except InferenceConnectionError as error:
                problem = str(error)
                continue
            if len(data) != file.size:
                more = "more than " if len(data) > file.size else ""
                problem = f"{more}{min(len(data), file.size)} bytes arrived, {file.size} were announced"
            elif blob_oid(data, large=file.is_large) != file.oid:
                problem = "what arrived has another checksum than the Hub announced"
            else:
                return data
        raise InvalidResponseError(
            f"{file.path} of {self._at.what} could not be fetched whole, in {TRIES} tries: {problem}. Nothing is kept."
        )

    def _ask(self, url: str) -> tuple[bytes, Mapping[str, str]]:
        request = Request("GET", url, headers={"accept": "application/json"}, key=self._token)
        try:
            with self._http.open(request, self._deadline) as stream:
                return _bounded(stream.data, MAX_ANSWER_BYTES), stream.headers
        except InferenceConnectionError as error:
            reason = str(error).removesuffix(" Is the server running?")
            raise InferenceConnectionError(f"{reason} Is there a network?", url=error.url) from error
        except InferenceTimeoutError as error:
            if self._deadline.left_s > 0:
                raise
            limit = self._deadline.limit_s
            raise InferenceTimeoutError(
                f"{public_url(url)} didn't answer within {limit:g} s.", timeout_s=limit
            ) from error

    def _read(self, request: Request, size: int) -> bytes:
        """At most one byte more than `size`, which is enough to know that it is too much."""
        with self._http.open(request) as stream:
            return _bounded(stream.data, size)

    # ---- refusals

    def _refused(self, error: ProviderError, missing: Callable[[], str]) -> ProviderError:
        """The Hub's refusal in words."""
        at = self._at
        page = f"{at.endpoint}/datasets/{at.repo_id}"
        reasons: Mapping[int, Callable[[], str]] = {
            401: lambda: (
                f"{at.what} can't be read: the Hub doesn't accept the token that was sent (HF_TOKEN, or the saved login), "
                "or it opens no such dataset. Renew it with `hf auth login`, or remove it if the dataset is public"
                if self._token
                else f"{at.what} can't be read: the dataset is private or gated, or there is none. If you have access, log "
                "in with `hf auth login`, or set HF_TOKEN"
            ),
            403: lambda: f"no access to {at.what}: ask for it at {page}, and use a token (HF_TOKEN) that has it",
            404: missing,
            429: lambda: f"{at.what}: the Hub is asked too often from here (status 429); wait a while, or set HF_TOKEN",
        }
        reason = reasons.get(error.status, lambda: f"{at.what}: the Hub failed: {error}")()
        return ProviderError(reason, status=error.status, body=error.body, url=error.url, request_id=error.request_id)

    def _missing_revision(self) -> str:
        at = self._at
        if at.revision == "main":
            return f"there is no dataset {at.repo_id} on {at.endpoint}"
        return f"the dataset {at.repo_id} on {at.endpoint} has no revision {at.revision!r}, or there is no such dataset"

    def _missing_folder(self, commit: str) -> str:
        """What isn't there, and the name that is nearest to it, found by looking upwards."""
        at = self._at
        if not at.folder:
            return f"{at.what} is empty"
        parent, _, name = at.folder.rpartition("/")
        if names := self.names(commit, parent):
            return f"{at.what} doesn't exist{_near(name, names, f'{parent}/' if parent else '')}"
        if parent:
            above, _, owner = parent.rpartition("/")
            return f"{at.what} doesn't exist: there is no {parent}{_near(owner, self.names(commit, above))}"
        return f"{at.what} doesn't exist"


def _near(name: str, names: Iterable[str], start: str = "") -> str:
    found = get_close_matches(name, [known for known in names if known.isprintable()], n=1, cutoff=0.6)
    return f" (did you mean {start + found[0]!r}?)" if found else ""


def _written(folder: Path, data: bytes, known: KnownFile) -> KnownFile:
    (folder / known.path).write_bytes(data)
    return known


def _bounded(chunks: Iterable[bytes], limit: int) -> bytes:
    data = bytearray()
    for chunk in chunks:
        data += chunk
        if len(data) > limit:
            return bytes(data[: limit + 1])
    return bytes(data)


def _json(body: bytes, at: HubFolder) -> object:
    try:
        return decode_json(body)
    except (msgspec.DecodeError, RecursionError) as error:
        raise InvalidResponseError(
            f"{at.what}: the Hub's answer can't be read: {error}.", body=repr(body[:200])
        ) from error
