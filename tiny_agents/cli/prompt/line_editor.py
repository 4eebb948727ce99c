"""The line a user types a prompt on, and the history behind it. Imports prompt_toolkit: only for conversations."""

from __future__ import annotations

import hashlib
import os
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path

from prompt_toolkit import PromptSession
from prompt_toolkit.completion import Completer
from prompt_toolkit.enums import EditingMode
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import FileHistory, History, InMemoryHistory
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.key_binding import KeyBindings, KeyPress, KeyPressEvent
from prompt_toolkit.keys import Keys
from prompt_toolkit.styles import Style

from tiny_agents.cli.prompt.pastes import Pastes
from tiny_agents.cli.prompt.prompt_completion import wants_completion
from tiny_agents.cli.prompt.typed_ahead import TypedAhead
from tiny_agents.data_dir import make_private
from tiny_agents.errors import UsageError

PROMPT = "> "
MENU_ROWS = 5

EDITING_VARIABLE = "TINY_AGENTS_EDITING"
HISTORY_VARIABLE = "TINY_AGENTS_HISTORY"
_MODES = {"": EditingMode.EMACS, "emacs": EditingMode.EMACS, "vi": EditingMode.VI}

_STYLE = Style.from_dict({"bottom-toolbar": "noreverse ansibrightblack"})


class LineEditor:
    """Reads prompts: Enter sends, Alt+Enter starts a new line, pasted lines stay together, Ctrl+X Ctrl+E opens an editor.

    Args:
        completer: What Tab offers.
        foot: The line below the prompt; an empty one isn't shown.
        env: Says whether keys are those of vi.

    Raises:
        UsageError: It says something else than "vi" or "emacs".
    """

    def __init__(
        self,
        history: History,
        completer: Completer | None = None,
        foot: Callable[[], str] | None = None,
        env: Mapping[str, str] = os.environ,
    ) -> None:
        mode = _MODES.get(env.get(EDITING_VARIABLE, "").strip().lower())
        if mode is None:
            raise UsageError(f"{EDITING_VARIABLE} must be vi or emacs, but is {env[EDITING_VARIABLE]!r}")
        self._pastes = Pastes()
        self._listens = False  # for keys that are typed ahead
        self._shows_pastes = env.get("TERM") != "dumb"
        bindings = KeyBindings()
        bindings.add("escape", "enter")(_new_line)
        bindings.add(Keys.BracketedPaste)(self._paste)
        self._session: PromptSession[str] = PromptSession(
            PROMPT,
            history=history,
            key_bindings=bindings,
            enable_suspend=True,
            prompt_continuation="  ",
            editing_mode=mode,
            enable_open_in_editor=True,
            completer=completer,
            complete_while_typing=Condition(lambda: wants_completion(self._typed())),
            reserve_space_for_menu=MENU_ROWS if completer is not None else 0,
            bottom_toolbar=foot if foot is not None and env.get("TERM") != "dumb" else None,
            style=_STYLE,
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

        typed = await self._session.prompt_async(default=prefill, pre_run=open_editor if in_editor else None)
        return self._pastes.expanded(typed)

    @contextmanager
    def typing_ahead(self, changed: Callable[[TypedAhead], None]) -> Iterator[TypedAhead]:
        """While this is open, keys are taken as they come; the next `read` gets them as if they were typed then.

        On Windows they wait unseen.

        Args:
            changed: Told after each key what they amount to.
        """
        typed = TypedAhead(self._pastes.take)
        if sys.platform == "win32":
            yield typed
        else:
            source = self._session.input
            keys: list[KeyPress] = []

            def take() -> None:
                for press in source.read_keys():
                    keys.append(press)
                    typed.press(press.key.value if isinstance(press.key, Keys) else press.key, press.data)
                changed(typed)

            with source.attach(take):
                self._listens = True
                self._bracket_pastes()
                try:
                    yield typed
                finally:
                    self._bracket_pastes(on=False)
                    self._listens = False
                    keys += source.flush_keys()
                    if not typed.taken_back:
                        store_typeahead(source, keys)

    @contextmanager
    def standing_back(self) -> Iterator[None]:
        """While this is open, somebody else reads the keyboard."""
        if not self._listens:
            yield
            return
        self._bracket_pastes(on=False)
        try:
            with self._session.input.detach():
                yield
        finally:
            self._bracket_pastes()

    def _bracket_pastes(self, *, on: bool = True) -> None:
        """Have the terminal say what is pasted, so that its lines aren't taken for prompts."""
        if not self._shows_pastes:
            return
        output = self._session.output
        with suppress(OSError):  # the terminal is gone, which whoever writes to it finds out, too
            (output.enable_bracketed_paste if on else output.disable_bracketed_paste)()
            output.flush()

    def was_empty(self) -> bool:
        """Whether the line was empty when the last `read` ended."""
        return not self._session.default_buffer.text

    def _typed(self) -> str:
        return self._session.default_buffer.document.text_before_cursor

    def _paste(self, event: KeyPressEvent) -> None:
        event.current_buffer.insert_text(self._pastes.take(event.data))


def _new_line(event: KeyPressEvent) -> None:
    event.current_buffer.insert_text("\n")


def open_history(directory: Path, agent: str, owner: str, warn: Callable[[str], None]) -> History:
    """The prompts that an agent was given, in a file in `directory` that the user alone can read.

    They are kept in memory only where that can't be written, or where `TINY_AGENTS_HISTORY` is "off".

    Args:
        agent: Its name.
        owner: Where it comes from: agents of the same name have histories of their own.
    """
    if os.environ.get(HISTORY_VARIABLE, "").strip().lower() in ("off", "0", "false", "no"):
        return InMemoryHistory()
    name = re.sub(r"[^A-Za-z0-9_-]+", "-", agent)[:40]
    path = directory / "histories" / f"{name}-{hashlib.sha256(owner.encode()).hexdigest()[:8]}"
    try:
        make_private(path.parent)
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
        path = Path(os.fsdecode(self.filename))
        try:
            size = path.stat().st_size
            try:
                super().store_string(string)
            except OSError:
                if path.is_file():  # half a prompt would be offered as a whole one
                    os.truncate(path, size)
                raise
        except OSError as error:
            self._complain(error)

    def _complain(self, error: OSError) -> None:
        warn, self._warn = self._warn, None
        if warn is not None:
            warn(f"prompts will not be remembered: {self.filename!s}: {error.strerror}")
