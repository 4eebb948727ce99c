"""What is checked around every scenario, and the scripted model that all of them share."""

from __future__ import annotations

import asyncio
import logging
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.scenario import PROMISES
from tests.support import leftovers as planted
from tests.support import program, starting
from tests.support.history import assert_valid
from tests.support.leftovers import Leftovers, no_task_left
from tests.support.openai_server import OpenAIServer, scripted_servers

collect_ignore_glob = [] if sys.platform == "linux" else ["test_*.py"]  # what is left is looked for in /proc

BYTE_LOGS = ("httpcore2",)
"""Logs of what goes over the wire, as it is: who turns these on wants to see what a server sent, keys included."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.integration)
            named = {name for mark in item.iter_markers("promise") for name in mark.args}
            if not named or not named <= PROMISES.keys():
                raise pytest.UsageError(f"{item.nodeid} proves {named or 'nothing'}; promises are {[*PROMISES]}")


@pytest.fixture(scope="session", autouse=True)
def _programs_start_at_once() -> None:
    starting.ready()


@pytest.fixture(autouse=True)
def leftovers(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    capfd: pytest.CaptureFixture[str],
) -> Iterator[Leftovers]:
    """Afterwards nothing is left, and no secret is in anything that was written, shown or logged."""
    for name in ("data", "cache", "config"):
        monkeypatch.setenv(f"XDG_{name.upper()}_HOME", str(tmp_path / name))
    monkeypatch.setenv("USERS_OWN_SECRET", planted.USERS_OWN)
    caplog.set_level(logging.DEBUG)
    found = Leftovers(tmp_path)
    yield found
    output = capfd.readouterr()
    formatter = logging.Formatter()
    for phase in ("setup", "call"):
        records = (record for record in caplog.get_records(phase) if not record.name.startswith(BYTE_LOGS))
        found.seen(*(formatter.format(record) for record in records))
    found.seen(output.out, output.err)
    found.check()


@pytest.fixture(autouse=True)
async def _no_task_is_left(leftovers: Leftovers, anyio_backend: str) -> AsyncIterator[None]:
    before = asyncio.all_tasks()
    yield
    await no_task_left(before)


@pytest.fixture
def model(leftovers: Leftovers) -> Iterator[Callable[..., OpenAIServer]]:
    """Starts scripted models: `model(turn, ...)` or `model(function)`. A strict server would accept all they were sent."""
    with scripted_servers() as (servers, start):
        yield start
    for server in servers:
        for chat in server.chats:
            leftovers.seen(chat)
            if chat is not None:  # None: its sender was ended while it was sent
                assert_valid(chat["messages"])


@pytest.fixture
def tiny_agents(leftovers: Leftovers, tmp_path: Path) -> Callable[..., program.Done]:
    """Runs the real program to its end in `tmp_path`; what it wrote is searched for secrets."""

    def run(*args: str, input: bytes | int = subprocess.DEVNULL, **env: str) -> program.Done:
        done = program.run(*args, cwd=tmp_path, input=input, **leftovers.env, **env)
        leftovers.seen(done.out, done.err)
        assert "--debug" in args or "Traceback" not in done.err, done.err
        return done

    return run
