"""The command line, the prompt, the exit status and the words for what went wrong."""

import errno
import io
import re
import shlex
from pathlib import Path

import pytest

from tiny_agents.cli import COMMANDS
from tiny_agents.cli.arguments import build_parser, parse
from tiny_agents.cli.exit_codes import ExitCode, error_message, exit_code_before_start, root_cause
from tiny_agents.cli.prompt.prompts import compose_prompt, read_stdin
from tiny_agents.cli.reference import commands_of
from tiny_agents.errors import (
    ConfigError,
    InferenceConnectionError,
    MissingDependencyError,
    ServerConnectionError,
    UsageError,
)


def test_what_is_said_is_not_logged_without_a_log(capsys):
    with pytest.raises(SystemExit):
        parse(["run", "clock", "--log-content"])
    assert "--log-content goes with --log FILE" in capsys.readouterr().err


def test_every_flag_of_run_arrives():
    line = "run clock -p hi --model m --provider p --base-url u --api-key-env K --input a=1 --input b=x=y"
    flags = [
        "--remember",
        "--trust",
        "--allow-path",
        "x",
        "--debug",
        "--pinning",
        "strict",
        "--accept-tools",
        "-y",
        "--lock",
        "warn",
        "--usage",
        *("--max-turns", "3", "--max-tool-calls", "0", "--max-cost", "0.5"),
        "--root",
        "r",
        "--log",
        "l",
        "--log-content",
    ]
    arguments = parse([*line.split(), *flags, "--resume", "3f2a"])
    assert vars(arguments) == {
        "command": "run",
        "agent": "clock",
        "prompt": "hi",
        "output": "text",
        "output_schema": None,
        "quiet": False,
        "max_turns": 3,
        "max_tool_calls": 0,
        "max_tokens": None,
        "max_cost": 0.5,
        "max_seconds": None,
        "max_repeat": None,
        "model": "m",
        "provider": "p",
        "base_url": "u",
        "api_key_env": "K",
        "input": [("a", "1"), ("b", "x=y")],
        "remember": True,
        "trust": True,
        "allow_path": ["x"],
        "debug": True,
        "lock": "warn",
        "pinning": "strict",
        "accept_tools": True,
        "permission": "allow",
        "usage": True,
        "log": "l",
        "log_content": True,
        "root": ["r"],
        "resume": "3f2a",
        "last": False,
        "no_session": False,
    }


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("", "no command"),
        ("run", "AGENT"),
        ("rn clock", "invalid choice: 'rn' (did you mean 'run'?)"),
        ("frobnicate", "(choose from run, list, "),
        ("run clock --modle m", "unrecognized arguments: --modle (did you mean '--model'?)"),
        ("run clock --frobnicate", "unrecognized arguments: --frobnicate"),
        ("call clock", "required: TOOL"),
        ("run clock --mod m", "--mod"),  # no abbreviations: they'd change their meaning with the next flag
        ("run clock --prompt", "expected one argument"),
        ("run clock --input token", "ID=VALUE"),
        ("run clock --output xml", "invalid choice: 'xml'"),
        ("run clock --max-turns 0", "at least 1"),
        ("run clock --max-repeat 1", "at least 2"),
        ("run clock --max-seconds nan", "above 0"),
        ("run clock --max-cost free", "above 0"),
        ("run clock --resume 3f2a --no-session", "not allowed with"),
        ("sessions shwo 3f2a", "invalid choice: 'shwo'"),
    ],
)
def test_a_line_that_makes_no_sense_is_one_error_and_a_pointer_to_the_help(line, words, capsys):
    with pytest.raises(SystemExit) as done:
        parse(line.split())
    assert done.value.code == ExitCode.USAGE
    error, hint = capsys.readouterr().err.splitlines()
    assert error.startswith("error: ")
    assert words in error
    assert hint.startswith("See 'tiny-agents")


def test_what_was_typed_as_an_input_is_not_repeated(capsys):
    with pytest.raises(SystemExit):
        parse(["run", "clock", "--input", "hf_secretsecret"])
    assert "secret" not in capsys.readouterr().err


@pytest.mark.parametrize("line", [["--help"], *([name, "--help"] for name in COMMANDS)])
def test_help_has_examples_and_fits_the_eye(line, capsys):
    with pytest.raises(SystemExit) as done:
        parse(line)
    assert done.value.code == 0
    help_text = capsys.readouterr().out
    assert "tiny-agents" in help_text.partition("examples:")[2] or "Run one with" in help_text
    assert max(map(len, help_text.splitlines())) <= 80


