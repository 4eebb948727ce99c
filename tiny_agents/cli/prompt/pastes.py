"""Long text that is pasted into a prompt: a few words stand for it while the prompt is edited. Pure."""

from __future__ import annotations

import re
import secrets

from tiny_agents.errors import UsageError

LONG_CHARS = 5_000
LONG_LINES = 50

_STAND_IN = re.compile(r"\[pasted ([0-9a-f]{8}): [\d,]+ characters\]")


class Pastes:
    """What was pasted in this conversation. An editor that draws a megabyte with each key would not keep up."""

    def __init__(self) -> None:
        self._kept: dict[str, str] = {}

    def take(self, text: str) -> str:
        """What to insert for a pasted text: the text, or what stands for a long one."""
        text = text.replace("\r\n", "\n").replace("\r", "\n")
        if len(text) <= LONG_CHARS and text.count("\n") <= LONG_LINES:
            return text
        name = secrets.token_hex(4)
        self._kept[name] = text
        return f"[pasted {name}: {len(text):,} characters]"

    def expanded(self, typed: str) -> str:
        """The prompt with what was pasted.

        Raises:
            UsageError: It comes from the history of another conversation, whose pasted text isn't kept.
        """

        def text_of(found: re.Match[str]) -> str:
            if (text := self._kept.get(found[1])) is None:
                raise UsageError(f"the text that was pasted is not kept: paste it again in place of {found[0]}")
            return text

        return _STAND_IN.sub(text_of, typed)
