"""The pure parts of logging in: what may be said of it, what an answer means, what is kept, what is asked for."""

from __future__ import annotations

import base64
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest
from mcp.shared.auth import OAuthMetadata

from tiny_agents.agent.definition.parse import parse_definition
from tiny_agents.errors import ConfigError, UsageError
from tiny_agents.mcp_client.connection.servers import describe_server
from tiny_agents.mcp_client.oauth import flow
from tiny_agents.mcp_client.oauth.callback import Denied, Foreign, Granted, page, read_callback
from tiny_agents.mcp_client.oauth.failed import LoginFailed
from tiny_agents.mcp_client.oauth.flow import Challenge, Place, Rejected
from tiny_agents.mcp_client.oauth.options import Auth, is_safe_address
from tiny_agents.mcp_client.oauth.store import (
    Client,
    Login,
    Slot,
    Tokens,
    Unreadable,
    canonical,
    kept_logins,
    store_folder,
    without_query,
)

URL = "https://mcp.example.com/mcp"
ISSUER = "https://login.example.com"


# ---------------------------------------------------------------- what can be said


def auth_of(**parameters: Any) -> Auth:
    server = describe_server("http", {"url": URL, **parameters})
    auth: Auth = server.auth  # type: ignore[union-attr]
    return auth


@pytest.mark.parametrize(
    ("parameters", "type"),
    [
        ({}, "auto"),
        ({"auth": "auto"}, "auto"),
        ({"auth": "none"}, "none"),
        ({"auth": "oauth"}, "oauth"),
        ({"headers": {"AUTHORIZATION": "Bearer x"}}, "none"),
        ({"headers": {"Authorization": "Bearer x"}, "auth": "auto"}, "none"),
        ({"url": "https://user:password@example.com/mcp"}, "none"),
        ({"headers": {"X-Key": "x"}}, "auto"),
    ],
)
def test_by_default_a_login_is_made_where_no_credentials_are_given(parameters: dict[str, Any], type: str) -> None:
    assert auth_of(**parameters).type == type


def test_everything_that_is_said_arrives() -> None:
    auth = auth_of(
        auth={
            "type": "oauth",
            "client_id": "me",
            "client_secret": "hush-hush",
            "scopes": "a b a",
            "issuer": ISSUER,
            "redirect_uri": "http://localhost:8765/back",
            "login_timeout": 30,
        }
    )
    assert (auth.client_id, auth.scopes, auth.redirect_uri) == ("me", ("a", "b"), "http://localhost:8765/back")
    assert (auth.issuer, auth.login_timeout_s, auth.secrets) == (ISSUER, 30.0, ["hush-hush"])
    assert "hush" not in repr(auth)


BAD = [
    ("sso", "'auth' must be 'auto', 'none', 'oauth', or a mapping"),
    (7, "not int"),
    ({}, "'auth.type' must be 'oauth', 'client_credentials' or 'jwt_bearer'"),
    ({"type": "basic"}, "'auth.type' must be 'oauth', 'client_credentials' or 'jwt_bearer'"),
    ({"type": "oauth", "clientId": "x"}, "'auth.clientId' is unknown here"),
    ({"type": "oauth", "client_secret": "x"}, "'auth.client_id' is missing"),
    ({"type": "oauth", "client_id": " "}, "'auth.client_id' must be a text that isn't empty"),
    ({"type": "oauth", "client_id": "x", "client_metadata_url": "https://a/b"}, "takes the place of client_id"),
    ({"type": "oauth", "client_metadata_url": "http://a/b"}, "must be an https address with a path"),
    ({"type": "oauth", "client_metadata_url": "https://a"}, "must be an https address with a path"),
    ({"type": "oauth", "redirect_uri": "https://example.com/back"}, "must be on this machine"),
    ({"type": "oauth", "redirect_uri": "http://127.0.0.1:x/"}, "must be on this machine"),
    ({"type": "oauth", "issuer": "http://login.example.com"}, "must be an address such as https://"),
    ({"type": "oauth", "scopes": ["a b"]}, "must be a list of texts without spaces"),
    ({"type": "oauth", "scopes": 3}, "must be a list of texts without spaces"),
    ({"type": "oauth", "login_timeout": 0}, "must be a number of seconds above 0"),
    ({"type": "oauth", "private_key": "x"}, "'auth.private_key' has no meaning for the type oauth"),
    ({"type": "client_credentials"}, "'auth.client_id' is missing"),
    ({"type": "jwt_bearer", "client_id": "x"}, "'auth.assertion' or assertion_file is needed, one of both"),
    ({"type": "jwt_bearer", "client_id": "x", "assertion": 7}, "'auth.assertion' must be a text that isn't empty"),
    ({"type": "jwt_bearer", "client_id": "x", "private_key": "y"}, "has no meaning for the type jwt_bearer"),
    ({"type": "client_credentials", "client_id": "x"}, "or private_key is needed, one of both"),
    (
        {"type": "client_credentials", "client_id": "x", "client_secret": "y", "redirect_uri": "http://127.0.0.1/"},
        "'auth.redirect_uri' has no meaning for the type client_credentials",
    ),
]


