"""What the user says about a server is checked at once, and an error names what is wrong and what was meant."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tiny_agents.errors import UsageError
from tiny_agents.mcp_client.connection.credentials import secrets_of
from tiny_agents.mcp_client.connection.servers import (
    HttpServer,
    Server,
    ServerOptions,
    SseServer,
    StdioServer,
    address,
    describe_options,
    describe_server,
    older_transport,
    patient,
    server_name,
)
from tiny_agents.mcp_client.tools.table import ToolFilter

URL = "https://mcp.example.com/mcp"


@pytest.mark.parametrize(
    ("kind", "parameters", "server"),
    [
        ("stdio", {"command": "run"}, StdioServer("run")),
        (
            "stdio",
            {"command": "run", "args": ["-a"], "env": {"K": "v"}, "cwd": Path("/tmp")},
            StdioServer("run", ("-a",), {"K": "v"}, "/tmp"),
        ),
        ("stdio", {"command": "run", "args": None, "env": None, "cwd": None}, StdioServer("run")),
        ("http", {"url": URL}, HttpServer(URL)),
        (
            "http",
            {
                "url": URL,
                "headers": {"A": "b"},
                "timeout": timedelta(seconds=5),
                "sse_read_timeout": 7,
                "terminate_on_close": False,
            },
            HttpServer(URL, {"A": "b"}, 5.0, 7.0, False),
        ),
        ("sse", {"url": f" {URL} ", "timeout": 1.5}, SseServer(URL, {}, 1.5)),
        (
            "sse",
            {"url": URL, "headers": None, "sse_read_timeout": timedelta(minutes=1)},
            SseServer(URL, {}, 30.0, 60.0),
        ),
    ],
)
def test_parameters_as_in_huggingface_hub(kind: str, parameters: dict[str, Any], server: Server) -> None:
    assert describe_server(kind, parameters) == server


@pytest.mark.parametrize(
    ("kind", "parameters", "message"),
    [
        ("stdoi", {}, "unknown server type 'stdoi': use 'stdio', 'http', 'sse' or 'inprocess'; did you mean 'stdio'?"),
        ("websocket", {}, "unknown server type 'websocket': use 'stdio', 'http', 'sse' or 'inprocess'"),
        (
            "stdio",
            {"command": "x", "arg": []},
            "add_mcp_server('stdio'): unknown parameter 'arg'; did you mean 'args'?",
        ),
        ("http", {"url": URL, "command": "x"}, "add_mcp_server('http'): unknown parameter 'command'"),
        (
            "sse",
            {"url": URL, "terminate_on_close": True},
            "add_mcp_server('sse'): unknown parameter 'terminate_on_close'",
        ),
        ("stdio", {}, "add_mcp_server('stdio'): 'command' is missing"),
        ("http", {"url": None}, "add_mcp_server('http'): 'url' is missing"),
        ("stdio", {"command": ["x"]}, "'command' must be a text that isn't empty, not list"),
        ("stdio", {"command": " "}, "'command' must not be empty"),
        ("stdio", {"command": "x", "args": "-a -b"}, "'args' must be a list of texts, not str"),
        ("stdio", {"command": "x", "args": [1]}, "'args' must be a list of texts"),
        ("stdio", {"command": "x", "env": {"PORT": 80}}, "'env.PORT' must be text, not int"),
        ("stdio", {"command": "x", "env": ["A=b"]}, "'env' must be a mapping from names to texts, not list"),
        ("stdio", {"command": "x", "cwd": 3}, "'cwd' must be a path, not int"),
        ("http", {"url": "mcp.example.com/mcp"}, "'url' must be a whole URL such as https://host/mcp"),
        ("http", {"url": "ftp://example.com"}, "'url' must be a whole URL"),
        ("http", {"url": "http://host:99999/"}, "'url' must be a whole URL"),
        ("http", {"url": "http://[::1/"}, "'url' must be a whole URL"),
        ("http", {"url": URL, "timeout": 0}, "'timeout' must be more than 0 seconds and finite, not 0"),
        ("http", {"url": URL, "timeout": float("inf")}, "'timeout' must be more than 0 seconds and finite"),
        ("http", {"url": URL, "timeout": True}, "'timeout' must be a number of seconds or a timedelta, not bool"),
        ("sse", {"url": URL, "sse_read_timeout": "5"}, "'sse_read_timeout' must be a number of seconds"),
        ("http", {"url": URL, "terminate_on_close": 1}, "'terminate_on_close' must be True or False, not int"),
        ("http", {"url": URL, "headers": {"A": None}}, "'headers.A' must be text, not NoneType"),
    ],
)
def test_what_makes_no_sense_is_refused_by_name(kind: str, parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        describe_server(kind, parameters)
    assert message in str(caught.value)


def test_what_can_be_said_of_any_server() -> None:
    said = {
        "name": "files",
        "tools": {"allow": ["read_*"], "deny": None},
        "startup_timeout": timedelta(seconds=5),
        "tool_timeout": 7,
        "protocol": "legacy",
    }
    assert describe_options("stdio", {"command": "x", **said}) == ServerOptions(
        "files", ToolFilter(allow=("read_*",)), 5.0, 7.0, "legacy"
    )
    assert describe_options("http", {"url": URL, "allowed_tools": []}) == ServerOptions(tools=ToolFilter(names=()))
    assert describe_options("http", dict.fromkeys([*said, "allowed_tools"])) == ServerOptions()
    assert describe_server("stdio", {"command": "x", **said}) == StdioServer("x")


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"name": " "}, "'name' must not be empty"),
        ({"name": 3}, "'name' must be a text that isn't empty, not int"),
        ({"allowed_tools": "echo"}, "'allowed_tools' must be a list of names"),
        ({"tools": ["echo"]}, "'tools' must be a mapping with 'allow' and 'deny', not list"),
        ({"tools": {"allw": []}}, "unknown key 'allw' in 'tools'; did you mean 'allow'?"),
        ({"tools": {"deny": "x"}}, "in 'tools': 'deny' must be a list of texts, not str"),
        ({"tools": {"allow": []}, "allowed_tools": []}, "'allowed_tools' and 'allow' in 'tools' say the same thing"),
        ({"protocol": "2025-11-25"}, "'protocol' must be 'auto', 'legacy' or '2026-07-28', not '2025-11-25'"),
        ({"prefix": "a b"}, "'prefix' must be 'auto', 'always', or 1 to 32 letters, digits, '_' and '-', not 'a b'"),
        ({"restart": -1}, "'restart' must be at least 0, not -1"),
        ({"restart": True}, "'restart' must be a whole number, not bool"),
        ({"secrets": "x"}, "'secrets' must be a list of texts, not str"),
        ({"tool_timeout": 0}, "'tool_timeout' must be more than 0 seconds"),
        ({"startup_timeout": "5"}, "'startup_timeout' must be a number of seconds or a timedelta, not str"),
    ],
)
def test_what_makes_no_sense_for_any_server_is_refused(parameters: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError) as caught:
        describe_options("stdio", parameters)
    assert message in str(caught.value)
    assert str(caught.value).startswith("add_mcp_server('stdio')")


@pytest.mark.parametrize(
    ("server", "name"),
    [
        (StdioServer("mcp-server-time"), "time"),
        (StdioServer("/usr/bin/python3.12", ("-m", "mcp_server_time")), "time"),
        (StdioServer("python", ("-u", "server/weather_server.py", "--port", "1")), "weather"),
        (StdioServer(r"C:\Python\python.exe", (r"C:\my\notes.py",)), "notes"),
        (StdioServer("python"), "python"),
        (StdioServer("npx", ("-y", "@modelcontextprotocol/server-filesystem", "/home/me")), "filesystem"),
        (StdioServer("npx", ("@playwright/mcp@latest",)), "playwright"),
        (StdioServer("npx.cmd", ("-y", "mcp-remote@0.1", "https://x")), "remote"),
        (StdioServer("uvx", ("mcp-server-git==2.1",)), "git"),
        (StdioServer("uv", ("tool", "run", "mcp-server-fetch")), "fetch"),
        (StdioServer("docker", ("run", "-i", "--rm", "mcp/github:latest")), "github"),
        (StdioServer("node", ("dist/index.js",)), "index"),
        (StdioServer("mcp"), "mcp"),
        (HttpServer("https://huggingface.co/mcp"), "huggingface.co"),
        (HttpServer("http://user:pw@127.0.0.1:8000/mcp"), "127.0.0.1:8000"),
        (SseServer("https://mcp.example.com/sse?key=1"), "mcp.example.com"),
    ],
)
def test_a_server_is_named_after_its_package_script_or_host(server: Server, name: str) -> None:
    assert server_name(server, ()) == name
    assert server_name(server, {name, f"{name}-2"}) == f"{name}-3"


def test_an_address_shows_no_credentials() -> None:
    assert address(HttpServer("https://user:secret@host:8443/mcp?key=secret#x")) == "https://host:8443/mcp"
    assert address(StdioServer("run", ("--token", "secret"))) == "run"


def test_secrets_do_not_show_in_a_description() -> None:
    http = HttpServer("https://u:password@h/mcp?key=abcdef", {"Authorization": "Bearer verysecret", "X-Version": "1"})
    assert secrets_of(http) == [
        "Bearer verysecret",
        "dTpwYXNzd29yZA==",
        "key=abcdef",
        "verysecret",
        "password",
        "abcdef",
    ]
    stdio = StdioServer("run", env={"PWD_OF_DB": "hunter22", "CONFIG": "/etc/run.conf", "DEBUG": "1"})
    assert secrets_of(stdio) == ["hunter22"]
    for server in (http, stdio):
        assert not any(secret in repr(server) for secret in secrets_of(server))


def test_a_silent_server_is_waited_for_as_long_as_a_tool_may_take() -> None:
    assert patient(HttpServer(URL), 20) == HttpServer(URL, read_timeout_s=300)
    assert patient(SseServer(URL), 900) == SseServer(URL, read_timeout_s=910)
    assert patient(HttpServer(URL, read_timeout_s=5), 900) == HttpServer(URL, read_timeout_s=5)
    assert patient(StdioServer("x"), 900) == StdioServer("x")


def test_the_older_transport_is_tried_only_where_the_newer_one_is_not_served() -> None:
    http = HttpServer(URL, {"A": "b"}, 5.0, 7.0)
    older = SseServer(URL, {"A": "b"}, 5.0, 7.0)
    assert [older_transport(http, status) for status in (404, 405)] == [older, older]
    assert [older_transport(http, status) for status in (None, 400, 401, 403, 500)] == [None] * 5
    assert [older_transport(server, 404) for server in (older, StdioServer("x"))] == [None, None]
