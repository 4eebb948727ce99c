"""`TerminalHost`: what servers ask is asked at the terminal, between the lines of a turn."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Awaitable, Callable, Sequence
from pathlib import Path
from typing import Any, TextIO

from tiny_agents.cli.asking.addresses import about_address
from tiny_agents.cli.asking.forms import YES, asks_for_secret, fields_of, read_field
from tiny_agents.cli.prompt.keyboard import line_keyboard
from tiny_agents.cli.screen.safe_text import neutralise, one_line, shorten
from tiny_agents.mcp_client.host.host import (
    AuthorizationReply,
    AuthorizationRequest,
    FormRequest,
    Host,
    Reply,
    SamplingRequest,
    Service,
    UrlRequest,
)

MESSAGE_CHARS = 2_000
QUESTION_CHARS = 500
SHOWN_MESSAGES = 10
"""Of a text that the model is asked for: so many of its last messages are shown."""

MAX_FIELDS = 50
MAX_CHOICES = 100
"""A form that has more isn't asked at a terminal."""

TRIES = 3
"""How often a line of a form may be typed wrongly before the form is left."""

ReadLine = Callable[[str], Awaitable[str | None]]
"""Shows a question and gives the line that was typed; None at the end of input."""


class _Left(Exception):
    """The person doesn't want to go on with a form."""


