"""Ctrl+C, SIGTERM, a terminal that goes away and kill -9, at every moment of a run: it ends, and leaves nothing behind."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tests.support import program
from tests.support.history import assert_valid
from tests.support.leftovers import MODEL_KEY, Leftovers
from tests.support.openai_server import OpenAIServer, Turn, calls, text
from tests.support.processes import until, waits_to_read
from tests.support.program import Done, script, write_agent
from tiny_agents.agent.sessions.database import SessionDatabase
from tiny_agents.agent.sessions.history import recover

LIMIT_S = 60.0
NOBODY = "http://127.0.0.1:9/v1"
Model = Callable[..., OpenAIServer]


@dataclass
class World:
    """Where a run takes place, and what is told to come to an end with it."""

    folder: Path
    model: Model
    leftovers: Leftovers
    held: list[int] = field(default_factory=list)
    started: list[Any] = field(default_factory=list)

    def start(
        self, agent: str, url: str = "http://127.0.0.1:9/v1", *flags: str, prompt: bool = True, stdin: int = -3
    ) -> Any:
        asked = ["-p", "x"] if prompt else []
        words = ["run", agent, "--base-url", url, "--api-key-env", "KEY", *asked, *flags]
        process = program.start(*words, cwd=self.folder, stdin=stdin, KEY=MODEL_KEY)
        self.started.append(process)
        return process

    def agent(self, server: str = "quick_server.py", *args: str) -> str:
        return write_agent(self.folder, servers={"one": script(server, *args, env=self.leftovers.env)})


# ---------------------------------------------------------------- moments


def while_the_definition_is_read(world: World) -> Any:
    path = world.folder / "slow.yaml"
    os.mkfifo(path)
    process = world.start(str(path))

    def is_read() -> bool:
        try:
            world.held.append(os.open(path, os.O_WRONLY | os.O_NONBLOCK))
        except OSError as error:
            if error.errno == errno.ENXIO:  # nobody reads yet
                return False
            raise
        return True

    until(is_read)
    os.write(world.held[-1], b"# slow\n")
    until(lambda: waits_to_read(process.pid, world.held[-1]))
    return process


def while_the_prompt_is_read(world: World) -> Any:
    reads, writes = os.pipe()
    world.held += [reads, writes]
    process = world.start(write_agent(world.folder), prompt=False, stdin=reads)
    program.until_said(process, b"waiting for text on standard input")
    until(lambda: waits_to_read(process.pid, reads))
    return process


def while_a_server_starts(world: World) -> Any:
    process = world.start(world.agent("bad_server.py", "never_answers"))
    until(world.leftovers.pids)
    return process


def before_the_first_word(world: World) -> Any:
    server = world.model(Turn(wire=(), then="stall"))
    process = world.start(world.agent(), server.url)
    until(lambda: server.chats)
    return process


def in_the_middle_of_the_answer(world: World) -> Any:
    server = world.model(text("The half", then="stall"))
    process = world.start(world.agent(), server.url)
    assert server.started.wait(LIMIT_S)
    return process


def during_a_tool_call(world: World) -> Any:
    server = world.model(calls(("wait", {})))
    process = world.start(world.agent("quick_server.py", str(world.folder / "waiting")), server.url)
    until((world.folder / "waiting").exists)
    return process


def between_two_answers(world: World) -> Any:
    server = world.model(calls(("echo", {"text": "done"})), Turn(wire=(), then="stall"))
    process = world.start(world.agent(), server.url)
    until(lambda: len(server.chats) == 2)
    return process


def before_another_try(world: World) -> Any:
    server = world.model(Turn(status=503, body=b"{}", headers={"retry-after": "50"}))
    process = world.start(world.agent(), server.url)
    until(lambda: server.chats)
    return process


MOMENTS = [
    while_the_definition_is_read,
    while_the_prompt_is_read,
    while_a_server_starts,
    before_the_first_word,
    in_the_middle_of_the_answer,
    during_a_tool_call,
    between_two_answers,
    before_another_try,
]


@pytest.fixture
def world(tmp_path: Path, model: Model, leftovers: Leftovers) -> Iterator[World]:
    found = World(tmp_path, model, leftovers)
    yield found
    for process in found.started:
        process.kill()
        process.wait(LIMIT_S)
        for pipe in (process.stdin, process.stdout, process.stderr):
            if pipe is not None:
                pipe.close()
    for descriptor in found.held:
        os.close(descriptor)


@contextmanager
def sessions(folder: Path) -> Iterator[list[list[Any]]]:
    """The messages of each saved conversation, as one goes on with them."""
    path = folder / "data" / "tiny-agents" / "sessions" / "sessions.db"
    if not path.exists():
        yield []
        return
    with SessionDatabase(path) as database:
        stored = [database.read(info.id) for info in database.list()]
        yield [
            list(recover([each.message for each in one.messages], one.run_start, one.partial).messages)
            for one in stored
        ]


@pytest.mark.promise("no hang", "no leak", "no loss")
@pytest.mark.parametrize(
    ("moment", "signum"),
    [
        *((moment, signal.SIGINT) for moment in MOMENTS),
        *((moment, signal.SIGTERM) for moment in MOMENTS[1:6]),
        *((moment, signal.SIGHUP) for moment in (while_the_definition_is_read, during_a_tool_call)),
    ],
    ids=lambda value: getattr(value, "__name__", None) or signal.Signals(value).name,
)
def test_a_signal_ends_it(world: World, moment: Callable[[World], Any], signum: signal.Signals) -> None:
    process = moment(world)
    process.send_signal(signum)
    out, err = process.communicate(timeout=LIMIT_S)
    world.leftovers.seen(out, err)
    assert (process.returncode, out) == (128 + signum, b"")
    assert b"Traceback" not in err
    until(lambda: not world.leftovers.pids())
    with sessions(world.folder) as saved:
        for messages in saved:
            assert_valid([*messages, {"role": "user", "content": "and?"}])


@pytest.mark.promise("no hang", "no leak")
@pytest.mark.parametrize("moment", [while_a_server_starts, during_a_tool_call, in_the_middle_of_the_answer])
def test_signals_without_end_end_it_too(world: World, moment: Callable[[World], Any]) -> None:
    process = moment(world)
    deadline = time.monotonic() + LIMIT_S
    while process.poll() is None:
        assert time.monotonic() < deadline
        process.send_signal(signal.SIGINT)
        time.sleep(0.01)
    _, err = process.communicate(timeout=LIMIT_S)
    assert process.returncode in (130, -signal.SIGINT)
    assert b"Traceback" not in err
    until(lambda: not world.leftovers.pids())


@pytest.mark.promise("no hang", "no leak")
def test_a_server_that_ignores_everything_goes_with_us(world: World) -> None:
    server = world.model(text("The half", then="stall"))
    process = world.start(world.agent("bad_server.py", "is_stubborn"), server.url)
    assert server.started.wait(LIMIT_S)
    until(lambda: len(world.leftovers.pids()) >= 2)  # itself and its child
    process.send_signal(signal.SIGTERM)
    process.communicate(timeout=LIMIT_S)
    assert process.returncode == 143
    until(lambda: not world.leftovers.pids())


@pytest.mark.promise("no loss", "no leak", "valid")
@pytest.mark.parametrize(
    "moment", [before_the_first_word, in_the_middle_of_the_answer, during_a_tool_call, between_two_answers]
)
def test_killed_it_loses_nothing_and_leaves_no_server(
    world: World, moment: Callable[[World], Any], tiny_agents: Callable[..., Done]
) -> None:
    process = moment(world)
    process.kill()
    process.communicate(timeout=LIMIT_S)
    until(lambda: not world.leftovers.pids())
    server = world.model(text("Here I am."))
    done = tiny_agents("run", "-c", "--base-url", server.url, "-p", "and now?")
    assert (done.code, done.out) == (0, "Here I am.\n")
    said = [message["content"] for message in server.chats[0]["messages"] if message["role"] == "user"]
    assert said[-1] == "and now?"
    assert "x" in said or "isn't part of the conversation: x\n" in done.err, (
        done.err
    )  # the request that was being worked on
