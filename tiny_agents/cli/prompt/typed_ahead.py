"""What somebody types while an answer comes, so that it can be seen before there is a prompt to type it at. Pure.

Only what a line is written with is followed here. The keys themselves are kept and given to the next prompt, which obeys
all of them (history, completion, the keys of vi).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

Line = tuple[str, str]
"""The text before the cursor, and behind it."""


def _backspace(before: str, after: str) -> Line:
    return before[:-1], after


def _delete(before: str, after: str) -> Line:
    return before, after[1:]


def _left(before: str, after: str) -> Line:
    return before[:-1], before[-1:] + after


def _right(before: str, after: str) -> Line:
    return before + after[:1], after[1:]


def _start(before: str, after: str) -> Line:
    at = before.rfind("\n") + 1
    return before[:at], before[at:] + after


def _end(before: str, after: str) -> Line:
    rest, line_end, more = after.partition("\n")
    return before + rest, line_end + more


def _discard(before: str, after: str) -> Line:
    return before[: before.rfind("\n") + 1] if not before.endswith("\n") else before[:-1], after


def _kill(before: str, after: str) -> Line:
    rest, line_end, more = after.partition("\n")
    return before, line_end + more if rest else more


def _rub_out_word(before: str, after: str) -> Line:
    kept = before.rstrip()
    return kept[: max(kept.rfind(" "), kept.rfind("\n")) + 1], after


_EDITS: Mapping[str, Callable[[str, str], Line]] = {
    "c-h": _backspace,
    "delete": _delete,
    "c-d": _delete,
    "left": _left,
    "c-b": _left,
    "right": _right,
    "c-f": _right,
    "home": _start,
    "c-a": _start,
    "end": _end,
    "c-e": _end,
    "c-w": _rub_out_word,
    "c-u": _discard,
    "c-k": _kill,
}
_ENTER = {"c-m", "c-j"}


@dataclass(slots=True)
class TypedAhead:
    """Lines that were typed ahead.

    Attributes:
        paste: What to insert for a pasted text.
        entered: Prompts that were sent off with Enter; they are asked one after the other.
        line: The one that is being typed.
        taken_back: Whether they are to be typed anew: nothing of them is sent by itself.
    """

    paste: Callable[[str], str] = str
    entered: list[str] = field(default_factory=list)
    line: Line = ("", "")
    taken_back: bool = False
    _escaped: bool = False

    def press(self, key: str, data: str) -> None:
        """A key, by its name in prompt_toolkit or as its character; for a paste, `data` is what was pasted."""
        before, after = self.line
        escaped, self._escaped = self._escaped, key == "escape"
        if key in _ENTER:
            if escaped:
                self.line = f"{before}\n", after
            else:
                if (before + after).strip():
                    self.entered.append(before + after)
                self.line = "", ""
        elif key == "<bracketed-paste>":
            self.line = before + self.paste(data), after
        elif key in _EDITS:
            self.line = _EDITS[key](before, after)
        elif len(key) == 1 and key.isprintable() and not escaped:
            self.line = before + key, after

    def take_back(self) -> str:
        """All of it as one text to be changed, in place of prompts that would be sent unseen."""
        self.taken_back = True
        return "\n".join(text for text in (*self.entered, "".join(self.line)) if text)
