"""`Authorizer`: the access token of one server: found, renewed, asked for.

One renewal runs at a time, in a task of its own: whoever needs the token waits for it, and may stop waiting. Requests are
not held up otherwise. Imported only when there is a login, or one is wanted.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import msgspec
from mcp.client.auth.utils import issuers_match

from tiny_agents.errors import redact
from tiny_agents.mcp_client.connection.watch import Watch
from tiny_agents.mcp_client.host.host import AuthorizationRequest, Desk
from tiny_agents.mcp_client.oauth import flow
from tiny_agents.mcp_client.oauth.callback import Denied, Foreign, Granted
from tiny_agents.mcp_client.oauth.failed import LoginFailed
from tiny_agents.mcp_client.oauth.flow import Challenge, NotOAuth, Place, Rejected, T
from tiny_agents.mcp_client.oauth.loopback import Loopback, PortInUse, listening
from tiny_agents.mcp_client.oauth.options import Auth, is_safe_address
from tiny_agents.mcp_client.oauth.sending import Sender
from tiny_agents.mcp_client.oauth.store import Client, Login, Slot, Tokens, Unreadable, without_query

logger = logging.getLogger("tiny_agents.mcp_client")

EARLY_S = 10.0
"""How long before its end a token is renewed."""
GIVEN_UP_S = 60.0
"""For how long a login that failed isn't tried again: a start alone sends several requests, and a no is a no."""
MAX_PASTES = 5


