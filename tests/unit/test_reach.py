"""Who may send us where: nobody from outside sends us to this machine, or into a private network."""

from __future__ import annotations

import httpx2
import pytest

from tiny_agents import InvalidResponseError, ProviderError
from tiny_agents.cli.asking.addresses import about_address
from tiny_agents.inference.call import Request, Response, Route
from tiny_agents.inference.credentials import is_hugging_face
from tiny_agents.inference.providers.answers import read, unkeyed
from tiny_agents.inference.reach import leads_inside, may_lead_to
from tiny_agents.inference.wire import redirected
from tiny_agents.mcp_client.host.host import is_web_page
from tiny_agents.mcp_client.oauth.failed import LoginFailed
from tiny_agents.mcp_client.oauth.flow import Challenge, discover
from tiny_agents.mcp_client.oauth.options import AUTO, read_auth

INSIDE = [
    "http://169.254.169.254/latest/meta-data/",
    "https://169.254.169.254./",
    "http://[::ffff:169.254.169.254]/",
    "http://[64:ff9b::a9fe:a9fe]/",
    "http://[2002:7f00:1::]/",
    "http://127.1/",
    "http://2130706433/",
    "http://0x7f.1:8080/",
    "http://0/",
    "http://[::]/",
    "http://[::1]:80/",
    "http://[fe80::1%25eth0]/",
    "http://[fd00::1]/",
    "https://10.1.2.3/",
    "http://100.64.0.1/",
    "http://224.0.0.1/",
    "http://LOCALHOST./",
    "http://a.localhost/",
    "http://metadata.google.internal/",
    "http://printer.local/",
    "http://router/",
    "https://user@10.0.0.1/",
]
OUTSIDE = [
    "https://a.example/",
    "http://8.8.8.8/",
    "https://local.example/",
    "https://[2606:4700::1]/",
    "nonsense:x",
    "http://[",
]


@pytest.mark.parametrize("url", INSIDE)
def test_an_address_inside_is_known_in_whatever_spelling(url: str) -> None:
    assert leads_inside(url)
    assert not may_lead_to("https://mcp.example/", url)
    assert may_lead_to("http://127.0.0.1:8000/", url)
    with pytest.raises(ProviderError, match="which is not followed"):
        redirected(Request("GET", "https://a.example/x", key="k"), 302, url.replace("http:", "https:"))


@pytest.mark.parametrize("url", OUTSIDE)
def test_an_address_outside_may_be_led_to(url: str) -> None:
    assert not leads_inside(url)
    assert may_lead_to("https://mcp.example/", url)


def test_a_provider_leads_nobody_inside() -> None:
    route = Route("p", "https://api.provider.example/v1", "m", "key")
    answer = read(route, Response(200, {}, b"{}", "https://api.provider.example/v1/jobs"))
    assert unkeyed(answer, "https://files.example/x.png") == Request("GET", "https://files.example/x.png")
    with pytest.raises(InvalidResponseError, match="on this machine or in a private network; it isn't asked there"):
        unkeyed(answer, "http://169.254.169.254/latest/meta-data/")
    at_home = read(Route("p", "http://127.0.0.1:9/v1", "m", None), Response(200, {}, b"{}", "http://127.0.0.1:9/v1"))
    assert unkeyed(at_home, "http://127.0.0.1:10/x.png").url == "http://127.0.0.1:10/x.png"


TRICKS = [
    "https://huggingface.co\\@evil.test/",
    "https://huggingface.co:80@evil.test/",
    "https://evil.test?@huggingface.co",
    "https://huggingface\u3002co/",
    "https://hugg\u0131ngface.co/",
    "https://\uff28uggingface.co/",
    "https://hf.co%00.evil.test/",
    "https://hf.co%2eevil.test/",
    "https://hf.co\t.evil.test/",
    "https://hf.co\x00.evil.test/",
    "https://hf.co .evil.test/",
    "https://evil.test;hf.co/",
    "https:evil.test",
    "http://hf.co/",
    "https://xn--huggngface-0ub.co/",
]


