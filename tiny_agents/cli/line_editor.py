"""The line a user types a prompt on, and the history behind it. Imports prompt_toolkit: only for conversations."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

PROMPT = "> "


class LineEditor:
    """Reads prompts: Enter sends, Alt+Enter starts a new line, pasted lines stay together."""

    def __init__(self, history: History) -> None:
        bindings = KeyBindings()
        bindings.add("escape", "enter")(_new_line)
        self._session: PromptSession[str] = PromptSession(
            PROMPT, history=history, key_bindings=bindings, enable_suspend=True, prompt_continuation="  "
        )

    async def read(self, prefill: str = "", *, in_editor: bool = False) -> str:
        """The next prompt.

        Args:
            prefill: What stands there already.
            in_editor: Begin in the user's editor.

        Raises:
            EOFError: Ctrl+D on an empty line, or no terminal any more.
            KeyboardInterrupt: Ctrl+C.
        """

        def open_editor() -> None:
            self._session.default_buffer.open_in_editor()

        return await self._session.prompt_async(default=prefill, pre_run=open_editor if in_editor else None)

    def was_empty(self) -> bool:
        """Whether the line was empty when the last `read` ended."""
        return not self._session.default_buffer.text


def _new_line(event: KeyPressEvent) -> None:
    event.current_buffer.insert_text("\n")


def open_history(directory: Path, warn: Callable[[str], None]) -> History:
    """The history in `directory`, readable by the user alone; one in memory where that can't be written."""
    path = directory / "history"
    try:
        directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600))
        if sys.platform != "win32":
            path.chmod(0o600)  # it may be older than this rule
    except OSError as error:
        warn(f"prompts will not be remembered: {path}: {error.strerror}")
        return InMemoryHistory()
    return PersistentHistory(path, warn)


class PersistentHistory(FileHistory):
    """A history whose disk may fill up: that is said once, and prompts are remembered until the end of the session."""

    def __init__(self, path: Path, warn: Callable[[str], None]) -> None:
        self._warn: Callable[[str], None] | None = warn
        super().__init__(str(path))

    def load_history_strings(self) -> Iterable[str]:
        try:
            yield from super().load_history_strings()
        except OSError as error:
            self._complain(error)

    def store_string(self, string: str) -> None:
        try:
            super().store_string(string)
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        warn, self._warn = self._warn, None
        if warn is not None:
            warn(f"prompts will not be remembered: {self.filename!s}: {error.strerror}")
