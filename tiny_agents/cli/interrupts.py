"""Signals: Ctrl+C stops a turn, or leaves; SIGTERM and SIGHUP leave. Leaving always passes through the clean-up.

Before there is an event loop a signal raises `Left`, which unwinds the stack (and gives the terminal its echo back).
In the event loop it cancels the main task, once, which then ends by `Left`: what is being cleaned up isn't interrupted
again.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from functools import partial
from types import FrameType
from typing import Any

from tiny_agents.cli.exit_codes import ExitCode, Left

_LEAVE = {"SIGTERM": ExitCode.TERMINATED, "SIGHUP": ExitCode.HANGUP, "SIGBREAK": ExitCode.TERMINATED}
LEAVING_SIGNALS = {
    getattr(signal, name): code for name, code in _LEAVE.items() if hasattr(signal, name)
}  # not every system has all of them


def leave_by_exception() -> None:
    """From now on SIGTERM and SIGHUP raise `Left`; one that the parent process told us to ignore stays ignored."""

    def leave(signum: int, _frame: FrameType | None) -> None:
        raise Left(LEAVING_SIGNALS[signal.Signals(signum)])

    for signum in LEAVING_SIGNALS:
        if signal.getsignal(signum) is not signal.SIG_IGN:
            signal.signal(signum, leave)


class Interrupts:
    """Signals while the event loop runs. Create it in the main task; `close` gives the handlers back.

    Attributes:
        exit_code: Set once the program was asked to leave; the main task was cancelled then.
        leave_when_idle: Whether Ctrl+C leaves while no turn runs. In a conversation it doesn't: one that comes a moment
            too late for the turn isn't meant for the program.
    """

    def __init__(self) -> None:
        self.exit_code: ExitCode | None = None
        self.leave_when_idle = True
        self._loop = asyncio.get_running_loop()
        task = asyncio.current_task()
        assert task is not None  # we are in a coroutine
        self._task = task
        self._abort: asyncio.Event | None = None
        self._take_signals()

    def listen(self) -> None:
        """Take Ctrl+C (again): whoever reads a line from the terminal takes it away."""
        self._handle(signal.SIGINT, self.interrupt)

    def interrupt(self) -> None:
        """Ctrl+C: stop the turn if there is one that isn't stopping already, else leave."""
        if self._abort is not None and not self._abort.is_set():
            self._abort.set()
        elif self._abort is not None or self.leave_when_idle:
            self.leave(ExitCode.INTERRUPTED)

    def leave(self, code: ExitCode) -> None:
        """Cancel the main task, once."""
        if self.exit_code is None:
            self.exit_code = code
            self._task.cancel()

    @contextmanager
    def leaving(self) -> Iterator[None]:
        """Around the main task's work: the cancellation that a signal asked for goes on as `Left`.

        Raises:
            Left: The program was asked to leave.
        """
        try:
            yield
        except asyncio.CancelledError:
            if self.exit_code is None:
                raise
            raise Left(self.exit_code) from None

    @contextmanager
    def stopping(self, abort: asyncio.Event) -> Iterator[None]:
        """While this is open the first Ctrl+C sets `abort`; the second leaves."""
        self.listen()
        self._abort = abort
        try:
            yield
        finally:
            self._abort = None

    @contextmanager
    def as_before_start(self) -> Iterator[None]:
        """While this is open signals raise exceptions, as before there was an event loop: for work that blocks it.

        Raises:
            asyncio.CancelledError: A signal came.
        """
        try:
            if sys.platform != "win32":
                for signum in (signal.SIGINT, *LEAVING_SIGNALS):
                    self._loop.remove_signal_handler(signum)
            if signal.getsignal(signal.SIGINT) is not signal.SIG_IGN:
                signal.signal(signal.SIGINT, signal.default_int_handler)
            leave_by_exception()
            yield
        except KeyboardInterrupt:
            raise asyncio.CancelledError from None
        except Left as left:
            self.leave(left.code)
            raise asyncio.CancelledError from None
        finally:
            self._take_signals()

    def _take_signals(self) -> None:
        self.listen()
        for signum, code in LEAVING_SIGNALS.items():
            self._handle(signum, partial(self.leave, code))

    def _handle(self, signum: int, callback: Callable[[], None]) -> None:
        if signal.getsignal(signum) is signal.SIG_IGN:
            return  # so said whoever started us: nohup, or a shell that put us in the background
        if sys.platform == "win32":  # its event loops have no signal handlers, but wake up for signals all the same
            signal.signal(signum, lambda *_: self._loop.call_soon_threadsafe(callback))
        else:
            self._loop.add_signal_handler(signum, callback)


async def undisturbed(work: Coroutine[Any, Any, None]) -> None:
    """Finish `work`, a clean-up, though this task is told to leave meanwhile; the cancellation goes on afterwards."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
