"""How an `Agent` comes from a definition: `Agent.load`, `Agent.resume`, `Agent.from_definition`.

What reads definitions is imported where one is loaded: programs that build their agents themselves start without it.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any, Self, TypedDict, Unpack, cast

from tiny_agents.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from tiny_agents.agent.agent import Agent
    from tiny_agents.agent.definition.lock import LockMode
    from tiny_agents.agent.definition.types import AgentDefinition
    from tiny_agents.agent.locking import Locked
    from tiny_agents.agent.loop.limits import Limits
    from tiny_agents.agent.model_choice import ModelSettings
    from tiny_agents.agent.permissions.gate import Approve
    from tiny_agents.agent.sessions.session import Session
    from tiny_agents.agent.sessions.store import SessionStore
    from tiny_agents.inference.async_client import AsyncInferenceClient
    from tiny_agents.mcp_client.bounds import Pinning
    from tiny_agents.mcp_client.calls.gate import Gate
    from tiny_agents.mcp_client.host.host import Host
    from tiny_agents.mcp_client.observing.observing import Observer, Observing
    from tiny_agents.mcp_client.tools.known_servers import KnownServers


class Observed(TypedDict, total=False):
    """Who is told what an agent does; see `Agent`."""

    observers: Iterable[Observer]
    capture_content: bool | None
    run_log: str | Path | None


def require_trust_in(definition: AgentDefinition, trust: bool) -> None:
    """Raises UsageError about an agent that was downloaded, unless the program says that it may start."""
    from tiny_agents.agent.definition.composed import downloaded_parts
    from tiny_agents.agent.definition.requirements import commands_and_hosts

    if not trust and (parts := downloaded_parts(definition)):
        uses = "; ".join(commands_and_hosts(definition))
        names = " and ".join(part.name for part in parts)
        raise UsageError(f"{names} was downloaded and would use: {uses}. Pass trust=True if you want that.")


class Loading:
    """The ways to an agent that a definition describes: `Agent` has these from here."""

    description: str | None
    limits: Limits
    _checksum: str
    _locked: Locked | None
    _observing: Observing

    if TYPE_CHECKING:

        def __init__(self, **arguments: Any) -> None: ...

        def _price_known(self, limits: Limits) -> None: ...

    @classmethod
    def load(
        cls,
        ref: str | Path,
        *,
        inputs: Mapping[str, str] | None = None,
        trust: bool = False,
        allow_paths: Iterable[str | Path] = (),
        lock: LockMode = "check",
        session: Session | None = None,
        host: Host | None = None,
        approve: Approve | None = None,
        **observed: Unpack[Observed],
    ) -> Self:
        """The agent that a file, a folder, a bundled name or `user/agent` on the Hub describes: `Agent.load("clock")`.

        The model is the definition's; `TINY_AGENTS_MODEL` and its kin in the environment come before it, a saved Hugging
        Face token and the embedded model after it (see `agent.model_choice`).

        Args:
            inputs: Values of the definition's inputs, by id; others are looked for in the environment.
            trust: A definition from the Hub runs its author's commands on this machine: it is loaded only if you say so.
            allow_paths: Folders from which the definition may read files though they aren't its own.
            lock: What its `agent.lock` is for, if there is one: "check" makes differences an error (those of tools in
                `load_tools`), "warn" a warning, "off" doesn't look, and "required" wants one.
            session: Saves the conversation as it goes, and brings along what was said before.
            host: Answers what servers ask of us; by default nobody does.
            approve: Asks a person about the calls that the definition's `permissions` leave to one. Without it nobody is
                there: such calls are refused, those that only the default would have asked about are made.
            **observed: `observers`, `capture_content` and `run_log`, as of `Agent`.

        Raises:
            ConfigError: The definition can't be used, an input has no value, or the agent isn't as locked.
            UsageError: It comes from the Hub and `trust` is not set.
        """
        from tiny_agents.agent.definition.inputs import resolve_inputs
        from tiny_agents.agent.locking import load_as_locked
        from tiny_agents.agent.model_choice import ModelSettings, choose_model, without_overridden
        from tiny_agents.agent.permissions.gate import PermissionGate
        from tiny_agents.agent.permissions.rules import permissions_of
        from tiny_agents.agent.sessions.about import about, definition_hash
        from tiny_agents.inference import local
        from tiny_agents.inference.credentials import find_token

        written, locked = load_as_locked(ref, lock, allow_paths=allow_paths)
        require_trust_in(written, trust)
        definition = resolve_inputs(without_overridden(written, ModelSettings(), os.environ), values=inputs)
        has_token = bool(find_token(os.environ))
        chosen = choose_model(
            ModelSettings(), os.environ, definition, has_hf_token=has_token, has_local=local.is_available()
        )
        if session is not None:
            session.describe(about(ref, written, chosen), definition.secrets)
        gate = PermissionGate(permissions_of(definition), approve)
        return cls.from_definition(
            definition,
            chosen,
            session=session,
            locked=locked,
            host=host,
            gate=gate,
            checksum=definition_hash(written),
            **observed,
        )

    @classmethod
    async def resume(
        cls,
        session: str = "last",
        *,
        store: SessionStore | None = None,
        inputs: Mapping[str, str] | None = None,
        trust: bool = False,
        host: Host | None = None,
        approve: Approve | None = None,
        **observed: Unpack[Observed],
    ) -> Self:
        """Go on with a conversation that was saved, with the agent it was had with, as its definition is now.

        Args:
            session: Its id, the unique start of one, or "last".
            store: Where it is; by default where the command line saves conversations.
            inputs, trust, host, approve, observed: As of `load`.

        Raises:
            SessionNotFoundError: There is no such session.
            SessionInUseError: It is open elsewhere.
            SessionStoreError: It can't be read.
            UsageError: It was had with an agent that no definition describes: `Agent(session=...)` goes on with it.
        """
        from tiny_agents.agent.sessions.session import Session
        from tiny_agents.agent.sessions.sqlite import SqliteSessionStore

        if store is None:
            store = own = SqliteSessionStore()
            resumed = await Session.resume(store, session)
            resumed.on_close = own.close
        else:
            resumed = await Session.resume(store, session)
        try:
            if resumed.about.agent is None:
                raise UsageError(
                    f"Session {resumed.id} was had with an agent that no definition describes: build it as before, "
                    "and hand it session=await Session.resume(...)."
                )
            return cls.load(
                resumed.about.agent,
                inputs=inputs,
                trust=trust,
                session=resumed,
                host=host,
                approve=approve,
                **observed,
            )
        except BaseException:
            await resumed.close()
            raise

    @classmethod
    def from_definition(
        cls,
        definition: AgentDefinition,
        model: ModelSettings,
        *,
        host: Host | None = None,
        pinning: Pinning | None = None,
        known_servers: KnownServers | None = None,
        session: Session | None = None,
        locked: Locked | None = None,
        gate: Gate | None = None,
        checksum: str = "",
        client: AsyncInferenceClient | None = None,
        **observed: Unpack[Observed],
    ) -> Self:
        """An agent from a definition whose inputs are filled in, and the model that was chosen for it.

        Args:
            pinning: In place of the definition's.
            locked: What its tools have to be like; `load_tools` compares them.
            gate: In place of the definition's rules (`permissions.permissions_of`), which are applied with nobody to ask.
            checksum: Of the definition as it stands in its file, for those who observe.
            client: Asks the model, in place of one of its own.
            **observed: `observers`, `capture_content` and `run_log`, as of `Agent`.
        """
        import msgspec

        from tiny_agents.agent.composition.building import arguments_of, compose
        from tiny_agents.agent.loop.output import output_of, schema_problem
        from tiny_agents.agent.loop.prices import PRICES_VARIABLE, load_prices
        from tiny_agents.agent.permissions.gate import PermissionGate
        from tiny_agents.agent.permissions.rules import permissions_of

        try:
            output_of(definition.output.get("schema"))
        except UsageError as error:
            raise definition.error("output.schema", schema_problem(error)) from error
        arguments = arguments_of(definition, model)
        limits: Limits = arguments.pop("limits")
        agent = cls(
            **model.as_kwargs(),
            **arguments,
            limits=msgspec.structs.replace(limits, cost_usd=None),
            host=host,
            pinning=pinning or definition.pinning_wanted,
            known_servers=known_servers,
            gate=gate or PermissionGate(permissions_of(definition)),
            prices=load_prices(path) if (path := os.environ.get(PRICES_VARIABLE)) else None,
            session=session,
            client=client,
            **observed,
        )
        agent.limits = limits.over(agent.limits)
        try:
            agent._price_known(agent.limits)
        except UsageError as error:
            if "limits.cost_usd" not in definition.places:  # it was said elsewhere
                raise
            raise definition.error("limits.cost_usd", str(error).removeprefix("limits.cost_usd ")) from error
        agent._checksum = checksum
        agent._observing.secrets += definition.secrets
        agent._locked = locked
        agent.description = definition.description
        pinned = pinning or definition.pinning_wanted
        seen = {name: value for name, value in observed.items() if name != "run_log"}
        compose(
            cast("Agent", agent),
            definition,
            model,
            host=host,
            pinning=pinned,
            known_servers=known_servers,
            locked=locked,
            **seen,
        )
        return agent
