"""Which model runs: `--model`, `--provider`, `--base-url`, `--api-key-env`, and the user's defaults."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Mapping
from dataclasses import replace

from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.agent.model_choice import ModelSettings, choose_model, nobody_names_one
from tiny_agents.cli.config import Config, config_path
from tiny_agents.errors import UsageError
from tiny_agents.inference import local
from tiny_agents.inference.credentials import find_token

CONFIGURATION = "your configuration"


def settings_of_flags(arguments: Namespace) -> ModelSettings:
    """What the command line says about the model.

    Raises:
        UsageError: `--api-key-env` names a variable that has no value.
    """
    key = None
    if arguments.api_key_env is not None:
        key = os.environ.get(arguments.api_key_env, "").strip()
        if not key:
            raise UsageError(f"--api-key-env: the environment variable {arguments.api_key_env} is not set")
    return ModelSettings(arguments.model, arguments.provider, arguments.base_url, key)


def chosen_model(
    flags: ModelSettings, env: Mapping[str, str], definition: AgentDefinition, config: Config
) -> ModelSettings:
    """The model to run: what `choose_model` says, with the user's defaults where nobody names a model or a place.

    Raises:
        ConfigError, MissingDependencyError: As `choose_model`.
        UsageError: The variable that the defaults name holds no key.
    """
    has_token, has_local = bool(find_token(env)), local.is_available()
    defaults = ModelSettings(config.model, config.provider, config.base_url)
    if (defaults.model or defaults.place) and nobody_names_one(flags, env, definition):
        key = flags.api_key
        if key is None and config.api_key_env is not None:
            key = env.get(config.api_key_env, "").strip()
            if not key:
                raise UsageError(f"{config_path(env)}: api_key_env: the variable {config.api_key_env} is not set")
        defaults = replace(defaults, api_key=key)
        found = choose_model(defaults, env, definition, has_hf_token=has_token, has_local=has_local)
        return replace(found, source=CONFIGURATION)
    return choose_model(flags, env, definition, has_hf_token=has_token, has_local=has_local)