class TerminalHost(Host):
    """Asks the person at the terminal, one thing at a time. Ctrl+C stops the turn, and with it the question.

    Args:
        before_line: Called before a line is written: finishes the one that the answer left open.
        read_line: Where answers come from.
        open_page: Opens a web page; says whether it could.
        roots: Folders that servers may work in.
        turn: Held while something is asked; shared with whatever else asks at this terminal.
    """

    def __init__(
        self,
        before_line: Callable[[], None],
        *,
        read_line: ReadLine | None = None,
        open_page: Callable[[str], object] | None = None,
        roots: Sequence[Path] = (),
        turn: asyncio.Lock | None = None,
    ) -> None:
        self._before_line = before_line
        self._read_line = read_line or read_terminal_line
        self._open_page = open_page or _open_page
        self._one_at_a_time = turn or asyncio.Lock()
        self._roots = roots

    @property
    def serves(self) -> frozenset[Service]:
        return super().serves - (frozenset() if self._roots else {"roots"})

    async def roots(self) -> Sequence[Path]:
        return self._roots

    async def elicit(self, request: FormRequest | UrlRequest) -> Reply:
        async with self._one_at_a_time:
            self._say(f"The server {one_line(request.server)} asks: {one_line(request.message, MESSAGE_CHARS)}")
            try:
                return await (self._page(request) if isinstance(request, UrlRequest) else self._form(request))
            except _Left:
                return Reply("cancel")

    async def allow_sampling(self, request: SamplingRequest) -> bool:
        async with self._one_at_a_time:
            server = one_line(request.server)
            self._say(f"The server {server} wants your model to answer this, in at most {request.max_tokens} tokens:")
            if (left_out := len(request.messages) - SHOWN_MESSAGES) > 0:
                self._say(f"  ({left_out:,} messages before these)")
            for message in request.messages[-SHOWN_MESSAGES:]:
                content = message["content"] or ""
                shown = shorten(content if isinstance(content, str) else "(not only text)")
                more = [f"({shown.cut} more characters)"] if shown.cut else []
                self._say("\n".join(f"  {line}" for line in [*shown.lines, *more]))
            if request.model:
                self._say(f"  It would be answered by {one_line(request.model)}.")
            if request.tools:
                names = ", ".join(one_line(str(tool["function"]["name"])) for tool in request.tools)
                self._say(f"  The model may call the server's own tools in it: {one_line(names, MESSAGE_CHARS)}")
            try:
                return await self._agrees("Allow this?")
            except _Left:
                return False

    async def authorize(self, request: AuthorizationRequest) -> AuthorizationReply:
        async with self._one_at_a_time:
            try:
                return await self._login(request)
            except _Left:
                return AuthorizationReply("cancel")

    async def _login(self, request: AuthorizationRequest) -> AuthorizationReply:
        if request.problem:
            self._say(f"  That is no answer: {one_line(request.problem)}.")
        else:
            rights = f" It asks for: {one_line(', '.join(request.scopes))}." if request.scopes else ""
            self._say(f"The server {one_line(request.server)} wants you to log in at {one_line(request.host)}.{rights}")
            self._say(f"  {neutralise(request.url)}")
            typed = (await self._typed("  Open this page? [y/N], or the address it ended at if you opened it:")).strip()
            if _is_address(typed):
                return AuthorizationReply("accept", typed)
            if typed.casefold() not in YES:
                return AuthorizationReply("decline")
            if not await asyncio.to_thread(self._open_page, request.url):
                self._say("  No browser could be started here: open the page yourself.")
            self._say("  Waiting for you to log in there. If the browser ends at a page that it can't reach,")
        while not (typed := (await self._typed("  paste that page's address here:")).strip()):
            pass
        return AuthorizationReply("accept", typed)

    async def _page(self, request: UrlRequest) -> Reply:
        self._say(f"  {neutralise(request.url)}")
        for line in about_address(request.url):
            self._say(f"  {line}")
        if not await self._agrees("Open this page?"):
            return Reply("decline")
        await asyncio.to_thread(self._open_page, request.url)
        return Reply("accept")

    async def _form(self, request: FormRequest) -> Reply:
        content: dict[str, Any] = {}
        fields = fields_of(request.schema)
        if len(fields) > MAX_FIELDS or any(len(field.choices) > MAX_CHOICES for field in fields):
            self._say(f"  Its form is too long to be filled in here ({len(fields):,} fields): declined.")
            return Reply("decline", reason="the form is too long for a terminal")
        if any(asks_for_secret(field) for field in fields):
            self._say(
                "  Take care: servers may not ask for passwords or keys in a form. It gets what you type, as you type it."
            )
        for field in fields:
            for number, (_, title) in enumerate(field.choices, start=1):
                self._say(f"  {number}. {one_line(title, QUESTION_CHARS)}")
            for _ in range(TRIES):
                typed = await self._typed(f"  {one_line(field.question, QUESTION_CHARS)}")
                try:
                    value = read_field(field, typed)
                except ValueError as problem:
                    self._say(f"  {problem}")
                    continue
                if value is not None:
                    content[field.name] = value
                break
            else:
                raise _Left
        return Reply("accept", content) if await self._agrees("Send this to the server?") else Reply("decline")

    async def _agrees(self, question: str) -> bool:
        return (await self._typed(f"  {question} [y/N]")).strip().casefold() in YES

    async def _typed(self, question: str) -> str:
        self._before_line()
        line = await self._read_line(question)
        if line is None:
            raise _Left
        return line

    def _say(self, text: str) -> None:
        self._before_line()
        sys.stdout.write(f"{text}\n")
        sys.stdout.flush()


def _open_page(url: str) -> bool:
    import webbrowser  # it looks for browsers when it is imported

    return webbrowser.open(url)


def _is_address(text: str) -> bool:
    return text.casefold().startswith(("http://", "https://"))


async def read_terminal_line(question: str, screen: TextIO | None = None) -> str | None:
    """Show a question, and wait for a line from the terminal. What was typed before it isn't taken for an answer.

    Args:
        screen: Where the question is shown; standard output if left out.
    """
    screen = screen or sys.stdout
    with line_keyboard(fresh=True):
        screen.write(f"{question} ")
        screen.flush()
        if sys.platform == "win32":
            return await asyncio.to_thread(sys.stdin.readline) or None
        else:  # noqa: RET505 - a type checker reads only the branch of its platform
            fd = sys.stdin.fileno()
            some = asyncio.Event()
            loop = asyncio.get_running_loop()
            loop.add_reader(fd, some.set)
            try:
                await some.wait()
            except asyncio.CancelledError:
                screen.write("\n")
                screen.flush()
                raise
            finally:
                loop.remove_reader(fd)
            return os.read(fd, 65_536).decode("utf-8", "replace") or None
