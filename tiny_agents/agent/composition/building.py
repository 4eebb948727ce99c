"""A definition's tools and skills -> an agent that has them."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from tiny_agents.agent.definition.types import AgentDefinition, SubagentDefinition
from tiny_agents.agent.locking import Locked
from tiny_agents.agent.loop.limits import DEFAULT_RETRIES, limits_of
from tiny_agents.agent.model_choice import LOCAL, ModelSettings, choose_model, has_model_of_its_own
from tiny_agents.errors import UsageError
from tiny_agents.inference import local
from tiny_agents.inference.credentials import find_token
from tiny_agents.inference.settings import is_url
from tiny_agents.mcp_client.bounds import PINNING, Pinning
from tiny_agents.mcp_client.host.host import Host
from tiny_agents.mcp_client.tools.known_servers import KnownServers

if TYPE_CHECKING:
    from tiny_agents.agent.agent import Agent


def arguments_of(definition: AgentDefinition, model: ModelSettings) -> dict[str, Any]:
    """Arguments of `Agent` that the definition alone decides. The model is the one that was chosen."""
    return {
        "name": definition.name,
        "fallbacks": definition.fallback_models if model.model == definition.model else (),
        "servers": [server.as_kwargs(definition.secrets) for server in definition.servers],
        "required": [server.name for server in definition.servers if server.required],
        "prompt": definition.prompt,
        "tool_emulation": definition.tool_emulation,
        "instructions": definition.instructions,
        "limits": limits_of(definition.limit_values),
        "params": definition.params,
        "output": definition.output.get("schema"),
        "output_retries": definition.output.get("retries", DEFAULT_RETRIES),
        "context": definition.context,
        **definition.limits(),
    }


def compose(
    agent: Agent,
    definition: AgentDefinition,
    model: ModelSettings,
    *,
    host: Host | None,
    pinning: Pinning,
    known_servers: KnownServers | None,
    locked: Locked | None,
    **observed: Any,
) -> None:
    """Give an agent what its definition has besides servers. Nothing is run or started.

    Args:
        model, host, pinning, known_servers, locked, observed: The agent's own, for the agents that are its tools.

    Raises:
        ConfigError: Something of it can't be used.
    """
    pinned = _pinned(definition)
    for file in definition.tools.python:
        if file.path is not None:
            agent.composition.add_python_file(file.path, pinned if definition.origin is not None else None)
    if definition.skills:
        folders = [folder.path for folder in definition.skills if folder.path is not None]
        agent.composition.add_skills(folders, pinned if definition.downloaded else None)
    for task in definition.tools.tasks:
        is_named = task.provider is None and model.provider is not None and model.provider != LOCAL
        try:
            agent.add_task(
                task.task,
                model=task.model,
                provider=model.provider if is_named and not is_url(task.model) else task.provider,
                api_key=model.api_key if is_named and not is_url(task.model) else None,
                folders=definition.tools.folders,
            )
        except UsageError as error:
            raise definition.error(task.key, str(error).removeprefix("add_task: ")) from error
    for inner in definition.tools.agents:
        try:
            made = _inner(
                agent,
                definition,
                inner,
                model,
                host=host,
                pinning=pinning,
                known_servers=known_servers,
                locked=None if locked is None else locked.of_agent(inner.tool),
                **observed,
            )
            agent.add_agent(made, name=inner.tool, description=inner.description)
        except UsageError as error:
            raise definition.error(
                inner.key, str(error).removeprefix("add_agent: ").removeprefix("add_tool: ")
            ) from error


def _pinned(definition: AgentDefinition) -> dict[Path, str]:
    origin = definition.origin
    return {} if origin is None else {origin.folder.absolute() / name: sha256 for name, sha256 in origin.files.items()}


def _inner(
    agent: Agent,
    outer: AgentDefinition,
    inner: SubagentDefinition,
    model: ModelSettings,
    *,
    host: Host | None,
    pinning: Pinning,
    known_servers: KnownServers | None,
    locked: Locked | None,
    **observed: Any,
) -> Agent:
    """The agent that becomes a tool: with a model of its own, or sharing the other's."""
    definition = inner.loaded
    shared = not has_model_of_its_own(definition, model)
    if shared:
        fallbacks = outer.fallback_models if model.model == outer.model else ()
        definition = replace(definition, model=model.model, fallback_models=fallbacks)
        chosen = model
    else:
        chosen = choose_model(
            ModelSettings(),
            os.environ,
            definition,
            has_hf_token=bool(find_token(os.environ)),
            has_local=local.is_available(),
        )
    return type(agent).from_definition(
        definition,
        chosen,
        host=host,
        pinning=max(definition.pinning_wanted, pinning, key=PINNING.index),
        known_servers=known_servers,
        locked=locked,
        client=agent.client if shared else None,
        **observed,
    )
