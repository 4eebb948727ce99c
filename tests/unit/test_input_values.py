"""Where values of inputs come from besides flags and the environment, and that secret ones show up nowhere."""

from __future__ import annotations

import io
import json
import logging
import sys
from pathlib import Path

import keyring
import keyring.errors
import pytest
from keyring.backend import KeyringBackend

from tiny_agents.agent.definition.input_values import Keyring, owner_of
from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.parse import parse_definition
from tiny_agents.agent.definition.requirements import commands_and_hosts
from tiny_agents.agent.definition.types import AgentDefinition, InputDefinition, InputOption
from tiny_agents.cli.prompt.input_values import ask_for_input, given_values
from tiny_agents.errors import ConfigError, UsageError
from tiny_agents.mcp_client.connection.credentials import secrets_of
from tiny_agents.mcp_client.connection.servers import describe_options, describe_server
from tiny_agents.mcp_client.text import without_secrets


class MemoryKeyring(KeyringBackend):
    """A keyring that lasts as long as a test."""

    priority = 1  # type: ignore[assignment]

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[tuple[str, str], str] = {}
        self.locked = False

    def get_password(self, service: str, username: str) -> str | None:
        if self.locked:
            raise keyring.errors.KeyringLocked("the keyring\nis locked")
        return self.entries.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if self.locked:
            raise keyring.errors.KeyringLocked("the keyring\nis locked")
        self.entries[service, username] = password


@pytest.fixture
def memory():
    before = keyring.get_keyring()
    backend = MemoryKeyring()
    keyring.set_keyring(backend)
    yield backend
    keyring.set_keyring(before)


def definition(inputs: str, path: str = "/agents/a/agent.yaml") -> AgentDefinition:
    return parse_definition(f"inputs: [{inputs}]\nservers: {{s: {{command: x, args: ['${{input:a}}']}}}}", path=path)


def value(resolved: AgentDefinition) -> str:
    return str(resolved.servers[0].params["args"][0])


REGION = "{id: a, type: pickString, options: [eu, {label: The States, value: us}]}"


def test_one_of_the_options_is_taken() -> None:
    read = definition(REGION)

    assert read.inputs[0].options == (InputOption("eu"), InputOption("us", "The States"))
    assert value(resolve_inputs(read, values={"a": " us "}, env={})) == "us"
    assert value(resolve_inputs(read, env={"A": "eu"})) == "eu"


@pytest.mark.parametrize(
    ("values", "env", "answer", "source"),
    [({"a": "asia"}, {}, "", "as given"), ({}, {"A": "asia"}, "", "A"), ({}, {}, "asia", "as typed")],
)
def test_anything_else_is_an_error_that_names_the_options(
    values: dict[str, str], env: dict[str, str], answer: str, source: str
) -> None:
    with pytest.raises(ConfigError) as caught:
        resolve_inputs(definition(REGION), values=values, env=env, ask=lambda item: answer)

    assert str(caught.value) == (
        f"/agents/a/agent.yaml:1:10: inputs[0]: the input 'a' must be one of eu, us; 'asia' ({source}) is none"
    )


def test_a_password_that_is_no_option_is_not_repeated() -> None:
    with pytest.raises(ConfigError, match=r"must be one of eu, us; the value \(as given\) is none"):
        resolve_inputs(definition(REGION.replace("id: a,", "id: a, password: true,")), values={"a": "asia"}, env={})


def test_an_input_that_is_not_required_is_empty_without_a_value() -> None:
    assert value(resolve_inputs(definition("{id: a, required: false}"), env={})) == ""
    with pytest.raises(ConfigError, match="the input 'a' has no value"):
        resolve_inputs(definition("{id: a, required: true}"), env={})


def test_inputs_are_asked_for_in_the_order_in_which_they_are_declared() -> None:
    asked: list[str] = []
    text = "inputs: [{id: a}, {id: b}]\nprompt: ${input:b}\nservers: {s: {command: x, args: ['${input:a}']}}"
    resolve_inputs(parse_definition(text), env={}, ask=lambda item: asked.append(item.id) or "typed")  # type: ignore[func-returns-value]

    assert asked == ["a", "b"]


