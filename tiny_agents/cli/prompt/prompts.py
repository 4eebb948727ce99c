"""What the user has to say: the prompt of a one-shot run, and answers to questions before it."""

from __future__ import annotations

import getpass
import os
import select
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from tiny_agents.cli.screen.safe_text import neutralise
from tiny_agents.errors import UsageError

STDIN_NOTICE_AFTER_S = 2.0
STDIN = "@-"
"""As the value of `--prompt`: all of standard input."""


def is_terminal(stream: TextIO | None) -> bool:
    """Whether a person may sit behind `stream`; a closed one has nobody."""
    return stream is not None and not stream.closed and stream.isatty()


MAX_PROMPT_BYTES = 20_000_000


def prompt_file(flag: str) -> Path | None:
    """The file that `--prompt @FILE` names; None for text, and for `@-`, which is standard input.

    `@@` begins a text with @. So does @ before words: "@ada wrote that ..." is a file only if there is one of that name.
    """
    if not flag.startswith("@") or flag.startswith("@@") or flag == STDIN:
        return None
    path = Path(flag[1:]).expanduser()
    return path if path.is_file() or len(flag.split()) == 1 else None


def read_prompt_file(path: Path) -> str:
    """The text of a file.

    Raises:
        UsageError: It can't be read, isn't text, or holds nothing.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_PROMPT_BYTES + 1)
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise UsageError(f"--prompt @FILE: {path}: {reason} (a text that begins with @ is written with @@)") from error
    if len(data) > MAX_PROMPT_BYTES:
        raise UsageError(f"--prompt @FILE: {path} is larger than {MAX_PROMPT_BYTES // 1_000_000} MB")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"--prompt @FILE: {path} isn't text in UTF-8 (byte {error.start + 1})") from error
    if not text.strip():
        raise UsageError(f"--prompt @FILE: {path} is empty")
    return text


def compose_prompt(flag: str | None, piped: str | None) -> str:
    """The prompt of a one-shot run: `--prompt`, then a blank line and what came on standard input.

    Args:
        flag: Value of `--prompt`; None without the flag.
        piped: All of standard input; None where that is a terminal.
    Raises:
        UsageError: There is nothing in either.
    """
    parts = [part.strip("\r\n") for part in (flag, piped) if part is not None and part.strip()]
    if parts:
        return "\n\n".join(parts)
    if flag is not None:
        raise UsageError("the prompt is empty: write one after --prompt")
    if piped is not None:
        raise UsageError("nothing came on standard input: pipe a prompt in, or use --prompt TEXT")
    raise UsageError(
        "there is no prompt: use --prompt TEXT or pipe one in (to talk, input and output must be a terminal)"
    )


def read_stdin(stream: TextIO | None, notice: Callable[[str], None], *, optional: bool = False) -> str:
    """All of standard input as text; a closed one is empty.

    A pipe that nobody writes to is waited for, as other programs do, but not without saying so.

    Args:
        optional: The prompt is there already, so a pipe that stays silent (a scheduler's, a parent's that forgot to close
            it) is left alone: such a run must not wait for ever.

    Raises:
        UsageError: What came isn't text in UTF-8, or is more than any model takes.
    """
    if stream is None or stream.closed:
        return ""
    fd = stream.fileno()
    if _stays_silent(fd):
        if optional:
            notice(f"nothing came on standard input for {STDIN_NOTICE_AFTER_S:g} s: going on without it")
            return ""
        notice("waiting for text on standard input (to run without it: < /dev/null)")
    data = stream.buffer.read(MAX_PROMPT_BYTES + 1)
    if len(data) > MAX_PROMPT_BYTES:
        raise UsageError(f"standard input is larger than {MAX_PROMPT_BYTES // 1_000_000} MB, which no model takes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"standard input isn't text in UTF-8 (byte {error.start + 1})") from error


def _stays_silent(fd: int) -> bool:
    """Whether `fd` is a pipe or a socket on which nothing comes, not even its end, for a while."""
    if sys.platform == "win32":
        return False  # its `select` only knows sockets
    else:  # noqa: RET505 - a type checker reads only the branch of its platform
        mode = os.fstat(fd).st_mode
        is_pipe = stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode)
        return is_pipe and not select.select([fd], [], [], STDIN_NOTICE_AFTER_S)[0]


def ask_line(question: str) -> str:
    """Ask on standard error, read a line from standard input. The end of input is an empty answer."""
    sys.stderr.write(f"{neutralise(question)} ")
    sys.stderr.flush()
    line = sys.stdin.readline()
    if not line.endswith("\n"):
        sys.stderr.write("\n")
    return line.strip()


def ask_secret(question: str) -> str:
    """Ask without showing what is typed. The end of input is an empty answer."""
    try:
        return getpass.getpass(f"{neutralise(question)} ", stream=sys.stderr).strip()
    except EOFError:
        return ""


def ask_yes_no(question: str) -> bool:
    """Ask for a yes; anything else is a no."""
    return ask_line(f"{question} [y/N]").casefold() in {"y", "yes"}
