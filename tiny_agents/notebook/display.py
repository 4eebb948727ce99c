"""`show`: a run in the output of a notebook's cell, as it goes."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, AsyncIterable
from contextlib import aclosing
from dataclasses import dataclass, fields
from typing import Any

from tiny_agents._lazy import require
from tiny_agents.agent.loop.result import AgentResult
from tiny_agents.agent.runs import run_of
from tiny_agents.notebook.transcript import Transcript

EVERY_S = 0.1
"""Least seconds between two updates; long outputs are updated less often."""
CHARS_PER_S = 4_000_000
"""How much HTML is sent to the browser in a second, at most."""


class _OnceQuiet:
    """Isn't shown again by the cell that has shown it, as the value of its last line; by later ones it is."""

    _shown_in: int

    def _ipython_display_(self) -> None:
        if self._shown_in != _cell():
            bundle = {"text/plain": repr(self), "text/html": self._html()}
            _ipython().display.display(bundle, raw=True)

    def _html(self) -> str:
        raise NotImplementedError


@dataclass(frozen=True)
class ShownResult(_OnceQuiet, AgentResult):
    """An `AgentResult` that has been shown."""

    _shown_in: int = -1

    def _html(self) -> str:
        return self._repr_html_()


class ShownText(_OnceQuiet, str):
    """What the model said last, where a single turn has been shown."""

    _shown_in: int

    def __new__(cls, text: str, shown_in: int) -> ShownText:
        self = super().__new__(cls, text)
        self._shown_in = shown_in
        return self

    def _html(self) -> str:
        from tiny_agents.safe_html import markdown_html, page_html

        return page_html([markdown_html(self)])


async def show(items: AsyncIterable[Any]) -> ShownResult | ShownText:
    """Show a run in the cell's output as it goes: text, tool calls, pictures, what it used.

        result = await show(agent.run("Draw a cat."))

    The events of its servers are shown too, also where `run` wasn't asked for them. Interrupting the kernel stops the run;
    the agent can be used afterwards.

    Args:
        items: What `Agent.run` returns, or `MCPClient.process_single_turn_with_tools`.

    Returns: The `AgentResult` of an agent's run; of anything else the text that the model said last.

    Raises:
        MissingDependencyError: IPython isn't installed.
        TinyAgentsError: Whatever the run raises; it is shown as well.
    """
    run, transcript = run_of(items), Transcript()
    output = _Output(transcript)
    if not isinstance(items, AsyncGenerator):
        items = (item async for item in items)
    stream = run.with_events(items) if run is not None else items
    try:
        async with aclosing(stream):
            async for item in stream:
                transcript.add(item)
                output.changed()
    except (asyncio.CancelledError, KeyboardInterrupt):
        transcript.note("Interrupted.")
        raise
    except Exception as error:
        transcript.fail(f"{type(error).__name__}: {error}")
        raise
    finally:
        result = run.result() if run is not None else None
        transcript.end(result)
        output.close()
    if result is None:
        return ShownText(transcript.text, _cell())
    return ShownResult(**{each.name: getattr(result, each.name) for each in fields(AgentResult)}, _shown_in=_cell())


class _Output:
    """The one output of a cell that is written over and over, not too often."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._timer: asyncio.TimerHandle | None = None
        self._not_before = 0.0
        self._handle = _ipython().display.display(self._bundle(), raw=True, display_id=True)

    def changed(self) -> None:
        """Show it soon."""
        if self._timer is None:
            wait = max(0.0, self._not_before - time.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self._update)

    def close(self) -> None:
        """Show it now, for good."""
        if self._timer is not None:
            self._timer.cancel()
        self._update()

    def _update(self) -> None:
        self._timer = None
        began = time.monotonic()
        bundle = self._bundle()
        self._handle.update(bundle, raw=True)
        spent = time.monotonic() - began
        self._not_before = began + max(EVERY_S, 10 * spent, len(bundle["text/html"]) / CHARS_PER_S)

    def _bundle(self) -> dict[str, str]:
        return {"text/html": self._transcript.html(), "text/plain": self._transcript.text}


def _ipython() -> Any:
    """The module `IPython`; its `display.display` shows."""
    return require("IPython", extra="notebook", purpose="Showing a run in a notebook")


def _cell() -> int:
    """The number of the cell that runs."""
    shell = _ipython().get_ipython()
    return int(shell.execution_count) if shell is not None else 0
