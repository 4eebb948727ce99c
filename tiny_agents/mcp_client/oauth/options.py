"""What the user says about logging in at a server: `auth=` of `add_mcp_server`, `auth:` of a definition. Pure."""

# No `from __future__ import annotations` here: as texts, the fields of a TypedDict don't tell which of them are required.
import math
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, Literal, NotRequired, TypedDict
from urllib.parse import urlsplit

import msgspec

from tiny_agents.inference.wire import is_loopback
from tiny_agents.records import Discreet

AuthType = Literal["oauth", "client_credentials", "jwt_bearer"]

AUTH_TYPES: tuple[AuthType, ...] = ("oauth", "client_credentials", "jwt_bearer")
AUTH_WORDS = ("auto", "none", "oauth")

Assertion = Callable[[str, str], Awaitable[str]]
"""Gets a JWT that says who is logging in, for an authorization server (its issuer) and a resource (the MCP server)."""

LOGIN_TIMEOUT_S = 300.0
"""How long a person may take to log in."""

SIGNING_ALGORITHM = "RS256"

REDIRECT_URI = "http://127.0.0.1/callback"
"""Where the browser is sent at the end of a login: our own loopback, on a port that is free."""


class AuthParameters(TypedDict):
    """How to log in at a remote server. Without any of it everything is found out and registered by itself."""

    type: AuthType
    """"oauth": a person logs in, in a browser; "client_credentials": a program does, as `client_id` with a secret or key;
    "jwt_bearer": a program does, with an assertion that others made for it, such as a workload's identity."""
    client_id: NotRequired[str | None]
    """Of a client that was registered by hand at the authorization server."""
    client_secret: NotRequired[str | None]
    private_key: NotRequired[str | None]
    """PEM text; in place of a secret, for client credentials (private_key_jwt)."""
    assertion: NotRequired[str | Assertion | None]
    """For jwt_bearer: a JWT, or a function that gets one for an issuer and a resource."""
    assertion_file: NotRequired[str | None]
    """The same from a file, which is read at each login: workloads find theirs in one."""
    signing_algorithm: NotRequired[str | None]
    """Of `private_key`: "RS256" if left out."""
    client_metadata_url: NotRequired[str | None]
    """https address of a document that describes the client, for servers that take it as `client_id`."""
    scopes: NotRequired[Sequence[str] | str | None]
    """What to ask for; what the server names if left out."""
    issuer: NotRequired[str | None]
    """The only authorization server that may be used."""
    account: NotRequired[str | None]
    """Any name: tells several logins at one server apart, such as "work" and "home", or one per user of a program."""
    redirect_uri: NotRequired[str | None]
    """Where the browser comes back to: http on this machine's loopback; without a port a free one is taken."""
    login_timeout: NotRequired[float | timedelta | None]
    """Seconds a person may take; 300 if left out."""


class Auth(Discreet, msgspec.Struct, frozen=True):
    """How a server's access tokens are come by.

    Attributes:
        type: "auto" logs in where a server asks for it in OAuth's way; "none" never does.
        scopes: None where the user leaves them to the server.
    """

    not_shown = frozenset({"client_secret", "private_key", "assertion"})

    type: AuthType | Literal["auto", "none"] = "auto"
    client_id: str | None = None
    client_secret: str | None = None
    private_key: str | None = None
    signing_algorithm: str = SIGNING_ALGORITHM
    assertion: str | Assertion | None = None
    assertion_file: str | None = None
    client_metadata_url: str | None = None
    scopes: tuple[str, ...] | None = None
    issuer: str | None = None
    account: str | None = None
    redirect_uri: str = REDIRECT_URI
    login_timeout_s: float = LOGIN_TIMEOUT_S

    @property
    def secrets(self) -> list[str]:
        return [s for s in (self.client_secret, self.private_key, self.assertion) if s and isinstance(s, str)]

    @property
    def is_for_programs(self) -> bool:
        """Nobody is asked, and nothing is kept: the program can log in again at any time."""
        return self.type in ("client_credentials", "jwt_bearer")


AUTO = Auth()
NO_AUTH = Auth("none")


class BadOption(Exception):
    """A value of `auth` that can't be used: `key` (empty for `auth` itself) and what is wrong with it."""

    def __init__(self, key: str, problem: str) -> None:
        self.key = key
        self.problem = problem
        super().__init__(f"{key} {problem}")


