"""Logging in at a remote server: real requests to a real authorization server, a person with a plain browser."""

from __future__ import annotations

import asyncio
import logging
import socket
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.browsing import Pasting, Person, Refusing, Silent
from tests.support.mcp_servers import no_model
from tests.support.oauth_server import OAuthWorld, oauth_world
from tests.support.openai_server import OpenAIServer, calls
from tests.support.ports import free_port
from tiny_agents.errors import ServerConnectionError, ServerLoginError
from tiny_agents.mcp_client.client import MCPClient
from tiny_agents.mcp_client.connection.watch import Watch
from tiny_agents.mcp_client.events import ServerLog
from tiny_agents.mcp_client.host.host import Desk
from tiny_agents.mcp_client.oauth.failed import LoginFailed
from tiny_agents.mcp_client.oauth.flow import Challenge
from tiny_agents.mcp_client.oauth.login import Authorizer
from tiny_agents.mcp_client.oauth.options import AUTO, read_auth
from tiny_agents.mcp_client.oauth.store import FOLDER_VARIABLE, kept_logins

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "logins"))
    return tmp_path / "logins"


@pytest.fixture
def world() -> Iterator[OAuthWorld]:
    with oauth_world() as world:
        yield world


@asynccontextmanager
async def connected(world: OAuthWorld, host: Any = None, **parameters: Any) -> AsyncIterator[MCPClient]:
    async with asyncio.timeout(60), no_model(host=host) as client:
        await client.add_mcp_server(
            **{"type": "http", "url": world.url, "name": "box", "protocol": "legacy", **parameters}
        )
        yield client


async def said(client: MCPClient, tool: str = "whoami") -> str:
    return (await client.call_tool(tool)).text


async def failure(world: OAuthWorld, host: Any = None, **parameters: Any) -> str:
    """Why the server could not be used."""
    with pytest.raises(ServerConnectionError) as caught:
        async with connected(world, host, **parameters):
            pass
    assert not any(secret in str(caught.value) for secret in world.secrets)
    return str(caught.value)


async def test_a_person_logs_in_once_and_later_runs_need_nobody(world: OAuthWorld) -> None:
    person = Person()
    async with connected(world, person) as client:
        assert await said(client) == "hello"
    async with connected(world, host=None) as client:
        assert await said(client) == "hello"
    assert len(person.asked) == 1
    assert "You are logged in" in (await person.shown())[0].text
    assert (person.asked[0].server, person.asked[0].host) == ("box", "127.0.0.1")
    assert len(world.paths("/register")) == len(world.paths("/authorize")) == 1
    exchange = world.forms("authorization_code")[0]
    assert exchange["resource"] == world.url
    assert "tenant" in world.seen[world.paths().index("/authorize")].query


async def test_the_older_transport_logs_in_as_well(world: OAuthWorld) -> None:
    world.resource = f"{world.base}/sse"
    async with connected(world, Person(), type="sse", url=f"{world.base}/sse") as client:
        assert await said(client) == "hello"


async def test_an_address_pasted_from_another_machine_is_as_good_as_the_browser(world: OAuthWorld) -> None:
    person = Pasting(first=["hello", "http://127.0.0.1:1/callback?code=x&state=wrong"])
    async with connected(world, person) as client:
        assert await said(client) == "hello"
    assert [bool(asked.problem) for asked in person.asked] == [False, True, True]
    assert "another login" in person.asked[2].problem


async def test_without_a_person_it_says_at_once_what_to_do(world: OAuthWorld) -> None:
    with pytest.raises(ServerLoginError) as caught:
        async with connected(world):
            pass
    assert f"wants a login at {world.base}, and nobody can be asked here" in str(caught.value)
    assert f"tiny-agents login {world.url}" in str(caught.value)
    assert world.paths("/register", "/authorize", "/token") == []


@pytest.mark.parametrize("auth", ["none", "auto"])
async def test_a_server_that_is_no_oauth_is_told_apart(world: OAuthWorld, auth: str) -> None:
    world.resource_metadata = world.has_metadata = world.challenge = False
    person = Person()
    assert "give it credentials" in await failure(world, person, auth=auth)
    assert person.asked == []
    assert any(path.startswith("/.well-known") for path in world.paths()) == (auth == "auto")


