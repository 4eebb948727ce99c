"""`fetch_file` against a Hub on loopback."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from tests.support.hub_server import COMMIT, HubContent, HubServer
from tiny_agents.errors import (
    InferenceConnectionError,
    InferenceError,
    InvalidResponseError,
    ProviderError,
    UsageError,
)
from tiny_agents.inference.hub import fetch_file

pytestmark = pytest.mark.integration

DATA = os.urandom(300_000)
FILE = "models/owner/name/sub/model.gguf"


def quiet(done: int, total: int | None, label: str) -> None:
    """Progress that nobody sees."""


@pytest.fixture
def fetch(tmp_path: Path) -> Callable[..., Path]:
    def fetch(hub: HubServer, name: str = "sub/model.gguf", **options: object) -> Path:
        env = {"HF_ENDPOINT": hub.url, "XDG_CACHE_HOME": str(tmp_path / "cache"), **options.pop("env", {})}
        options.setdefault("progress", quiet)
        return fetch_file("owner/name", name, env=env, **options)

    return fetch


def test_a_file_is_downloaded_once_and_looked_up_again(fetch):
    with HubServer({FILE: HubContent(DATA)}) as hub:
        first = fetch(hub)
        again = fetch(hub)
        assert first == again
        assert first.read_bytes() == DATA
        assert len(hub.content_seen) == 1
        assert [seen.method for seen in hub.seen] == ["HEAD", "HEAD"]


def test_a_changed_file_is_downloaded_again(fetch):
    with HubServer({FILE: HubContent(DATA)}) as hub:
        fetch(hub)
        hub.files[FILE] = HubContent(DATA[::-1])
        assert fetch(hub).read_bytes() == DATA[::-1]


def test_small_files_come_from_the_hub_itself_and_datasets_have_their_own_address(fetch):
    with HubServer({"datasets/owner/name/agent.json": HubContent(b'{"a": 1}', large=False)}) as hub:
        path = fetch(hub, "agent.json", repo_type="dataset", revision="refs/pr/1")
        assert path.read_bytes() == b'{"a": 1}'
        assert hub.seen[0].path == "/datasets/owner/name/resolve/refs%2Fpr%2F1/agent.json"
        assert not hub.content_seen


def test_the_token_goes_to_the_hub_and_not_to_where_it_redirects(fetch):
    with HubServer({FILE: HubContent(DATA, token="hf_secret_token")}) as hub:
        assert fetch(hub, token="hf_secret_token").read_bytes() == DATA
        assert hub.seen[0].headers["authorization"] == "Bearer hf_secret_token"
        assert "authorization" not in hub.content_seen[0].headers


def test_a_renamed_repository_is_followed_with_the_token(fetch):
    moved = "/owner/new/resolve/main/sub/model.gguf"
    files = {FILE: HubContent(b"", moved_to=moved), "models/owner/new/sub/model.gguf": HubContent(DATA, token="t0ken")}
    with HubServer(files) as hub:
        assert fetch(hub, token="t0ken").read_bytes() == DATA


def test_a_download_that_breaks_off_is_continued_where_it_ended(fetch):
    with HubServer({FILE: HubContent(DATA, breaks=[100_000, 50_000])}) as hub:
        assert fetch(hub).read_bytes() == DATA
        assert [seen.headers.get("range") for seen in hub.content_seen] == [None, "bytes=100000-", "bytes=150000-"]


def test_a_server_that_cannot_continue_is_read_from_the_start(fetch):
    with HubServer({FILE: HubContent(DATA, breaks=[100_000], ranges=False)}) as hub:
        assert fetch(hub).read_bytes() == DATA
        assert len(hub.content_seen) == 2


def test_a_download_that_never_ends_is_given_up_and_continued_by_the_next_call(fetch):
    with HubServer({FILE: HubContent(DATA, breaks=[100_000, 0, 0, 0, 0, 0])}) as hub:
        with pytest.raises(InferenceConnectionError, match="could not be read to its end"):
            fetch(hub)
        assert fetch(hub).read_bytes() == DATA
        assert hub.content_seen[-1].headers["range"] == "bytes=100000-"


def test_a_stopped_download_keeps_what_arrived(fetch):
    gate = threading.Event()
    stop = threading.Event()
    with HubServer({FILE: HubContent(DATA, gate=gate)}) as hub, ThreadPoolExecutor() as pool:
        running = pool.submit(fetch, hub, cancelled=stop)
        assert hub.begun.wait(30)
        stop.set()
        gate.set()
        with pytest.raises(InferenceError, match="Stopped"):
            running.result(timeout=30)
        hub.files[FILE].gate = None
        assert fetch(hub).read_bytes() == DATA


def test_content_with_another_checksum_is_thrown_away(fetch):
    announced = HubContent(DATA).announced_etag
    with HubServer({FILE: HubContent(DATA[::-1], etag=announced)}) as hub:
        with pytest.raises(InvalidResponseError, match="SHA-256"):
            fetch(hub)
        hub.files[FILE] = HubContent(DATA)
        assert fetch(hub).read_bytes() == DATA


def test_a_hub_that_announces_another_checksum_than_the_pinned_one_is_not_downloaded_from(fetch):
    with HubServer({FILE: HubContent(DATA)}) as hub:
        with pytest.raises(InvalidResponseError, match="isn't the expected file"):
            fetch(hub, sha256="0" * 64)
        assert not hub.content_seen


@pytest.mark.parametrize(
    "damage",
    [lambda path: path.write_bytes(DATA[:-1]), lambda path: path.write_bytes(DATA[::-1]), lambda path: path.unlink()],
    ids=["truncated", "changed", "deleted"],
)
def test_a_damaged_cached_file_is_fetched_again(fetch, damage):
    with HubServer({FILE: HubContent(DATA)}) as hub:
        damage(fetch(hub))
        assert fetch(hub).read_bytes() == DATA


def test_without_the_hub_the_cached_file_serves(fetch):
    with HubServer({FILE: HubContent(DATA)}) as hub:
        path = fetch(hub)
        assert fetch(hub, env={"HF_HUB_OFFLINE": "1"}) == path
        assert len(hub.seen) == 1
    assert fetch(hub).read_bytes() == DATA  # the server is gone now


def test_a_full_commit_hash_needs_no_second_look(fetch):
    with HubServer({FILE: HubContent(DATA)}) as hub:
        path = fetch(hub, revision=COMMIT)
        assert fetch(hub, revision=COMMIT) == path
        assert len(hub.seen) == 1


def test_what_cannot_be_had_is_told_apart(fetch):
    with HubServer(
        {FILE: HubContent(DATA, token="t0ken"), "models/owner/name/gated": HubContent(b"", status=403)}
    ) as hub:
        for name, status, words in [
            ("sub/model.gguf", 401, "private or gated"),
            ("gated", 403, "no access: ask for it at"),
            ("missing", 404, "no such repository, revision or file"),
        ]:
            with pytest.raises(ProviderError, match=words) as caught:
                fetch(hub, name)
            assert caught.value.status == status
        with pytest.raises(InferenceConnectionError, match="HF_HUB_OFFLINE"):
            fetch(hub, env={"HF_HUB_OFFLINE": "true"})
    with pytest.raises(InferenceConnectionError, match="can't be reached"):
        fetch(hub)


def test_two_at_once_download_once(fetch):
    gate = threading.Event()
    with HubServer({FILE: HubContent(DATA, gate=gate)}) as hub, ThreadPoolExecutor() as pool:
        running = [pool.submit(fetch, hub) for _ in range(3)]
        assert hub.begun.wait(30)
        gate.set()
        assert {path.result(timeout=30).read_bytes() for path in running} == {DATA}
        assert len(hub.content_seen) == 1


def test_progress_counts_up_to_the_size(fetch):
    told: list[tuple[int, int | None, str]] = []
    with HubServer({FILE: HubContent(DATA)}) as hub:
        fetch(hub, progress=lambda *state: told.append(state))
    assert told[0][:2] == (0, len(DATA))
    assert told[-1][:2] == (len(DATA), len(DATA))
    assert "owner/name" in told[0][2]


@pytest.mark.parametrize(
    ("repo", "name", "revision"),
    [
        ("../x", "a", "main"),
        ("owner/name/more", "a", "main"),
        ("owner/name", "../a", "main"),
        ("owner/name", "/etc/passwd", "main"),
        ("owner/name", "a\\b", "main"),
        ("owner/name", "C:/a", "main"),
        ("owner/name", "", "main"),
        ("owner/name", "a", ".."),
    ],
)
def test_names_that_would_leave_the_cache_are_refused(tmp_path, repo, name, revision):
    with pytest.raises(UsageError):
        fetch_file(repo, name, revision=revision, env={"XDG_CACHE_HOME": str(tmp_path), "HF_HUB_OFFLINE": "1"})