# ---- the keyring


def kept(read: AgentDefinition, told: list[str], *, remember: bool = False, **sources: str) -> str:
    resolved = resolve_inputs(
        read,
        values={"a": sources["given"]} if "given" in sources else {},
        env={"A": sources["env"]} if "env" in sources else {},
        ask=lambda item: sources.get("typed", ""),
        keeper=Keyring(owner_of(read), told.append),
        remember=remember,
    )
    assert not value(resolved) or not read.inputs[0].password or value(resolved) in resolved.secrets
    return value(resolved)


STORED = "{id: a, password: true, store: keyring, required: false}"
PASSWORD = "{id: a, password: true, required: false}"


def test_what_was_typed_is_there_the_next_time_if_the_definition_says_store(memory: MemoryKeyring) -> None:
    told: list[str] = []

    assert kept(definition(STORED), told, typed="s3cret") == "s3cret"
    assert memory.entries == {("tiny-agents", "/agents/a/agent.yaml#a"): "s3cret"}
    assert kept(definition(STORED), told) == "s3cret"
    assert kept(definition(STORED), told, env="from-env") == "from-env", "the environment comes first"
    assert kept(definition(STORED), told, given="newer") == "newer"
    assert kept(definition(STORED), told) == "newer"
    assert told == []


def test_nothing_is_remembered_that_nobody_asked_to_remember(memory: MemoryKeyring) -> None:
    told: list[str] = []
    kept(definition(PASSWORD), told, typed="s3cret")
    assert memory.entries == {}

    kept(definition(PASSWORD), told, remember=True, typed="s3cret")
    assert kept(definition(PASSWORD), told) == "s3cret", "the user asked for it"


def test_what_the_environment_says_is_not_copied_into_the_keyring(memory: MemoryKeyring) -> None:
    kept(definition(STORED), [], remember=True, env="from-env")

    assert memory.entries == {}


def test_another_agent_does_not_get_what_this_one_was_given(memory: MemoryKeyring) -> None:
    kept(definition(STORED), [], typed="s3cret")

    assert kept(definition(STORED, path="/agents/b/agent.yaml"), []) == ""


def test_a_kept_value_that_is_no_option_any_more_is_asked_for_again(memory: MemoryKeyring) -> None:
    memory.entries["tiny-agents", "/agents/a/agent.yaml#a"] = "asia"

    assert kept(definition(REGION.replace("id: a,", "id: a, store: keyring,")), [], typed="eu") == "eu"


def test_a_keyring_that_does_not_work_is_a_warning_and_the_run_goes_on(memory: MemoryKeyring) -> None:
    told: list[str] = []
    memory.locked = True

    assert kept(definition(STORED), told, typed="s3cret") == "s3cret"
    assert told == ["nothing is remembered: the keyring can't be read: the keyring is locked"]


def test_a_keyring_that_does_not_work_is_nothing_to_whom_nobody_asked_for_it(memory: MemoryKeyring) -> None:
    told: list[str] = []
    memory.locked = True

    assert kept(definition(PASSWORD), told, typed="s3cret") == "s3cret"
    assert told == []
    assert kept(definition(PASSWORD), told, remember=True, typed="s3cret") == "s3cret"
    assert told == ["nothing is remembered: the keyring can't be written: the keyring is locked"]


def test_without_the_package_only_who_wants_something_remembered_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "keyring", None)  # what Python does for a package that must not be imported
    told: list[str] = []

    assert kept(definition(PASSWORD), told, typed="s3cret") == "s3cret"
    assert told == []
    assert kept(definition(STORED), told, typed="s3cret") == "s3cret"
    assert told == ["nothing is remembered: the keyring needs pip install 'tiny-agents[keyring]'"]


# ---- the command line


