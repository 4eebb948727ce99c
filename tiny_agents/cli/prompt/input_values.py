"""Values of a definition's inputs: from flags and files, and from the person at the terminal."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from pathlib import Path

from tiny_agents.agent.definition.types import InputDefinition
from tiny_agents.cli.prompt.prompts import ask_line, ask_secret
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.errors import UsageError

MAX_BYTES = 100_000
"""Of a file that holds a value: far more than any key, far less than a mistake."""

TRIES = 3


def given_values(pairs: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The values of `--input`: `@FILE` stands for what is in the file, `@@` for a value that begins with `@`.

    Raises:
        UsageError: A file can't be read; a value that was typed is never repeated.
    """
    return {id: _value(id, text) for id, text in pairs}


def _value(id: str, text: str) -> str:
    if not text.startswith("@"):
        return text
    if text.startswith("@@"):
        return text[1:]
    try:
        with Path(text[1:]).expanduser().open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError, RuntimeError) as error:
        # An @ may also begin a password: what follows it isn't repeated.
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        problem = (
            f"--input {id}=@FILE: the file can't be read: {reason} (a value that begins with @ is written with @@)"
        )
        raise UsageError(problem) from None
    if len(data) > MAX_BYTES:
        raise UsageError(f"--input {id}=@FILE: the file is larger than {MAX_BYTES // 1000} kB, which no value is")
    try:
        return data.decode("utf-8-sig").strip()
    except UnicodeDecodeError:
        raise UsageError(f"--input {id}=@FILE: the file isn't text in UTF-8") from None


def ask_for_input(wanted: InputDefinition) -> str:
    """Ask for one input on the terminal. A password isn't shown; of options, a number or the value itself is taken."""
    name = wanted.description.rstrip(".:") or wanted.id
    if wanted.options:
        return _ask_for_choice(wanted, name)
    return (ask_secret if wanted.password else ask_line)(f"{name} ({wanted.id}){_default(wanted)}:")


def _ask_for_choice(wanted: InputDefinition, name: str) -> str:
    sys.stderr.write(f"{one_line(name)} ({wanted.id}):\n")
    for number, option in enumerate(wanted.options, 1):
        sys.stderr.write(f"  {number}  {one_line(option.label or option.value)}\n")
    ask = ask_secret if wanted.password else ask_line
    for _ in range(TRIES):
        answer = ask(f"1 to {len(wanted.options)}{_default(wanted)}:")
        if not answer or answer in wanted.choices:
            return answer
        if answer.isdecimal() and 1 <= int(answer) <= len(wanted.options):
            return wanted.options[int(answer) - 1].value
    return answer  # what it can't be is said by whoever asked


def _default(wanted: InputDefinition) -> str:
    """What an empty answer means, where that may be shown."""
    return f" [{one_line(wanted.default)}]" if wanted.default and not wanted.password else ""
