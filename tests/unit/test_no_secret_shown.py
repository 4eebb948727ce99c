"""What shows itself shows no secret: nothing that the public classes hold, nothing with a field that may hold one."""

from __future__ import annotations

import importlib
import json
import pickle
import pkgutil
import traceback
import types
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import fields, is_dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest

import tiny_agents
from tiny_agents import (
    Agent,
    AsyncInferenceClient,
    ConfigError,
    InferenceClient,
    KnownServers,
    MCPClient,
    MemorySessionStore,
    ModelSettings,
    ProviderError,
    RunLog,
    Session,
    UsageError,
    load_definition,
    parse_definition,
    resolve_inputs,
)
from tiny_agents.errors import redact, redact_addresses, shown_address, without
from tiny_agents.inference.call import Request, Response, Route
from tiny_agents.inference.credentials import without_keys
from tiny_agents.inference.http.asynchronous import AsyncHTTP
from tiny_agents.inference.http.blocking import SyncHTTP
from tiny_agents.inference.http.settings import HTTPSettings
from tiny_agents.inference.wire import error_of
from tiny_agents.mcp_client.connection.credentials import clean_result, clean_tool, credentials_of, secrets_of
from tiny_agents.mcp_client.connection.servers import HttpServer, StdioServer
from tiny_agents.mcp_client.oauth.options import read_auth
from tiny_agents.mcp_client.oauth.store import Client, Login, Tokens
from tiny_agents.mcp_client.results.results import ToolResult
from tiny_agents.mcp_client.tools.table import ServerTool
from tiny_agents.records import Discreet, NoSecretsShown

MARK = "planted"
"""In every secret that is planted here."""

ADDRESS = "https://planted-user:planted-password@models.example/v1?k=planted-query"
ARGUMENTS = ["--token", "planted-argument"]
LOGIN = {"type": "client_credentials", "client_id": "me", "client_secret": "planted-client-secret"}
SERVERS = {
    "remote": {"url": ADDRESS, "headers": {"Authorization": "Bearer planted-bearer", "X-Other": "planted-header"}},
    "local": {"command": "x", "args": ARGUMENTS, "env": {"A": "planted-variable", "B": "${input:i}"}},
    "login": {"url": "https://h.example/mcp", "auth": LOGIN},
}
DEFINITION = {
    "model": "m",
    "endpointUrl": ADDRESS,
    "apiKey": "planted-key",
    "inputs": [{"id": "i", "password": True, "default": "planted-default"}],
    "servers": SERVERS,
}
CLIENT = {"api_key": "planted-key", "headers": {"X-Key": "planted-header"}, "cookies": {"c": "planted-cookie"}}
CLIENT["proxies"] = "http://me:planted-proxy@proxy.example:1"


def definition(folder: Path) -> Any:
    path = folder / "agent.yaml"
    path.write_text(json.dumps(DEFINITION))
    return load_definition(path)