@pytest.mark.parametrize(("auth", "message"), BAD, ids=[message for _, message in BAD])
def test_what_makes_no_sense_is_refused_by_its_key(auth: Any, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        auth_of(auth=auth)
    assert message in str(caught.value)


def test_a_login_and_a_header_contradict_each_other() -> None:
    with pytest.raises(UsageError, match="both say how to get in"):
        auth_of(auth="oauth", headers={"Authorization": "Bearer x"})


@pytest.mark.parametrize(
    ("auth", "message"),
    [
        ("sso", "servers.a.auth: must be one of auto, none, oauth, but is 'sso'"),
        ("{type: oauth, client: x}", "servers.a.auth.client: unknown key"),
        ("{client_id: x}", "servers.a.auth.type: missing"),
        ("{type: client_credentials, client_id: x}", "servers.a.auth: `client_secret` or private_key is needed"),
        ("{type: oauth, redirect_uri: 'https://a/b'}", "servers.a.auth.redirect_uri: must be on this machine"),
    ],
)
def test_a_definition_names_the_place(auth: str, message: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_definition(f"servers:\n  a:\n    url: {URL}\n    auth: {auth}\n")
    assert message in str(caught.value)
    assert caught.value.line == 4


def test_agent_json_goes_on_ignoring_it() -> None:
    text = json.dumps({"model": "m", "servers": [{"type": "http", "url": URL, "auth": 7}]})
    assert parse_definition(text, format="json").servers[0].params == {"url": URL}


@pytest.mark.parametrize(
    ("url", "with_loopback", "without"),
    [
        ("https://example.com", True, True),
        ("http://127.0.0.1:1/x", True, False),
        ("http://localhost", True, False),
        ("http://example.com", False, False),
        ("http://127.0.0.1.example.com", False, False),
        ("https://user@example.com", False, False),
        ("ftp://example.com", False, False),
        ("https://", False, False),
        ("https://example.com:x", False, False),
    ],
)
def test_secrets_go_out_with_tls_only(url: str, with_loopback: bool, without: bool) -> None:
    assert is_safe_address(url, loopback=True) is with_loopback
    assert is_safe_address(url, loopback=False) is without


# ---------------------------------------------------------------- answers


@pytest.mark.parametrize(
    ("address", "answer"),
    [
        ("http://127.0.0.1:1/callback?code=c&state=s", Granted("c")),
        ("  /callback?state=s&code=c&iss=https%3A%2F%2Fx  ", Granted("c", "https://x")),
        ("code=c&state=s", Granted("c")),
        ("/callback?error=access_denied&state=s", Denied("access_denied")),
        ("/callback?error=a&error_description=b%0Ac%1b%5b31m&state=s", Denied("a", "b c")),
    ],
)
def test_an_answer_with_our_mark_is_read(address: str, answer: object) -> None:
    assert read_callback(address, "s") == answer


@pytest.mark.parametrize(
    "address",
    [
        "",
        "hello",
        "/callback",
        "/callback?state=s",
        "/callback?code=c",
        "/callback?code=c&state=S",
        "/callback?code=c&state=s&state=s",
        "/callback?code=&state=s",
        "/callback?error=access_denied",
        "http://[/?code=c&state=s",
        "/callback?" + "&".join(f"a{n}=1" for n in range(100)) + "&code=c&state=s",
    ],
)
def test_anything_else_is_foreign(address: str) -> None:
    assert isinstance(read_callback(address, "s"), Foreign)


def test_what_comes_from_outside_is_text_on_the_page() -> None:
    for answer in (Granted("c"), Denied("<script>", "<b>"), Foreign("<i>")):
        _, shown = page(answer, "<img>")
        assert not any(tag in shown for tag in ("<script>", "<i>", "<img>"))
    assert "secret" not in repr(Granted("secret")) + page(Granted("secret"), "box")[1]


# ---------------------------------------------------------------- what is kept


LOGIN = Login(
    URL,
    ISSUER,
    f"{ISSUER}/token",
    URL,
    Client("id", "secret-of-client", "client_secret_post", "http://127.0.0.1:1/callback", registered=True),
    Tokens("access-secret", "refresh-secret", 12.5, ("a", "b")),
)


def test_a_login_comes_back_as_it_was_and_shows_no_secret(tmp_path: Path) -> None:
    slot = Slot(f"{URL}/?key=1#x", folder=tmp_path / "new")
    assert slot.read() is None
    slot.write(LOGIN)
    assert Slot("HTTPS://MCP.example.com:443/mcp?key=1", folder=tmp_path / "new").read() == LOGIN
    assert Slot(URL, folder=tmp_path / "new").read() is None, "another query is another server"
    assert Slot(f"{URL}?key=1", account="work", folder=tmp_path / "new").read() is None
    assert Slot(f"{URL}?key=1", "my-client", folder=tmp_path / "new").read() is None
    assert not any(secret in repr(slot.read()) for secret in ("secret-of-client", "access-secret", "refresh-secret"))
    assert slot.clear()
    assert not slot.clear()


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is damaged"),
        (b"\xff\xfe", "is damaged"),
        (b"[" * 100_000, "is damaged"),
        (b'{"format": 1, "key": "x"}', "is damaged"),
        (b'{"format":99,"key":"KEY","login":LOGIN}', "another version"),
        (b'{"format":1,"key":"' + b"0" * 64 + b'","login":LOGIN}', "belongs to another server"),
    ],
)
def test_what_is_no_login_says_why(tmp_path: Path, content: bytes, problem: str) -> None:
    slot = Slot(URL, folder=tmp_path)
    slot.write(LOGIN)
    kept = json.loads(slot.path.read_bytes())
    content = content.replace(b"KEY", kept["key"].encode()).replace(b"LOGIN", json.dumps(kept["login"]).encode())
    slot.path.write_bytes(content)
    with pytest.raises(Unreadable, match=problem):
        slot.read()
    (found,) = kept_logins(tmp_path)
    assert found.login is None
    assert problem in found.problem


