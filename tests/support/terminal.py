"""A program in a pseudo-terminal, and what its screen looks like.

with Terminal([sys.executable, "-m", "tiny_agents", "run", "clock"]) as terminal:
    terminal.wait_for("> ")
    terminal.type("hello\\r")
"""

from __future__ import annotations

import os
import re
import signal
import termios
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import pexpect
import pyte

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
        self, command: Sequence[str], *, env: Mapping[str, str], cwd: Path, columns: int = 80, lines: int = 40
    ) -> None:
        self._pyte = pyte.Screen(columns, lines)
        self._stream = pyte.ByteStream(self._pyte)
        self.raw = b""
        program, *args = command
        self.child: Any = pexpect.spawn(
            program, args, env=dict(env), cwd=str(cwd), dimensions=(lines, columns), timeout=WAIT_S
        )
        self.child.delaybeforesend = None
        # The program asks where the cursor is; a terminal answers.
        self._pyte.write_process_input = self.child.send  # type: ignore[method-assign]

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is not None:
            print(f"---- screen ----\n{self.screen}\n----------------")
        self.hang_up()
        deadline = time.monotonic() + WAIT_S
        while self.child.ptyproc.isalive() and time.monotonic() < deadline:  # it has servers to end
            time.sleep(0.01)
        self.child.ptyproc.terminate(force=True)

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
        return bool(termios.tcgetattr(self.child.fileno())[3] & termios.ECHO)

    def clear(self) -> None:
        """Forget what can be seen, so that what comes can be told apart; the cursor goes to the top."""
        self._pyte.erase_in_display(2)
        self._pyte.cursor_position()

    def type(self, text: str) -> None:
        self.child.send(text)

    def signal(self, signum: signal.Signals) -> None:
        os.kill(self.child.pid, signum)

    def hang_up(self) -> None:
        """Take the terminal away, as closing its window does."""
        process = self.child.ptyproc
        if not process.closed:
            process.fileobj.close()
            process.closed = self.child.closed = True

    def wait_for(self, pattern: str, *, times: int = 1) -> str:
        """Until `pattern` (a regular expression, lines anchored) is on the screen `times` times; the screen then."""
        deadline = time.monotonic() + WAIT_S
        while len(re.findall(pattern, self.screen, re.MULTILINE)) < times:
            if not self._read(deadline):
                raise AssertionError(f"{pattern!r} did not appear {times} times on\n{self.screen}")
        return self.screen

    def wait_for_exit(self) -> int:
        """Until the program has ended; its exit status, 128 and the signal's number if one killed it."""
        deadline = time.monotonic() + WAIT_S
        while self._read(deadline):
            pass
        self.child.wait()
        if self.child.exitstatus is not None:
            return int(self.child.exitstatus)
        return 128 + int(self.child.signalstatus)

    def _read(self, deadline: float) -> bool:
        """Take in what was written; False at the end of the program, an error past the deadline."""
        remaining = deadline - time.monotonic()
        if remaining <= 0:
            raise AssertionError(f"nothing more came in time on\n{self.screen}")
        try:
            data = self.child.read_nonblocking(65536, timeout=remaining)
        except pexpect.EOF:
            return False
        except pexpect.TIMEOUT:
            return self._read(deadline)
        self.raw += data
        self._stream.feed(data)
        return True
