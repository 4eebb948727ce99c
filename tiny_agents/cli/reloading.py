"""A definition that changes while a conversation with its agent goes on: it is noticed, and `/reload` takes it up."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Protocol, TypeVar

from tiny_agents.agent.agent import Agent
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.agent.sessions.about import tool_differences
from tiny_agents.cli.interrupts import Interrupts, undisturbed
from tiny_agents.cli.prompt.keyboard import line_keyboard
from tiny_agents.cli.saving import Saving
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.cli.slash.talk import Talk
from tiny_agents.errors import UsageError

Look = tuple[int, int, int] | None
"""Of a file its number, its size and when it was written; None where there is none."""


class Prepared(Protocol):
    """What there is to know of an agent before it is made: `commands.run.Plan`."""

    @property
    def definition(self) -> AgentDefinition: ...

    @property
    def saving(self) -> Saving | None: ...


P = TypeVar("P", bound=Prepared)


class Watch:
    """Whether files are as they were."""

    def __init__(self, files: Iterable[Path]) -> None:
        self._before = _looks(files)

    def has_changed(self) -> bool:
        """Whether one of them is another than when this was last asked."""
        before, self._before = self._before, _looks(self._before)
        return before != self._before


def _looks(files: Iterable[Path]) -> Mapping[Path, Look]:
    return {file: _look(file) for file in files}


def _look(file: Path) -> Look:
    try:
        found = file.stat()
    except OSError:
        return None
    return found.st_ino, found.st_size, found.st_mtime_ns


def prepared_again(prepare: Callable[[], P], interrupts: Interrupts) -> P:
    """What `prepare` gives, which may ask: with the terminal and the signals as they are before a conversation.

    Raises:
        asyncio.CancelledError: The user stopped it.
    """
    try:
        with interrupts.as_before_start(), line_keyboard():
            return prepare()
    except asyncio.CancelledError:
        sys.stderr.write("\n")  # behind the question
        sys.stderr.flush()
        raise


async def reload(
    talk: Talk,
    interrupts: Interrupts,
    *,
    prepare: Callable[[], P],
    make: Callable[[P], Agent],
    load: Callable[[Agent, P], Awaitable[None]],
) -> None:
    """Put the agent as its definition is now in place of the one that has the conversation, which is then ended.

    Its servers are started before the others are ended, so that whatever goes wrong leaves everything as it was.

    Args:
        prepare: Reads and checks all, and asks what has to be asked.
        make: Makes the agent of what was prepared.
        load: Starts its servers.

    Raises:
        TinyAgentsError: The definition can't be used as it is; the conversation goes on as before.
    """
    if talk.definition.path is None:
        raise UsageError("there is no file that this agent was read from, so there is nothing to reload")
    plan = prepared_again(prepare, interrupts)
    talk.watch = Watch(plan.definition.sources)
    before = talk.agent
    now = make(plan)
    try:
        await load(now, plan)
        now.take_over(before, keeps_session=plan.saving is not None)
    except BaseException:
        await undisturbed(now.cleanup())
        raise
    talk.agent, talk.definition = now, plan.definition
    talk.saving = replace(plan.saving, past=None, changes=()) if plan.saving is not None else None
    if now.session is not None and talk.saving is not None:
        now.session.describe(talk.saving.about, talk.saving.secrets)
    names = [tuple(tool.function.name for tool in agent.available_tools) for agent in (before, now)]
    await undisturbed(before.cleanup())
    talk.say(f"{one_line(plan.definition.name)} is as its definition says now; the conversation goes on.")
    talk.aside(*(one_line(sentence, 300) for sentence in tool_differences(*names)))
    if before.model_name != now.model_name:
        talk.aside(f"The model was {one_line(before.model_name)}, now it is {one_line(now.model_name)}.")
