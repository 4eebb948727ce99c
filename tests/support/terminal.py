"""A program in a pseudo-terminal, and what its screen looks like.

with Terminal([sys.executable, "-m", "tiny_agents", "run", "clock"]) as terminal:
    terminal.wait_for("> ")
    terminal.type("hello\\r")
"""

from __future__ import annotations

import fcntl
import os
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

import pyte

from tests.support.processes import process_state
from tests.support.starting import start_in_terminal

WAIT_S = 60.0

CTRL_C = "\x03"
CTRL_D = "\x04"
ENTER = "\r"
TAB = "\t"
UP = "\x1b[A"
ALT_ENTER = "\x1b\r"


class Terminal:
    """`screen` is what can be seen; `raw` everything that was ever written."""

    def __init__(
        self,
        command: Sequence[str],
        *,
        env: Mapping[str, str],
        cwd: Path,
        columns: int = 80,
        lines: int = 40,
        screen: pyte.Screen | None = None,
    ) -> None:
        self._pyte = screen or pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._pyte)
        self.raw = b""
        self._ours, theirs = os.openpty()
        os.set_blocking(self._ours, False)
        try:
            fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
            self.process = start_in_terminal(command, cwd=cwd, env=env, descriptor=theirs)
        finally:
            os.close(theirs)
        # The program asks where the cursor is; a terminal answers.
        self._pyte.write_process_input = self._write  # type: ignore[method-assign]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            print(f"---- screen ----\n{self.screen}\n----------------")
        self.hang_up()
        try:
            self.process.wait(WAIT_S)  # it has servers to end
        finally:
            self.process.kill()

    @property
    def screen(self) -> str:
        """The lines that can be seen, without trailing blanks."""
        return "\n".join(line.rstrip() for line in self._pyte.display).rstrip()

    @property
    def above_foot(self) -> str:
        """The same without the last line, which is about the conversation, where there is one below the prompt."""
        above, _, foot = self.screen.rpartition("\n")
        return above.rstrip() if " · " in foot else self.screen

    @property
    def title(self) -> str:
        """The window's title, as far as the program set one."""
        return self._pyte.title

    @property
    def echoes(self) -> bool:
        """Whether the terminal shows what is typed by itself, as it does for a shell's commands."""
        return bool(termios.tcgetattr(self._ours)[3] & termios.ECHO)

    def clear(self) -> None:
        """Forget what can be seen, so that what comes can be told apart; the cursor goes to the top."""
        self._pyte.erase_in_display(2)
        self._pyte.cursor_position()

    def type(self, text: str) -> None:
        """Type it, looking at the screen meanwhile: a program whose output is not taken doesn't read either."""
        deadline = time.monotonic() + WAIT_S
        waiting = text.encode()
        while waiting:
            readable, writable, _ = select.select([self._ours], [self._ours], [], max(0.0, deadline - time.monotonic()))
            assert readable or writable, f"what is typed is not read in time on\n{self.screen}"
            assert not readable or self._read(deadline), f"the program has ended on\n{self.screen}"
            if writable:
                waiting = waiting[self._written(waiting) :]

    def _write(self, text: str) -> None:
        waiting = text.encode()
        while waiting:
            _, writable, _ = select.select([], [self._ours], [], WAIT_S)
            assert writable, "the terminal's answer isn't read in time"
            waiting = waiting[self._written(waiting) :]

    def _written(self, data: bytes) -> int:
        try:
            return os.write(self._ours, data)
        except BlockingIOError:  # there is less room than it seemed
            return 0

    def resize(self, columns: int, lines: int) -> None:
        """Give the window another size. As xterm does it: what doesn't fit any more is cut off, not wrapped.

        Between two steps of the program, so that what it wrote for the old size has been shown.
        """
        self.process.send_signal(signal.SIGSTOP)
        deadline = time.monotonic() + WAIT_S
        while (written := select.select([self._ours], [], [], 0.01)[0]) or process_state(self.process.pid) != "T":
            assert not written or self._read(deadline), f"the program has ended on\n{self.screen}"
            assert time.monotonic() < deadline, "the program can't be stopped"
        self._pyte.resize(lines, columns)
        fcntl.ioctl(self._ours, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))
        self.process.send_signal(signal.SIGCONT)

    def signal(self, signum: signal.Signals) -> None:
        self.process.send_signal(signum)

    def hang_up(self) -> None:
        """Take the terminal away, as closing its window does."""
        if self._ours >= 0:
            os.close(self._ours)
            self._ours = -1

    def wait_for(self, pattern: str, *, times: int = 1) -> str:
        """Until `pattern` (a regular expression, lines anchored) is on the screen `times` times; the screen then."""
        self.wait_until(
            lambda: len(re.findall(pattern, self.screen, re.MULTILINE)) >= times,
            f"{pattern!r} did not appear {times} times",
        )
        return self.screen

    def wait_until(self, is_so: Callable[[], bool], otherwise: str) -> None:
        """Until something is so on the screen; else an error with these words."""
        deadline = time.monotonic() + WAIT_S
        while not is_so():
            if not self._read(deadline):
                raise AssertionError(f"{otherwise} on\n{self.screen}")

    def wait_for_exit(self) -> int:
        """Until the program has ended; its exit status, 128 and the signal's number if one killed it."""
        deadline = time.monotonic() + WAIT_S
        while self._read(deadline):
            pass
        status = self.process.wait(max(0.0, deadline - time.monotonic()))
        return status if status >= 0 else 128 - status

    def _read(self, deadline: float) -> bool:
        """Take in what was written; False at the end of the program, an error past the deadline."""
        ready, _, _ = select.select([self._ours], [], [], max(0.0, deadline - time.monotonic()))
        if not ready:
            raise AssertionError(f"nothing more came in time on\n{self.screen}")
        try:
            data = os.read(self._ours, 65536)
        except OSError:  # nobody has the terminal open any more
            return False
        self.raw += data
        self._stream.feed(data)
        return bool(data)
