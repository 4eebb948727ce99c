"""No provider named: which one a call goes to."""

from __future__ import annotations

from typing import Any

import msgspec
import pytest

from tests.support.provider_script import HF, OWN
from tiny_agents.errors import (
    MissingCredentialsError,
    UnsupportedTaskError,
)
from tiny_agents.inference.call import Ask, Call, Response
from tiny_agents.inference.routing import Destination, Surroundings, destination
from tiny_agents.inference.settings import client_settings
from tiny_agents.inference.tasks.vision import (
    text_to_image,
)


def offered(offers: Any, call: Call[Any], **settings: Any) -> Any:
    """Where `call` goes when the Hub lists `offers`."""
    arguments: dict[str, Any] = dict.fromkeys(
        ("provider", "token", "api_key", "base_url", "timeout", "headers", "cookies", "bill_to")
    )
    arguments |= {"max_retries": 2, "trust_env": True, "tool_emulation": False, **settings}
    model = arguments.pop("model", "org/model")
    step: Any = destination(call, client_settings(model, **arguments), Surroundings("https://hub", lambda: None, {}))
    answers = {
        "https://hub/api/models/org/model?expand=inferenceProviderMapping": {"inferenceProviderMapping": offers},
        "https://hub/api/models/org/model": {"pipeline_tag": call.task},
        "https://hub/api/models/rec/ommended": {"pipeline_tag": call.task},
        "https://hub/api/tasks": {"text-to-image": {"widgetModels": ["rec/ommended"]}, "conversational": {}},
    }
    while isinstance(step, Ask):
        assert step.keep
        step = step.then(Response(200, {}, msgspec.json.encode(answers[step.request.url]), step.request.url))
    assert isinstance(step, Destination)
    return step.route.provider, step.route.url, step.route.model, step.route.key


def offer(provider: str, task: str = "text-to-image") -> dict[str, str]:
    return {"provider": provider, "providerId": f"{provider}/m", "task": task, "status": "live"}


ROUTER = "https://router.huggingface.co"


@pytest.mark.parametrize("provider", [None, "auto"])
def test_without_a_provider_the_first_that_serves_the_model_for_the_task_is_taken(provider: str | None) -> None:
    offers = [
        offer("replicate", "text-to-video"),
        offer("some-new-one"),
        offer("groq"),
        offer("fal-ai"),
        offer("together"),
    ]
    found = offered(offers, text_to_image("x"), provider=provider, token=HF)
    assert found == ("fal-ai", f"{ROUTER}/fal-ai", "fal-ai/m", HF)


def test_hugging_faces_own_servers_need_no_token() -> None:
    found = offered([offer("hf-inference"), offer("fal-ai")], text_to_image("x"))
    assert found == ("hf-inference", f"{ROUTER}/hf-inference", "org/model", None)


def test_without_a_model_the_one_that_the_hub_recommends_is_taken() -> None:
    found = offered([], text_to_image("x"), model=None, token=HF)
    assert found == ("hf-inference", f"{ROUTER}/hf-inference", "rec/ommended", HF)


@pytest.mark.parametrize("offers", [[], [offer("replicate", "text-to-video")], [offer("some-new-one")], None])
def test_a_model_that_nobody_serves_for_the_task_is_named(offers: Any) -> None:
    with pytest.raises(UnsupportedTaskError, match="org/model for text-to-image"):
        offered(offers, text_to_image("x"), token=HF)


@pytest.mark.parametrize("model", ["org/model", None])
def test_a_providers_key_is_sent_to_nobody_unless_the_provider_is_named(model: str | None) -> None:
    with pytest.raises(MissingCredentialsError, match="Name the provider") as caught:
        offered([offer("fal-ai")], text_to_image("x"), model=model, api_key=OWN)
    assert OWN not in str(caught.value)


def test_a_provider_that_needs_a_key_is_not_asked_without_one() -> None:
    with pytest.raises(MissingCredentialsError, match="fal-ai needs a key"):
        offered([offer("fal-ai")], text_to_image("x"))
