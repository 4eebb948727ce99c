"""docs/mcp/login.md says what the code does."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path
from typing import Any

import pytest

from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.parse import parse_definition
from tiny_agents.agent.definition.part_keys import AUTH
from tiny_agents.mcp_client.connection.servers import describe_server
from tiny_agents.mcp_client.host.host import AuthorizationReply, AuthorizationRequest
from tiny_agents.mcp_client.oauth.options import LOGIN_TIMEOUT_S, AuthParameters

TEXT = (Path(__file__).parents[2] / "docs" / "mcp" / "login.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("example", re.findall(r"```yaml\n(.*?)```", TEXT, flags=re.DOTALL))
def test_the_examples_are_servers_that_can_be_added(example: str) -> None:
    definition = resolve_inputs(parse_definition(example), env={"TRACKER_SECRET": "very-secret"})
    for server in definition.servers:
        parameters = server.as_kwargs()
        described = describe_server(parameters.pop("type"), parameters)
        assert "very-secret" not in repr(described)
    assert definition.secrets in (frozenset(), {"very-secret"})


def test_the_table_is_the_rows_that_the_code_has() -> None:
    assert [line for line in TEXT.splitlines() if line.startswith("| `")] == [
        f"| `{key.name}` | {key.says} |" for key in AUTH.served.values()
    ]
    assert set(AUTH.served) == {*AuthParameters.__required_keys__, *AuthParameters.__optional_keys__}
    assert LOGIN_TIMEOUT_S == 5 * 60


def test_the_host_of_the_example_opens_the_page(monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", TEXT, flags=re.DOTALL)
    opened: list[str] = []
    monkeypatch.setattr("webbrowser.open", opened.append)
    names: dict[str, Any] = {}
    exec(compile(example, "login.md", "exec", dont_inherit=True), names)
    host = names["Browser"]()
    request = AuthorizationRequest("box", "https://login.example.com/x", "login.example.com", (), "http://127.0.0.1:1/")
    assert host.can_authorize
    assert asyncio.run(host.authorize(request)) == AuthorizationReply("accept")
    assert opened == ["https://login.example.com/x"]