MADE: dict[str, Callable[[Path], Any]] = {
    "InferenceClient": lambda _: InferenceClient(base_url=ADDRESS, **CLIENT),
    "InferenceClient of a model at a URL": lambda _: InferenceClient(ADDRESS, **CLIENT),
    "AsyncInferenceClient": lambda _: AsyncInferenceClient(base_url=ADDRESS, **CLIENT),
    "MCPClient": lambda _: MCPClient(model="m", base_url=ADDRESS, api_key="planted-key"),
    "Agent": lambda _: Agent(model="m", base_url=ADDRESS, api_key="planted-key", servers=list(SERVERS.values())),
    "Agent.load": lambda folder: Agent.load(definition(folder).path, inputs={"i": "planted-input"}),
    "AgentDefinition": definition,
    "AgentDefinition with its inputs": lambda folder: resolve_inputs(definition(folder), values={"i": "planted-input"}),
    "ModelSettings": lambda _: ModelSettings("m", None, ADDRESS, "planted-key"),
    "Session": lambda _: Session(MemorySessionStore(), secrets=["planted-secret"]),
    "RunLog": lambda folder: RunLog(folder / "log"),
    "KnownServers": lambda folder: KnownServers(folder / "known"),
    "a request": lambda _: Request("GET", ADDRESS, headers={"X": "planted-header"}, key="planted-key"),
    "a response": lambda _: Response(200, {"set-cookie": "planted-cookie"}, b"", ADDRESS),
    "a route": lambda _: Route("p", ADDRESS, "m", "planted-key", headers={"X": "planted-header"}),
    "senders": lambda _: [each(HTTPSettings(proxies={"all://": CLIENT["proxies"]})) for each in (SyncHTTP, AsyncHTTP)],
    "servers": lambda _: [HttpServer(ADDRESS, {"X": "planted-header"}), StdioServer("x", ("planted",), {"A": "planted"})],
    "a login": lambda _: Login(
        "https://h.example/mcp",
        "https://i.example",
        "https://i.example/token",
        client=Client("id", "planted-client-secret"),
        tokens=Tokens("planted-access", "planted-refresh"),
    ),
    "ways to log in": lambda _: [
        read_auth({"type": "client_credentials", "client_id": "me", "client_secret": "planted-client-secret"}),
        read_auth({"type": "client_credentials", "client_id": "me", "private_key": "planted-private-key"}),
        read_auth({"type": "jwt_bearer", "client_id": "me", "assertion": "planted-assertion"}),
    ],
    "an error of a provider": lambda _: error_of(
        Request("GET", ADDRESS, headers={"X": "planted-header"}, key="planted-key"),
        401,
        {},
        b'{"error": "planted-key is wrong, and so is planted-header"}',
    ),
}  # fmt: skip

_LEAVES = (str, bytes, int, float, type(None), type, types.ModuleType, types.FunctionType, types.MethodType)


def held_by(whole: Any) -> Iterator[Any]:
    """`whole`, and every object of ours that can be reached from it."""
    seen: dict[int, Any] = {}
    waiting = deque([whole])
    while waiting:
        each = waiting.popleft()
        if id(each) in seen or isinstance(each, _LEAVES):
            continue
        seen[id(each)] = each
        if isinstance(each, (dict, types.MappingProxyType)):
            waiting.extend(each.values())
        elif isinstance(each, (list, tuple, set, frozenset, deque)):
            waiting.extend(each)
        elif type(each).__module__.startswith("tiny_agents"):
            yield each
            slots = [name for cls in type(each).__mro__ for name in getattr(cls, "__slots__", ())]
            waiting.extend(vars(each).values() if hasattr(each, "__dict__") else ())
            waiting.extend(getattr(each, name) for name in slots if hasattr(each, name))


@pytest.mark.parametrize("what", MADE)
def test_no_public_object_and_nothing_in_it_shows_a_secret(tmp_path: Path, what: str) -> None:
    found = list(held_by(MADE[what](tmp_path)))
    assert found
    shown = {f"{type(each).__name__}: {how(each)}" for each in found for how in (repr, str, "{}".format)}
    assert [text for text in shown if MARK in text] == []


_NAMES = (
    "api_key", "token", "access", "refresh", "secret", "client_secret", "private_key", "assertion", "password",
    "headers", "env", "cookies", "proxies", "verifier",
)  # fmt: skip


def _classes() -> Iterator[type]:
    for module in pkgutil.walk_packages(tiny_agents.__path__, "tiny_agents."):
        if module.name.endswith("__main__"):
            continue
        for found in vars(importlib.import_module(module.name)).values():
            if isinstance(found, type) and found.__module__ == module.name:
                yield found


def test_every_field_that_by_its_name_may_hold_a_secret_is_left_out_of_the_repr() -> None:
    found = []
    looked_at = 0
    for cls in _classes():
        if is_dataclass(cls):
            named = [each for each in fields(cls) if each.name in _NAMES and each.type not in ("int", "bool")]
            named = [
                each for each in named if (each.name, each.type) != ("env", "str | None")
            ]  # the name of a variable
            looked_at += len(named)
            plain = hasattr(cls.__repr__, "__wrapped__")  # the one that dataclasses make
            found += [f"{cls.__qualname__}.{each.name}" for each in named if each.repr and plain]
        elif issubclass(cls, msgspec.Struct):
            named_fields = [name for name in cls.__struct_fields__ if name in _NAMES]
            looked_at += len(named_fields)
            hidden = cls.not_shown if issubclass(cls, Discreet) else frozenset[str]()
            plain = issubclass(cls, Discreet) or cls.__repr__ is msgspec.Struct.__repr__
            found += [f"{cls.__qualname__}.{name}" for name in named_fields if plain and name not in hidden]
    assert found == []
    assert looked_at > 10


