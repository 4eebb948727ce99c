"""What is asked of whom, and what the answers mean. Sans I/O: a flow yields requests and is sent responses (fully read).

Built on the SDK's models and its rules of discovery; not on its `OAuthClientProvider`, which sends one request of a server
at a time until its answer begins, asks the person again where a kept token has run out although it could be renewed, and
looks for an authorization server's endpoints at the MCP server after a restart. Imported only when it is needed.
"""

from __future__ import annotations

import base64
import re
import secrets
import time
import uuid
from collections.abc import Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar
from urllib.parse import parse_qsl, quote, urlencode, urljoin, urlsplit, urlunsplit

import httpx2
from mcp.client.auth import PKCEParameters
from mcp.client.auth.utils import (
    build_oauth_authorization_server_metadata_discovery_urls,
    build_protected_resource_metadata_discovery_urls,
    create_oauth_metadata_request,
    extract_field_from_www_auth,
    issuers_match,
)
from mcp.shared.auth import (
    JWT_BEARER_GRANT_TYPE,
    OAuthClientInformationFull,
    OAuthClientMetadata,
    OAuthMetadata,
    OAuthToken,
)
from mcp.shared.auth import ProtectedResourceMetadata as ResourceMetadata
from mcp.shared.auth_utils import check_resource_allowed, resource_url_from_server_url
from pydantic import AnyUrl, ValidationError

from tiny_agents.inference.reach import may_lead_to
from tiny_agents.inference.wire import is_loopback
from tiny_agents.mcp_client.oauth.callback import Granted
from tiny_agents.mcp_client.oauth.failed import LoginFailed
from tiny_agents.mcp_client.oauth.options import Auth, is_safe_address
from tiny_agents.mcp_client.oauth.store import Client, Login, Tokens
from tiny_agents.mcp_client.text import readable

T = TypeVar("T")
Flow = Generator[httpx2.Request, httpx2.Response, T]

SHOWN_CHARS = 300
CLIENT_NAME = "tiny-agents"
BASIC, POST, NONE, JWT = "client_secret_basic", "client_secret_post", "none", "private_key_jwt"
_ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"
_ASSERTION_S = 300
_BEARER = re.compile(r"[!-~]+")
_EXPIRES_MOST_S = 10 * 365 * 86_400
_LATEST_S = 32_503_680_000  # the year 3000


class Rejected(LoginFailed):
    """The token endpoint said no; `error` is its short name for the reason."""

    def __init__(self, message: str, error: str) -> None:
        self.error = error
        super().__init__(message)


class NotOAuth(Exception):
    """The server doesn't ask for a login in OAuth's way."""


@dataclass(frozen=True, slots=True)
class Challenge:
    """Why a server refused a request: HTTP 401, or 403 for want of scopes; and what it says about how to go on."""

    status: int
    scopes: tuple[str, ...] | None = None
    resource_metadata: str | None = None

    @property
    def is_step_up(self) -> bool:
        return self.status == 403


def read_challenge(status: int, headers: Mapping[str, str]) -> Challenge | None:
    """What an answer asks for; None where more or other tokens wouldn't help.

    Args:
        headers: Those of the answer, names in lower case.
    """
    response = httpx2.Response(status, headers={"www-authenticate": headers.get("www-authenticate", "")})
    wants_more = status == 403 and extract_field_from_www_auth(response, "error") == "insufficient_scope"
    if status != 401 and not wants_more:
        return None
    scope = extract_field_from_www_auth(response, "scope")
    return Challenge(
        status,
        tuple(scope.split()) if scope else None,
        extract_field_from_www_auth(response, "resource_metadata"),
    )


@dataclass(frozen=True, slots=True)
class Place:
    """Where tokens for a server come from.

    Attributes:
        metadata: The authorization server's own description.
        resource: What tokens are to be for; None where the server is too old to know of resources.
        resource_scopes: What the server says that it knows.
    """

    metadata: OAuthMetadata
    resource: str | None
    resource_scopes: tuple[str, ...] | None = None

    @property
    def issuer(self) -> str:
        return str(self.metadata.issuer)


