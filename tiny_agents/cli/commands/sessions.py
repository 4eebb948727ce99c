"""`tiny-agents sessions`: look through saved conversations, branch off, export, delete.

What was saved came from models, tools and files: all of it is neutralised before it reaches a terminal.
"""

from __future__ import annotations

import json
import sys
import time
from argparse import Namespace
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

from tiny_agents.agent.sessions import export
from tiny_agents.agent.sessions.database import SessionDatabase
from tiny_agents.agent.sessions.types import SessionInfo
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.prompt.prompts import ask_yes_no, is_terminal
from tiny_agents.cli.report import Reporter
from tiny_agents.cli.screen.safe_text import neutralise, one_line
from tiny_agents.cli.screen.session_words import ID_COLUMN, ago, list_line, message_lines, numbered_title
from tiny_agents.cli.screen.terminal import Screen, Style
from tiny_agents.data_dir import write_new
from tiny_agents.errors import TinyAgentsError, UnreadableInputError, UsageError

MAX_IMPORT_BYTES = 256_000_000

UNKNOWN_COLUMNS = 1000
"""Into a pipe or a file, lines aren't folded where a terminal would."""

Action = Callable[[Namespace, SessionDatabase, Screen], int]


def command(arguments: Namespace, _reporter: Reporter) -> int:
    """Do `tiny-agents sessions`."""
    screen = Screen(sys.stdout, sys.stdout)
    with SessionDatabase() as sessions:
        return ACTIONS[arguments.action or "list"](arguments, sessions, screen)


def _list(arguments: Namespace, sessions: SessionDatabase, screen: Screen) -> int:
    found = sessions.list(arguments.agent)
    if arguments.json:
        for info in found[: arguments.limit]:
            sys.stdout.write(json.dumps(_as_json(info)) + "\n")
        return ExitCode.DONE
    if not found:
        screen.line(f"No conversation is saved{' with this agent' if arguments.agent else ''}.", Style.DIM)
    _rows(found[: arguments.limit], screen)
    if len(found) > arguments.limit:
        screen.line(f"{len(found) - arguments.limit} more: --limit {len(found)} shows all.", Style.DIM)
    return ExitCode.DONE


def _as_json(info: SessionInfo) -> Mapping[str, object]:
    return {
        "id": info.id,
        "title": info.title,
        "agent": info.about.agent_name or info.about.agent,
        "model": info.about.model,
        "messages": info.messages,
        "created": info.created,
        "updated": info.updated,
        "parent": info.parent,
    }


def _rows(found: Iterable[SessionInfo], screen: Screen) -> None:
    now = time.time()
    for info in found:
        screen.line(list_line(info, now, screen.answer.columns if screen.answer.is_terminal else None), hang=ID_COLUMN)


def _search(arguments: Namespace, sessions: SessionDatabase, screen: Screen) -> int:
    found = sessions.search(" ".join(arguments.text), limit=arguments.limit)
    now = time.time()
    for each in found:
        screen.line(
            list_line(each.info, now, screen.answer.columns if screen.answer.is_terminal else None), hang=ID_COLUMN
        )
        screen.line(f"    {each.role} ({each.message}): {one_line(each.excerpt)}", Style.DIM)
    if not found:
        screen.line("Nothing was found.", Style.DIM)
    return ExitCode.DONE


def _show(arguments: Namespace, sessions: SessionDatabase, screen: Screen) -> int:
    stored = sessions.read(sessions.find(arguments.id).id)
    info = stored.info
    screen.line(one_line(info.title) or "(no request)", Style.BOLD)
    parts = [
        f"session {info.id}",
        one_line(info.about.agent_name or info.about.agent or ""),
        one_line(info.about.model or ""),
    ]
    screen.line(", ".join(part for part in (*parts, ago(info.updated, time.time())) if part), Style.DIM)
    if info.parent:
        screen.line(f"forked from {info.parent} after message {info.parent_messages}", Style.DIM)
    columns = screen.answer.columns if screen.answer.is_terminal else UNKNOWN_COLUMNS
    for number, saved in enumerate(stored.messages, 1):
        screen.line()
        screen.line(numbered_title(number, saved), Style.TOOL)
        for line in message_lines(saved.message, columns, full=arguments.full):
            screen.line(line)
    return ExitCode.DONE