def test_an_error_carries_no_secret_to_another_process() -> None:
    request = Request("GET", ADDRESS, headers={"X": "planted-header"}, key="planted-key")
    error = error_of(request, 401, {}, b"planted-key and planted-header")
    assert MARK not in pickle.dumps(error).decode("latin-1")
    again = pickle.loads(pickle.dumps(error))
    assert isinstance(again, ProviderError)
    assert again.url == "https://models.example/v1"


# ---------------------------------------------------------------- masking

SHAPES = [
    "hf_abcdefghij12345",
    "api_org_abcdefghij",
    "sk-ant-api03-abc_def-12345",
    "gsk_abcdefgh1234",
    "xai-abcdefghijklmnop1234",
    "nvapi-abcdefghijklmnop1234",
    "ghp_abcdefghijklmnopqrstuvwxyz0123456789",
    "github_pat_11ABCDEFG0abcdefghijkl_mnop",
    "glpat-abcdefghijklmnopqrst",
    "xoxb-1234567890-abcdef",
    "AKIAIOSFODNN7EXAMPLE",
    "AIzaSyA1234567890abcdefghijklmnopqrstuv",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
]


@pytest.mark.parametrize("key", SHAPES)
def test_what_looks_like_a_key_is_masked(key: str) -> None:
    assert redact(f"x={key}, and more") == "x=***, and more"


@pytest.mark.parametrize(
    "text", ["risk-assessment-of-things", "Asiatic", "keyJumble.eyJ", "the task-scheduler", "sk-1", "HF_ENDPOINT"]
)
def test_words_are_no_keys(text: str) -> None:
    assert redact(text) == text


@pytest.mark.parametrize(
    "piece", ["eyJ", "eyJaaaaaaaaaa.", "eyJ-", "AKIA", "github_pat_", "://a", "sk-", "xoxb-", "bearer "]
)
def test_masking_takes_no_longer_for_odd_texts(piece: str) -> None:
    import time

    started = time.process_time()
    redact_addresses(redact(piece * 100_000))
    assert time.process_time() - started < 5


SECRET = 'p"a\\s s/wörd'


@pytest.mark.parametrize(
    "quoted",
    [str, json.dumps, repr, lambda text: json.dumps(text, ensure_ascii=False), lambda _: "p%22a%5Cs%20s%2Fw%C3%B6rd"],
)
def test_a_secret_is_masked_however_it_is_quoted(quoted: Callable[[str], str]) -> None:
    shown = without(f"a {quoted(SECRET)} b", [SECRET])
    assert "***" in shown
    assert not any(part in shown for part in ("s s", "rd", "%5C"))


def test_addresses_are_masked_whoever_is_named_in_them() -> None:
    text = "http://token-1@h/a, http://u:p@h/?sig=abc&page=1, https://h/?x=1&X-Amz-Signature=ff&author=me, ${a://${input:b}@h}"
    shown = "http://***@h/a, http://***@h/?sig=***&page=1, https://h/?x=1&X-Amz-Signature=***&author=me, ${a://${input:b}@h}"
    assert redact_addresses(text) == shown


def test_what_is_no_address_does_not_stop_a_repr() -> None:
    class _Where(NoSecretsShown):
        pass

    broken = Request("GET", "http://[planted")
    assert repr(broken).startswith("Request(method='GET', url='***'")
    assert (
        repr(ModelSettings("org/model")) == "ModelSettings(model='org/model', provider=None, base_url=None, source='')"
    )


# ---------------------------------------------------------------- servers

STDIO = StdioServer(
    "docker",
    (
        "run",
        "-e",
        "API_TOKEN=planted-1",
        "--api-key",
        "planted-2",
        "--key=planted-3",
        "postgres://me:planted-4@h/db",
        "-k",
    ),
    {"DB_PASSWORD": "planted-5", "LOG_LEVEL": "warning", "KEY_FILE": "plain-name", "SSH_KEY": "/home/me/key"},
)
REMOTE = HttpServer(
    "https://planted-1@h.example/mcp?api_key=planted-2&region=europe",
    {"Authorization": "Bearer planted-3", "Accept-Language": "german", "x-api-key": "planted-4"},
)