# ---------------------------------------------------------------- discovery


def discover(server_url: str, challenge: Challenge, auth: Auth, known_issuer: str | None) -> Flow[Place]:
    """Find out where to log in.

    Args:
        known_issuer: The authorization server of last time; taken again where several are named.

    Raises:
        NotOAuth: Nothing says that one can.
        LoginFailed: What is said can't be used, or isn't safe.
    """
    resource = yield from _resource_metadata(server_url, challenge, auth)
    if resource is None:
        return (yield from _older_place(server_url, auth))
    if not check_resource_allowed(
        requested_resource=resource_url_from_server_url(server_url), configured_resource=str(resource.resource)
    ):
        raise LoginFailed(
            f"names another server, {_shown(resource.resource)}, as the one that a login is for: nothing was sent there."
        )
    issuer = _choose_issuer([str(url) for url in resource.authorization_servers], auth.issuer, known_issuer)
    metadata = yield from _issuer_metadata(issuer, server_url, auth)
    if metadata is None:
        raise LoginFailed(
            f"wants a login at {_shown(issuer)}, which doesn't say how: there is no metadata of an authorization server. "
            "Tell whoever runs the server, or give an Authorization header instead."
        )
    scopes = None if resource.scopes_supported is None else tuple(resource.scopes_supported)
    return Place(_checked(metadata, server_url, auth), str(resource.resource), scopes)


def _resource_metadata(server_url: str, challenge: Challenge, auth: Auth) -> Flow[ResourceMetadata | None]:
    failed: int | None = None
    for url in build_protected_resource_metadata_discovery_urls(challenge.resource_metadata, server_url):
        if not is_safe_address(url, loopback=is_loopback(server_url)):
            raise LoginFailed(f"names an address without https for its login, {_shown(url)}: nothing was sent there.")
        _check_reach(server_url, url, auth)
        response = yield create_oauth_metadata_request(url)
        if response.status_code >= 500 or response.status_code == 429:
            failed = response.status_code
        if response.status_code != 200:
            continue
        try:
            return ResourceMetadata.model_validate_json(response.content)
        except ValidationError:
            continue
    if failed is not None:
        raise LoginFailed(
            f"wants a login, but doesn't say where: its metadata answered HTTP {failed}. Try again later."
        )
    return None


def _choose_issuer(named: Sequence[str], wanted: str | None, known: str | None) -> str:
    """Which of the authorization servers that are named to use: the one the user says, that of last time, the first."""
    if wanted is not None:
        for issuer in named:
            if issuers_match(issuer, wanted):
                return issuer
        raise LoginFailed(
            f"wants a login at {_shown(named[0])}, and only {wanted} is allowed (issuer). Nothing was sent there."
        )
    return next((issuer for issuer in named if known is not None and issuers_match(issuer, known)), named[0])


def _issuer_metadata(issuer: str | None, server_url: str, auth: Auth) -> Flow[OAuthMetadata | None]:
    """The description of the authorization server `issuer`, or of one at the server's own origin (None)."""
    expected = issuer or _origin_of(server_url)
    for url in build_oauth_authorization_server_metadata_discovery_urls(issuer, server_url):
        if not is_safe_address(url, loopback=is_loopback(server_url)):
            raise LoginFailed(f"wants a login at {_shown(url)}, which is not https: nothing was sent there.")
        _check_reach(server_url, url, auth)
        response = yield create_oauth_metadata_request(url)
        if response.status_code >= 500 or response.status_code == 429:
            raise LoginFailed(
                f"wants a login at {_shown(expected)}, which answered HTTP {response.status_code}. Try again later."
            )
        if response.status_code != 200:
            continue
        try:
            metadata = OAuthMetadata.model_validate_json(response.content)
        except ValidationError:
            continue
        same = str(metadata.issuer) == expected or (issuer is None and issuers_match(str(metadata.issuer), expected))
        if not same:
            raise LoginFailed(
                f"wants a login at {_shown(expected)}, which says that it is {_shown(metadata.issuer)} (issuer mismatch). "
                "Nothing was sent there."
            )
        return metadata
    return None