def test_a_value_may_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("\ufeffs3cret=x\n", encoding="utf-8")

    assert given_values([("a", f"@{file}"), ("b", "@@home"), ("c", "x@y"), ("d", "")]) == {
        "a": "s3cret=x",
        "b": "@home",
        "c": "x@y",
        "d": "",
    }


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (
            None,
            "--input pw=@FILE: the file can't be read: no such file or directory (a value that begins with @ is written "
            "with @@)",
        ),
        (b"\xff\xff", "--input pw=@FILE: the file isn't text in UTF-8"),
        (b"x" * 100_001, "--input pw=@FILE: the file is larger than 100 kB, which no value is"),
    ],
)
def test_a_file_that_can_not_be_used_is_an_error_without_its_name(
    tmp_path: Path, content: bytes | None, message: str
) -> None:
    file = tmp_path / "s3cret"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(UsageError) as caught:
        given_values([("pw", f"@{file}")])

    assert str(caught.value) == message


def test_options_are_picked_by_number_or_name(monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    wanted = InputDefinition(
        "a",
        "The region",
        "pickString",
        default="eu",
        options=(InputOption("eu"), InputOption("us", "The \x1b[31mStates")),
    )
    answers = []
    for typed in ("2\n", "us\n", "\n", "9\nasia\neu\n", "9\n8\n7\n"):
        monkeypatch.setattr(sys, "stdin", io.StringIO(typed))
        answers.append(ask_for_input(wanted))

    assert answers == ["us", "us", "", "eu", "7"]
    shown = capsys.readouterr().err
    assert "The region (a):\n  1  eu\n  2  The ␛[31mStates\n1 to 2 [eu]: " in shown


@pytest.mark.parametrize(
    ("wanted", "question"),
    [
        (InputDefinition("a", "The name."), "The name (a): "),
        (InputDefinition("a", default="eu"), "a (a) [eu]: "),
        (InputDefinition("a", default=""), "a (a): "),
    ],
)
def test_a_question_says_what_an_empty_answer_means(
    wanted: InputDefinition, question: str, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("\n"))

    assert ask_for_input(wanted) == ""
    assert capsys.readouterr().err == question


# ---- secrets


SECRET = "hunter-2-tango"


def test_a_password_is_in_no_repr_and_no_log_and_not_in_what_a_person_is_shown(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    text = (
        "model: m-${input:a}\nendpointUrl: http://x/${input:a}/v1\nprompt: Use ${input:a}.\n"
        "inputs: [{id: a, password: true}]\n"
        "servers:\n"
        "  s: {command: 'run-${input:a}', args: ['--pw=${input:a}'], cwd: '/tmp/${input:a}', env: {A: '${input:a}'}}\n"
        "  h: {url: 'http://x/${input:a}', headers: {A: '${input:a}'}}\n"
    )
    resolved = resolve_inputs(parse_definition(text), values={"a": SECRET}, env={})

    assert SECRET in str(resolved.servers[0].params)
    shown = [repr(resolved), *map(repr, resolved.servers), *map(repr, resolved.inputs), *commands_and_hosts(resolved)]
    assert all(SECRET not in line for line in [*shown, caplog.text])
    assert "default" not in repr(InputDefinition("a", default=SECRET))


def test_every_server_of_a_definition_masks_the_secrets_of_all() -> None:
    resolved = resolve_inputs(
        parse_definition(
            "inputs: [{id: a, password: true}]\nservers: [{command: x, args: ['${input:a}']}, {command: y}]"
        ),
        values={"a": "pass"},
        env={},
    )
    for server in resolved.servers:
        kwargs = server.as_kwargs(resolved.secrets)
        kind = kwargs.pop("type")
        secrets = secrets_of(describe_server(kind, kwargs), describe_options(kind, kwargs).secrets)
        assert secrets == ["pass"]
        assert without_secrets({"a": ["my pass", 1], "pass": None}, secrets) == {"a": ["my ***", 1], "***": None}
        assert "pass" not in repr(describe_options(kind, kwargs))


def test_the_default_of_a_password_is_a_secret_too() -> None:
    resolved = resolve_inputs(definition(json.dumps({"id": "a", "password": True, "default": SECRET})), env={})

    assert SECRET in resolved.secrets
