"""What docs/gallery.md shows: the real program with a scripted model and a server of its own, recorded."""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, delta, raw
from tests.support.program import LIMIT_S, SUPPORT
from tests.support.recording import Cast, Recorder, environment_for
from tests.support.terminal import CTRL_C, CTRL_D, ENTER
from tests.support.trips_server import STATIONS

PROMPT = r"^>\n*.* · .*\Z"
"""The prompt, and the line below it, which is drawn last."""
STREAMING = r".*Ctrl\+C stops\Z"

FORECAST = "What will the weather be in Gruyères?"
BOOK = "Book us a room at the Lion for two nights."
AGAIN = "And on Sunday?"
STORY = "Tell me all about cheese."
HELLO = "Where could we go at the weekend?"


class Steps:
    """A scripted answer goes on only when it is told to, so that each step can be seen."""

    def __init__(self) -> None:
        self._steps = threading.Semaphore(0)

    def next(self) -> None:
        self._steps.release()

    def wait(self) -> None:
        self._steps.acquire(timeout=LIMIT_S)

    def text(self, *pieces: str) -> Turn:
        events: list[object] = []
        for piece in pieces:
            events += [delta(content=piece), self.wait]
        return raw(*events, delta("stop"))  # type: ignore[arg-type]


def model(steps: Steps) -> Callable[[Recorded], Turn]:
    """Answers by what was asked last, or by the result of the tool."""

    def respond(request: Recorded) -> Turn:
        if not request.path.endswith("/chat/completions"):
            return Turn(body=b'{"object": "list", "data": [{"id": "gpt-oss", "object": "model"}]}')
        last = request.body["messages"][-1]
        said = str(last["content"])
        if last["role"] == "tool":
            return steps.text(AFTER_BOOKING) if "Booked" in said else steps.text(*AFTER_FORECAST)
        if said == FORECAST:
            return calls(("forecast", {"place": "Gruyères"}))
        if said == BOOK:
            return calls(("book", {"hotel": "Lion", "nights": 2}))
        return steps.text(*ANSWERS[said])

    return respond


AFTER_BOOKING = "The **Lion** expects you for two nights; the number is 4711."
AFTER_FORECAST = (
    "Friday is wet, but then it gets better:\n\n| | sky | °C |\n|---|---|---:|\n",
    "| Friday | rain | 11 |\n| Saturday | sun | 17 |\n",
    "| Sunday | sun, later clouds | 19 |\n\nI'd go **on Saturday**.",
)
ANSWERS = {
    HELLO: (
        "## Three ideas\n\n1. **Gruyères**: a castle, and *a lot* of cheese\n",
        "2. the lake at Bulle\n3. up the Moléson, by `funicular`\n\n",
        "> Take a coat with you.\n",
    ),
    AGAIN: ("On **Sunday** clouds come in the afternoon: the lake.",),
    STORY: ("Cheese is made of milk, which", " is a long story that begins"),
}


@contextmanager
def machine(folder: Path, url: str) -> Iterator[dict[str, str]]:
    """An environment in which `tiny-agents` is a command, and `journey`, the server."""
    commands = folder / ".bin"
    commands.mkdir()
    server = folder / ".bin" / "trips_server.py"
    for name, program in {"tiny-agents": "-m tiny_agents", "journey": f'"{server}"'}.items():
        script = commands / name
        script.write_text(f'#!/bin/sh\nexec "{sys.executable}" {program} "$@"\n', encoding="utf-8")
        script.chmod(0o755)
    shutil.copy(SUPPORT / "trips_server.py", server)
    path = f"{commands}{os.pathsep}{os.environ['PATH']}"
    yield environment_for(folder, PATH=path, TINY_AGENTS_BASE_URL=url, TINY_AGENTS_MODEL="gpt-oss")


def record(folder: Path) -> list[Cast]:
    """All recordings; `folder` is an empty one."""
    steps = Steps()
    with OpenAIServer(model(steps)) as server, machine(folder, server.url) as env, Recorder(folder, env) as recorder:
        a_new_agent(recorder)
        the_first_run(recorder, steps)
        a_tool(recorder, steps, folder / ".bin" / "gate")
        a_question(recorder, steps)
        an_interruption(recorder, steps)
        the_commands(recorder)
        a_conversation_again(recorder, steps)
    return recorder.casts


def a_new_agent(recorder: Recorder) -> None:
    recorder.begin("init", "A new agent, and whether all is there that it needs")
    recorder.shell("tiny-agents init trips --yes --server journey")
    assert recorder.end() == 0
    recorder.shell("tiny-agents doctor ./trips | tail -5")
    assert recorder.end() == 0
    recorder.moment(2.0)
    recorder.keep()