def _older_place(server_url: str, auth: Auth) -> Flow[Place]:
    """Servers of 2025-03-26 don't describe themselves: they are their own authorization server, if they are one."""
    if auth.issuer is not None:
        metadata = yield from _issuer_metadata(auth.issuer, server_url, auth)
        if metadata is None:
            raise LoginFailed(f"can't be logged in at: {auth.issuer} has no metadata of an authorization server.")
        return Place(_checked(metadata, server_url, auth), resource_url_from_server_url(server_url))
    metadata = yield from _issuer_metadata(None, server_url, auth)
    if metadata is None:
        if auth.type == "auto":
            raise NotOAuth
        base = _origin_of(server_url)
        metadata = OAuthMetadata.model_validate(
            {
                "issuer": base,
                "authorization_endpoint": urljoin(base, "/authorize"),
                "token_endpoint": urljoin(base, "/token"),
                "registration_endpoint": urljoin(base, "/register"),
                "code_challenge_methods_supported": ["S256"],
            }
        )
    return Place(_checked(metadata, server_url, auth), None)


def _checked(metadata: OAuthMetadata, server_url: str, auth: Auth) -> OAuthMetadata:
    """`metadata` whose endpoints may be sent secrets."""
    endpoints = {
        "authorization": metadata.authorization_endpoint,
        "token": metadata.token_endpoint,
        "registration": metadata.registration_endpoint,
        "revocation": metadata.revocation_endpoint,
    }
    for name, url in endpoints.items():
        if url is not None and not is_safe_address(str(url), loopback=is_loopback(server_url)):
            raise LoginFailed(
                f"wants a login whose {name} endpoint is not https: {_shown(url)}. Nothing was sent there."
            )
        if url is not None:
            _check_reach(server_url, str(url), auth)
    methods = metadata.code_challenge_methods_supported
    if methods is not None and "S256" not in methods:
        raise LoginFailed(
            f"wants a login at {_shown(metadata.issuer)}, which can't do PKCE with S256: that isn't safe."
        )
    return metadata


def _check_reach(server_url: str, url: str, auth: Auth) -> None:
    """A server outside sends nobody inside, unless the user named the authorization server."""
    if auth.issuer is None and not may_lead_to(server_url, url):
        raise LoginFailed(
            f"wants a login at {_shown(url)}, on this machine or in a private network, which the server itself isn't: "
            "nothing was sent there. If that is right, say so: auth={'type': 'oauth', 'issuer': ...}."
        )


def _origin_of(url: str) -> str:
    split = urlsplit(url)
    return f"{split.scheme}://{split.netloc}"


# ---------------------------------------------------------------- scopes and clients


def scopes_to_ask(
    place: Place, challenge: Challenge, wanted: Sequence[str] | None, held: Sequence[str], *, may_refresh: bool
) -> tuple[str, ...] | None:
    """The scopes of the next token; None leaves them to the authorization server.

    Args:
        wanted: What the user says.
        held: What was asked for or granted before: where more is needed, that is kept.
        may_refresh: Whether a refresh token would be of use.
    """
    asked = challenge.scopes if challenge.scopes is not None else place.resource_scopes
    if wanted is not None:
        asked = tuple(wanted)
    if challenge.is_step_up:
        asked = (*held, *(wanted or ()), *(challenge.scopes or ()))
    if asked is None:
        return None
    supported = place.metadata.scopes_supported or ()
    extra = ("offline_access",) if may_refresh and wanted is None and "offline_access" in supported else ()
    return tuple(dict.fromkeys((*asked, *extra)))


