"""What slash commands work on: a conversation, and what there is to say to it. Nothing here asks a model."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from tiny_agents.agent.agent import Agent
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.cli.live.shelf import Shelf
from tiny_agents.cli.saving import Saving
from tiny_agents.cli.screen.events import Item
from tiny_agents.cli.screen.terminal import Screen, Style
from tiny_agents.cli.screen.turns import TurnView
from tiny_agents.mcp_client.events import ServerEvent
from tiny_agents.mcp_client.tools.table import FUNCTIONS

MAX_LOG = 500

Run = Callable[[asyncio.Event], AsyncGenerator[Item, None]]
"""Starts a run of the agent that the event stops."""


class Watched(Protocol):
    """Files that may change."""

    def has_changed(self) -> bool:
        """Whether they did since this was last asked."""


@dataclass(slots=True)
class Talk:
    """A conversation at the terminal.

    Attributes:
        view: Makes what shows a turn.
        shelf: What was shown only in part.
        watch: Tells when the definition has changed on disk.
        reload: Takes the definition up as it is now.
        saving: How the conversation is saved; None if it isn't.
        secrets: Texts that are never written.
        happened: What happened at the servers lately.
        prefill: What the next prompt begins with.
        in_editor: Whether it is begun in the user's editor.
        unfolded: Whether all that the model thinks is shown.
        leaving: Whether the user wants to leave.
    """

    agent: Agent
    definition: AgentDefinition
    screen: Screen
    shelf: Shelf
    view: Callable[[], TurnView]
    watch: Watched | None = None
    reload: Callable[[], Awaitable[None]] | None = None
    saving: Saving | None = None
    happened: deque[ServerEvent] = field(default_factory=lambda: deque(maxlen=MAX_LOG))
    secrets: Sequence[str] = field(default=(), repr=False)
    prefill: str = ""
    in_editor: bool = False
    unfolded: bool = False
    leaving: bool = False

    def say(self, *lines: str, hang: int = 0) -> None:
        """Lines for the user, wrapped between words; `hang` columns further to the right where they go on."""
        for line in lines:
            self.screen.line(line, hang=hang)

    def aside(self, *lines: str) -> None:
        """The same for what matters less."""
        for line in lines:
            self.screen.line(line, Style.DIM)

    def tools(self) -> list[tuple[str, str, str]]:
        """Server, tool and the name by which the model knows it, of all that are offered; of our own the server is ""."""
        found = []
        for tool in self.agent.available_tools:
            name = tool.function.name
            server, own = self.agent.origin_of(name) or (FUNCTIONS, name)
            found.append(("" if server == FUNCTIONS else server, own, name))
        return found


@dataclass(frozen=True, slots=True)
class SlashCommand:
    """A row of the table.

    Attributes:
        arguments: What comes behind the name, as help shows it.
        do: Carries it out; what it returns is run as a turn.
        values: What may be typed behind the name, for completion.
    """

    name: str
    arguments: str
    help: str
    do: Callable[[Talk, str], Awaitable[Run | None]]
    values: Callable[[Talk], Awaitable[Sequence[str]]] | None = None
