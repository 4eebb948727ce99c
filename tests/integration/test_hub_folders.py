"""Whole folders of the Hub: one revision, all files or none, each what the Hub says it is."""

from __future__ import annotations

import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.hub_server import COMMIT, HubContent, HubServer
from tests.support.processes import until
from tiny_agents.agent.definition.loading import load_definition
from tiny_agents.errors import (
    InferenceConnectionError,
    InvalidResponseError,
    ProviderError,
    TinyAgentsError,
    UsageError,
)
from tiny_agents.inference import hub_folder
from tiny_agents.inference.hub_folder import Snapshot, fetch_folder

pytestmark = pytest.mark.integration

BASE = "datasets/o/n/"
SECOND = "89abcdef" * 5
FILES = {"u/a/agent.yaml": b"model: m\n", "u/a/tools/run.py": b"print(1)\n" * 1000, "u/a/big.bin": os.urandom(300_000)}

Fetch = Callable[..., Snapshot]


def contents(files: dict[str, bytes]) -> dict[str, HubContent]:
    return {BASE + path: HubContent(data, large=path.endswith(".bin")) for path, data in files.items()}


def read(snapshot: Snapshot) -> dict[str, bytes]:
    """What is in the folder, whatever the snapshot says."""
    return {
        f"u/a/{path.relative_to(snapshot.path).as_posix()}": path.read_bytes()
        for path in sorted(snapshot.path.rglob("*"))
        if path.is_file()
    }


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    return tmp_path / "cache"


@pytest.fixture
def fetch(cache: Path) -> Fetch:
    def fetch(hub: HubServer | str, folder: str = "u/a", *, offline: bool = False, **options: str) -> Snapshot:
        url = hub if isinstance(hub, str) else hub.url
        env = {"HF_ENDPOINT": url, "XDG_CACHE_HOME": str(cache), "HF_HUB_OFFLINE": "1" if offline else ""}
        return fetch_folder("o/n", folder, env=env, **options)

    return fetch


def test_all_files_of_the_folder_and_no_others_arrive_from_one_commit(fetch: Fetch) -> None:
    with HubServer(contents({**FILES, "u/b/agent.yaml": b"other"})) as hub:
        hub.page = 2
        snapshot = fetch(hub)
        assert read(snapshot) == FILES
        assert snapshot.commit == COMMIT
        assert snapshot.stale is None
        assert set(snapshot.files) == {"agent.yaml", "tools/run.py", "big.bin"}
        assert all(f"/resolve/{COMMIT}/" in seen.path for seen in hub.seen if "/api/" not in seen.path)


def test_the_second_time_one_question_suffices_and_for_a_commit_none(fetch: Fetch) -> None:
    with HubServer(contents(FILES)) as hub:
        first = fetch(hub)
        asked = len(hub.seen)
        assert fetch(hub) == first
        assert [seen.path.partition("?")[0] for seen in hub.seen[asked:]] == ["/api/datasets/o/n/revision/main"]
        assert fetch(hub, revision=COMMIT) == first
        assert fetch(hub, revision=COMMIT, offline=True) == first
        assert len(hub.seen) == asked + 1


def test_a_revision_has_its_own_files_and_what_both_have_is_fetched_once(fetch: Fetch) -> None:
    changed = {**FILES, "u/a/agent.yaml": b"model: new\n"}
    with HubServer(contents(FILES)) as hub:
        old = fetch(hub)
        hub.versions[SECOND] = contents(changed)
        hub.revisions |= {"main": SECOND, "v1": COMMIT}
        before = len(hub.seen) + len(hub.content_seen)
        new = fetch(hub)
        assert read(new) == changed
        assert read(old) == FILES, "the older copy is still there"
        fetched = [seen.path for seen in (hub.seen + hub.content_seen)[before:] if "/resolve/" in seen.path]
        assert fetched == [f"/datasets/o/n/resolve/{SECOND}/u/a/agent.yaml"]
        assert read(fetch(hub, revision="v1")) == FILES
        assert new.content != old.content


def test_a_commit_that_leaves_the_folder_alone_changes_nothing_but_its_name(fetch: Fetch) -> None:
    with HubServer(contents(FILES)) as hub:
        old = fetch(hub)
        hub.versions[SECOND] = contents({**FILES, "u/b/agent.yaml": b"somebody else's"})
        hub.revisions["main"] = SECOND
        fetched = len(hub.content_seen)
        new = fetch(hub)
        assert (new.path, new.content, new.commit) == (old.path, old.content, SECOND)
        assert len(hub.content_seen) == fetched