def given_client(auth: Auth) -> Client | None:
    """The client that the user brings along."""
    if auth.client_id is None:
        return None
    return Client(auth.client_id, auth.client_secret, JWT if auth.private_key else None)


def usable(client: Client | None, redirect_uri: str, now: float) -> bool:
    """Whether a client that we registered earlier can still be used, for this `redirect_uri`."""
    if client is None or (client.secret_expires_at is not None and client.secret_expires_at <= now + 60):
        return False
    return client.redirect_uri == redirect_uri


def find_client(place: Place, auth: Auth, redirect_uri: str, scopes: Sequence[str] | None) -> Flow[Client]:
    """A client of this authorization server: described by a document, or registered now.

    Raises:
        LoginFailed: It takes neither.
    """
    metadata = place.metadata
    if auth.client_metadata_url and metadata.client_id_metadata_document_supported:
        return Client(auth.client_metadata_url, None, NONE, redirect_uri)
    if metadata.registration_endpoint is None:
        raise LoginFailed(
            f"wants a login at {_shown(place.issuer)}, which registers no clients by itself. Register one there by hand "
            f"(redirect URI: {redirect_uri}), and give its id: auth={{'type': 'oauth', 'client_id': ...}}."
        )
    ours = OAuthClientMetadata(
        client_name=CLIENT_NAME,
        redirect_uris=[AnyUrl(redirect_uri)],
        scope=" ".join(scopes) if scopes else None,
        token_endpoint_auth_method=_method_to_register(metadata.token_endpoint_auth_methods_supported),
    )
    document = ours.model_dump(by_alias=True, mode="json", exclude_none=True)
    document["redirect_uris"] = [redirect_uri]
    response = yield httpx2.Request("POST", str(metadata.registration_endpoint), json=document)
    where = _shown(place.issuer)
    if response.status_code not in (200, 201):
        raise LoginFailed(
            f"wants a login at {where}, which refused to register tiny-agents ({_refusal(response)}). Register a client "
            f"there by hand (redirect URI: {redirect_uri}), and give its id: auth={{'type': 'oauth', 'client_id': ...}}."
        )
    try:
        reply = OAuthClientInformationFull.model_validate_json(response.content)
    except ValidationError as error:
        raise LoginFailed(f"wants a login at {where}, whose answer to a registration makes no sense.") from error
    if reply.token_endpoint_auth_method not in (None, BASIC, POST, NONE):
        method = _shown(reply.token_endpoint_auth_method)
        raise LoginFailed(f"wants a login at {where}, which registered a client for {method}: that isn't known here.")
    if reply.token_endpoint_auth_method in (BASIC, POST) and not reply.client_secret:
        raise LoginFailed(f"wants a login at {where}, which registered a client without the secret that it wants.")
    return Client(
        reply.client_id,
        reply.client_secret,
        reply.token_endpoint_auth_method,
        redirect_uri,
        registered=True,
        secret_expires_at=min(reply.client_secret_expires_at or 0, _LATEST_S) or None,
    )


def _method_to_register(supported: Iterable[str] | None) -> Any:
    """How we would like to prove who we are: not at all, since a program on a person's machine keeps no secret."""
    known = supported or ()
    return next((method for method in (NONE, BASIC, POST) if method in known), None)


# ---------------------------------------------------------------- a person's login


@dataclass(frozen=True, slots=True)
class Question:
    """A login that a person is asked to make: the page, and what its answer has to match."""

    url: str = field(repr=False)
    state: str = field(repr=False)
    verifier: str = field(repr=False)