def test_what_is_secret_for_certain_is_known_by_its_name_and_place() -> None:
    assert credentials_of(STDIO) == [f"planted-{number}" for number in range(1, 6)]
    assert credentials_of(REMOTE, ["x"]) == [
        "Bearer planted-3", "cGxhbnRlZC0xOg==", "planted-1", "planted-2", "planted-3", "planted-4", "x",
    ]  # fmt: skip


def test_what_may_be_secret_is_kept_out_of_messages_only() -> None:
    suspected = set(secrets_of(REMOTE)) - set(credentials_of(REMOTE))
    assert {"german", "europe"} <= suspected
    assert "warning" in set(secrets_of(STDIO)) - set(credentials_of(STDIO))
    assert "/home/me/key" not in secrets_of(STDIO)
    result = ToolResult("in german: planted-4, with a warning", whole="planted-4 " * 3)
    clean = clean_result(result, secrets_of(REMOTE), suspected)
    assert (clean.text, clean.whole) == ("in german: ***, with a warning", "*** *** *** ")


def test_a_model_is_not_told_a_servers_keys_in_the_description_of_a_tool() -> None:
    schema = {"type": "object", "properties": {"a": {"enum": ["planted-4", 1]}}}
    clean = clean_tool(ServerTool("t", "use planted-4", schema), credentials_of(REMOTE))
    assert clean.description == "use ***"
    assert clean.parameters["properties"]["a"]["enum"] == ["***", 1]
    untouched = ServerTool("t", "planted-4")
    assert clean_tool(untouched, []) is untouched


def test_a_program_that_we_start_for_ourselves_gets_none_of_our_keys() -> None:
    names = ("HF_TOKEN", "OPENAI_API_KEY", "TINY_AGENTS_API_KEY", "AWS_SECRET_ACCESS_KEY", "DB_PASSWORD")
    harmless = {
        "PATH": "/bin",
        "PIP_INDEX_URL": "https://i.example",
        "UV_INDEX_X_PASSWORD": "6",
        "HTTPS_PROXY": "http://p",
    }
    assert without_keys({**dict.fromkeys(names, "x"), **harmless}) == harmless


# ---------------------------------------------------------------- definitions that are wrong


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("htts://me:planted@h/v1?key=planted", "htts://***@h/v1?***"),
        ("me:planted@host", "***@host"),
        ("https://me:plan@ted@h", "https://***@h"),
        ("https://u:planted/v1", "https://u:***/v1"),
        ("http://h:80800/v1", "http://h:80800/v1"),
        ("ftp://h/x", "ftp://h/x"),
        ("sk-planted-1234", "***"),
    ],
)
def test_what_should_have_been_an_address_is_shown_without_what_may_be_secret(text: str, shown: str) -> None:
    assert shown_address(text) == shown
    with pytest.raises(ConfigError) as in_a_file:
        parse_definition(f"endpointUrl: '{text} x'")
    with pytest.raises(UsageError) as in_code:
        InferenceClient(base_url=f"-{text}")
    assert MARK not in f"{in_a_file.value} {in_code.value}"


BROKEN = [
    "apiKey: 'planted\nmodel: m",
    "servers: {a: {command: x, env: {KEY: planted}}",
    "servers: {a: {command: x, env: {KEY:planted}}}",
    "servers: {a: {command: x, env: {KEY: @planted}}}",
    "servers:\n  a:\n    command: x\n    env:\n      KEY: planted: x\n",
    "apiKey: planted\n\tmodel: m",
    "apiKey: !secret planted",
    '{"apiKey": "planted", "model": }',
    "apiKey: planted\x00",
]


@pytest.mark.parametrize("format", ["yaml", "json"])
@pytest.mark.parametrize("text", BROKEN)
def test_an_error_in_a_definition_does_not_quote_it(text: str, format: Any) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_definition(text, path="agent.yaml", format=format)
    shown = "".join(traceback.format_exception(caught.value))
    assert MARK not in shown
    for error in (caught.value, *caught.value.others):
        assert MARK not in repr(error) + repr(error.args) + repr(vars(error))