async def test_a_header_of_the_users_own_is_used_instead(world: OAuthWorld) -> None:
    world.access["by-hand-secret"] = set()
    async with connected(world, Person(), headers={"authorization": "Bearer by-hand-secret"}) as client:
        assert await said(client) == "hello"
    assert {seen.authorization for seen in world.seen} == {"Bearer by-hand-secret"}


async def test_a_token_that_runs_out_is_renewed_without_asking_anybody(world: OAuthWorld) -> None:
    world.expires_in = 5  # counts as over at once
    async with connected(world, Person()) as client:
        assert await said(client) == "hello"
    used = len(world.forms("refresh_token"))
    assert used >= 1
    async with connected(world) as client:  # a later run, which has only the file
        assert await said(client) == "hello"
    assert len(world.forms("refresh_token")) > used
    assert len(world.paths("/authorize")) == 1


async def test_a_token_that_is_revoked_in_mid_session_is_renewed_once_for_all_calls(world: OAuthWorld) -> None:
    async with connected(world, Person()) as client:
        world.end_access()
        answers = await asyncio.gather(*(said(client) for _ in range(8)))
    assert answers == ["hello"] * 8
    assert len(world.forms("refresh_token")) == 1


async def test_an_expired_refresh_token_leads_to_a_new_login(world: OAuthWorld) -> None:
    person = Person()
    async with connected(world, person) as client:
        world.end_access()
        world.refresh.clear()
        assert await said(client) == "hello"
    assert len(person.asked) == 2
    assert len(world.paths("/register")) == 1, "the client is still known"
    world.end_access()
    world.refresh.clear()
    assert "nobody can be asked here" in await failure(world)


async def test_more_rights_are_asked_for_when_a_call_needs_them(world: OAuthWorld) -> None:
    world.admin_scope = "admin"
    person = Person()
    async with connected(world, person, auth={"type": "oauth", "scopes": "read"}) as client:
        assert await said(client) == "hello read"
        assert await said(client, "admin") == "hello admin read"
        assert await said(client) == "hello admin read"
    assert [tuple(asked.scopes) for asked in person.asked] == [("read",), ("read", "admin")]


async def test_a_server_that_never_has_enough_rights_is_not_asked_for_ever(world: OAuthWorld) -> None:
    person = Person()
    async with connected(world, person) as client:
        world.admin_scope = "a b"  # no single scope is ever that
        for _ in range(3):
            result = await client.call_tool("admin")
            assert result.is_error
            assert "403" in result.text
        world.end_access()
        assert "hello" in await said(client), "its token is renewed like any other"
    assert len(person.asked) == 2


async def test_a_program_logs_in_with_a_secret(world: OAuthWorld, folder: Path) -> None:
    auth = {"type": "client_credentials", "client_id": "robot", "client_secret": "robot-secret-1", "scopes": ["run"]}
    async with connected(world, auth=auth) as client:
        assert await said(client) == "hello run"
        world.end_access()
        assert await said(client) == "hello run"
    assert [form["scope"] for form in world.forms("client_credentials")] == ["run", "run"]
    kept = "".join(path.read_text() for path in folder.glob("*.json"))
    assert world.base in kept
    assert not any(secret in kept for secret in ["robot-secret-1", *world.access])


async def test_a_program_logs_in_with_a_key(world: OAuthWorld) -> None:
    from cryptography.hazmat.primitives import serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    ).decode()
    auth = {"type": "client_credentials", "client_id": "robot", "private_key": pem, "signing_algorithm": "ES256"}
    async with connected(world, auth=auth) as client:
        assert await said(client) == "hello"
    import jwt

    public = key.public_key()
    claims = jwt.decode(
        world.forms("client_credentials")[0]["client_assertion"], public, ["ES256"], audience=world.base
    )
    assert (claims["iss"], claims["sub"]) == ("robot", "robot")
    assert "can't sign with RS256" in await failure(world, auth={**auth, "signing_algorithm": "RS256"})


