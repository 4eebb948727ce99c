"""Signals, the history and the words of the banner: the small shells around the pure parts."""

from __future__ import annotations

import asyncio
import os
import queue
import signal
import stat
import sys
from pathlib import Path

import pytest
from prompt_toolkit.history import InMemoryHistory

from tiny_agents.agent.model_choice import ModelSettings
from tiny_agents.cli import report
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.interrupts import Interrupts, undisturbed
from tiny_agents.cli.prompt.line_editor import LineEditor, PersistentHistory, open_history
from tiny_agents.cli.report import Reporter
from tiny_agents.cli.screen.banner import model_words
from tiny_agents.cli.screen.turns import kept
from tiny_agents.data_dir import data_dir, write_private
from tiny_agents.errors import UsageError
from tiny_agents.inference.types.chat import ChatCompletionInputMessage
from tiny_agents.mcp_client.calls.planning import INTERRUPTED

posix_only = pytest.mark.skipif(sys.platform == "win32", reason="POSIX signals and modes")


async def work(interrupts: list[Interrupts], *, stopping: asyncio.Event | None = None) -> ExitCode | None:
    """A main task that waits for ever, and says with which status it was told to leave."""
    mine = Interrupts()
    interrupts.append(mine)
    try:
        if stopping is None:
            await asyncio.Event().wait()
        else:
            with mine.stopping(stopping):
                await asyncio.Event().wait()
    except asyncio.CancelledError:
        return mine.exit_code
    return None


@posix_only
@pytest.mark.anyio
@pytest.mark.parametrize(
    ("signum", "code"),
    [(signal.SIGINT, ExitCode.INTERRUPTED), (signal.SIGTERM, ExitCode.TERMINATED), (signal.SIGHUP, ExitCode.HANGUP)],
)
async def test_a_signal_leaves_with_its_status(signum, code):
    async with asyncio.timeout(30):
        task = asyncio.create_task(work([]))
        await asyncio.sleep(0)
        os.kill(os.getpid(), signum)
        assert await task == code


@posix_only
@pytest.mark.anyio
async def test_the_first_ctrl_c_stops_the_turn_and_the_second_leaves():
    abort = asyncio.Event()
    async with asyncio.timeout(30):
        task = asyncio.create_task(work([], stopping=abort))
        await asyncio.sleep(0)
        os.kill(os.getpid(), signal.SIGINT)
        await abort.wait()
        assert not task.done()
        os.kill(os.getpid(), signal.SIGINT)
        assert await task == ExitCode.INTERRUPTED


@pytest.mark.anyio
async def test_in_a_conversation_a_late_ctrl_c_leaves_nothing_but_the_turn():
    async with asyncio.timeout(30):
        interrupts: list[Interrupts] = []
        task = asyncio.create_task(work(interrupts))
        await asyncio.sleep(0)
        interrupts[0].leave_when_idle = False
        interrupts[0].interrupt()
        assert interrupts[0].exit_code is None
        interrupts[0].leave(ExitCode.TERMINATED)
        assert await task == ExitCode.TERMINATED


@pytest.mark.anyio
async def test_the_first_reason_to_leave_counts_and_cancels_once():
    async with asyncio.timeout(30):
        interrupts: list[Interrupts] = []
        task = asyncio.create_task(work(interrupts))
        await asyncio.sleep(0)
        interrupts[0].leave(ExitCode.TERMINATED)
        interrupts[0].leave(ExitCode.HANGUP)
        assert task.cancelling() == 1
        assert await task == ExitCode.TERMINATED


@pytest.mark.anyio
async def test_a_clean_up_is_finished_though_the_task_is_cancelled_meanwhile():
    begun, may_end, ended = asyncio.Event(), asyncio.Event(), []

    async def clean_up() -> None:
        begun.set()
        await may_end.wait()
        ended.append(True)

    async with asyncio.timeout(30):
        task = asyncio.create_task(undisturbed(clean_up()))
        await begun.wait()
        task.cancel()
        await asyncio.sleep(0)
        may_end.set()
        with pytest.raises(asyncio.CancelledError):
            await task
    assert ended == [True]


HOME = Path("/home/me")


@pytest.mark.parametrize(
    ("env", "platform", "expected"),
    [
        ({}, "linux", HOME / ".local/share/tiny-agents"),
        ({"XDG_DATA_HOME": "/data"}, "linux", Path("/data/tiny-agents")),
        ({"XDG_DATA_HOME": "relative"}, "linux", HOME / ".local/share/tiny-agents"),
        ({"XDG_DATA_HOME": "/data"}, "darwin", HOME / "Library/Application Support/tiny-agents"),
        ({"LOCALAPPDATA": "/local"}, "win32", Path("/local/tiny-agents")),
        ({}, "win32", HOME / "AppData/Local/tiny-agents"),
    ],
)
def test_the_history_is_where_the_platform_keeps_such_things(env, platform, expected):
    assert data_dir(env, platform, HOME) == expected