def test_the_token_goes_to_the_hub_and_not_to_where_it_redirects(fetch: Fetch) -> None:
    with HubServer(contents(FILES)) as hub:
        hub.token = "hf_secret_token"
        assert read(fetch(hub, token="hf_secret_token")) == FILES
        assert {seen.headers.get("authorization") for seen in hub.seen} == {"Bearer hf_secret_token"}
        assert hub.content_seen
        assert {seen.headers.get("authorization") for seen in hub.content_seen} == {None}


@pytest.mark.parametrize(
    ("status", "token", "words"),
    [
        (
            401,
            None,
            "private or gated, or there is none. If you have access, log in with `hf auth login`, or set HF_TOKEN",
        ),
        (401, "hf_old", "the Hub doesn't accept the token that was sent (HF_TOKEN, or the saved login)"),
        (403, "hf_good", "no access to u/a of the dataset o/n at main: ask for it at http"),
        (400, None, "the Hub failed"),
    ],
)
def test_refusals_say_what_to_do_and_are_not_covered_by_the_cache(
    fetch: Fetch, status: int, token: str | None, words: str
) -> None:
    options = {"token": token} if token else {}
    with HubServer(contents(FILES)) as hub:
        fetch(hub)
        hub.refusing = status
        with pytest.raises(ProviderError) as caught:
            fetch(hub, **options)
    assert caught.value.status == status
    assert words in str(caught.value)
    assert "hf_good" not in str(caught.value)


def test_what_is_not_there_is_told_apart_with_the_nearest_name(fetch: Fetch) -> None:
    with HubServer(contents({**FILES, "user/web-browser/agent.yaml": b"x"})) as hub:
        for folder, revision, words in [
            ("user/web-browsr", "main", "doesn't exist (did you mean 'user/web-browser'?)"),
            ("usr/web-browser", "main", "there is no usr (did you mean 'user'?)"),
            ("zzzzz/nothing", "main", "zzzzz/nothing of the dataset o/n at main doesn't exist: there is no zzzzz"),
            ("u/a", "v9", "has no revision 'v9', or there is no such dataset"),
        ]:
            with pytest.raises(ProviderError) as caught:
                fetch(hub, folder, revision=revision)
            assert caught.value.status == 404
            assert words in str(caught.value)
        hub.files.clear()
        with pytest.raises(ProviderError, match="there is no dataset o/n on http"):
            fetch(hub)


def test_failures_in_passing_are_tried_again(fetch: Fetch) -> None:
    with HubServer(contents(FILES)) as hub:
        hub.refusals = [(503, {"retry-after": "0"}), (429, {"retry-after": "0"})]
        assert read(fetch(hub)) == FILES


@pytest.mark.parametrize(("status", "words"), [(429, "asked too often"), (502, "the Hub failed")])
def test_a_hub_that_goes_on_failing_is_an_error_or_covered_by_the_cache(fetch: Fetch, status: int, words: str) -> None:
    with HubServer(contents(FILES)) as hub:
        hub.refusals = [(status, {"retry-after": "0"})] * 3
        with pytest.raises(ProviderError, match=words) as caught:
            fetch(hub)
        assert caught.value.status == status
        first = fetch(hub)
        hub.refusals = [(status, {"retry-after": "0"})] * 3
        again = fetch(hub)
        assert again.path == first.path
        assert again.stale is not None
        assert words in again.stale
        hub.refusals = [(status, {"retry-after": "3000"})]
        assert fetch(hub).stale is not None, "a Hub that wants to be left alone is left alone"


def test_without_a_network_the_last_copy_serves_and_says_so(fetch: Fetch) -> None:
    with HubServer(contents(FILES)) as hub:
        first, url = fetch(hub), hub.url
    again = fetch(url)
    assert read(again) == FILES
    assert again.path == first.path
    assert "can't be reached" in (again.stale or "")
    assert fetch(url, offline=True).stale == "HF_HUB_OFFLINE is set"
    with pytest.raises(InferenceConnectionError, match="HF_HUB_OFFLINE is set, so it isn't fetched"):
        fetch(url, "u/b", offline=True)
    with pytest.raises(InferenceConnectionError, match="can't be reached"):
        fetch(url, "u/b")


