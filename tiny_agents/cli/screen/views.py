"""How turns are shown: redrawn where the terminal can be, else line after line."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Protocol, TextIO

from tiny_agents.agent.agent import Agent
from tiny_agents.cli.live.shelf import Shelf
from tiny_agents.cli.screen.render import TurnRenderer
from tiny_agents.cli.screen.status import turn_words
from tiny_agents.cli.screen.terminal import Screen, abilities
from tiny_agents.cli.screen.turns import EXIT_TOOLS, TurnView
from tiny_agents.cli.slash.talk import Talk
from tiny_agents.mcp_client.tools.table import FUNCTIONS

if TYPE_CHECKING:
    from tiny_agents.cli.live.screen import LiveScreen
    from tiny_agents.cli.live.turn import LiveTurn


class AnswerView(TurnView, Protocol):
    """Shows the one turn of a single prompt."""

    def hand_over(self, instead: str | None = None) -> None: ...

    def abandon(self) -> None: ...


def screen_and_views(stream: TextIO, env: Mapping[str, str] = os.environ) -> tuple[Screen, Callable[[Talk], TurnView]]:
    """The screen of a conversation, and what makes the view of each of its turns."""
    if not abilities(stream, env).redraws:
        plain = Screen(stream, stream, env=env)
        return plain, lambda talk: TurnRenderer(plain, talk.shelf, hidden_tools=EXIT_TOOLS)

    from tiny_agents.cli.live.screen import LiveScreen  # with it comes rich

    screen = LiveScreen(stream, stream, env=env)
    return screen, lambda talk: _live(talk.agent, screen, talk.shelf, unfolded=talk.unfolded)


def screen_and_answer(
    agent: Agent, answer: TextIO, aside: TextIO, env: Mapping[str, str] = os.environ
) -> tuple[Screen, AnswerView]:
    """The same for a single prompt, whose answer may go elsewhere than what is said beside it."""
    if not (abilities(answer, env).redraws and abilities(aside, env).redraws):
        plain = Screen(answer, aside, env=env)
        return plain, TurnRenderer(plain, hidden_tools=EXIT_TOOLS)

    from tiny_agents.cli.live.screen import LiveScreen

    screen = LiveScreen(answer, aside, env=env)
    return screen, _live(agent, screen, Shelf(), can_show=False)


def _live(agent: Agent, screen: LiveScreen, shelf: Shelf, *, unfolded: bool = False, can_show: bool = True) -> LiveTurn:
    from tiny_agents.cli.live.turn import LiveTurn

    def whose(name: str) -> tuple[str, str] | None:
        origin = agent.origin_of(name)
        return None if origin is None or origin[0] == FUNCTIONS else origin

    status = partial(turn_words, agent)
    return LiveTurn(
        screen, shelf, hidden_tools=EXIT_TOOLS, whose=whose, unfolded=unfolded, status=status, can_show=can_show
    )
