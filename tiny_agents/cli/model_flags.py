"""`--model`, `--provider`, `--base-url`, `--api-key-env`: what the command line says about the model."""

from __future__ import annotations

import os
from argparse import Namespace

from tiny_agents.agent.model_choice import ModelSettings
from tiny_agents.errors import UsageError


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
