"""What the terminal does with keys: nothing while no line is read, all that a line needs while one is."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def quiet_keyboard() -> Iterator[Callable[[], None]]:
    """While no line is being edited, keys aren't echoed into the middle of an answer but wait for the next prompt.

    Gives a function that makes it so again: a shell that the program was suspended to may have changed it. Ctrl+C and
    Ctrl+Z stay signals. The terminal is given back as it was.
    """
    if sys.platform == "win32":
        yield lambda: None
    else:
        import termios

        def hush() -> None:
            with suppress(termios.error, OSError):  # the terminal is gone; whoever writes to it next will notice
                mode = termios.tcgetattr(fd)
                mode[0] &= ~termios.ICRNL  # Enter stays Enter
                mode[3] &= ~(termios.ECHO | termios.ICANON)
                termios.tcsetattr(fd, termios.TCSANOW, mode)

        fd = sys.stdin.fileno()
        before = termios.tcgetattr(fd)
        hush()
        try:
            yield hush
        finally:
            with suppress(termios.error, OSError):
                termios.tcsetattr(fd, termios.TCSANOW, before)


@contextmanager
def line_keyboard(*, fresh: bool = False) -> Iterator[None]:
    """Within `quiet_keyboard`: a line can be typed, and is echoed, as before the conversation.

    Args:
        fresh: What was typed before is forgotten, so that it isn't taken for the answer to a question.
    """
    if sys.platform == "win32":
        yield
    else:
        import termios

        fd = sys.stdin.fileno()
        before = termios.tcgetattr(fd)
        mode = termios.tcgetattr(fd)
        mode[0] |= termios.ICRNL
        mode[3] |= termios.ECHO | termios.ICANON
        termios.tcsetattr(fd, termios.TCSAFLUSH if fresh else termios.TCSANOW, mode)
        try:
            yield
        finally:
            with suppress(termios.error, OSError):
                termios.tcsetattr(fd, termios.TCSANOW, before)