async def test_a_program_logs_in_with_an_assertion_of_others(world: OAuthWorld, tmp_path: Path) -> None:
    path = tmp_path / "token"
    asked: list[tuple[str, str]] = []

    async def assertion(issuer: str, resource: str) -> str:
        asked.append((issuer, resource))
        return "assertion-by-function"

    base = {"type": "jwt_bearer", "client_id": "workload"}
    assert "the assertion could not be read" in await failure(world, auth={**base, "assertion_file": str(path)})
    path.write_text("assertion-of-file\n")
    for given in ({"assertion_file": str(path)}, {"assertion": assertion}, {"assertion": "assertion-as-text"}):
        async with connected(world, auth={**base, **given}) as client:
            assert await said(client) == "hello"
    forms = world.forms("urn:ietf:params:oauth:grant-type:jwt-bearer")
    assert [form["assertion"] for form in forms] == ["assertion-of-file", "assertion-by-function", "assertion-as-text"]
    assert asked == [(world.base, world.url)]


async def test_a_client_of_the_users_own_never_goes_to_another_authorization_server(world: OAuthWorld) -> None:
    auth = {"type": "client_credentials", "client_id": "robot", "client_secret": "robot-secret-1"}
    async with connected(world, auth=auth):
        pass
    with oauth_world() as thief:
        world.named_issuer = thief.base
        message = await failure(world, auth=auth)
        assert f"wants a login at {thief.base}" in message
        assert f"tiny-agents logout {world.url}" in message
        assert "only" in await failure(world, auth={**auth, "client_id": "other", "issuer": world.base})
        assert thief.paths("/token") == []


async def test_two_accounts_at_one_server_are_two_logins(world: OAuthWorld) -> None:
    for account in ("ann", "bob"):
        async with connected(world, Person(), auth={"type": "oauth", "scopes": account, "account": account}) as client:
            assert await said(client) == f"hello {account}"
    async with connected(world, auth={"type": "oauth", "account": "ann"}) as client:
        assert await said(client) == "hello ann"
    assert "--account eve" in await failure(world, auth={"type": "oauth", "account": "eve"})


async def test_a_document_stands_in_for_a_registration(world: OAuthWorld) -> None:
    world.metadata = {"client_id_metadata_document_supported": True}
    document = "https://example.com/clients/tiny-agents.json"
    async with connected(world, Person(), auth={"type": "oauth", "client_metadata_url": document}) as client:
        assert await said(client) == "hello"
    assert world.paths("/register") == []
    assert world.forms("authorization_code")[0]["client_id"] == document


async def test_a_client_registered_by_hand_is_used_at_its_own_port(world: OAuthWorld) -> None:
    world.registers = False
    assert "registers no clients by itself" in await failure(world, Person())
    port = free_port()
    with socket.create_server(("127.0.0.1", port)):
        auth = {"type": "oauth", "client_id": "mine", "redirect_uri": f"http://127.0.0.1:{port}/back"}
        assert f"port {port} of redirect_uri is in use" in await failure(world, Person(), auth=auth)
    async with connected(world, Person(), auth=auth) as client:
        assert await said(client) == "hello"
    assert world.seen[world.paths().index("/authorize")].query["redirect_uri"] == f"http://127.0.0.1:{port}/back"


BAD_WORLDS: list[tuple[dict[str, Any], str]] = [
    ({"denies": "access_denied"}, r"ended the login \(access_denied: the user said no\)"),
    ({"has_metadata": False}, "no metadata of an authorization server"),
    ({"issuer": "https://other.example"}, "says that it is https://other.example (issuer mismatch)"),
    ({"resource": "http://127.0.0.1:1/other"}, "names another server, http://127.0.0.1:1/other"),
    ({"metadata": {"token_endpoint": "http://192.0.2.1/token"}}, "whose token endpoint is not https"),
    ({"metadata": {"code_challenge_methods_supported": ["plain"]}}, "can't do PKCE"),
    ({"named_issuer": "http://192.0.2.1"}, "which is not https: nothing was sent there"),
    ({"token_error": (400, {"error": "invalid_grant"})}, "gave no access (HTTP 400, invalid_grant)"),
    ({"token_error": (503, {})}, "answered HTTP 503. Try again later"),
    ({"token_error": (200, {"token_type": "Bearer"})}, "without an access token of type Bearer"),
    ({"accepts": False}, "refuses the access that was just granted (HTTP 401)"),
]


