"""Whether the place of a model can be reached, by questions that cost nothing. For `tiny-agents doctor`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from tiny_agents.agent.model_choice import EMBEDDED_PLACE, ModelSettings
from tiny_agents.cli.findings import Finding
from tiny_agents.errors import InferenceError, ProviderError, UsageError, public_url
from tiny_agents.inference.call import Request
from tiny_agents.inference.credentials import find_token
from tiny_agents.inference.http.blocking import SyncHTTP
from tiny_agents.inference.http.settings import HTTPSettings
from tiny_agents.inference.hub import HUB_URL, is_offline
from tiny_agents.inference.providers import AUTO, get_provider
from tiny_agents.inference.routing import ROUTER
from tiny_agents.inference.settings import is_url

TIMEOUT_S = 10.0
NAMED_MODELS = 5
REFUSED = frozenset({401, 403})


def endpoint_finding(model: ModelSettings) -> Finding:
    """Whether the model's place answers; an endpoint is also asked for its list of models."""
    if model.place == EMBEDDED_PLACE:
        return Finding("ok", "endpoint", "none is needed: the embedded model runs on this machine")
    kind, where = model.place or ("provider", AUTO)
    if kind == "url":
        return _endpoint(where, model)
    address = ROUTER if where == AUTO else get_provider(where).base_url
    try:
        _get(address, None)
    except ProviderError:
        pass  # it answered: that the address alone means nothing to it doesn't matter
    except (InferenceError, UsageError) as error:
        return Finding("error", "endpoint", str(error), "is there a connection, and a proxy in between?")
    return Finding("ok", "endpoint", f"{public_url(address)} answers (the model itself was not asked)")


def _endpoint(base_url: str, model: ModelSettings) -> Finding:
    url = f"{base_url.rstrip('/')}/models"
    where = public_url(base_url)
    try:
        listed = _get(url, model.api_key)
    except ProviderError as error:
        if error.status in REFUSED:
            given = "the key that was given" if model.api_key else "requests without a key"
            return Finding("error", "endpoint", f"{where} refuses {given} ({error.status})", "see --api-key-env")
        if error.status >= 500:
            return Finding("error", "endpoint", f"{where} fails: {error}", "look into its own log")
        return Finding("ok", "endpoint", f"{where} answers, but doesn't list its models")
    except (InferenceError, UsageError) as error:
        return Finding("error", "endpoint", str(error), "or is the address another one? It usually ends in /v1")
    names = _names(listed)
    if not names or model.model is None or is_url(model.model) or model.model in names:
        return Finding(
            "ok", "endpoint", f"{where} answers" + (f" and has {model.model}" if model.model in names else "")
        )
    more = f" and {len(names) - NAMED_MODELS} more" if len(names) > NAMED_MODELS else ""
    has = f"it has {', '.join(names[:NAMED_MODELS])}{more}"
    return Finding(
        "warning", "endpoint", f"{where} answers, but doesn't list the model {model.model!r}: {has}", "--model"
    )


def token_works(env: Mapping[str, str]) -> Finding:
    """Ask the Hub whose the token is. Sends it there, and nowhere else."""
    what = "Hugging Face token"
    token = find_token(env)
    if token is None:
        return Finding("note", what, "none to try")
    if is_offline(env):
        return Finding("note", what, "not tried: HF_HUB_OFFLINE is set")
    try:
        answer = _get(f"{env.get('HF_ENDPOINT') or HUB_URL}/api/whoami-v2", token)
    except ProviderError as error:
        fix = "`hf auth login`, or another HF_TOKEN" if error.status in REFUSED else ""
        return Finding("error", what, f"the Hub answered {error.status}", fix)
    except (InferenceError, UsageError) as error:
        return Finding("error", what, str(error), "is there a connection, and a proxy in between?")
    name = answer.get("name") if isinstance(answer, dict) else None
    return Finding("ok", what, f"works: {name}" if isinstance(name, str) else "works")


def _get(url: str, key: str | None) -> Any:
    """The JSON at an address; None where what comes is none."""
    http = SyncHTTP(HTTPSettings(timeout_s=TIMEOUT_S, max_retries=0))
    try:
        body = http.send(Request("GET", url, key=key, once=True)).body
    finally:
        http.close()
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None


def _names(listed: Any) -> list[str]:
    models = listed.get("data") if isinstance(listed, dict) else None
    return (
        [str(each["id"]) for each in models if isinstance(each, dict) and "id" in each]
        if isinstance(models, list)
        else []
    )
