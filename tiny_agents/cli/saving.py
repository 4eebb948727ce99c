"""Which saved conversation a run goes on with, whether it is saved, and what is said about that."""

from __future__ import annotations

import os
import time
from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.agent.model_choice import COMMAND_LINE, ENVIRONMENT, ModelSettings
from tiny_agents.agent.sessions.about import about, differences, lasting_ref, settings_of, tool_differences
from tiny_agents.agent.sessions.database import SessionDatabase
from tiny_agents.agent.sessions.session import Session, find_session
from tiny_agents.agent.sessions.sqlite import SqliteSessionStore
from tiny_agents.agent.sessions.types import About, SessionInfo
from tiny_agents.cli.config import Config
from tiny_agents.cli.report import Reporter
from tiny_agents.cli.screen.safe_text import one_line, shorten
from tiny_agents.cli.screen.session_words import ago
from tiny_agents.cli.screen.terminal import Screen, Style
from tiny_agents.errors import ConfigError, SessionNotFoundError, UsageError

VARIABLE = "TINY_AGENTS_SESSIONS"
RECAP_LINES = 4

_SWITCH = {
    "": True,
    "on": True,
    "1": True,
    "true": True,
    "yes": True,
    "off": False,
    "0": False,
    "false": False,
    "no": False,
}


@dataclass(frozen=True, slots=True)
class Saving:
    """How a conversation is saved.

    Attributes:
        past: The one to go on with; None for a new one.
        about: With whom this one is had.
        changes: What is different from last time, in sentences.
    """

    about: About
    past: SessionInfo | None = None
    changes: Sequence[str] = ()
    secrets: Sequence[str] = field(default=(), repr=False)


def is_wanted(
    arguments: Namespace,
    definition: AgentDefinition,
    env: Mapping[str, str] = os.environ,
    *,
    config: Config = Config(),  # noqa: B008 - it can't be changed
) -> bool:
    """Whether to save: the flags, else the environment, else the definition, else the user's defaults, else yes.

    Raises:
        UsageError: The variable says something else than on or off.
    """
    switch = _SWITCH.get(env.get(VARIABLE, "").strip().lower())
    if switch is None:
        raise UsageError(f"{VARIABLE} must be on or off, but is {env[VARIABLE]!r}")
    if arguments.no_session:
        return False
    if arguments.last or arguments.resume:
        return True
    wanted = config.sessions if definition.sessions is None else definition.sessions
    return switch and (bool(env.get(VARIABLE)) or wanted is not False)


def past_session(arguments: Namespace) -> SessionInfo | None:
    """The conversation that `--resume` names, or `--continue` without an agent; None where none is known yet.

    Raises:
        SessionNotFoundError: There is no such session.
        UsageError: It doesn't say which agent it was had with.
    """
    if not arguments.resume and not (arguments.last and arguments.agent is None):
        return None
    with SessionDatabase() as sessions:
        found = sessions.find(arguments.resume or "last")
    if arguments.agent is None and found.about.agent is None:
        raise UsageError(f"session {found.id} doesn't say which agent it was had with: name one before --resume")
    return found


def agent_of(arguments: Namespace, past: SessionInfo | None) -> str:
    """The agent to load.

    Raises:
        ConfigError: The one of the past conversation isn't where it was.
    """
    if arguments.agent is not None:
        return str(arguments.agent)
    ref = (past.about.agent if past is not None else None) or ""
    if past is not None and os.path.isabs(ref) and not Path(ref).exists():
        raise ConfigError(f"the agent of session {past.id} isn't there any more: name one before --resume", path=ref)
    return ref


def last_of_agent(ref: str, definition: AgentDefinition) -> SessionInfo:
    """The last conversation with an agent, for `--continue`.

    Raises:
        SessionNotFoundError: There was none.
    """
    lasting = lasting_ref(ref, definition)
    with SessionDatabase() as sessions:
        found = [info for info in sessions.list() if info.about.agent == lasting]
    if not found:
        raise SessionNotFoundError(f"no conversation with the agent {ref} is saved: leave --continue out to start one")
    return find_session(found, "last")


