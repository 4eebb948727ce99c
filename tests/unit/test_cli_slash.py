"""Slash commands: what was typed, and which one is meant."""

import re
from pathlib import Path

import pytest

from tiny_agents.cli.reloading import Watch
from tiny_agents.cli.slash.serving import _json_object
from tiny_agents.cli.slash.table import COMMANDS, Typed, as_text, find, parse
from tiny_agents.errors import UsageError


@pytest.mark.parametrize(
    ("text", "typed"),
    [
        ("/help", Typed("help", "")),
        ("  /call a.b {}  ", Typed("call", "a.b {}")),
        ("/call\na.b", Typed("call", "a.b")),
        ("/nonsense", Typed("nonsense", "")),
        ("/", Typed("", "")),
        ("//help", None),
        ("/etc/hosts is empty", None),
        ("what is /help?", None),
    ],
)
def test_a_command_begins_with_one_slash_and_is_no_path(text, typed):
    assert parse(text) == typed


def test_two_slashes_begin_a_text():
    assert as_text("//help") == "/help"
    assert as_text("/etc/hosts") == "/etc/hosts"


@pytest.mark.parametrize(("name", "hint"), [("toolz", "/tools"), ("us", "/usage"), ("zzz", "/help")])
def test_an_unknown_command_suggests_the_nearest(name, hint):
    with pytest.raises(UsageError, match=hint):
        find(name)


def test_every_command_has_a_help_and_quit_has_two_names():
    assert all(command.help and command.name == name for name, command in COMMANDS.items())
    assert find("exit") is find("quit") is find("q")


def test_arguments_that_are_no_json_say_where():
    assert _json_object("") == {}
    with pytest.raises(UsageError, match="at character 11, behind"):
        _json_object('{"text": 1; }')
    with pytest.raises(UsageError, match="JSON object"):
        _json_object("[1]")


def test_the_documentation_has_every_command():
    documented = re.findall(
        r"^\| `/(\w+)", (Path(__file__).parents[2] / "docs/cli.md").read_text("utf-8"), re.MULTILINE
    )
    assert documented == list(COMMANDS)


def test_a_changed_a_new_and_a_missing_file_are_each_noticed_once(tmp_path):
    there, new = tmp_path / "agent.yaml", tmp_path / "PROMPT.md"
    there.write_text("model: a")
    watch = Watch([there, new])
    assert not watch.has_changed()
    for change in (lambda: there.write_text("model: other"), lambda: new.write_text("Hi"), there.unlink):
        change()
        assert watch.has_changed()
        assert not watch.has_changed()
