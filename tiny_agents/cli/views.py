"""How turns are shown: redrawn where the terminal can be, else line after line."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from functools import partial
from typing import TextIO

from tiny_agents.agent.agent import Agent
from tiny_agents.cli.render import TurnRenderer
from tiny_agents.cli.slash.talk import Talk
from tiny_agents.cli.status import turn_words
from tiny_agents.cli.terminal import Screen, abilities
from tiny_agents.cli.turns import EXIT_TOOLS, TurnView
from tiny_agents.mcp_client.functions import FUNCTIONS


def screen_and_views(
    agent: Agent, stream: TextIO, env: Mapping[str, str] = os.environ
) -> tuple[Screen, Callable[[Talk], TurnView]]:
    """The screen of a conversation, and what makes the view of each of its turns."""
    if not abilities(stream, env).redraws:
        plain = Screen(stream, stream, env=env)
        return plain, lambda talk: TurnRenderer(plain, talk.shelf, hidden_tools=EXIT_TOOLS)

    from tiny_agents.cli.live.screen import LiveScreen  # with it comes rich
    from tiny_agents.cli.live.turn import LiveTurn

    screen = LiveScreen(stream, stream, env=env)

    def whose(name: str) -> tuple[str, str] | None:
        origin = agent.origin_of(name)
        return None if origin is None or origin[0] == FUNCTIONS else origin

    def live(talk: Talk) -> TurnView:
        status = partial(turn_words, agent)
        return LiveTurn(screen, talk.shelf, hidden_tools=EXIT_TOOLS, whose=whose, unfolded=talk.unfolded, status=status)

    return screen, live
