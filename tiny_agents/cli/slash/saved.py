"""Slash commands about saved conversations."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import msgspec

from tiny_agents.agent.sessions import export as exporting
from tiny_agents.agent.sessions.about import differences
from tiny_agents.agent.sessions.database import SessionDatabase
from tiny_agents.agent.sessions.redacting import redacted
from tiny_agents.agent.sessions.types import SavedMessage, SessionInfo, StoredSession
from tiny_agents.cli.saving import Saving, open_session, show_recap
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.cli.screen.session_words import ID_COLUMN, list_line
from tiny_agents.cli.slash.talk import Run, SlashCommand, Talk
from tiny_agents.errors import UsageError
from tiny_agents.inference.types.record import to_builtins

LISTED = 15

T = TypeVar("T")


def _in_database(work: Callable[[SessionDatabase], T]) -> T:
    with SessionDatabase() as sessions:
        return work(sessions)


def _saving(talk: Talk) -> Saving:
    if talk.saving is None:
        raise UsageError("conversations aren't saved here (--no-session, TINY_AGENTS_SESSIONS, or the agent says so)")
    return talk.saving


async def save(talk: Talk, _: str) -> Run | None:
    """Where the conversation is saved."""
    _saving(talk)
    session = talk.agent.session
    if session is None or not session.is_saved:
        talk.say("It is saved with your first request, and then as it goes.")
    elif session.problem is not None:
        talk.say(f"It can't be saved at the moment: {one_line(str(session.problem))}")
    else:
        talk.say(f"It is saved as it goes: tiny-agents run --resume {session.id}")
    return None


async def sessions(talk: Talk, words: str) -> Run | None:
    """Saved conversations with this agent, or those that hold some words."""
    columns = talk.screen.answer.columns
    if words:
        found = [each.info for each in _in_database(lambda database: database.search(words, limit=LISTED))]
    else:
        found = _of_this_agent(talk)[:LISTED]
    now = time.time()
    talk.say(*(list_line(info, now, columns - 1) for info in found), hang=ID_COLUMN)
    talk.aside("/resume ID goes on with one." if found else "There is none.")
    return None


def _of_this_agent(talk: Talk) -> list[SessionInfo]:
    agent = talk.saving.about.agent if talk.saving is not None else None
    return [info for info in _in_database(lambda database: database.list()) if agent in (None, info.about.agent)]


async def ids(talk: Talk) -> Sequence[str]:
    return [info.id for info in _of_this_agent(talk)[:50]]


async def resume(talk: Talk, wanted: str) -> Run | None:
    """Another saved conversation, with this agent."""
    saving = _saving(talk)
    if not wanted:
        return await sessions(talk, "")
    info = _in_database(lambda database: database.find(wanted))
    if talk.agent.session is not None and info.id == talk.agent.session.id:
        raise UsageError("that is this conversation")
    await _take_up(talk, saving, info)
    return None


async def fork(talk: Talk, _: str) -> Run | None:
    """A copy of this conversation; from now on it is the copy that goes on."""
    saving = _saving(talk)
    session = talk.agent.session
    if session is None or not session.is_saved:
        raise UsageError("there is nothing to copy yet")
    kept = session.id
    info = _in_database(lambda database: database.fork(kept))
    await _take_up(talk, saving, info)
    talk.say(f"This is a copy; the original stays as it is: {kept}")
    return None


async def _take_up(talk: Talk, saving: Saving, info: SessionInfo) -> None:
    session = await open_session(replace(saving, past=info))
    await talk.agent.take_up(session)
    for sentence in differences(info.about, saving.about):
        talk.aside(one_line(sentence, 300))
    show_recap(session, talk.screen)


async def export(talk: Talk, name: str) -> Run | None:
    """The conversation as a file: JSON, or Markdown to read."""
    if not name:
        raise UsageError("/export FILE: which file? One that ends in .md is written to be read, others as JSON")
    session = talk.agent.session
    info = session.info if session is not None else SessionInfo(id="unsaved")
    now = time.time()
    plain = (redacted(to_builtins(message), talk.secrets) for message in talk.agent.messages)
    messages = tuple(SavedMessage(message, now) for message in plain)
    stored = StoredSession(msgspec.structs.replace(info, messages=len(messages), updated=now), messages)
    _write(name, exporting.to_markdown(stored) if name.endswith(".md") else exporting.to_json(stored))
    talk.say(f"Written: {one_line(name)} ({len(messages)} messages)")
    return None


def _write(name: str, text: str) -> None:
    try:
        with Path(name).expanduser().open("x", encoding="utf-8") as file:
            file.write(text)
    except FileExistsError:
        raise UsageError(f"{name} is there already: choose another name") from None
    except OSError as error:
        raise UsageError(f"{name} can't be written: {error.strerror}") from error


COMMANDS = (
    SlashCommand("save", "", "where the conversation is saved", save),
    SlashCommand("sessions", "[WORDS]", "saved conversations; those that hold some words", sessions),
    SlashCommand("resume", "[ID]", "go on with a saved conversation", resume, ids),
    SlashCommand("fork", "", "go on in a copy of this conversation", fork),
    SlashCommand("export", "FILE", "write the conversation to a file (.md to read, else JSON)", export),
)
