"""Whether a tool may be called is asked at the terminal: what would be called, with what, and five answers.

Nothing that a model or a server wrote can look like the question: it is shown neutralised, cut, and indented line by line.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Iterator
from typing import Any

from tiny_agents.agent.permissions.gate import Approval
from tiny_agents.cli.asking.asking import TRIES, ReadLine
from tiny_agents.cli.screen.safe_text import one_line, shorten
from tiny_agents.mcp_client.calls.gate import CallRequest

QUESTION = "  Allow it? [y]es, for this [s]ession, [a]lways, [n]o (or n WHY):"
MAX_ARGUMENTS = 20
VALUE_LINES = 4
NAME_CHARS = 80
_INDENT = "    "

_ANSWERS: dict[str, Any] = {
    "y": "once",
    "yes": "once",
    "s": "session",
    "session": "session",
    "a": "always",
    "always": "always",
    "n": "no",
    "no": "no",
    "": "no",
}


class TerminalApprover:
    """Asks the person at the terminal whether a call may be made. Ctrl+C stops the turn, and with it the question.

    Args:
        say: Writes lines below what was written last.
        read_line: Shows a question and gives the line that was typed; None at the end of input, which is a no.
        turn: Held while something is asked; shared with whatever else asks at this terminal.
        columns: Width of the terminal.
    """

    def __init__(
        self, say: Callable[[str], None], read_line: ReadLine, turn: asyncio.Lock, *, columns: int = 80
    ) -> None:
        self._say = say
        self._read_line = read_line
        self._turn = turn
        self._columns = columns

    async def __call__(self, request: CallRequest) -> Approval:
        async with self._turn:
            self._say("\n".join(shown(request, self._columns)))
            for _ in range(TRIES):
                typed = await self._read_line(QUESTION)
                if typed is None:
                    break
                if (approval := read_answer(typed)) is not None:
                    return approval
                self._say("  Type y, s, a or n.")
            return Approval("no")


def read_answer(typed: str) -> Approval | None:
    """What was typed; None where it is no answer. What follows a no is a reason for the model."""
    word, _, reason = typed.strip().partition(" ")
    answer = _ANSWERS.get(word.rstrip(":,").casefold())
    if answer is None or (reason and answer != "no"):
        return None
    return Approval(answer, " ".join(reason.split()))


def shown(request: CallRequest, columns: int) -> list[str]:
    """The call in lines: its name, what its server says of it, its arguments, indented further."""
    name = f"{one_line(request.place, NAME_CHARS)}.{one_line(request.tool, NAME_CHARS)}"
    return [f'The model wants to call "{name}".', f"  {hint_words(request)}", *_arguments(request, columns)]


def hint_words(request: CallRequest) -> str:
    """What is known of what the call does, in a sentence."""
    if request.read_only:
        return "Its server says that it only reads."
    if request.destructive is None:
        return "Its server doesn't say whether it can destroy anything."
    return f"Its server says that it {'may' if request.destructive else 'does not'} destroy something."


def _arguments(request: CallRequest, columns: int) -> Iterator[str]:
    for name, value in list(request.arguments.items())[:MAX_ARGUMENTS]:
        text = f"{one_line(str(name), NAME_CHARS)}: {json.dumps(value, ensure_ascii=False)}"
        short = shorten(text, max_lines=VALUE_LINES, max_columns=max(columns - len(_INDENT) - 1, 20))
        yield from (_INDENT + line for line in short.lines)
        if short.cut:
            yield f"{_INDENT}… {short.cut:,} more characters"
    if (more := len(request.arguments) - MAX_ARGUMENTS) > 0:
        yield f"{_INDENT}… and {more} more arguments"