def the_first_run(recorder: Recorder, steps: Steps) -> None:
    recorder.begin("first-run", "The first question")
    recorder.shell("tiny-agents run ./trips")
    recorder.until(PROMPT)
    recorder.type(HELLO, ENTER)
    recorder.until(r"cheese\n" + STREAMING)
    steps.next()
    recorder.until(r"funicular\n" + STREAMING)
    steps.next()
    recorder.until(r"coat with you\.\n" + STREAMING)
    steps.next()
    recorder.until(r"coat with you\.\n\n" + PROMPT)
    recorder.moment(2.0)
    recorder.keep()


def a_tool(recorder: Recorder, steps: Steps, gate: Path) -> None:
    """The forecast waits at each of its three stations."""
    gate.mkdir()
    recorder.begin("tool-call", "A tool that says how far it is")
    recorder.moment()
    recorder.type(FORECAST, ENTER)
    for number, station in enumerate(STATIONS, start=1):
        recorder.until(rf"{number} of 3 · {station}\n" + STREAMING)
        if number == len(STATIONS):
            recorder.keep()
        (gate / str(number)).touch()
    recorder.until(r"sky +°C\n.*\n" + STREAMING)
    steps.next()
    recorder.until(r"Saturday .* 17\n" + STREAMING)
    steps.next()
    recorder.until(r"on Saturday\.\n" + STREAMING)
    steps.next()
    recorder.until(r"on Saturday\.\n\n" + PROMPT)
    recorder.moment(2.0)
    recorder.keep()
    shutil.rmtree(gate)


def a_question(recorder: Recorder, steps: Steps) -> None:
    recorder.begin("permission", "A call that may destroy something is asked about")
    recorder.moment()
    recorder.type(BOOK, ENTER)
    recorder.until(r"\(or n WHY\):\Z", 1.5)
    recorder.keep()
    recorder.type("y", ENTER)
    recorder.until(r"is 4711\.\n" + STREAMING)
    steps.next()
    recorder.until(r"is 4711\.\n\n" + PROMPT)
    recorder.moment(2.0)
    recorder.keep()


def an_interruption(recorder: Recorder, steps: Steps) -> None:
    recorder.begin("interrupt", "Ctrl+C stops an answer; what was typed meanwhile waits")
    recorder.moment()
    recorder.type(STORY, ENTER)
    recorder.until(r"milk, which\n" + STREAMING)
    steps.next()
    recorder.until(r"that begins\n" + STREAMING)
    recorder.press("Shorter, please")
    recorder.until(r"Ctrl\+C stops\n> Shorter, please\Z", 1.0)
    recorder.keep()
    recorder.press(CTRL_C)
    recorder.until(r"^Stopped.*\n\n> Shorter, please\n*.* · .*\Z")
    steps.next()  # for the answer that nobody reads any more
    recorder.moment(2.0)
    recorder.keep()
    recorder.press(CTRL_C)
    recorder.wait(r"^> Shorter, please\n*>\n*.* · .*\Z")


def the_commands(recorder: Recorder) -> None:
    recorder.begin("commands", "Slash commands, and how they are completed")
    recorder.moment()
    recorder.press("/t")
    recorder.until(r"^> /t\n +tools +the tools.*\n(?s:.*) · .*\Z", 1.5)
    recorder.keep()
    recorder.press("\x15")
    for command, last in {
        "/tools": "Books a room, for good",
        "/servers": "journey: up, 2 tools",
        '/call journey.forecast {"place": "Bulle"}': "19 °C",
        "/tolls": "second slash before it",
        "/usage": "tokens long",
    }.items():
        recorder.command(command)
        recorder.until(rf"{last}.*\n(.*\n)?\n" + PROMPT, 1.5)
    recorder.keep()
    recorder.press(CTRL_D)
    assert recorder.end() == 0


def a_conversation_again(recorder: Recorder, steps: Steps) -> None:
    recorder.begin("resume", "A conversation goes on another day")
    recorder.shell("tiny-agents sessions")
    assert recorder.end() == 0
    recorder.shell("tiny-agents run ./trips --continue")
    recorder.until(PROMPT)
    recorder.type(AGAIN, ENTER)
    recorder.until(r"the lake\.\n" + STREAMING)
    steps.next()
    recorder.until(r"the lake\.\n\n" + PROMPT)
    recorder.press(CTRL_D)
    assert recorder.end() == 0
    recorder.moment(2.0)
    recorder.keep()
