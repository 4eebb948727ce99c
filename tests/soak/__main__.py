"""`python -m tests.soak [--conversations 1000] [--at-once 100] [--faults 0.2]`: ends with 0 if all came to what was meant.

Each conversation is an agent with an MCP server, over stdio or http: a prompt, tool calls, an answer, a second prompt. What
should come of it is known beforehand, whatever goes wrong. Memory is measured in this process, in which all agents are.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import random
import re
import resource
import statistics
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.soak.world import AGAIN, ANSWER
from tests.support.history import assert_valid
from tests.support.leftovers import no_task_left
from tests.support.mcp_servers import bad_server
from tests.support.processes import Mark, open_descriptors, resident_bytes
from tiny_agents import Agent, ChatCompletionInputMessage, TinyAgentsError

LIMIT_S = 300.0  # of one conversation, on a machine that has much else to do
GROWTH = 20_000_000  # bytes that may come to stay after the warm-up: caches of the allocator


@dataclass(frozen=True)
class Script:
    """A way for a conversation to go.

    Attributes:
        behaviour, argument: Of the stdio server; empty for a remote one.
        told: Pattern of what the model is told of its first call; None where it makes none.
        error: Pattern of the error in place of an answer.
        answer: The answer, else.
        refused: Pattern of the error with which adding the server fails: the conversation has no tools then.
        options, server: More arguments of `Agent`, and of `add_mcp_server`.
    """

    behaviour: str = ""
    argument: str = ""
    told: str | None = "^pong$"
    error: str | None = None
    answer: str | None = ANSWER
    refused: str | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    server: Mapping[str, Any] = field(default_factory=dict)


PATIENT = {"tool_timeout": 3}

HEALTHY = {"stdio": Script("well_behaved"), "http": Script()}
FAULTS = {
    "overloaded": Script("well_behaved"),
    "unavailable": Script(),
    "forbidden": Script("well_behaved", told=None, error="403"),
    "breaks-off": Script(told=None, error="broke off"),
    "stalls": Script("well_behaved", told=None, error="sent nothing for 5 s", options={"timeout": 5}),
    "no-json": Script(told=None, error="."),
    "bad-arguments": Script("well_behaved", told="."),
    "unknown-tool": Script(told="there is no tool 'nonesuch'"),
    "never-done": Script("well_behaved", answer="", options={"max_turns": 5}),
    "dies": Script("well_behaved", told="exited with status 5 during the call of 'leave'"),
    "dies-at-start": Script("exits_at_start", told="there is no tool", refused="exited with status 3"),
    "hangs": Script("hangs", told=r"did not finish within 3 s", server=PATIENT),
    "half-an-answer": Script("half_an_answer_and_no_more", told="did not finish within 3 s", server=PATIENT),
    "closes-output": Script("closes_its_output", told="closed its standard output"),
    "fails": Script("tool_fails", told="^Error: no disk"),
    "garbage": Script("writes_garbage"),
    "floods": Script("floods_notifications", "50"),
    "deep": Script("answers_deeply", told="nested deeper"),
    "stubborn": Script("is_stubborn"),
    "helper": Script("has_a_helper_of_its_own_session"),
    "never-answers": Script("never_answers", told="no tool", refused="not ready", server={"startup_timeout": 3}),
    "http-500": Script(told="HTTP 500"),
    "http-reset": Script(told="could not be reached"),
    "http-lost-session": Script(),
    "http-half-event": Script(told="broke its answer off"),
    "http-redirect": Script(told="not followed"),
    "http-page": Script(told="the server answered with text/html"),
}


class Soak:
    def __init__(self, model: str, servers: str, mark: Mark) -> None:
        self._model = model
        self._servers = servers
        self.mark = mark
        self.lasted: list[float] = []
        self.problems: list[str] = []
        self.resident: list[int] = []

    async def conversation(self, number: int, fault: str | None, slots: asyncio.Semaphore) -> None:
        kind = ("stdio", "http")[number % 2]
        script = HEALTHY[kind] if fault is None else FAULTS[fault]
        async with slots:
            started = time.monotonic()
            try:
                async with asyncio.timeout(LIMIT_S):
                    await self._converse(f"soak-{number}-{fault or kind}", script)
            except Exception as error:  # noqa: BLE001 - every conversation is to be heard of
                self.problems.append(f"{fault or kind} (conversation {number}): {type(error).__name__}: {error}")
            self.lasted.append(time.monotonic() - started)
            if len(self.lasted) % 100 == 0:
                gc.collect()
                self.resident.append(resident_bytes())
                print(f"  {len(self.lasted):5} done, {self.resident[-1] / 1e6:.0f} MB", flush=True)

    async def _converse(self, name: str, script: Script) -> None:
        options: dict[str, Any] = {"base_url": self._model, "model": name, "api_key": "none", **script.options}
        server = {**script.server, "name": name}
        if script.behaviour:
            server = {**bad_server(script.behaviour, script.argument), **server, "env": self.mark.env}
        else:
            server = {"type": "http", "url": f"{self._servers}/mcp/{name}", **server}
        async with Agent(**options) as agent:
            refused = ""
            try:
                await agent.add_mcp_server(**server)
            except TinyAgentsError as error:
                refused = str(error)
            agrees(script.refused, refused)
            told, failed = [], ""
            try:
                async for item in agent.run("go"):
                    if isinstance(item, ChatCompletionInputMessage):
                        told.append(str(item.content))
            except TinyAgentsError as error:
                failed = str(error)
            agrees(script.error, failed)
            agrees(script.told, told[0] if told else "")
            if script.error is None:
                assert agent.result is not None
                assert agent.result.text == script.answer, agent.result.text
            assert_valid(agent.messages)
            assert (await agent.run_to_completion("again")).text == AGAIN
            assert_valid(agent.messages)


def agrees(pattern: str | None, found: str) -> None:
    assert bool(found) == (pattern is not None), f"{pattern!r} expected: {found[:300]!r}"
    assert pattern is None or re.search(pattern, found), f"{pattern!r} expected: {found[:300]!r}"


def faults_of(count: int, share: float, seed: int = 7) -> list[str | None]:
    """Which conversation goes wrong, and how; each fault about as often as the others."""
    wrong = round(count * share)
    names = list(FAULTS)
    chosen: list[str | None] = [names[index % len(names)] for index in range(wrong)]
    chosen += [None] * (count - wrong)
    random.Random(seed).shuffle(chosen)
    return chosen


def soak(count: int, at_once: int, share: float) -> bool:
    """Have the conversations, and say what came of them; says whether all is well."""
    command = [sys.executable, "-m", "tests.soak.world"]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=root) as world:
        assert world.stdout is not None
        ready, model, servers = world.stdout.readline().split()
        assert ready == "READY"
        run, chosen, started = Soak(model, servers, Mark()), faults_of(count, share), time.monotonic()
        descriptors = asyncio.run(all_of(run, chosen, at_once))
        return report(run, Counter(chosen), descriptors, time.monotonic() - started)


async def all_of(run: Soak, chosen: list[str | None], at_once: int) -> int:
    """All conversations; returns how many descriptors have come to stay. No task may."""
    await run.conversation(-2, None, asyncio.Semaphore(1))  # imports what is needed
    run.lasted.clear()
    before, tasks, slots = open_descriptors(), asyncio.all_tasks(), asyncio.Semaphore(at_once)
    async with asyncio.TaskGroup() as group:
        for number, fault in enumerate(chosen):
            group.create_task(run.conversation(number, fault, slots))
    await no_task_left(tasks)
    return await grown(before)


async def grown(before: int, within_s: float = 20.0) -> int:
    """How many descriptors have come to stay; what has ended is held for a moment by the event loop."""
    deadline = time.monotonic() + within_s
    while (more := open_descriptors() - before) > 0 and time.monotonic() < deadline:
        gc.collect()
        await asyncio.sleep(0.05)
    return more


def report(run: Soak, chosen: Counter[str | None], descriptors: int, lasted_s: float) -> bool:
    left = run.mark.pids()
    count, wrong = chosen.total(), chosen.total() - chosen[None]
    warm = run.resident[len(run.resident) // 5 :]
    growth = warm[-1] - warm[0] if warm else 0
    usage = resource.getrusage(resource.RUSAGE_SELF)
    quick = statistics.quantiles(run.lasted, n=20)
    for problem in run.problems:
        print(f"  {problem[:600]}")
    print(
        f"soak: {count - len(run.problems)} of {count} conversations came to what was meant, {wrong} with a fault of "
        f"{len(chosen) - 1} kinds, in {lasted_s:.0f} s ({usage.ru_utime + usage.ru_stime:.0f} s of processor time here)\n"
        f"  one took {quick[9]:.1f} s (median), {quick[18]:.1f} s (95%)\n"
        f"  memory: {' '.join(f'{size / 1e6:.0f}' for size in run.resident)} MB every 100; {growth / 1e6:+.1f} MB after "
        f"warm-up\n"
        f"  left over: {len(left)} processes, {max(descriptors, 0)} descriptors, 0 tasks"
    )
    return not (run.problems or left or descriptors > 0 or growth > GROWTH)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(prog="python -m tests.soak", description=__doc__)
    parser.add_argument("--conversations", type=int, default=1_000)
    parser.add_argument("--at-once", type=int, default=100)
    parser.add_argument("--faults", type=float, default=0.2, help="the share that goes wrong")
    given = parser.parse_args()
    sys.exit(0 if soak(given.conversations, given.at_once, given.faults) else 1)