def model_flags(flags: ModelSettings, env: Mapping[str, str], past: SessionInfo | None) -> ModelSettings:
    """What the command line says about the model; where it says nothing, what it said the last time."""
    if past is None or past.about.model_from != COMMAND_LINE or any((flags.model, flags.provider, flags.base_url)):
        return flags
    if any(env.get(f"TINY_AGENTS_{name}") for name in ("MODEL", "PROVIDER", "BASE_URL")):
        return flags
    before = settings_of(past.about)
    return ModelSettings(before.model, before.provider, before.base_url, flags.api_key)


def plan_saving(
    ref: str, written: AgentDefinition, model: ModelSettings, past: SessionInfo | None, secrets: Sequence[str]
) -> Saving:
    """What to save about a conversation, and what is different from last time."""
    now = about(ref, written, model)
    changes = differences(past.about, now) if past is not None else []
    if past is not None and model.source == ENVIRONMENT and any("model" in each for each in changes):
        changes.append("The environment names it.")
    return Saving(now, past, changes, tuple(secrets))


async def open_session(saving: Saving | None) -> Session | None:
    """The session for a run; closing it closes its store.

    Raises:
        SessionError: The one to go on with can't be had.
    """
    if saving is None:
        return None
    store = SqliteSessionStore()
    if saving.past is None:
        session = Session(store)
    else:
        session = await Session.resume(store, saving.past.id)
    session.on_close = store.close
    session.describe(saving.about, saving.secrets)
    return session


# ---- what is said


def say_what_changed(saving: Saving | None, tools: Sequence[str], reporter: Reporter) -> None:
    """What is different in a conversation that is gone on with, on standard error."""
    if saving is not None and saving.past is not None:
        for sentence in (*saving.changes, *tool_differences(saving.past.about.tools, tuple(tools))):
            reporter.notice(one_line(sentence, 300))


def say_what_was_left(session: Session | None, reporter: Reporter) -> None:
    """That the last request of a conversation which is gone on with isn't part of it, on standard error."""
    if session is not None and session.unanswered is not None:
        request = one_line(session.unanswered, 200)
        reporter.warning(f"the last request was not answered, and isn't part of the conversation: {request}")


def show_recap(session: Session | None, screen: Screen) -> None:
    """Where a conversation was left: the last request, the end of the answer to it, and what became of it."""
    stored = session.stored if session is not None else None
    if session is None or stored is None:
        return
    info = stored.info
    count = f"{info.messages} message{'' if info.messages == 1 else 's'}"
    screen.line(f"Session {info.id}: {one_line(info.title)} ({count}, {ago(info.updated, time.time())})", Style.DIM)
    request, answer = session.last_exchange()
    for mark, text in (("> ", request), ("", answer)):
        if text:
            short = shorten(text, max_lines=RECAP_LINES, max_columns=max(screen.answer.columns - 4, 20))
            for number, line in enumerate(short.lines):
                screen.line((mark if number == 0 else " " * len(mark)) + line, Style.DIM)
            if short.cut:
                screen.line(f"… {short.cut:,} more characters", Style.DIM)
    if session.unanswered is not None:
        screen.line(
            f"Your last request was not answered, ask it again: {one_line(session.unanswered, 200)}", Style.WARNING
        )
    elif session.interrupted:
        screen.line("The last request was interrupted; what had come of it is kept.", Style.WARNING)
    screen.line()


def how_to_come_back(session: Session | None) -> str:
    """The command that goes on with a conversation; nothing if it isn't saved, or nothing was said."""
    if session is None or not session.is_saved or session.problem is not None or not session.has_requests:
        return ""
    return f"tiny-agents run --resume {session.id}"