def question(place: Place, client: Client, redirect_uri: str, scopes: Sequence[str] | None) -> Question:
    """A new one; it is good for one login."""
    pkce = PKCEParameters.generate()
    state = secrets.token_urlsafe(32)
    asked: dict[str, str] = {
        "response_type": "code",
        "client_id": client.id,
        "redirect_uri": redirect_uri,
        "state": state,
        "code_challenge": pkce.code_challenge,
        "code_challenge_method": "S256",
    }
    if place.resource is not None:
        asked["resource"] = place.resource
    if scopes:
        asked["scope"] = " ".join(scopes)
        if "offline_access" in scopes:
            asked["prompt"] = "consent"  # OpenID Connect Core, section 11
    split = urlsplit(str(place.metadata.authorization_endpoint))
    query = urlencode([*parse_qsl(split.query, keep_blank_values=True), *asked.items()])
    return Question(urlunsplit(split._replace(query=query, fragment="")), state, pkce.code_verifier)


def check_answer_issuer(granted: Granted, place: Place) -> None:
    """RFC 9207: the answer has to come from the authorization server that was asked."""
    if granted.issuer is None:
        if place.metadata.authorization_response_iss_parameter_supported:
            raise LoginFailed(
                f"wants a login at {_shown(place.issuer)}, but the answer doesn't say that it comes from there. "
                "It was thrown away."
            )
    elif granted.issuer != place.issuer:
        raise LoginFailed(
            f"wants a login at {_shown(place.issuer)}, but the answer came from {_shown(granted.issuer)} (issuer "
            "mismatch). It was thrown away."
        )


# ---------------------------------------------------------------- tokens


def exchange(
    login: Login, client: Client, granted: Granted, asked: Question, redirect_uri: str, scopes: Sequence[str] | None
) -> Flow[Tokens]:
    """The tokens for a code."""
    form = {
        "grant_type": "authorization_code",
        "code": granted.code,
        "redirect_uri": redirect_uri,
        "code_verifier": asked.verifier,
    }
    return (yield from _tokens(login, client, form, scopes))


def refresh(login: Login, client: Client) -> Flow[Tokens]:
    """New tokens for a refresh token; what the answer leaves out stays as it was."""
    assert login.tokens is not None
    assert login.tokens.refresh is not None
    form = {"grant_type": "refresh_token", "refresh_token": login.tokens.refresh}
    new = yield from _tokens(login, client, form, login.tokens.scopes)
    return Tokens(new.access, new.refresh or login.tokens.refresh, new.expires_at, new.scopes)


def client_credentials(login: Login, client: Client, auth: Auth, scopes: Sequence[str] | None) -> Flow[Tokens]:
    """Tokens for a program that logs in by itself."""
    form = {"grant_type": "client_credentials"}
    if scopes:
        form["scope"] = " ".join(scopes)
    if auth.private_key is not None:
        form["client_assertion_type"] = _ASSERTION
        form["client_assertion"] = _assertion(auth, login.issuer)
    return (yield from _tokens(login, client, form, scopes))


def jwt_bearer(login: Login, client: Client, assertion: str, scopes: Sequence[str] | None) -> Flow[Tokens]:
    """Tokens for somebody that an assertion speaks of (RFC 7523, section 2.1)."""
    form = {"grant_type": JWT_BEARER_GRANT_TYPE, "assertion": assertion}
    if scopes:
        form["scope"] = " ".join(scopes)
    return (yield from _tokens(login, client, form, scopes))


def revoke(login: Login, client: Client) -> Flow[str]:
    """Tell the authorization server that the tokens are no longer wanted; says what it has against it."""
    if login.revocation_endpoint is None or login.tokens is None:
        return ""
    problem = ""
    for kind, token in (("refresh_token", login.tokens.refresh), ("access_token", login.tokens.access)):
        if token is not None:
            form, headers = _authenticated({"token": token, "token_type_hint": kind}, login, client)
            response = yield httpx2.Request("POST", login.revocation_endpoint, data=form, headers=headers)
            if response.status_code != 200:
                problem = f"{_shown(login.issuer)} answered {_refusal(response)}"
    return problem


