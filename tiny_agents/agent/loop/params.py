"""What a user wants passed on with each call of the model. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from tiny_agents.errors import UsageError
from tiny_agents.inference.tasks.chat import ChatOptions

OWN = {
    "model": "name it as the agent's model",
    "tools": "tools come from servers and functions",
    "tool_choice": "the loop chooses",
    "tool_prompt": "the loop chooses",
    "n": "a conversation goes on with one answer",
    "response_format": "use output=",
}
"""Arguments of a chat call that the loop sets, and what to do instead."""

NAMES = frozenset(ChatOptions.__annotations__) - OWN.keys()
"""Arguments of a chat call that may be passed on."""


def checked_params(params: Mapping[str, Any] | None) -> dict[str, Any]:
    """`params`, if a chat call takes them.

    Raises:
        UsageError: A name that it doesn't take, or that the loop sets.
    """
    for name in params or {}:
        if name in OWN:
            raise UsageError(f"params: {name} can't be set there: {OWN[name]}.")
        if name not in NAMES:
            close = difflib.get_close_matches(name, NAMES, 1)
            hint = f" Did you mean {close[0]}?" if close else ""
            raise UsageError(
                f"params: a chat call takes no {name!r}.{hint} What only some servers know goes into extra_body."
            )
    return dict(params or {})