def _export(arguments: Namespace, sessions: SessionDatabase, screen: Screen) -> int:
    info = sessions.find(arguments.id)
    stored = sessions.read(info.id)
    if arguments.format == "markdown":
        text = export.to_markdown(stored)
    else:
        text = export.to_json(stored, sessions.kept_aside(info.id) if arguments.all else ())
    if arguments.output is None:
        sys.stdout.write(neutralise(text) if screen.answer.is_terminal else text)
        return ExitCode.DONE
    try:
        # For its owner alone, as the conversation itself is; an existing file stays what it is.
        write_new(Path(arguments.output), text.encode("utf-8", "backslashreplace"))
    except FileExistsError:
        raise UsageError(f"{arguments.output} is there already: name another file") from None
    except OSError as error:
        raise TinyAgentsError(f"{arguments.output} can't be written: {error.strerror or error}") from error
    return ExitCode.DONE


def _import(arguments: Namespace, sessions: SessionDatabase, screen: Screen) -> int:
    try:
        if arguments.file != "-":
            with Path(arguments.file).open("rb") as file:
                data = file.read(MAX_IMPORT_BYTES + 1)
        else:
            data = sys.stdin.buffer.read(MAX_IMPORT_BYTES + 1) if sys.stdin is not None else b""
        if len(data) > MAX_IMPORT_BYTES:
            raise UsageError(f"this is larger than {MAX_IMPORT_BYTES // 1_000_000} MB, which no session is")
        stored = export.from_json(data.decode("utf-8-sig"))
    except OSError as error:
        raise UnreadableInputError(f"{arguments.file}: {error.strerror}") from error
    except UnicodeDecodeError:
        raise UsageError(f"{arguments.file}: this isn't text in UTF-8") from None
    except UsageError as error:
        raise UsageError(f"{arguments.file}: {error}") from None
    _new(sessions.add(stored), screen)
    return ExitCode.DONE


def _fork(arguments: Namespace, sessions: SessionDatabase, screen: Screen) -> int:
    _new(sessions.fork(sessions.find(arguments.id).id, arguments.at), screen)
    return ExitCode.DONE


def _new(info: SessionInfo, screen: Screen) -> None:
    count = f"{info.messages} message" + ("" if info.messages == 1 else "s")
    agent = "" if info.about.agent else " AGENT"
    screen.line(f"{info.id} has {count}. Go on with: tiny-agents run{agent} --resume {info.id}")


def _rewind(arguments: Namespace, sessions: SessionDatabase, screen: Screen) -> int:
    info = sessions.find(arguments.id)
    dropped = sessions.rewind(info.id, arguments.count)
    screen.line(
        f"{info.id}: dropped the last {dropped} message{'' if dropped == 1 else 's'}, kept aside for 'export --all'."
    )
    return ExitCode.DONE


def _delete(arguments: Namespace, sessions: SessionDatabase, screen: Screen) -> int:
    ways = [bool(arguments.ids), arguments.all, arguments.older_than is not None]
    if sum(ways) != 1:
        raise UsageError("say which: ids, --older-than AGE, or --all")
    if arguments.ids:
        chosen = list({info.id: info for info in map(sessions.find, arguments.ids)}.values())
    else:
        before = time.time() - (arguments.older_than or 0.0)
        chosen = [info for info in sessions.list() if arguments.all or info.updated < before]
    if not chosen:
        screen.line("There is nothing to delete.", Style.DIM)
        return ExitCode.DONE
    if not arguments.ids and not arguments.yes:
        _rows(chosen, screen)
        if not is_terminal(sys.stdin):
            raise UsageError("nobody can be asked here whether to delete these: add --yes")
        if not ask_yes_no(f"Delete {len(chosen)} for good?"):
            return ExitCode.FAILED
    sessions.delete(info.id for info in chosen)
    screen.line(f"Deleted {', '.join(info.id for info in chosen)}.")
    return ExitCode.DONE


ACTIONS: Mapping[str, Action] = {
    "list": _list,
    "search": _search,
    "show": _show,
    "export": _export,
    "import": _import,
    "fork": _fork,
    "rewind": _rewind,
    "delete": _delete,
}