def _assertion(auth: Auth, audience: str) -> str:
    import jwt

    now = int(time.time())
    claims = {"iss": auth.client_id, "sub": auth.client_id, "aud": audience, "iat": now, "exp": now + _ASSERTION_S}
    try:
        return jwt.encode({**claims, "jti": uuid.uuid4().hex}, auth.private_key or "", algorithm=auth.signing_algorithm)
    except (ValueError, TypeError, NotImplementedError, jwt.PyJWTError) as error:
        raise LoginFailed(
            f"can't be logged in at: the private_key can't sign with {auth.signing_algorithm} ({type(error).__name__}). "
            "It must be a PEM text that fits signing_algorithm."
        ) from None


def _tokens(login: Login, client: Client, form: dict[str, str], scopes: Sequence[str] | None) -> Flow[Tokens]:
    if login.resource is not None:
        form["resource"] = login.resource
    form, headers = _authenticated(form, login, client)
    response = yield httpx2.Request("POST", login.token_endpoint, data=form, headers=headers)
    where = _shown(login.issuer)
    if response.status_code >= 500 or response.status_code == 429:
        raise LoginFailed(f"can't be logged in at: {where} answered HTTP {response.status_code}. Try again later.")
    if response.status_code not in (200, 201):
        raise Rejected(
            f"can't be used: {where} gave no access ({_refusal(response)}).", str(_error_of(response).get("error", ""))
        )
    try:
        reply = OAuthToken.model_validate_json(response.content)
    except ValidationError:
        raise LoginFailed(f"can't be used: {where} answered without an access token of type Bearer.") from None
    if not _BEARER.fullmatch(reply.access_token):
        raise LoginFailed(f"can't be used: {where} answered with an access token that can't be sent in a header.")
    granted = tuple(scopes or ()) if reply.scope is None else tuple(reply.scope.split())
    expires_at = None if reply.expires_in is None else time.time() + min(reply.expires_in, _EXPIRES_MOST_S)
    return Tokens(reply.access_token, reply.refresh_token, expires_at, granted)


def _authenticated(form: dict[str, str], login: Login, client: Client) -> tuple[dict[str, str], dict[str, str]]:
    """A form for the token endpoint with the proof of who we are in it, or in a header."""
    method = client.auth_method
    if method is None:
        usual = next((m for m in (BASIC, POST) if m in login.token_auth_methods), BASIC)
        method = usual if client.secret else NONE
    headers = {"Accept": "application/json"}
    if method == BASIC and client.secret:
        pair = f"{quote(client.id, safe='')}:{quote(client.secret, safe='')}"  # RFC 6749, section 2.3.1
        headers["Authorization"] = "Basic " + base64.b64encode(pair.encode()).decode()
        return form, headers
    form = {**form, "client_id": client.id}
    if method == POST and client.secret:
        form["client_secret"] = client.secret
    return form, headers


def login_at(place: Place, address: str, client: Client) -> Login:
    """What is known once it is clear where to log in, and as whom."""
    metadata = place.metadata
    return Login(
        address,
        place.issuer,
        str(metadata.token_endpoint),
        place.resource,
        client,
        revocation_endpoint=str(metadata.revocation_endpoint) if metadata.revocation_endpoint else None,
        token_auth_methods=tuple(metadata.token_endpoint_auth_methods_supported or ()),
    )


# ---------------------------------------------------------------- words from outside


def _error_of(response: httpx2.Response) -> Mapping[str, Any]:
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _refusal(response: httpx2.Response) -> str:
    """Why, as the server says it in OAuth's own way; what else it sends is not repeated."""
    body = _error_of(response)
    said = ": ".join(_shown(body[key]) for key in ("error", "error_description") if isinstance(body.get(key), str))
    if 300 <= response.status_code < 400:
        return f"HTTP {response.status_code}: it redirects, which isn't followed"
    return f"HTTP {response.status_code}{', ' if said else ''}{said}"


def _shown(text: object) -> str:
    return " ".join(readable(str(text)).split())[:SHOWN_CHARS]