def test_a_hub_that_never_answers_is_not_waited_for_where_there_is_a_copy(
    fetch: Fetch, monkeypatch: pytest.MonkeyPatch
) -> None:
    import socket

    with HubServer(contents(FILES)) as hub:
        first = fetch(hub)
        port = int(hub.url.rpartition(":")[2])
    monkeypatch.setattr(hub_folder, "ANSWER_LIMIT_S", 0.2)
    with socket.create_server(("127.0.0.1", port)):
        again = fetch(f"http://127.0.0.1:{port}")
    assert again.path == first.path
    assert "didn't answer within 0.2 s" in (again.stale or "")


@pytest.mark.parametrize(
    "wrong",
    [
        HubContent(b"truncat", large=False, etag="0" * 40, size=9),
        HubContent(b"model: x\n", large=False, etag="0" * 40),
        HubContent(b"more than was announced", large=False, size=9),
        HubContent(b"model: x\n", large=True, etag="0" * 64),
        HubContent(b"model: x\n", large=True, breaks=[3, 3, 3]),
    ],
    ids=["shorter", "other content", "longer", "other large content", "breaks off"],
)
def test_content_that_is_not_what_was_announced_is_refused_and_nothing_is_kept(
    fetch: Fetch, cache: Path, wrong: HubContent
) -> None:
    with HubServer({**contents(FILES), f"{BASE}u/a/agent.yaml": wrong}) as hub:
        with pytest.raises(InvalidResponseError, match=r"agent\.yaml of u/a .* could not be fetched whole, in 3 tries"):
            fetch(hub)
        assert [path for path in cache.rglob("*") if path.is_file() and path.suffix != ".lock"] == []
        hub.files |= contents(FILES)
        assert read(fetch(hub)) == FILES


def test_a_download_that_breaks_off_once_is_read_again(fetch: Fetch) -> None:
    with HubServer(contents(FILES)) as hub:
        hub.files[f"{BASE}u/a/big.bin"].breaks = [1000]
        assert read(fetch(hub)) == FILES


@pytest.mark.parametrize(
    "entry",
    [
        {"type": "file", "path": "u/a/../../../evil", "size": 1, "oid": "0" * 40},
        {"type": "file", "path": "/etc/cron.d/evil", "size": 1, "oid": "0" * 40},
        {"type": "file", "path": "u/a/x\0y", "size": 1, "oid": "0" * 40},
        {"type": "file", "path": "u/a/" + "x" * 5000, "size": 1, "oid": "0" * 40},
        {"type": "file", "path": "u/a/huge", "size": 10**15, "oid": "0" * 40},
    ],
)
def test_hostile_lists_fetch_nothing(fetch: Fetch, cache: Path, entry: dict[str, object]) -> None:
    with HubServer(contents(FILES)) as hub:
        hub.listed = [entry]
        with pytest.raises(InvalidResponseError):
            fetch(hub)
        assert not any("/resolve/" in seen.path for seen in hub.seen)
    assert not [path for path in cache.parent.rglob("*") if path.is_file() and path.suffix != ".lock"]


def test_a_list_without_end_is_given_up(fetch: Fetch) -> None:
    with HubServer(contents({f"u/a/{n}": b"x" for n in range(10)})) as hub:
        hub.page = 1
        with pytest.raises(InvalidResponseError, match="far more than 500 files"):
            fetch(hub)
        assert len(hub.seen) < 10


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(b"model: evil\n"),
        lambda path: path.write_bytes(b"model: x\n"),
        lambda path: path.unlink(),
        lambda path: (path.unlink(), path.symlink_to("/etc/hostname")),
    ],
    ids=["changed", "changed, same size", "deleted", "a link"],
)
@pytest.mark.skipif(sys.platform == "win32", reason="making links needs a privilege there")
def test_a_damaged_copy_is_never_used_and_is_mended(fetch: Fetch, damage: Callable[[Path], object]) -> None:
    with HubServer(contents(FILES)) as hub:
        path = fetch(hub).path
        damage(path / "agent.yaml")
        with pytest.raises(InferenceConnectionError):
            fetch(hub, offline=True)
        assert read(fetch(hub)) == FILES
        (path / "__pycache__").mkdir()
        (path / "__pycache__" / "run.pyc").write_bytes(b"what a server leaves there doesn't matter")
        assert fetch(hub, offline=True).path == path


FETCHER = """
import sys
from tiny_agents.inference.hub_folder import fetch_folder
snapshot = fetch_folder("o/n", "u/a")
print(len(snapshot.files), snapshot.path)
"""


