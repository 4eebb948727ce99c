"""What is known of one life of a server besides the answers it gives: how it fares, and how it went."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import msgspec

from tiny_agents.mcp_client.connection.changes import Changes
from tiny_agents.mcp_client.transports.process import GRACE_S, ServerProcess
from tiny_agents.records import Discreet

CODE_REFUSED = -32097
"""JSON-RPC code of our own error for an HTTP status that came without a JSON-RPC error."""

CODE_UNREACHABLE = -32098
"""The same for a request that never reached a living session: it can be sent again safely."""

CODE_BROKEN = -32099
"""The same for a request whose answer got lost: the server may have acted on it."""

CODE_CUT_OFF = -32096
"""The same where the answer's stream began, and ended without it."""

MAX_REASON_CHARS = 1_000
"""Longest reason that a server gives and we repeat."""


class Refused(Exception):
    """The server can't be used, or answered a request of ours with an error. Stays inside the package.

    Attributes:
        code: The number of the server's error; None where there is none.
    """

    def __init__(self, reason: str, *, code: int | None = None) -> None:
        self.code = code
        super().__init__(reason if len(reason) <= MAX_REASON_CHARS else f"{reason[:MAX_REASON_CHARS]}…")


class ConnectionLost(Exception):
    """A call got no answer because the way to the server broke. Stays inside the package.

    Attributes:
        how: What happened, as a sentence that continues the server's name.
        ran: Whether the call may have run; False where it certainly never reached the server.
        gone: Whether the whole connection is lost; False where only this call's answer is.
    """

    def __init__(self, how: str, *, ran: bool = True, gone: bool = True) -> None:
        self.how = how
        self.ran = ran
        self.gone = gone
        super().__init__(how)


class Watch(Discreet, msgspec.Struct):
    """Filled by the transport, read by the connection.

    Attributes:
        on_lost: Called when nothing more will come from the server, as soon as that is known.
        on_pause: Called when an answer of ours to the server is waited for (True), and when it is there (False).
        process: Of a stdio server, once it runs.
        noise: The first line of its standard output that was no message of the protocol.
        status: HTTP status of the last message, where it was refused.
        trouble: Why the last message got no HTTP answer at all.
        grace_s: How long the process may take to leave by itself when it is closed.
        how: How the connection was lost, as a sentence that continues the server's name; empty while it wasn't.
        denied: Why there is no access: a login that is missing or failed, as a sentence that continues the server's name.
        secrets: What must not be shown, known since the connection began.
        tools_changed: Set when the server says that it offers other tools now.
        changes: What else it says has changed.
        pages_done: Set, by the server's id of a page that the person was asked to open, when the server says it is done.
    """

    not_shown = frozenset({"secrets"})

    on_lost: Callable[[], None]
    process: ServerProcess | None = None
    noise: str = ""
    status: int | None = None
    trouble: str = ""
    grace_s: float = GRACE_S
    how: str = ""
    denied: str = ""
    secrets: list[str] = msgspec.field(default_factory=list)
    tools_changed: asyncio.Event = msgspec.field(default_factory=asyncio.Event)
    changes: Changes = msgspec.field(default_factory=Changes)
    on_pause: Callable[[bool], None] = lambda _: None
    pages_done: dict[str, asyncio.Event] = msgspec.field(default_factory=dict)
    pauses: int = 0

    @contextmanager
    def paused(self) -> Iterator[None]:
        """For as long as the server waits for us: that time isn't the server's."""
        self.pauses += 1
        self.on_pause(True)
        try:
            yield
        finally:
            self.pauses -= 1
            self.on_pause(self.pauses > 0)

    def page_done(self, id: str) -> None:
        """The server says that a page the person opened is done; it may be one that nobody waits for."""
        if (done := self.pages_done.get(id)) is not None:
            done.set()

    def lose(self, how: str) -> None:
        """Note that the server is gone; the first reason counts."""
        if not self.how:
            self.how = how
            self.on_lost()

    @property
    def stderr(self) -> str:
        """The end of what a stdio server wrote to its standard error."""
        return self.process.stderr.text() if self.process is not None else ""


def exit_of(code: int) -> str:
    """How a process ended, as a sentence that continues its name."""
    if code >= 0:
        return f"exited with status {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"