@pytest.mark.parametrize(("changes", "message"), BAD_WORLDS, ids=[message for _, message in BAD_WORLDS])
async def test_what_goes_wrong_is_said(world: OAuthWorld, changes: dict[str, Any], message: str) -> None:
    for name, value in changes.items():
        setattr(world, name, value)
    person = Person()
    assert message.replace("\\", "") in await failure(world, person)
    assert len(person.asked) <= 1


async def test_nothing_is_sent_where_others_could_read_it() -> None:
    desk = Desk("box", Person(), sample=None)  # type: ignore[arg-type]
    url = "http://mcp.example.com/mcp"
    for auth, challenge in (("oauth", Challenge(401)), ("auto", Challenge(401, None, f"{url}/metadata"))):
        authorizer = Authorizer(url, read_auth(auth), desk, Watch(on_lost=lambda: None))
        with pytest.raises(LoginFailed, match="its URL is not https"):
            await authorizer.renewed(None, challenge)
        await authorizer.close()
    plain = Authorizer(url, AUTO, desk, Watch(on_lost=lambda: None))
    assert await plain.renewed(None, Challenge(401)) is None, "it may want a key in a header"
    await plain.close()


async def test_a_refused_registration_is_said(world: OAuthWorld) -> None:
    world.metadata = {"registration_endpoint": f"{world.base}/mcp"}
    assert "refused to register tiny-agents (HTTP 401)" in await failure(world, Person())


async def test_a_person_who_does_not_want_to_is_asked_once(world: OAuthWorld) -> None:
    person = Refusing()
    assert "you did not agree to it" in await failure(world, person)
    assert len(person.asked) == 1


async def test_a_login_may_take_longer_than_a_start(world: OAuthWorld) -> None:
    class Slow(Person):
        client: MCPClient

        async def authorize(self, request: Any) -> Any:
            limit, _ = self.client.connections["box"]._life.starting  # type: ignore[union-attr, misc]
            self.deadline = limit.when()
            return await super().authorize(request)

    person = Slow()
    async with asyncio.timeout(60), no_model(host=person) as client:
        person.client = client
        await client.add_mcp_server("http", url=world.url, name="box", protocol="legacy")
    assert person.deadline is None, "the clock of the start stands still"


async def test_a_login_that_nobody_makes_has_an_end_of_its_own(world: OAuthWorld) -> None:
    auth = {"type": "oauth", "login_timeout": 0.3}
    assert "none came within 0.3 s (login_timeout)" in await failure(world, Silent(), auth=auth)


async def test_an_answer_with_a_wrong_state_is_not_taken(world: OAuthWorld) -> None:
    world.state = "somebody-elses"
    person = Person()
    message = await failure(world, person, auth={"type": "oauth", "login_timeout": 2})
    assert "What came was refused: it belongs to another login" in message
    assert [page.status_code for page in await person.shown()] == [400]
    assert world.forms("authorization_code") == []


async def test_only_the_question_that_was_asked_is_answered_at_the_loopback(world: OAuthWorld) -> None:
    class Curious(Person):
        async def authorize(self, request: Any) -> Any:
            for wrong in ("?code=x&state=guess", "?error=access_denied", "", "/../secret"):
                await self.visit(request.redirect_uri + wrong)
            return await super().authorize(request)

    person = Curious()
    async with connected(world, person) as client:
        assert await said(client) == "hello"
    assert [page.status_code for page in await person.shown()] == [400, 400, 400, 404, 200]