def test_a_file_that_was_copied_to_another_servers_place_is_not_taken(tmp_path: Path) -> None:
    one, other = Slot(URL, folder=tmp_path), Slot("https://evil.example.com/mcp", folder=tmp_path)
    one.write(LOGIN)
    other.path.write_bytes(one.path.read_bytes())
    with pytest.raises(Unreadable, match="belongs to another server"):
        other.read()


def test_spellings_of_one_address_are_one_server() -> None:
    assert canonical("HTTPS://Example.COM:443/a/#f") == canonical("https://example.com/a")
    assert canonical("http://[::1]:80") == "http://[::1]/"
    assert canonical("https://example.com:444/a") != canonical("https://example.com/a")
    assert without_query("https://u:p@example.com/a?token=1") == "https://example.com/a"


def test_the_folder_is_the_users_own_or_the_one_that_is_named(tmp_path: Path) -> None:
    assert store_folder({"TINY_AGENTS_OAUTH_DIR": str(tmp_path)}) == tmp_path
    assert store_folder({"XDG_DATA_HOME": "/data"}, "linux") == Path("/data/tiny-agents/oauth")


# ---------------------------------------------------------------- what is asked for


def place(**described: Any) -> Place:
    metadata = {
        "issuer": ISSUER,
        "authorization_endpoint": f"{ISSUER}/authorize?tenant=7",
        "token_endpoint": f"{ISSUER}/token",
        **described,
    }
    return Place(OAuthMetadata.model_validate(metadata), URL, ("known",))


@pytest.mark.parametrize(
    ("challenge", "wanted", "held", "asked"),
    [
        (Challenge(401), None, (), ("known",)),
        (Challenge(401, ("said",)), None, (), ("said",)),
        (Challenge(401, ("said",)), ("mine",), (), ("mine",)),
        (Challenge(401, ("said",)), None, ("old",), ("said",)),
        (Challenge(403, ("more",)), None, ("old", "more"), ("old", "more")),
        (Challenge(403, ("more",)), ("mine",), ("mine",), ("mine", "more")),
    ],
)
def test_scopes_are_the_users_the_challenges_or_the_servers(
    challenge: Challenge, wanted: Any, held: tuple[str, ...], asked: tuple[str, ...]
) -> None:
    assert flow.scopes_to_ask(place(), challenge, wanted, held, may_refresh=True) == asked


def test_a_refresh_token_is_asked_for_where_that_takes_a_scope() -> None:
    there = place(scopes_supported=["known", "offline_access"])
    assert flow.scopes_to_ask(there, Challenge(401), None, (), may_refresh=True) == ("known", "offline_access")
    assert flow.scopes_to_ask(there, Challenge(401), None, (), may_refresh=False) == ("known",)
    assert flow.scopes_to_ask(there, Challenge(401), ("mine",), (), may_refresh=True) == ("mine",)


