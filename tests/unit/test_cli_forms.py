"""Forms of servers in a terminal: what is asked, and what an answer means."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from tiny_agents.cli.asking.asking import TerminalHost
from tiny_agents.cli.asking.forms import Field, fields_of, read_field
from tiny_agents.mcp_client.host.host import FormRequest, Reply, SamplingRequest, UrlRequest

pytestmark = pytest.mark.anyio

SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["name", "color"],
    "properties": {
        "name": {"type": "string", "title": "Name", "description": "as in the passport"},
        "age": {"type": "integer"},
        "member": {"type": "boolean", "default": True},
        "color": {"type": "string", "enum": ["r", "g"], "enumNames": ["Red", "Green"]},
        "size": {"type": "string", "oneOf": [{"const": "s", "title": "Small"}, {"const": "l"}], "default": "l"},
        "tags": {"type": "array", "items": {"enum": ["a", "b"]}, "default": ["a", "b"]},
    },
}


def test_a_schema_becomes_questions() -> None:
    fields = fields_of(SCHEMA)
    assert [field.question for field in fields] == [
        "Name: as in the passport:",
        "age (may be left empty):",
        "member (y/n; default: y):",
        "color:",
        "size (default: l):",
        "tags (numbers, separated by commas; default: a, b):",
    ]
    assert fields[3].choices == (("r", "Red"), ("g", "Green"))
    assert fields[4].choices == (("s", "Small"), ("l", "l"))
    assert fields_of({}) == fields_of({"properties": {"x": True}, "required": 3}) == []


CHOICE = Field("c", "c", choices=(("r", "Red"), ("g", "Green")), required=True)


@pytest.mark.parametrize(
    ("field", "typed", "value"),
    [
        (Field("x", "x"), " two words ", "two words"),
        (Field("x", "x"), "", None),
        (Field("x", "x", default="d"), " ", "d"),
        (Field("x", "x", "integer"), "12", 12),
        (Field("x", "x", "number"), "1.5", 1.5),
        (Field("x", "x", "boolean"), "Yes", True),
        (Field("x", "x", "boolean", default=True), "n", False),
        (CHOICE, "2", "g"),
        (CHOICE, "r", "r"),
        (CHOICE, "green", "g"),
        (Field("x", "x", "array", CHOICE.choices), "1, Green", ["r", "g"]),
    ],
)
def test_what_is_typed_becomes_a_value(field: Field, typed: str, value: object) -> None:
    assert read_field(field, typed) == value


@pytest.mark.parametrize(
    ("field", "typed", "problem"),
    [
        (Field("x", "x", required=True), " ", "this is needed"),
        (Field("x", "x", "integer"), "1.5", "this must be a whole number"),
        (Field("x", "x", "number"), "many", "not a number"),
        (Field("x", "x", "boolean"), "perhaps", "type y or n"),
        (CHOICE, "3", "type a number from 1 to 2"),
        (Field("x", "x", "array"), "a", "there is nothing to choose"),
    ],
)
def test_what_does_not_fit_is_said(field: Field, typed: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        read_field(field, typed)


class Person:
    """Types the given lines, then closes the input."""

    def __init__(self, *lines: str) -> None:
        self.lines = list(lines)
        self.asked: list[str] = []
        self.opened: list[str] = []
        self.host = TerminalHost(lambda: None, read_line=self.read, open_page=self.opened.append)

    async def read(self, question: str) -> str | None:
        self.asked.append(question.strip())
        return self.lines.pop(0) if self.lines else None


FORM = FormRequest("s", "Who?\x1b[2J", {"properties": {"n": {"type": "integer"}}, "required": ["n"]})


@pytest.mark.parametrize(
    ("lines", "reply"),
    [
        (("x", "3", "y"), Reply("accept", {"n": 3})),
        (("3", ""), Reply("decline")),
        (("x", "y", "z"), Reply("cancel")),
        ((), Reply("cancel")),
    ],
)
async def test_a_form_is_filled_in_line_by_line(
    lines: tuple[str, ...], reply: Reply, capsys: pytest.CaptureFixture[str]
) -> None:
    assert await Person(*lines).host.elicit(FORM) == reply
    assert "The server s asks: Who?" in capsys.readouterr().out


@pytest.mark.parametrize(
    "properties",
    [
        {f"n{number}": {"type": "string"} for number in range(10_000)},
        {"n": {"type": "string", "enum": [str(number) for number in range(10_000)]}},
    ],
)
async def test_a_form_without_end_is_declined(
    properties: dict[str, object], capsys: pytest.CaptureFixture[str]
) -> None:
    person = Person("x")
    reply = await person.host.elicit(FormRequest("s", "Who? " * 100_000, {"properties": properties}))
    assert reply == Reply("decline", reason="the form is too long for a terminal")
    assert person.asked == []
    shown = capsys.readouterr().out
    assert "too long to be filled in here" in shown
    assert len(shown) < 3_000


@pytest.mark.parametrize(
    ("name", "schema", "warned"),
    [
        ("password", {"type": "string"}, True),
        ("x", {"type": "string", "title": "Your API key"}, True),
        ("x", {"type": "string", "description": "the 4 digits of your PIN"}, True),
        ("x", {"type": "string", "format": "password"}, True),
        ("color", {"type": "string", "title": "Shopping list"}, False),
    ],
)
async def test_who_is_asked_for_a_password_is_warned(
    name: str, schema: dict[str, object], warned: bool, capsys: pytest.CaptureFixture[str]
) -> None:
    await Person("x", "y").host.elicit(FormRequest("s", "Who?", {"properties": {name: schema}}))
    assert ("servers may not ask for passwords" in capsys.readouterr().out) is warned


async def test_a_page_is_opened_after_a_yes() -> None:
    request = UrlRequest("s", "Log in", "https://example.com/login")
    yes, no, gone = Person("y"), Person(""), Person()
    assert [await person.host.elicit(request) for person in (yes, no, gone)] == [
        Reply("accept"),
        Reply("decline"),
        Reply("cancel"),
    ]
    assert (yes.opened, no.opened, gone.opened) == (["https://example.com/login"], [], [])


async def test_the_model_is_lent_after_a_yes(capsys: pytest.CaptureFixture[str]) -> None:
    request = SamplingRequest("s", [{"role": "user", "content": "Say hi.\x1b[2J" + "x" * 10_000}], 100)
    assert [await Person(*lines).host.allow_sampling(request) for lines in (["yes"], ["maybe"], [])] == [
        True,
        False,
        False,
    ]
    shown = capsys.readouterr().out
    assert "Say hi." in shown
    assert "more characters)" in shown
    assert "\x1b" not in shown


async def test_of_many_messages_the_last_are_shown(capsys: pytest.CaptureFixture[str]) -> None:
    messages = [{"role": "user", "content": f"number {number}"} for number in range(1_000)]
    assert await Person("y").host.allow_sampling(SamplingRequest("s", messages, 100))
    shown = capsys.readouterr().out
    assert "(990 messages before these)" in shown
    assert "number 999" in shown
    assert "number 989" not in shown


async def test_only_folders_that_were_named_are_served(tmp_path: Path) -> None:
    assert TerminalHost(lambda: None).serves == {"elicitation", "sampling"}
    host = TerminalHost(lambda: None, roots=[tmp_path])
    assert host.serves == {"elicitation", "sampling", "roots"}
    assert list(await host.roots()) == [tmp_path]