class Authorizer:
    """The tokens of one server, for one connection to it.

    Args:
        desk: Where a person is asked.
        watch: Told of secrets that must not be shown, and paused while a person logs in.
    """

    def __init__(self, url: str, auth: Auth, desk: Desk, watch: Watch, *, slot: Slot | None = None) -> None:
        self._url = url
        self._auth = auth
        self._desk = desk
        self._watch = watch
        self._slot = slot or Slot(url, auth.client_id, auth.account)
        self._login: Login | None = None
        self._loaded = False
        self._doubt: Literal["", "renewed", "login"] = ""  # how the token was come by, until it has been accepted
        self._stepped: set[frozenset[str]] = set()
        self._asked: tuple[str, ...] = ()
        self._given_up: LoginFailed | None = None
        self._given_up_at = 0.0
        self._working: asyncio.Task[str | None] | None = None
        self._sender = Sender(url)

    async def close(self) -> None:
        """Stop what is under way. Nobody waits any more."""
        if self._working is not None and not self._working.done():
            self._working.cancel()
            await asyncio.wait({self._working})
        await self._sender.close()

    async def token(self) -> str | None:
        """The access token to send along, renewed where it has run out; None without a login."""
        if not self._loaded:
            self._loaded = True
            self._take(self._kept())
        tokens = self._tokens
        if tokens is not None and _is_over(tokens):
            return await self._join(lambda: self._renew_quietly(tokens.access))
        return tokens.access if tokens else None

    def accepted(self, token: str | None) -> None:
        """The server took it."""
        if token is not None and self._tokens is not None and token == self._tokens.access:
            self._doubt = ""

    async def renewed(self, used: str | None, challenge: Challenge) -> str | None:
        """Another token than `used`, which the server refused; None where logging in is not what it wants.

        Raises:
            LoginFailed: There is none, and why.
        """
        if challenge.is_step_up:
            self.accepted(used)  # it is known, and isn't enough
        current = self._tokens.access if self._tokens else None
        if current != used and current is not None and not self._is_working:
            return current  # others were faster
        return await self._join(lambda: self._renew(used, challenge))

    # ---- one at a time

    @property
    def _tokens(self) -> Tokens | None:
        return self._login.tokens if self._login else None

    @property
    def _is_working(self) -> bool:
        return self._working is not None and not self._working.done()

    async def _join(self, work: Callable[[], Coroutine[Any, Any, str | None]]) -> str | None:
        if self._working is None or self._working.done():
            self._working = asyncio.create_task(work(), name=f"login at MCP server {self._desk.server}")
            self._working.add_done_callback(_seen)
        return await asyncio.shield(self._working)

    async def _renew_quietly(self, used: str) -> str | None:
        """A new token for one that has run out; None where that takes a login, which the server will ask for."""
        try:
            renewed = await self._refreshed(used)
        except LoginFailed as failure:
            logger.debug(
                "the token for the MCP server '%s' could not be renewed: %s", self._desk.server, self._safe(failure)
            )
            return used
        return self._tokens.access if renewed and self._tokens else None

    async def _renew(self, used: str | None, challenge: Challenge) -> str | None:
        if self._given_up is not None and time.monotonic() - self._given_up_at < GIVEN_UP_S:
            raise self._given_up
        try:
            if not challenge.is_step_up and await self._came_back(used, challenge):
                return self._tokens.access if self._tokens else None
            return await self._log_in(challenge)
        except NotOAuth:
            return None
        except LoginFailed as failure:
            self._given_up, self._given_up_at = failure, time.monotonic()
            raise

    async def _came_back(self, used: str | None, challenge: Challenge) -> bool:
        """Whether there is a token without asking anybody: of another process, or for the refresh token."""
        if self._doubt == "login":
            raise LoginFailed(
                f"refuses the access that was just granted (HTTP {challenge.status}). Log in as somebody who may use it, "
                "or ask whoever runs it."
            )
        if self._doubt == "renewed":
            return False
        try:
            return await self._refreshed(used)
        except Rejected:
            return False
        except LoginFailed as failure:
            # Where the server has moved to another authorization server, the old one may be gone.
            place = await self._sender.do(flow.discover(self._url, challenge, self._auth, None))
            if self._login is not None and self._login.issuer == place.issuer:
                raise failure from None
            return False

    async def _refreshed(self, used: str | None) -> bool:
        async with self._slot.alone():
            kept = self._kept()
            if kept and kept.tokens and kept.tokens.access != used and not _is_over(kept.tokens):
                self._take(kept)
                self._doubt = "renewed"
                return True
            login = kept if kept and kept.tokens else self._login
            if login is None or login.tokens is None or login.client is None or login.tokens.refresh is None:
                return False
            if not self._fits(login):
                return False
            client = flow.given_client(self._auth) or login.client
            try:
                tokens = await self._sender.do(flow.refresh(login, client))
            except Rejected as refusal:
                logger.info("the login at the MCP server '%s' is over: %s", self._desk.server, self._safe(refusal))
                unknown = refusal.error == "invalid_client" and client.registered
                self._keep(replace(login, tokens=None, client=None if unknown else login.client))
                return False
            self._keep(replace(login, tokens=tokens))
            self._doubt = "renewed"
            return True

    # ---- logging in

    async def _log_in(self, challenge: Challenge) -> str | None:
        scopes = frozenset(challenge.scopes or ())
        if challenge.is_step_up:
            if scopes in self._stepped:
                return None  # it was given what it asked for
            self._stepped.add(scopes)
        if not is_safe_address(self._url, loopback=True):
            if self._auth.type == "auto" and challenge.resource_metadata is None:
                raise NotOAuth
            raise LoginFailed(
                "wants a login, and its URL is not https: tokens would be readable on their way. Use https."
            )
        known = self._login.issuer if self._login else None
        place = await self._sender.do(flow.discover(self._url, challenge, self._auth, known))
        self._check_issuer(place)
        if self._auth.is_for_programs:
            login = await self._by_program(place, challenge)
        else:
            login = await self._by_person(place, challenge)
        self._keep(login)
        self._doubt = "login"
        return login.tokens.access if login.tokens else None

    def _check_issuer(self, place: Place) -> None:
        """A client that the user brought stays with the authorization server it was first used with."""
        known = self._login.issuer if self._login else None
        if self._auth.client_id is None or self._auth.issuer is not None or known is None or known == place.issuer:
            return
        raise LoginFailed(
            f"wants a login at {place.issuer}, and until now it was {known}: the client '{self._auth.client_id}' belongs "
            f"there, and nothing was sent. If the change is right, run: tiny-agents logout {without_query(self._url)}"
        )

    async def _by_program(self, place: Place, challenge: Challenge) -> Login:
        client = flow.given_client(self._auth)
        assert client is not None
        scopes = self._scopes(place, challenge, may_refresh=False)
        login = flow.login_at(place, without_query(self._url), client)
        if self._auth.type == "client_credentials":
            steps = flow.client_credentials(login, client, self._auth, scopes)
        else:
            steps = flow.jwt_bearer(login, client, await self._assertion(place), scopes)
        return replace(login, tokens=await self._sender.do(steps))

    async def _assertion(self, place: Place) -> str:
        given, path = self._auth.assertion, self._auth.assertion_file
        try:
            if path is not None:
                given = (await asyncio.to_thread(Path(path).read_text, "utf-8")).strip()
            elif callable(given):
                given = await given(place.issuer, place.resource or without_query(self._url))
        except (OSError, UnicodeDecodeError) as error:
            raise LoginFailed(f"can't be logged in at: the assertion could not be read: {error}") from error
        except Exception as error:
            logger.exception("the assertion for the MCP server '%s' could not be had", self._desk.server)
            raise LoginFailed(f"can't be logged in at: no assertion was given ({type(error).__name__}).") from error
        if not isinstance(given, str) or not given:
            raise LoginFailed("can't be logged in at: the assertion is empty.")
        self._watch.secrets.append(given)
        return given

    async def _by_person(self, place: Place, challenge: Challenge) -> Login:
        if not self._desk.can_authorize:
            raise LoginFailed(self._nobody(place, challenge))
        scopes = self._scopes(place, challenge, may_refresh=True)
        kept = self._login.client if self._login and self._login.issuer == place.issuer else None
        port = urlsplit(kept.redirect_uri).port if kept and kept.redirect_uri else None
        try:
            async with listening(self._auth.redirect_uri, self._desk.server, port) as loopback:
                client = await self._client(place, kept, loopback.redirect_uri, scopes)
                login = flow.login_at(place, without_query(self._url), client)
                asked = flow.question(place, client, loopback.redirect_uri, scopes)
                loopback.expect(asked.state)
                granted = await self._answer(asked.url, place, scopes, loopback)
                flow.check_answer_issuer(granted, place)
                self._watch.secrets += [granted.code, asked.verifier]
                exchange = flow.exchange(login, client, granted, asked, loopback.redirect_uri, scopes)
                try:
                    return replace(login, tokens=await self._sender.do(exchange))
                except Rejected as refusal:
                    if refusal.error == "invalid_client" and client.registered:
                        self._keep(replace(login, client=None))  # next time another one is registered
                    raise
        except PortInUse as error:
            raise LoginFailed(
                f"can't be logged in at: port {error.port} of redirect_uri is in use by another program (another login "
                "that is waiting?). End that, or give another redirect_uri."
            ) from error

    async def _client(self, place: Place, kept: Client | None, redirect_uri: str, scopes: Any) -> Client:
        client = flow.given_client(self._auth)
        if client is None and kept is not None and self._auth.client_metadata_url is None and kept.registered:
            client = kept if flow.usable(kept, redirect_uri, time.time()) else None
        if client is None:
            client = await self._sender.do(flow.find_client(place, self._auth, redirect_uri, scopes))
            if client.registered and self._tokens is None:
                self._keep(flow.login_at(place, without_query(self._url), client))
        return client

    async def _answer(self, url: str, place: Place, scopes: tuple[str, ...] | None, loopback: Loopback) -> Granted:
        """What the browser brings back, or the person pastes, whichever comes first."""
        limit_s = self._auth.login_timeout_s
        where = urlsplit(str(place.metadata.authorization_endpoint)).hostname or place.issuer
        request = AuthorizationRequest(self._desk.server, url, where, scopes or (), loopback.redirect_uri)
        try:
            async with asyncio.timeout(limit_s):
                with self._watch.paused():
                    answer = await _first_of(loopback.answer(), self._pasted(request, loopback))
        except TimeoutError:
            came = f" (What came was refused: {loopback.foreign}.)" if loopback.foreign else ""
            raise LoginFailed(
                f"wants a login at {where}, and none came within {limit_s:g} s (login_timeout).{came}"
            ) from None
        if isinstance(answer, Denied):
            raise LoginFailed(f"can't be used: {where} ended the login ({answer}).")
        return answer

    async def _pasted(self, request: AuthorizationRequest, loopback: Loopback) -> Granted | Denied:
        for _ in range(MAX_PASTES):
            reply = await self._desk.authorize(request)
            if reply.action != "accept":
                raise LoginFailed(
                    f"wants a login at {request.host}, and you did not agree to it. Log in when you like: "
                    f"{self._how_to}"
                )
            if reply.redirected is None:
                return await loopback.answer()
            answer = loopback.read(reply.redirected)
            if not isinstance(answer, Foreign):
                return answer
            request = msgspec.structs.replace(request, problem=answer.problem)
        raise LoginFailed(
            f"wants a login at {request.host}, and the address that was pasted is no answer: {request.problem}."
        )

    @property
    def _how_to(self) -> str:
        """The command that makes this login. One with settings of its own is made for the agent that has them."""
        plain = self._auth.client_id is None and self._auth.client_metadata_url is None
        account = f" --account {self._auth.account}" if self._auth.account else ""
        return f"tiny-agents login {without_query(self._url)}{account}" if plain else "tiny-agents login AGENT"

    def _nobody(self, place: Place, challenge: Challenge) -> str:
        more = f" for more rights ({' '.join(challenge.scopes)})" if challenge.is_step_up and challenge.scopes else ""
        return (
            f"wants a login at {place.issuer}{more}, and nobody can be asked here. Log in once at a terminal: "
            f"{self._how_to}; or let a program log in (auth of the type client_credentials), "
            "or give an Authorization header."
        )

    def _scopes(self, place: Place, challenge: Challenge, *, may_refresh: bool) -> tuple[str, ...] | None:
        held = tuple(dict.fromkeys((*self._asked, *(self._tokens.scopes if self._tokens else ()))))
        scopes = flow.scopes_to_ask(place, challenge, self._auth.scopes, held, may_refresh=may_refresh)
        self._asked = scopes or ()
        return scopes

    def _safe(self, failure: LoginFailed) -> str:
        return redact(str(failure), self._watch.secrets)

    # ---- what is kept

    def _kept(self) -> Login | None:
        try:
            login = self._slot.read()
        except Unreadable as problem:
            logger.warning("MCP server '%s': you count as logged out: %s", self._desk.server, problem)
            return None
        return login if login and self._fits(login) else None

    def _fits(self, login: Login) -> bool:
        """Whether a kept login may be used under the present settings."""
        return self._auth.issuer is None or issuers_match(login.issuer, self._auth.issuer)

    def _take(self, login: Login | None) -> None:
        self._login = login
        if login is not None:
            held = [login.client.secret if login.client else None]
            held += [login.tokens.access, login.tokens.refresh] if login.tokens else []
            self._watch.secrets += [secret for secret in held if secret and secret not in self._watch.secrets]

    def _keep(self, login: Login) -> None:
        """Use `login` from now on, and in later runs. What the user gives each time is not written down."""
        self._take(login)
        client, tokens = login.client, login.tokens
        if client is not None and self._auth.client_id is not None:
            client = replace(client, secret=None)
        if self._auth.is_for_programs:
            tokens = None
        try:
            self._slot.write(replace(login, client=client, tokens=tokens, account=self._auth.account))
        except OSError as error:
            logger.warning(
                "MCP server '%s': the login can't be kept for the next run: %s: %s",
                self._desk.server,
                self._slot.path,
                error,
            )


async def _first_of(one: Coroutine[Any, Any, T], other: Coroutine[Any, Any, T]) -> T:
    """The result of whichever is done first; the other is cancelled. An error counts as done."""
    tasks = [asyncio.create_task(one), asyncio.create_task(other)]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        return next(task for task in tasks if task in done).result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        for task in tasks:
            _seen(task)


def _seen(task: asyncio.Task[Any]) -> None:
    """What a task raised is told to those who wait for it; where nobody does, it is no news."""
    if not task.cancelled():
        task.exception()


def _is_over(tokens: Tokens) -> bool:
    return tokens.expires_at is not None and tokens.expires_at <= time.time() + EARLY_S