def fetcher(hub: HubServer, cache: Path) -> subprocess.Popen[str]:
    env = {**os.environ, "HF_ENDPOINT": hub.url, "XDG_CACHE_HOME": str(cache)}
    return subprocess.Popen(
        [sys.executable, "-c", FETCHER], env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )


def test_two_processes_at_once_download_once(cache: Path) -> None:
    files = contents(FILES)
    gate = files[f"{BASE}u/a/big.bin"].gate = threading.Event()
    with HubServer(files) as hub:
        running = [fetcher(hub, cache) for _ in range(2)]
        assert hub.begun.wait(30)
        until(lambda: sum("/tree/" in seen.path for seen in hub.seen) == 2)
        gate.set()
        said = [process.communicate(timeout=60)[0] for process in running]
        assert said[0] == said[1]
        assert said[0].startswith("3 ")
        assert len(hub.content_seen) == 1


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_a_process_that_is_killed_while_it_downloads_leaves_no_half_agent(fetch: Fetch, cache: Path) -> None:
    files = contents(FILES)
    gate = files[f"{BASE}u/a/big.bin"].gate = threading.Event()
    with HubServer(files) as hub:
        process = fetcher(hub, cache)
        assert hub.begun.wait(30)
        until(lambda: any(cache.rglob("run.py")))
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=60)
        gate.set()
        assert not list(cache.rglob("a@*"))
        with pytest.raises(InferenceConnectionError):
            fetch(hub, offline=True)
        assert read(fetch(hub)) == FILES
        assert not list(cache.rglob("*.part"))


@pytest.mark.skipif(sys.platform == "win32", reason="SIGINT")
def test_ctrl_c_gives_a_download_up_at_once(cache: Path) -> None:
    files = contents(FILES)
    files[f"{BASE}u/a/big.bin"].gate = threading.Event()
    with HubServer(files) as hub:
        process = fetcher(hub, cache)
        assert hub.begun.wait(30)
        until(lambda: any(cache.rglob("run.py")))
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)  # the Hub would keep it waiting for 180 s
    assert process.returncode != 0
    assert not list(cache.rglob("a@*"))


@pytest.mark.parametrize("folder", ["../x", "/x", "a@b", "a\\b", "a/./b"])
def test_folders_that_can_not_be_are_refused_before_anything_is_asked(fetch: Fetch, folder: str) -> None:
    with pytest.raises(UsageError):
        fetch("http://127.0.0.1:1", folder)


# ---- as agents


def load(ref: str, hub: HubServer, cache: Path, **options: object):
    return load_definition(
        ref, env={"HF_ENDPOINT": hub.url, "XDG_CACHE_HOME": str(cache), "HOME": str(cache)}, **options
    )


def test_an_agents_own_files_are_beside_its_definition(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(cache.parent)
    with HubServer(contents({**FILES, "u/a/other.yaml": b"name: second"})) as hub:
        definition = load("hf://datasets/o/n/u/a", hub, cache)
        assert definition.path is not None
        assert (definition.path.parent / "tools" / "run.py").read_bytes() == FILES["u/a/tools/run.py"]
        assert definition.name == "hf://datasets/o/n/u/a"
        assert definition.origin is not None
        assert definition.origin.commit == COMMIT
        assert definition.origin.address == f"hf://datasets/o/n/u/a at {hub.url}"
        assert load("hf://datasets/o/n@main/u/a/other.yaml", hub, cache).name == "second"
        with pytest.raises(TinyAgentsError, match="is a folder on the Hub without a definition"):
            load("hf://datasets/o/n/u/a/third.yaml", hub, cache)


def test_a_copy_that_may_be_old_is_a_warning(cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    with HubServer(contents(FILES)) as hub:
        load("hf://datasets/o/n/u/a", hub, cache)
        hub.refusing = 400
        hub.refusals = [(500, {"retry-after": "0"})] * 3
        with caplog.at_level(logging.WARNING, logger="tiny_agents.agent"):
            load("hf://datasets/o/n/u/a", hub, cache)
            assert len(caplog.messages) == 1
            env = {"HF_ENDPOINT": hub.url, "XDG_CACHE_HOME": str(cache), "HF_HUB_OFFLINE": "1"}
            load_definition("hf://datasets/o/n/u/a", env=env)
            assert len(caplog.messages) == 1, "who said so needs no warning of it"
    assert any("is taken from the cache, as of revision 0123456789ab" in message for message in caplog.messages)
