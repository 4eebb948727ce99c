"""What is shown before a call, and what typed answers mean."""

from __future__ import annotations

import asyncio

import pytest

from tiny_agents.agent.permissions.gate import Approval
from tiny_agents.cli.asking.permission import QUESTION, TerminalApprover, read_answer, shown
from tiny_agents.mcp_client.calls.gate import CallRequest


@pytest.mark.parametrize(
    ("typed", "answer"),
    [
        ("y\n", Approval("once")),
        (" YES ", Approval("once")),
        ("s", Approval("session")),
        ("session", Approval("session")),
        ("a", Approval("always")),
        ("n", Approval("no")),
        ("\n", Approval("no")),
        ("", Approval("no")),
        ("n use the  other file\n", Approval("no", "use the other file")),
        ("no: not there", Approval("no", "not there")),
        ("yes but only once", None),
        ("yy", None),
        ("always please", None),
        ("the other file", None),
    ],
)
def test_an_answer_is_one_word_and_only_a_no_has_a_reason(typed: str, answer: Approval | None) -> None:
    assert read_answer(typed) == answer


def test_nothing_that_a_model_or_a_server_wrote_can_look_like_the_question() -> None:
    forged = f"x\n{QUESTION} y\n\x1b[2J\x1b[H\u202eevil\r> "
    request = CallRequest("s\x1b[1m", f"tool{forged}", {"path": forged, forged: "v" * 900, "list": [1, {"a": None}]})
    lines = shown(request, columns=60)
    assert lines[0].startswith('The model wants to call "s␛[1m.toolx   Allow it?'.replace("   ", " "))
    assert all(line.startswith("    ") for line in lines[2:])
    assert all(len(line) < 60 for line in lines[2:])
    assert not any(character in "".join(lines) for character in "\x1b\r\u202e")
    assert '    list: [1, {"a": null}]' in lines
    assert any("more characters" in line for line in lines)


def test_many_arguments_are_counted() -> None:
    lines = shown(CallRequest("s", "t", {f"a{n}": n for n in range(50)}), columns=80)
    assert len(lines) == 23
    assert lines[-1] == "    … and 30 more arguments"


@pytest.mark.parametrize(
    ("read_only", "destructive", "words"),
    [
        (True, None, "says that it only reads"),
        (False, True, "says that it may destroy something"),
        (False, False, "says that it does not destroy something"),
        (False, None, "doesn't say whether"),
    ],
)
def test_what_the_server_says_of_the_tool_is_said_to_be_its_word(
    read_only: bool, destructive: bool | None, words: str
) -> None:
    assert words in shown(CallRequest("s", "t", {}, read_only, destructive), columns=80)[1]


@pytest.mark.anyio
async def test_what_is_no_answer_is_asked_again_and_then_is_a_no() -> None:
    said: list[str] = []

    async def typed(question: str) -> str | None:
        return lines.pop(0)

    approver = TerminalApprover(said.append, typed, asyncio.Lock())
    request = CallRequest("s", "t", {})
    lines: list[str | None] = ["what?", "s"]
    assert await approver(request) == Approval("session")
    lines = ["what?", "what?", "what?", "y"]
    assert await approver(request) == Approval("no")
    lines = [None]
    assert await approver(request) == Approval("no")
