"""Which version is spoken with a server, and what it said of itself: `agree` finds out, at the beginning of a connection."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tiny_agents.mcp_client.connection.greeting import mended_greeting
from tiny_agents.mcp_client.protocol.messages import (
    CLIENT_CAPABILITIES,
    CLIENT_INFO,
    HANDSHAKES,
    LOG_LEVEL,
    MODERN,
    PROTOCOL_VERSION,
    SERVER_INFO,
    UNSUPPORTED_VERSION,
    NotValid,
    RpcError,
)

PROBE_S = 10.0
"""How long a server may take to say that it knows the newer protocol, before it is greeted in the older way."""

KNOWN_CAPABILITIES = frozenset(
    {"experimental", "logging", "prompts", "resources", "tools", "completions", "extensions", "tasks"}
)


class Disagreement(Exception):
    """There is no version that both sides speak."""


@dataclass(frozen=True, slots=True)
class Ourselves:
    """What we say of ourselves.

    Attributes:
        info: Name and version.
        capabilities: What a server may ask of us.
        log_level: The least serious report that servers of the newer protocol should send.
    """

    info: dict[str, Any]
    capabilities: dict[str, Any]
    log_level: str

    def meta(self, version: str) -> dict[str, Any]:
        """What a request of the newer protocol says of who sends it."""
        return {PROTOCOL_VERSION: version, CLIENT_INFO: self.info, CLIENT_CAPABILITIES: self.capabilities}


@dataclass(frozen=True, slots=True)
class Agreement:
    """What both sides know of each other.

    Attributes:
        version: Of the protocol.
        capabilities: What the server says that it has, as far as the protocol knows such things.
        server: What it says that it is; empty where it doesn't.
        instructions: How it wants to be used.
        meta: What goes along with each request.
        discovered: The answer to `server/discover`, where there was one.
    """

    version: str
    capabilities: dict[str, dict[str, Any]] = field(default_factory=dict)
    server: dict[str, Any] = field(default_factory=dict)
    instructions: str | None = None
    meta: dict[str, Any] = field(default_factory=dict)
    discovered: dict[str, Any] | None = None

    @property
    def modern(self) -> bool:
        return self.version in MODERN


class Greeter(Protocol):
    """Says the first words of a conversation, and waits for the answers; raises `RpcError`."""

    async def discover(self, version: str) -> dict[str, Any]: ...

    async def initialize(self, version: str) -> dict[str, Any]: ...

    async def initialized(self, version: str) -> None: ...


async def agree(
    greeter: Greeter, ourselves: Ourselves, protocol: str, prior: Mapping[str, Any] | None = None
) -> Agreement:
    """Find a version to speak.

    Args:
        protocol: "legacy" for the handshake, "auto" to ask first, or a version that is spoken unasked.
        prior: The answer to `server/discover` of an earlier time, for the latter.

    Raises:
        Disagreement: There is none.
        NotValid: The server's answer to the handshake is no such thing.
        RpcError: Its error, or the connection ended.
    """
    if protocol == "legacy":
        return await _by_handshake(greeter)
    if protocol == "auto":
        return await _by_asking(greeter, ourselves)
    said = {"supportedVersions": [protocol], "capabilities": {}} if prior is None else dict(prior)
    found = read_discovered(said, ourselves)
    if found is None:
        raise Disagreement(f"no version of the protocol is known to both (the server's: {_versions(said)})")
    return found


async def _by_asking(greeter: Greeter, ourselves: Ourselves) -> Agreement:
    """A server that doesn't know the question is one of before 2026-07-28, whatever it answers."""
    version = MODERN[-1]
    for again in (True, False):
        try:
            said = await greeter.discover(version)
        except RpcError as refusal:
            named = named_versions(refusal)
            if again and (common := _newest(MODERN, named)):
                version = common
                continue
            if named and not _newest(HANDSHAKES, named):
                raise
        else:
            found = read_discovered(said, ourselves)
            if found is not None:
                return found
        try:
            return await _by_handshake(greeter)
        except RpcError as refusal:
            # Such an error is one of the newer protocol: the server was slow to start, and has meanwhile read the question.
            common = _newest(MODERN, named_versions(refusal))
            if not (again and common):
                raise
            version = common
    raise AssertionError("the second time either answers or raises")


async def _by_handshake(greeter: Greeter) -> Agreement:
    said = await greeter.initialize(HANDSHAKES[-1])
    version = said.get("protocolVersion")
    if version is None:
        raise NotValid("protocolVersion: is missing")
    if version not in HANDSHAKES:
        raise Disagreement(f"Unsupported protocol version from the server: {str(version)[:100]}")
    said = mended_greeting(said)
    await greeter.initialized(version)
    return Agreement(version, _capabilities(said), said["serverInfo"], said.get("instructions"))


def read_discovered(said: Mapping[str, Any], ourselves: Ourselves) -> Agreement | None:
    """What the answer to `server/discover` comes to; None where it names no version of the newer protocol."""
    version = _newest(MODERN, _versions(said))
    if not version:
        return None
    greeting = mended_greeting(dict(said))
    info = (greeting.get("_meta") or {}).get(SERVER_INFO)
    named = isinstance(info, dict) and isinstance(info.get("name"), str) and isinstance(info.get("version"), str)
    meta = {**ourselves.meta(version), LOG_LEVEL: ourselves.log_level}
    server = info if named and isinstance(info, dict) else {}
    return Agreement(version, _capabilities(greeting), server, greeting.get("instructions"), meta, dict(said))


def named_versions(refusal: RpcError) -> list[str]:
    """The versions that a server names which refuses ours; none where it isn't that what it says."""
    if refusal.code != UNSUPPORTED_VERSION or not isinstance(refusal.data, dict):
        return []
    named = refusal.data.get("supported")
    return named if isinstance(named, list) and all(isinstance(version, str) for version in named) else []


def _versions(said: Mapping[str, Any]) -> list[Any]:
    versions = said.get("supportedVersions")
    return versions if isinstance(versions, list) else []


def _newest(ours: tuple[str, ...], theirs: list[Any]) -> str:
    return next((version for version in reversed(ours) if version in theirs), "")


def _capabilities(said: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    return {name: value for name, value in said["capabilities"].items() if name in KNOWN_CAPABILITIES}