async def test_the_token_goes_to_its_server_and_nowhere_else(world: OAuthWorld) -> None:
    async with connected(world, Person()) as client:
        assert await said(client) == "hello"
    for seen in world.seen:
        bearer = (seen.authorization or "").startswith("Bearer")
        assert not bearer or seen.path == "/mcp", seen


async def test_the_token_does_not_follow_a_redirect_to_another_host(world: OAuthWorld) -> None:
    async with connected(world, Person()) as client:
        with oauth_world() as thief:
            world.moved_to = thief.url
            assert (await client.call_tool("whoami")).is_error
            assert thief.seen == []
            world.moved_to = f"{thief.base}/.well-known/oauth-protected-resource/mcp"
            await failure(world)
            assert thief.seen == []


async def test_secrets_are_in_no_message_log_or_repr(world: OAuthWorld, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    world.admin_scope = "admin"
    async with connected(world, Person()) as client:
        world.end_access()
        await said(client)
        world.end_access()
        world.token_error = (400, {"error": "invalid_grant", "error_description": " ".join(world.secrets)})
        refused = await said(client)
        connection = client.connections["box"]
        shown = f"{connection!r} {connection._server!r} {kept_logins()!r}"
        world.token_error = (400, {"error": "invalid_grant", "error_description": " ".join(world.secrets)})
        result = await client.call_tool("admin")
        assert result.is_error
    for secret in [*world.secrets, *(form["code_verifier"] for form in world.forms("authorization_code"))]:
        assert secret not in shown + refused + result.text + caplog.text


async def test_a_token_that_a_server_reports_is_masked(world: OAuthWorld) -> None:
    world.resource = f"{world.base}/sse"
    with OpenAIServer([calls(("whoami", {}))]) as model:
        async with asyncio.timeout(60), MCPClient(base_url=model.url, model="m", host=Person()) as client:
            await client.add_mcp_server("sse", url=world.resource, name="box")
            messages: list[Any] = [{"role": "user", "content": "?"}]
            items = [item async for item in client.process_single_turn_with_tools(messages, events=True)]
    assert ServerLog("box", "error", {"seen": "***"}) in items
    assert not any(secret in f"{items!r}{messages!r}" for secret in world.secrets)


async def test_what_is_kept_is_for_the_user_alone(world: OAuthWorld, folder: Path) -> None:
    async with connected(world, Person()):
        pass
    modes = {path: stat.S_IMODE(path.stat().st_mode) for path in folder.glob("*.json")}
    assert list(modes.values()) == [0o600]
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700


async def test_a_damaged_file_counts_as_logged_out(
    world: OAuthWorld, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    person = Person()
    async with connected(world, person):
        pass
    (path,) = folder.glob("*.json")
    path.write_text(path.read_text()[:100])
    async with connected(world, person) as client:
        assert await said(client) == "hello"
    assert len(person.asked) == 2
    assert "you count as logged out" in caplog.text
    assert kept_logins()[0].login is not None


TWO_PROCESSES = """
import asyncio, sys
from tiny_agents import MCPClient

async def main():
    async with MCPClient(base_url="http://127.0.0.1:1/v1", model="none") as client:
        await client.add_mcp_server("http", url=sys.argv[1], name="box", protocol="legacy")
        print("READY", flush=True)
        sys.stdin.readline()
        print((await client.call_tool("whoami")).text, flush=True)

asyncio.run(main())
"""


async def test_two_processes_do_not_use_up_each_others_refresh_token(world: OAuthWorld) -> None:
    async with connected(world, Person()):
        pass
    command = [sys.executable, "-c", TWO_PROCESSES, world.url]
    pipes: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    start = partial(subprocess.Popen, command, **pipes)
    with start() as one, start() as other:
        for process in (one, other):
            assert process.stdout is not None
            assert await asyncio.to_thread(process.stdout.readline) == "READY\n"
        world.end_access()
        results = await asyncio.gather(*(asyncio.to_thread(p.communicate, "\n", 60) for p in (one, other)))
    assert [out for out, _ in results] == ["hello\n", "hello\n"]
    assert len(world.forms("refresh_token")) == 1
