"""A conversation in the terminal: read a prompt, show the turn, again."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Protocol

from tiny_agents.agent.loop.request import UserInput
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.interrupts import Interrupts
from tiny_agents.cli.prompt.attachments import prepare
from tiny_agents.cli.prompt.keyboard import quiet_keyboard
from tiny_agents.cli.prompt.pastes import LONG_CHARS
from tiny_agents.cli.prompt.typed_ahead import TypedAhead
from tiny_agents.cli.report import Reporter, terminal_is_gone
from tiny_agents.cli.screen.events import Item
from tiny_agents.cli.screen.terminal import Style
from tiny_agents.cli.screen.turns import kept, show_turn, stop_notice
from tiny_agents.cli.slash.table import Typed, as_text, find, parse
from tiny_agents.cli.slash.talk import Run, Talk
from tiny_agents.errors import UsageError
from tiny_agents.mcp_client.events import ToolAnswered, ToolProgress


class Lines(Protocol):
    """Where prompts come from: see `line_editor.LineEditor`."""

    async def read(self, prefill: str = "", *, in_editor: bool = False) -> str: ...

    def was_empty(self) -> bool: ...

    def typing_ahead(self, changed: Callable[[TypedAhead], None]) -> AbstractContextManager[TypedAhead]: ...


class Conversation:
    """Has `talk` until the user leaves."""

    def __init__(self, talk: Talk, lines: Lines, interrupts: Interrupts, reporter: Reporter) -> None:
        self._talk = talk
        self._lines = lines
        self._screen = talk.screen
        self._interrupts = interrupts
        self._reporter = reporter
        self._hush: Callable[[], None] = lambda: None

    async def run(self) -> ExitCode:
        """Prompt after prompt. DONE at Ctrl+D, INTERRUPTED at Ctrl+C twice on an empty line."""
        self._interrupts.leave_when_idle = False
        with quiet_keyboard() as self._hush:
            listening = asyncio.create_task(self._note())
            try:
                return await self._prompts()
            finally:
                listening.cancel()

    async def _note(self) -> None:
        agent = None
        while agent is not self._talk.agent:  # else its events have ended with it
            agent = self._talk.agent
            with agent.events() as events:
                async for event in events:
                    if not isinstance(event, (ToolAnswered, ToolProgress)):  # results are large, and kept elsewhere
                        self._talk.happened.append(event)

    async def _prompts(self) -> ExitCode:
        about_to_leave = False
        while True:
            if self._talk.watch is not None and self._talk.watch.has_changed():
                self._screen.line("The agent's definition has changed: /reload takes it up.", Style.WARNING)
            try:
                with self._reporter.holding_back():
                    prefill, self._talk.prefill = self._talk.prefill, ""
                    in_editor, self._talk.in_editor = self._talk.in_editor, False
                    text = await self._lines.read(prefill, in_editor=in_editor)
            except EOFError:
                return ExitCode.DONE
            except UsageError as error:  # a pasted text that isn't there any more
                self._reporter.error(error)
                continue
            except KeyboardInterrupt:
                if about_to_leave and self._lines.was_empty():
                    return ExitCode.INTERRUPTED
                about_to_leave = self._lines.was_empty()
                if about_to_leave:
                    self._screen.line("Ctrl+C again leaves, and so does Ctrl+D.", Style.DIM)
                continue
            finally:
                self._interrupts.listen()  # the line editor took Ctrl+C for itself
            about_to_leave = False
            if text.strip():
                self._hush()
                await self._answer(text)
                if self._talk.leaving:
                    return ExitCode.DONE
                self._screen.line()

    async def _answer(self, text: str) -> None:
        """A prompt, or a command. Whatever goes wrong, the conversation goes on; only a terminal that is gone ends it."""
        typed = parse(text)
        try:
            if typed is not None:
                run = await self._command(typed)
            else:
                run = partial(self._run, await self._attached(text))
            if run is not None:
                await self._turn(run)
        except Exception as error:
            if isinstance(error, BrokenPipeError) or terminal_is_gone(error):
                raise
            self._reporter.error(error)
            if typed is None and not self._talk.prefill:
                self._screen.line("The conversation goes on; the up arrow brings your prompt back.", Style.DIM)

    def _run(self, said: UserInput, abort: asyncio.Event) -> AsyncGenerator[Item, None]:
        return self._talk.agent.run(said, abort_event=abort)

    async def _attached(self, text: str) -> UserInput:
        """The prompt with what it attaches, which is said.

        Raises:
            UsageError: Something can't be attached; the prompt is there again, to be changed.
        """
        try:
            prepared = await prepare(as_text(text), self._talk.agent, Path.cwd())
        except UsageError:
            self._talk.prefill = text if len(text) <= LONG_CHARS else ""
            raise
        for note in prepared.notes:
            self._screen.line(note, Style.DIM)
        return prepared.content

    async def _command(self, typed: Typed) -> Run | None:
        """Do it; Ctrl+C stops it. Returns what is to be run after it."""
        stop = asyncio.Event()
        doing = asyncio.ensure_future(find(typed.name).do(self._talk, typed.arguments))
        stopping = asyncio.create_task(stop.wait())
        try:
            with self._interrupts.stopping(stop):
                await asyncio.wait({doing, stopping}, return_when=asyncio.FIRST_COMPLETED)
                if not doing.done():
                    doing.cancel()
                    await asyncio.wait({doing})
        finally:
            stopping.cancel()
            doing.cancel()
        if doing.cancelled():
            self._screen.line("Stopped.", Style.WARNING)
            return None
        return doing.result()

    async def _turn(self, run: Run) -> None:
        """What was typed ahead is asked next, but not after a turn that was stopped or failed: then it can be changed."""
        abort = asyncio.Event()
        view = self._talk.view()
        with self._interrupts.stopping(abort), self._lines.typing_ahead(view.typing) as typed:
            items = run(abort)
            before = len(self._talk.agent.messages)
            try:
                await show_turn(self._talk.agent, items, view, abort)
            except Exception:
                self._talk.prefill = typed.take_back()
                raise
            aborted = self._talk.agent.stop_reason == "aborted"
            if aborted:
                self._talk.prefill = typed.take_back()
        view.say_origin()
        if aborted:
            self._screen.line(f"Stopped. {kept(self._talk.agent.messages[before:], view.said)}", Style.WARNING)
        elif notice := stop_notice(self._talk.agent):
            self._screen.line(notice, Style.WARNING)