@pytest.mark.parametrize("url", TRICKS)
def test_what_only_looks_like_hugging_face_gets_no_token(url: str) -> None:
    assert not is_hugging_face(url)


@pytest.mark.parametrize("url", [trick for trick in TRICKS if trick.startswith("https://")])
def test_a_redirect_to_what_only_looks_like_the_host_has_no_key(url: str) -> None:
    for host in ("https://huggingface.co/x", "https://hf.co/x"):
        try:
            followed = redirected(Request("GET", host, key="k", headers={"cookie": "c"}), 302, url)
        except ProviderError as refused:
            assert "which is not followed" in str(refused)  # noqa: PT017 - one or the other
        else:
            assert (followed.key, followed.headers) == (None, {})


PAGES = {
    "https://login.example/x?y=1": ["It leads to login.example."],
    "http://login.example/x": ["It leads to login.example.", "Take care: it isn't encrypted (http)."],
    "http://127.0.0.1:8080/x": [
        "It leads to 127.0.0.1.",
        "Take care: that is on this machine or in a private network.",
    ],
    "https://\u0430pple.example/": [
        "It leads to \u0430pple.example.",
        r"Take care: not all its letters are what they look like (\u0430pple.example).",
    ],
    "https://xn--pple-43d.example/": [
        "It leads to xn--pple-43d.example.",
        "Take care: not all its letters are what they look like (xn--pple-43d.example).",
    ],
}


@pytest.mark.parametrize("url", PAGES)
def test_what_is_easily_overlooked_in_an_address_is_said_before_it_is_opened(url: str) -> None:
    assert is_web_page(url)
    assert list(about_address(url)) == PAGES[url]


@pytest.mark.parametrize(
    "url",
    [
        "file:///etc/passwd",
        "javascript:alert(1)",
        "https://bank.example@evil.test/",
        "https://bank.example\\@evil.test/",
        "https://a.example/ x",
        "https://a.example/\u202e",
        "https://a.example/\x1b[2J",
        "-https://a.example",
        "https://",
        "http://[",
    ],
)
def test_what_is_no_plain_address_is_not_offered_to_be_opened(url: str) -> None:
    assert not is_web_page(url)


@pytest.mark.parametrize(
    "url", ["https://169.254.169.254/x", "https://router/x", "https://10.0.0.1:8443/x", "https://localhost/x"]
)
def test_a_server_outside_sends_nobody_inside_to_log_in(url: str) -> None:
    challenge = Challenge(401, None, url)
    with pytest.raises(
        LoginFailed, match="in a private network, which the server itself isn't: nothing was sent there"
    ):
        next(discover("https://mcp.example/mcp", challenge, AUTO, None))
    next(discover("https://mcp.corp.internal/mcp", challenge, AUTO, None))
    chosen = read_auth({"type": "oauth", "issuer": "https://login.corp.internal"})
    next(discover("https://mcp.example/mcp", challenge, chosen, None))


@pytest.mark.parametrize("endpoint", ["authorization", "token", "registration", "revocation"])
def test_no_endpoint_of_a_login_lies_inside_unless_the_server_does(endpoint: str) -> None:
    resource = {"resource": "https://mcp.example/mcp", "authorization_servers": ["https://login.example"]}
    metadata = {
        "issuer": "https://login.example",
        "authorization_endpoint": "https://login.example/a",
        "token_endpoint": "https://login.example/t",
        f"{endpoint}_endpoint": "https://192.168.1.1/apply",
        "response_types_supported": ["code"],
        "code_challenge_methods_supported": ["S256"],
    }
    steps = discover("https://mcp.example/mcp", Challenge(401), AUTO, None)
    next(steps)
    steps.send(httpx2.Response(200, json=resource))
    with pytest.raises(LoginFailed, match=r"https://192\.168\.1\.1/apply, on this machine or in a private network"):
        steps.send(httpx2.Response(200, json=metadata))