def test_the_page_keeps_its_own_query_and_gets_a_new_mark_each_time() -> None:
    asked = [flow.question(place(), Client("me"), "http://127.0.0.1:1/callback", ("a", "b")) for _ in range(2)]
    query = parse_qs(urlsplit(asked[0].url).query)
    assert query["tenant"] == ["7"]
    assert query["scope"] == ["a b"]
    assert query["resource"] == [URL]
    assert query["code_challenge_method"] == ["S256"]
    assert asked[0].state != asked[1].state
    assert asked[0].verifier not in asked[0].url
    assert asked[0].state not in repr(asked[0])


METHODS: list[tuple[Client, tuple[str, ...], str]] = [
    (Client("me"), (), "none"),
    (Client("me", "hush"), (), "basic"),
    (Client("me", "hush"), ("client_secret_post",), "post"),
    (Client("me", "hush", "client_secret_post"), ("client_secret_basic",), "post"),
    (Client("me", "hush", "client_secret_basic"), ("client_secret_post",), "basic"),
    (Client("me", "hush", "none"), (), "none"),
]


@pytest.mark.parametrize(("client", "supported", "how"), METHODS)
def test_a_client_proves_who_it_is_in_the_way_that_was_agreed(
    client: Client, supported: tuple[str, ...], how: str
) -> None:
    login = flow.login_at(place(token_endpoint_auth_methods_supported=list(supported) or None), URL, client)
    steps = flow.client_credentials(login, client, Auth("client_credentials", "me", "hush"), None)
    request = next(steps)
    form = parse_qs(request.content.decode())
    assert (form.get("client_secret") == ["hush"]) is (how == "post")
    assert (form.get("client_id") == ["me"]) is (how != "basic")
    basic = "Basic " + base64.b64encode(b"me:hush").decode()
    assert request.headers.get("authorization") == (basic if how == "basic" else None)


def test_what_a_renewal_leaves_out_stays_as_it_was() -> None:
    steps = flow.refresh(LOGIN, Client("me"))
    next(steps)
    with pytest.raises(StopIteration) as done:
        steps.send(httpx2.Response(200, json={"access_token": "new", "token_type": "bearer"}))
    assert done.value.value == Tokens("new", "refresh-secret", None, ("a", "b"))


@pytest.mark.parametrize("token", ["", "a b", "a\r\nHost: b", "t\u00f6ken"])
def test_a_token_that_fits_in_no_header_is_refused(token: str) -> None:
    steps = flow.refresh(LOGIN, Client("me"))
    next(steps)
    with pytest.raises(LoginFailed, match="an access token that can't be sent"):
        steps.send(httpx2.Response(200, json={"access_token": token, "token_type": "bearer"}))


def test_a_client_whose_secret_never_ends_can_be_kept(tmp_path: Path) -> None:
    steps = flow.find_client(
        place(registration_endpoint=f"{ISSUER}/register"), Auth("oauth"), "http://127.0.0.1/", None
    )
    next(steps)
    reply = {"client_id": "me", "client_secret": "hush", "redirect_uris": ["http://127.0.0.1/"]}
    with pytest.raises(StopIteration) as done:
        steps.send(httpx2.Response(201, content=json.dumps({**reply, "client_secret_expires_at": 10**400})))
    slot = Slot(URL, folder=tmp_path)
    slot.write(replace(LOGIN, client=done.value.value))
    assert slot.read() == replace(LOGIN, client=done.value.value)


def test_a_token_that_never_ends_is_one_that_lasts_long() -> None:
    steps = flow.refresh(LOGIN, Client("me"))
    next(steps)
    with pytest.raises(StopIteration) as done:
        steps.send(httpx2.Response(200, content=b'{"access_token":"a","token_type":"bearer","expires_in":1%0400d}' % 0))
    assert done.value.value.expires_at > time.time() + 86_400


def test_a_server_that_repeats_what_it_was_sent_is_not_quoted() -> None:
    steps = flow.refresh(LOGIN, Client("me"))
    next(steps)
    with pytest.raises(Rejected) as caught:
        steps.send(httpx2.Response(400, text="you sent refresh-secret"))
    assert str(caught.value) == f"can't be used: {ISSUER} gave no access (HTTP 400)."


@pytest.mark.parametrize(
    ("status", "header", "challenge"),
    [
        (200, "", None),
        (403, "Bearer", None),
        (401, "", Challenge(401)),
        (401, 'Bearer resource_metadata="https://a/b", scope="x y"', Challenge(401, ("x", "y"), "https://a/b")),
        (403, 'Bearer error="insufficient_scope", scope="x"', Challenge(403, ("x",))),
    ],
)
def test_a_challenge_is_read_from_the_status_and_its_header(status: int, header: str, challenge: object) -> None:
    assert flow.read_challenge(status, {"www-authenticate": header} if header else {}) == challenge