@pytest.mark.parametrize("command", COMMANDS)
def test_the_examples_of_a_help_are_understood(command, capsys):
    with pytest.raises(SystemExit):
        parse([command, "--help"])
    examples = capsys.readouterr().out.partition("examples:")[2].replace("\\\n", "")
    lines = re.findall(r"^ +(?:.*\| |.*\$\()?tiny-agents ([a-z].*)$", examples, re.MULTILINE)
    for line in lines:
        words = shlex.split(re.split(r"(?<! ) {2,}(?! )(?=\S)| [<>|] |\)\"", line.replace("\\", ""))[0])
        assert parse(words).command in COMMANDS, line
    assert lines or command in WITHOUT_EXAMPLES


WITHOUT_EXAMPLES = {"list"}
"""Its help names what to run after it."""


@pytest.mark.parametrize(
    ("flag", "piped", "prompt"),
    [
        ("hi", None, "hi"),
        ("hi", "", "hi"),
        (None, "hi\n", "hi"),
        (None, "two\nlines\n\n", "two\nlines"),
        ("Review this:", "diff\n", "Review this:\n\ndiff"),
        ("", "text", "text"),
        (None, "  indented\n", "  indented"),
    ],
)
def test_the_prompt_is_the_flag_then_what_was_piped_in(flag, piped, prompt):
    assert compose_prompt(flag, piped) == prompt


@pytest.mark.parametrize(
    ("flag", "piped", "words"),
    [("  ", None, "empty"), (None, " \n", "standard input"), (None, None, "--prompt"), ("", "", "empty")],
)
def test_no_prompt_at_all_is_an_error(flag, piped, words):
    with pytest.raises(UsageError, match=words):
        compose_prompt(flag, piped)


def stdin_of(path: Path, data: bytes):
    path.write_bytes(data)
    return path.open(encoding="utf-8")


def test_standard_input_may_start_with_a_byte_order_mark(tmp_path):
    with stdin_of(tmp_path / "in", b"\xef\xbb\xbfgr\xc3\xbc\xc3\x9fe") as stream:
        assert read_stdin(stream, print) == "grüße"


def test_standard_input_that_is_no_text_is_an_error(tmp_path):
    with stdin_of(tmp_path / "in", b"ok\xff\xfe") as stream, pytest.raises(UsageError, match=r"UTF-8 \(byte 3"):
        read_stdin(stream, print)


def test_a_closed_standard_input_is_empty():
    assert read_stdin(None, print) == ""
    closed = io.StringIO()
    closed.close()
    assert read_stdin(closed, print) == ""


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UsageError("x"), ExitCode.USAGE),
        (ConfigError("x"), ExitCode.USAGE),
        (MissingDependencyError("xllamacpp", extra="local", purpose="The embedded model"), ExitCode.FAILED),
        (InferenceConnectionError("x"), ExitCode.FAILED),
        (RuntimeError("x"), ExitCode.FAILED),
    ],
)
def test_what_the_user_can_mend_by_writing_something_else_is_a_usage_error(error, code):
    assert exit_code_before_start(error) == code


def test_the_documented_numbers():
    assert {code.name: code.value for code in ExitCode} == {
        "DONE": 0,
        "FAILED": 1,
        "USAGE": 2,
        "LIMIT": 3,
        "HANGUP": 129,
        "INTERRUPTED": 130,
        "BROKEN_PIPE": 141,
        "TERMINATED": 143,
    }


def test_groups_are_unwrapped_to_the_first_error_of_ours():
    ours = ServerConnectionError("server 'x' went away", server="x")
    group = BaseExceptionGroup("g", [ValueError("noise"), ExceptionGroup("h", [OSError("more"), ours])])
    assert root_cause(group) is ours
    assert error_message(group) == "server 'x' went away"
    only_noise = ExceptionGroup("g", [ExceptionGroup("h", [KeyError("k")])])
    assert isinstance(root_cause(only_noise), KeyError)


def test_an_unexpected_error_asks_for_a_report():
    message = error_message(TypeError("no such thing"))
    assert "TypeError: no such thing" in message
    assert "--debug" in message


def test_errors_of_the_system_speak_for_themselves():
    assert error_message(OSError(errno.ENOSPC, "No space left on device")) == "No space left on device"
    assert error_message(PermissionError(13, "Permission denied", "x.txt")) == "x.txt: Permission denied"


def test_no_secret_and_no_escape_sequence_is_in_a_message():
    error = UsageError("key hf_abcdefgh1234 and my-own-key failed\x1b[2J")
    assert error_message(error, ["my-own-key"]) == "key *** and *** failed␛[2J"


def test_the_reference_has_every_flag_and_every_status():
    docs = Path(__file__).parents[2] / "docs"
    written = (docs / "cli.md").read_text(encoding="utf-8")
    made = (docs / "cli-reference.md").read_text(encoding="utf-8")
    for name, parser in commands_of(build_parser()):
        section = made.partition(f"# {name}\n")[2].partition("\n#")[0]
        assert all(f"`{flag}" in section for flag in parser._option_string_actions if flag not in ("-h", "--help")), (
            name
        )
    assert all(f"\n| {code.value} |" in written for code in ExitCode)