@posix_only
def test_a_private_file_is_replaced_whole_and_leaves_nothing_beside_it(tmp_path):
    path = tmp_path / "new" / "answers.json"
    write_private(path, b"one\r\n")
    write_private(path, b"two\n")
    assert path.read_bytes() == b"two\n"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [file.name for file in path.parent.iterdir()] == ["answers.json"]
    (tmp_path / "folder" / "inside").mkdir(parents=True)
    with pytest.raises(OSError, match="folder"):
        write_private(tmp_path / "folder", b"three")
    assert [file.name for file in tmp_path.iterdir() if file.name.startswith(".")] == []


def test_a_way_of_editing_that_there_is_not_is_said():
    with pytest.raises(UsageError, match="TINY_AGENTS_EDITING must be vi or emacs"):
        LineEditor(InMemoryHistory(), env={"TINY_AGENTS_EDITING": "nano"})


def test_agents_have_histories_of_their_own_and_none_where_they_are_switched_off(tmp_path, monkeypatch):
    open_history(tmp_path, "clock", "here", print).append_string("one")
    assert list(open_history(tmp_path, "clock", "there", print).load_history_strings()) == []
    monkeypatch.setenv("TINY_AGENTS_HISTORY", "off")
    history = open_history(tmp_path, "clock", "here", print)
    history.append_string("two")
    assert len(list((tmp_path / "histories").iterdir())) == 2
    assert all("two" not in file.read_text() for file in (tmp_path / "histories").iterdir())


@posix_only
def test_the_history_is_for_the_user_alone_and_outlives_the_session(tmp_path):
    warnings: list[str] = []
    directory = tmp_path / "new" / "tiny-agents"
    open_history(directory, "my agent", "here", warnings.append).append_string("one\ntwo")
    assert stat.S_IMODE(next((directory / "histories").iterdir()).stat().st_mode) == 0o600
    assert stat.S_IMODE(directory.stat().st_mode) == 0o700
    assert list(open_history(directory, "my agent", "here", warnings.append).load_history_strings()) == ["one\ntwo"]
    assert warnings == []


def test_a_history_that_cannot_be_kept_is_a_warning_and_lasts_for_the_session(tmp_path):
    (tmp_path / "file").touch()
    warnings: list[str] = []
    history = open_history(tmp_path / "file" / "tiny-agents", "a", "b", warnings.append)
    history.append_string("one")
    assert history.get_strings() == ["one"]
    assert len(warnings) == 1
    assert "remembered" in warnings[0]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_full_disk_is_said_once_and_the_prompt_works_on():
    warnings: list[str] = []
    history = PersistentHistory(Path("/dev/full"), warnings.append)
    for text in ("one", "two"):
        history.append_string(text)
    assert history.get_strings() == ["one", "two"]
    assert len(warnings) == 1
    assert "No space left" in warnings[0]


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        (ModelSettings("org/model", "some-provider"), "org/model through some-provider"),
        (ModelSettings("org/model"), "org/model through Hugging Face"),
        (ModelSettings("m", base_url="http://localhost:1234/v1"), "m at localhost:1234"),
        (ModelSettings(None, base_url="https://user:secret@example.org/v1?key=1"), "the model at example.org"),
        (ModelSettings("https://example.org/v1"), "the model at example.org"),
    ],
)
def test_the_banner_says_which_model_and_where(settings, words):
    assert model_words(settings) == words


def message(role, content):
    return ChatCompletionInputMessage(role=role, content=content)


@pytest.mark.parametrize(
    ("messages", "said", "words"),
    [
        ([], 0, "Nothing had been answered"),
        ([message("user", "x"), message("assistant", "abc")], 3, "Kept: your question, 3 characters of the answer."),
        (
            [
                message("user", "x"),
                message("tool", "1"),
                message("tool", INTERRUPTED),
                message("assistant", "(stopped)"),
            ],
            0,
            "Kept: your question, 1 tool result, the note that 1 tool call was interrupted.",
        ),
        (
            [{"role": "user", "content": "x"}, message("tool", INTERRUPTED), message("tool", INTERRUPTED)],
            0,
            "Kept: your question, the note that 2 tool calls were interrupted.",
        ),
    ],
)
def test_what_an_interrupted_turn_leaves_is_said(messages, said, words):
    assert kept(messages, said).startswith(words)


def test_loading_that_takes_long_says_so_and_loading_that_does_not_stays_silent(monkeypatch):
    said: queue.SimpleQueue[str] = queue.SimpleQueue()
    reporter = Reporter()
    monkeypatch.setattr(reporter, "notice", said.put)
    monkeypatch.setattr(report, "SLOW_S", 3600.0)
    with reporter.notice_if_slow("Never said"):
        pass
    monkeypatch.setattr(report, "SLOW_S", 0.01)
    with reporter.notice_if_slow("Still loading"):
        assert said.get(timeout=30) == "Still loading"
    assert said.empty()
