"""Which package a command fetches, and whether it is the same one tomorrow."""

from __future__ import annotations

import json

import pytest

from tiny_agents.agent.definition.packages import packages_of, unpinned_warnings
from tiny_agents.agent.definition.parse import parse_definition
from tiny_agents.agent.definition.types import AgentDefinition

DIGEST = "sha256:" + "a" * 64
COMMIT = "b" * 40


def agent(line: str) -> AgentDefinition:
    command, *args = line.split()
    return parse_definition(json.dumps({"servers": {"one": {"command": command, "args": args}}}))


@pytest.mark.parametrize(
    ("line", "package", "pinned"),
    [
        ("npx -y @scope/server@1.2.3 /tmp", "npm:@scope/server@1.2.3", True),
        ("npx -y @scope/server", "npm:@scope/server", False),
        ("npx server@latest", "npm:server@latest", False),
        ("npx server@^1.2.3", "npm:server@^1.2.3", False),
        ("npx server@1.2", "npm:server@1.2", False),
        ("npx server@1.2.3-beta.1", "npm:server@1.2.3-beta.1", True),
        ("npx -y -p server@1.2.3 run-it", "npm:server@1.2.3", True),
        ("npx --package=server run-it", "npm:server", False),
        ("npx server@${env:VERSION}", "npm:server@${env:VERSION}", False),
        ("/usr/bin/npx server@1.2.3", "npm:server@1.2.3", True),
        ("C:\\node\\npx.cmd server@1.2.3", "npm:server@1.2.3", True),
        ("npm exec server@1.2.3", "npm:server@1.2.3", True),
        ("pnpm dlx server", "npm:server", False),
        ("bunx server@1.2.3", "npm:server@1.2.3", True),
        ("deno run -A npm:server@1.2.3", "npm:server@1.2.3", True),
        ("uvx mcp-server-time==1.2", "pypi:mcp-server-time==1.2", True),
        ("uvx mcp-server-time@1.2.3", "pypi:mcp-server-time@1.2.3", True),
        ("uvx mcp-server-time@latest", "pypi:mcp-server-time@latest", False),
        ("uvx mcp-server-time==1.*", "pypi:mcp-server-time==1.*", False),
        ("uvx mcp-server-time>=1.2", "pypi:mcp-server-time>=1.2", False),
        ("uvx --python 3.12 --from tool[x]==2.0 run-it", "pypi:tool[x]==2.0", True),
        (f"uvx --from git+https://example.org/x@{COMMIT} x", f"pypi:git+https://example.org/x@{COMMIT}", True),
        ("uvx --from git+https://example.org/x@main x", "pypi:git+https://example.org/x@main", False),
        ("uv tool run server", "pypi:server", False),
        ("pipx run --spec server==1.0 x", "pypi:server==1.0", True),
        (f"docker run -i --rm -e TOKEN mcp/x@{DIGEST} serve", f"image:mcp/x@{DIGEST}", True),
        ("docker run -i --rm -v /a:/b --name=x mcp/x:1.2", "image:mcp/x:1.2", False),
    ],
)
def test_the_package_of_a_command(line: str, package: str, pinned: bool) -> None:
    (found,) = packages_of(agent(line))
    assert (str(found), found.pinned) == (package, pinned)
    assert len(unpinned_warnings(agent(line))) == (not pinned)


@pytest.mark.parametrize(
    "line", ["python server.py", "npx", "npx -y", "docker ps", "uv run x", "npm start", "pipx list", "deno"]
)
def test_other_commands_fetch_nothing(line: str) -> None:
    assert packages_of(agent(line)) == ()


def test_a_remote_server_fetches_nothing() -> None:
    assert packages_of(parse_definition("servers: [{url: 'http://x/mcp'}]")) == ()


def test_the_warning_names_server_package_and_remedy() -> None:
    assert unpinned_warnings(agent("npx -y pkg")) == [
        "the server 'one' runs whatever version 'pkg' stands for when it starts; package@1.2.3 fixes it"
    ]