def read_auth(given: object) -> Auth:
    """`auth` as it was given: a word, or a mapping with `type`.

    Raises:
        BadOption: Something that means nothing, or that doesn't go together.
    """
    if isinstance(given, str):
        if given not in AUTH_WORDS:
            raise BadOption("", "must be 'auto', 'none', 'oauth', or a mapping with `type`")
        return _WORDS[given]
    if not isinstance(given, Mapping):
        raise BadOption("", f"must be 'auto', 'none', 'oauth', or a mapping with `type`, not {type(given).__name__}")
    known = (*AuthParameters.__required_keys__, *AuthParameters.__optional_keys__)
    for key in given:
        if key not in known:
            raise BadOption(str(key), f"is unknown here; known: {', '.join(sorted(known))}")
    values = {key: value for key, value in given.items() if value is not None}
    if (kind := values.get("type")) not in AUTH_TYPES:
        raise BadOption("type", "must be 'oauth', 'client_credentials' or 'jwt_bearer'")
    auth = Auth(
        kind,
        client_id=_text(values, "client_id"),
        client_secret=_text(values, "client_secret"),
        private_key=_text(values, "private_key"),
        assertion=_assertion(values),
        assertion_file=_text(values, "assertion_file"),
        signing_algorithm=_text(values, "signing_algorithm") or SIGNING_ALGORITHM,
        client_metadata_url=_metadata_url(values),
        scopes=_scopes(values),
        issuer=_issuer(values),
        account=_text(values, "account"),
        redirect_uri=_redirect_uri(values),
        login_timeout_s=_seconds(values, "login_timeout"),
    )
    _check_together(auth, values)
    return auth


_WORDS = {"auto": AUTO, "none": NO_AUTH, "oauth": Auth("oauth")}
_OF_PEOPLE = ("client_metadata_url", "redirect_uri", "login_timeout")
_OF_KEYS = ("private_key", "signing_algorithm")
_OF_ASSERTIONS = ("assertion", "assertion_file")
_FOREIGN: Mapping[str, tuple[str, ...]] = {
    "oauth": (*_OF_KEYS, *_OF_ASSERTIONS),
    "client_credentials": (*_OF_PEOPLE, *_OF_ASSERTIONS),
    "jwt_bearer": (*_OF_PEOPLE, *_OF_KEYS),
}


def _check_together(auth: Auth, values: Mapping[str, Any]) -> None:
    for key in _FOREIGN[auth.type]:
        if key in values:
            raise BadOption(key, f"has no meaning for the type {auth.type}")
    if auth.is_for_programs and not auth.client_id:
        raise BadOption("client_id", f"is missing: a program logs in as a client (type {auth.type})")
    if auth.type == "jwt_bearer" and bool(auth.assertion) == bool(auth.assertion_file):
        raise BadOption("assertion", "or assertion_file is needed, one of both")
    if auth.type == "client_credentials":
        if bool(auth.client_secret) == bool(auth.private_key):
            raise BadOption("client_secret", "or private_key is needed, one of both")
    elif auth.client_secret and not auth.client_id:
        raise BadOption("client_id", "is missing: a client_secret is that of a client")
    elif auth.client_id and auth.client_metadata_url:
        raise BadOption("client_metadata_url", "takes the place of client_id: give one of both")


def _text(values: Mapping[str, Any], key: str) -> str | None:
    value = values.get(key)
    if value is None:
        return None
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise BadOption(key, "must be a text that isn't empty")
    return value.strip()


def _assertion(values: Mapping[str, Any]) -> str | Assertion | None:
    given: Assertion | str | None = values.get("assertion")
    return given if callable(given) else _text(values, "assertion")


def _scopes(values: Mapping[str, Any]) -> tuple[str, ...] | None:
    given = values.get("scopes")
    if given is None:
        return None
    words: Iterable[Any] = given.split() if isinstance(given, str) else given
    if not isinstance(given, (str, list, tuple)) or not all(isinstance(w, str) and w.split() == [w] for w in words):
        raise BadOption("scopes", "must be a list of texts without spaces")
    return tuple(dict.fromkeys(words))


def _issuer(values: Mapping[str, Any]) -> str | None:
    url = _text(values, "issuer")
    if url is not None and not is_safe_address(url, loopback=True):
        raise BadOption("issuer", "must be an address such as https://login.example.com")
    return url


def _metadata_url(values: Mapping[str, Any]) -> str | None:
    url = _text(values, "client_metadata_url")
    if url is not None and not (is_safe_address(url, loopback=False) and urlsplit(url).path not in ("", "/")):
        raise BadOption("client_metadata_url", "must be an https address with a path")
    return url


def _redirect_uri(values: Mapping[str, Any]) -> str:
    uri = _text(values, "redirect_uri")
    if uri is None:
        return REDIRECT_URI
    try:
        split = urlsplit(uri)
        usable = split.scheme == "http" and is_loopback(uri) and split.port != 0 and not (split.query or split.fragment)
    except ValueError:
        usable = False
    if not usable:
        raise BadOption("redirect_uri", "must be on this machine, such as http://127.0.0.1:8765/callback")
    return uri


def _seconds(values: Mapping[str, Any], key: str) -> float:
    value = values.get(key, LOGIN_TIMEOUT_S)
    if isinstance(value, timedelta):
        value = value.total_seconds()
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not (value > 0 and math.isfinite(value)):
        raise BadOption(key, "must be a number of seconds above 0")
    return float(value)


def is_safe_address(url: str, *, loopback: bool) -> bool:
    """Whether secrets may go to `url`: https, or (with `loopback`) this machine."""
    try:
        split = urlsplit(url)
        if not split.hostname or split.username is not None or (split.port is not None and split.port <= 0):
            return False
    except ValueError:
        return False
    return split.scheme == "https" or (loopback and split.scheme == "http" and is_loopback(url))
