"""Files, streams, folders and disks that aren't as they should be: one clear line, the right status, nothing half done."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import program, starting
from tests.support.leftovers import Leftovers
from tests.support.openai_server import OpenAIServer, calls, text
from tests.support.program import LIMIT_S, PROGRAM, Done, environment, script, usual, write_agent

Model = Callable[..., OpenAIServer]
Program = Callable[..., Done]


def one_line(done: Done, *words: str) -> None:
    """The whole outcome is one line about the mistake, and status 2: nothing had started."""
    assert (done.code, done.out) == (2, "")
    assert done.err.startswith("error: ")
    assert len(done.err.splitlines()) == 1, done.err
    assert all(word in done.err for word in words), done.err


# ---------------------------------------------------------------- files that a user names


def a_folder(path: Path) -> None:
    path.mkdir()


def a_link_to_itself(path: Path) -> None:
    path.symlink_to(path)


def a_link_to_nowhere(path: Path) -> None:
    path.symlink_to(path.with_name("nowhere"))


def of(data: bytes) -> Callable[[Path], object]:
    return lambda path: path.write_bytes(data)


DEFINITIONS: dict[str, tuple[Callable[[Path], object], str]] = {
    "a folder": (a_folder, "has no definition"),
    "nothing": (of(b""), "is empty"),
    "no text": (of(bytes(range(256))), "is not UTF-8 text"),
    "UTF-16": (of("model: m".encode("utf-16")), "is UTF-16 text"),
    "a zero character": (of(b'model: "a\\0b"'), "contains a NUL character"),
    "too much": (of(b"a" * 2_000_000), "is larger than 1 MB"),
    "all there is": (lambda path: path.symlink_to("/dev/zero"), "is larger than 1 MB"),
    "itself": (a_link_to_itself, "is a link to what isn't there"),
    "a link to nowhere": (a_link_to_nowhere, "is a link to what isn't there"),
    "aliases without end": (of(b"a: &a [x, x]\nb: &b [*a, *a]\nc: &c [*b, *b]\nmodel: *c\n" + b"d: [*c]\n"), "error"),
    "lists without end": (of(b"[" * 5000), "nested"),
    "a Python object": (of(b"!!python/object/apply:os.system ['touch owned']"), "tag"),
    "a key twice": (of(b"model: a\nmodel: b\n"), "twice"),
    "an unknown key": (of(b"model: a\nmodle: b\n"), "modle"),
    "cursor movements": (of(b'model: m\n"\\e[2J\\e]0;owned\\a": 1\n'), "unknown key"),
}


@pytest.mark.promise("no surprise", "bounded")
@pytest.mark.parametrize("case", DEFINITIONS)
def test_a_definition_that_is(tmp_path: Path, tiny_agents: Program, case: str) -> None:
    make, says = DEFINITIONS[case]
    make(tmp_path / "bad.yaml")
    one_line(tiny_agents("run", "bad.yaml", "-p", "x"), says)
    assert not (tmp_path / "owned").exists()


@pytest.mark.promise("bounded")
@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["run", "helper.yaml"], "standard input is larger than 20 MB"),
        (["run", "helper.yaml", "-p", "@/dev/zero"], "larger than 20 MB"),
        (["run", "helper.yaml", "-p", "x", "--input", "a=@/dev/zero"], "larger than 100 kB"),
        (["run", "helper.yaml", "-p", "x", "--output-schema", "/dev/zero"], "larger than 1 MB"),
        (["sessions", "import", "-"], "larger than 256 MB"),
        (["sessions", "import", "/dev/zero"], "larger than 256 MB"),
        (["call", "helper.yaml", "echo", "text=@/dev/zero"], "larger than 20 MB"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_input_without_end(tmp_path: Path, tiny_agents: Program, words: list[str], says: str) -> None:
    write_agent(tmp_path, inputs=[{"id": "a"}])
    with open("/dev/zero", "rb") as endless:
        one_line(tiny_agents(*words, input=endless.fileno()), says)


@pytest.mark.promise("no surprise")
@pytest.mark.parametrize(
    ("data", "says"),
    [
        (b"\xff", "isn't text in UTF-8"),
        (b"{", "no JSON"),
        (b"[" * 100_000, "nested too deeply"),
        (b'[{"role": "user"}]', "message 1 has no content"),
        (b'[{"role": "user", "content": "x"}, {"role": "tool", "tool_call_id": "a", "content": "y"}]', "isn't there"),
        (b'[{"role": "assistant", "tool_calls": [{"id": "a", "function": {"name": "f", "arguments": "{"}}]}]',
         "no JSON object"),
    ],
)  # fmt: skip
def test_a_session_that_is_none_is_not_imported(tmp_path: Path, tiny_agents: Program, data: bytes, says: str) -> None:
    (tmp_path / "session.json").write_bytes(data)
    one_line(tiny_agents("sessions", "import", "session.json"), "session.json: ", says)


# ---------------------------------------------------------------- files of our own


@pytest.mark.promise("no loss")
@pytest.mark.parametrize("name", ["sessions/sessions.db", "known_servers.json"])
@pytest.mark.parametrize("damage", [of(os.urandom(9000)), of(b""), a_folder], ids=["noise", "nothing", "a folder"])
def test_a_damaged_file_of_ours_is_said_left_alone_and_keeps_nobody_from_an_answer(
    tmp_path: Path, model: Model, tiny_agents: Program, leftovers: Leftovers, name: str, damage: Callable[[Path], object]
) -> None:  # fmt: skip
    path = tmp_path / "data" / "tiny-agents" / name
    path.parent.mkdir(parents=True)
    damage(path)
    before = path.read_bytes() if path.is_file() else b""
    agent = write_agent(tmp_path, servers={"one": script("quick_server.py", env=leftovers.env)})
    done = tiny_agents("run", agent, "--base-url", model(text("Fine.")).url, "-p", "x")
    assert (done.code, done.out) == (0, "Fine.\n")
    if before or path.is_dir():
        assert path.name in done.err
        assert path.is_dir() or path.read_bytes() == before


@pytest.mark.promise("no loss")
@pytest.mark.parametrize("blocks", [16])
def test_a_disk_that_is_full_is_said_and_the_answer_still_comes(
    tmp_path: Path, model: Model, leftovers: Leftovers, blocks: int
) -> None:
    url = model(text("Fine.")).url
    words = [*PROGRAM, "run", write_agent(tmp_path), "--base-url", url, "-p", "x", "--log", "run.log"]
    limited = ["sh", "-c", f'ulimit -f {blocks}; exec "$@"', "sh", *words]
    done = subprocess.run(
        limited, cwd=tmp_path, env=environment(tmp_path), capture_output=True, timeout=LIMIT_S, text=True
    )
    leftovers.seen(done.stdout, done.stderr)
    assert (done.returncode, done.stdout) == (0, "Fine.\n")
    assert "it is not being saved" in done.stderr
    assert "Traceback" not in done.stderr


# ---------------------------------------------------------------- streams


@pytest.fixture
def broken_pipe() -> Iterator[int]:
    reads, writes = os.pipe()
    os.close(reads)
    yield writes
    os.close(writes)


def run_into(tmp_path: Path, url: str, *flags: str, **streams: int) -> tuple[int, bytes, bytes]:
    words = [*PROGRAM, "run", write_agent(tmp_path), "--base-url", url, "-p", "x", *flags]
    with starting.start(words, cwd=tmp_path, env=environment(tmp_path), **streams) as process:
        out, err = process.communicate(timeout=LIMIT_S)
        return process.wait(LIMIT_S), out, err


@pytest.mark.promise("no loss")
@pytest.mark.parametrize("flags", [[], ["--output", "jsonl"], ["--debug"]], ids=" ".join)
def test_a_reader_that_has_left_is_no_news(tmp_path: Path, model: Model, broken_pipe: int, flags: list[str]) -> None:
    code, _, err = run_into(tmp_path, model(text("Fine.")).url, *flags, stdout=broken_pipe)
    assert code == 141
    assert flags or usual(err.decode()) == ""


@pytest.mark.promise("no loss")
@pytest.mark.parametrize("flags", [[], ["--output", "jsonl"]], ids=" ".join)
def test_an_answer_that_has_no_room_is_a_failure(tmp_path: Path, model: Model, flags: list[str]) -> None:
    with open("/dev/full", "wb") as full:
        code, _, err = run_into(tmp_path, model(text("Fine.")).url, *flags, stdout=full.fileno())
    assert code == 1
    assert all(line.startswith(b"error: ") and b"No space left on device" in line for line in err.splitlines()), err
    assert err


@pytest.mark.promise("no loss")
def test_an_answer_comes_though_nothing_beside_it_can_be_written(
    tmp_path: Path, model: Model, broken_pipe: int
) -> None:
    turns = [calls(("unknown", {})), text("Fine.")]
    with open("/dev/full", "wb") as full:
        for stream in (broken_pipe, full.fileno()):
            code, out, _ = run_into(tmp_path, model(*turns).url, "--debug", stderr=stream)
            assert (code, out) == (0, b"Fine.\n")


@pytest.mark.promise("no loss", "no surprise")
def test_closed_streams_are_no_files_of_ours(tmp_path: Path, model: Model, leftovers: Leftovers) -> None:
    words = [*PROGRAM, "run", write_agent(tmp_path), "--base-url", model(text("Fine.")).url, "-p", "x"]
    closed = ["sh", "-c", 'exec "$@" <&- >&- 2>&-', "sh", *words]
    done = subprocess.run(closed, cwd=tmp_path, env=environment(tmp_path), capture_output=True, timeout=LIMIT_S)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    listed = program.run("sessions", "list", cwd=tmp_path)
    assert (listed.code, listed.err) == (0, "")
    assert "helper" in listed.out  # nothing was written into the file that took the place of standard output


# ---------------------------------------------------------------- surroundings


@pytest.mark.promise("no surprise")
def test_a_folder_that_is_gone_is_said(tmp_path: Path, leftovers: Leftovers) -> None:
    (tmp_path / "gone").mkdir()
    words = [*PROGRAM, "run", write_agent(tmp_path), "-p", "x"]
    gone = ["sh", "-c", 'cd gone; rmdir ../gone; exec "$@"', "sh", *words]
    done = subprocess.run(
        gone, cwd=tmp_path, env=environment(tmp_path), capture_output=True, timeout=LIMIT_S, text=True
    )
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == "error: the current folder isn't there any more: change to another one\n"


@pytest.mark.promise("no surprise")
def test_certificates_that_are_none_are_named(tmp_path: Path, tiny_agents: Program) -> None:
    agent = write_agent(tmp_path)
    done = tiny_agents("run", agent, "--base-url", "https://127.0.0.1:9/v1", "-p", "x", SSL_CERT_FILE=os.devnull)
    assert (done.code, done.out) == (1, "")
    assert "certificates to trust can't be read (SSL_CERT_FILE=/dev/null" in done.err


@pytest.mark.promise("no loss")
def test_words_that_the_output_has_no_letters_for_are_written_all_the_same(
    tmp_path: Path, model: Model, tiny_agents: Program
) -> None:
    server = model(text("grüße"))
    agent = write_agent(tmp_path)
    done = tiny_agents("run", agent, "--base-url", server.url, "-p", "日本", PYTHONIOENCODING="ascii")
    assert (done.code, done.out) == (0, "gr\\xfc\\xdfe\n")
    assert server.chats[0]["messages"][-1]["content"] == "日本"
