"""Older names, against a real server: they work, and say what to use in their place."""

from __future__ import annotations

import asyncio
import inspect
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.support.openai_server import OpenAIServer, Recorded, Turn, status
from tiny_agents import (
    AsyncInferenceClient,
    InferenceApi,
    InferenceClient,
    InferenceConnectionError,
    ModelStatus,
    NotOfferedError,
    ProviderError,
    UsageError,
)
from tiny_agents.inference import legacy

pytestmark = [pytest.mark.integration, pytest.mark.filterwarnings("ignore:.*older name:FutureWarning")]

Caller = Callable[..., Any]


def _sync(name: str, *args: Any, client: dict[str, Any] | None = None, **kwargs: Any) -> Any:
    with InferenceClient(**(client or {})) as made:
        return getattr(made, name)(*args, **kwargs)


def _async(name: str, *args: Any, client: dict[str, Any] | None = None, **kwargs: Any) -> Any:
    async def main() -> Any:
        async with asyncio.timeout(30), AsyncInferenceClient(**(client or {})) as made:
            return await getattr(made, name)(*args, **kwargs)

    return asyncio.run(main())


@pytest.fixture(params=[_sync, _async], ids=["sync", "async"])
def call(request: pytest.FixtureRequest) -> Caller:
    caller: Caller = request.param
    return caller


@pytest.fixture
def servers(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[Recorded], Turn]], OpenAIServer]:
    """Starts a server that stands for Hugging Face's own, model servers and Hub."""

    def start(script: Callable[[Recorded], Turn]) -> OpenAIServer:
        server = OpenAIServer(script)
        monkeypatch.setattr(legacy, "API", server.origin)
        monkeypatch.setenv("HF_ENDPOINT", server.origin)
        return server

    return start


def test_what_post_returns_is_bytes_and_a_response(call: Caller, tmp_path: Path) -> None:
    picture = tmp_path / "dog.png"
    picture.write_bytes(b"\x89PNG...")
    with OpenAIServer([Turn(body=b'[{"label": "dog"}]')]) as server:
        answer = call("post", data=str(picture), model=f"{server.origin}/classify")
        assert (answer, answer.content) == (b'[{"label": "dog"}]', b'[{"label": "dog"}]')
        assert answer.json() == [{"label": "dog"}]
        assert (answer.status_code, answer.headers["content-type"], answer.text) == (
            200,
            "application/json",
            '[{"label": "dog"}]',
        )
        assert (server.requests[0].path, server.requests[0].raw) == ("/classify", b"\x89PNG...")
        with pytest.raises(UsageError, match="not both"):
            call("post", data=b"x", json={}, model=server.origin)


def test_post_without_a_model_takes_the_one_that_the_hub_recommends(call: Caller, servers: Any) -> None:
    def script(request: Recorded) -> Turn:
        tasks = b'{"sentence-similarity": {"widgetModels": ["acme/Similar"]}}'
        return Turn(body=tasks if request.path == "/api/tasks" else b"[0.5]")

    with servers(script) as server:
        answer = call("post", json={"inputs": "x"}, task="sentence-similarity")
        assert answer.json() == [0.5]
        assert [request.path for request in server.requests] == [
            "/api/tasks",
            "/pipeline/sentence-similarity/acme/Similar",
        ]
        with pytest.raises(UsageError, match="say which model"):
            call("post", json={"inputs": "x"})


@pytest.mark.parametrize("code", [500, 503])
def test_an_endpoint_that_is_not_well_is_told_at_once(call: Caller, code: int) -> None:
    with OpenAIServer([status(code, {"error": "Model is loading", "estimated_time": 20})]) as server:
        assert call("health_check", server.origin) is False
        assert [request.path for request in server.requests] == ["/health"]
    with pytest.raises(InferenceConnectionError):
        call("health_check", server.origin, client={"max_retries": 0})


def test_the_state_of_a_model_is_a_record(call: Caller, servers: Any) -> None:
    body = b'{"loaded": true, "state": "Loaded", "compute_type": {"gpu": {"gpu": "a10g"}}, "framework": "transformers"}'
    with servers(lambda request: Turn(body=body)) as server:
        found = call("get_model_status", client={"model": "acme/M"})
        assert isinstance(found, ModelStatus)
        assert (found.loaded, found.state, found["framework"]) == (True, "Loaded", "transformers")
        assert server.requests[0].path == "/status/acme/M"


def test_a_found_token_goes_to_hugging_face_and_to_no_endpoint(
    call: Caller, servers: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_found0123456789")
    with OpenAIServer([Turn(body=b"{}")]) as endpoint:
        call("get_endpoint_info", model=endpoint.origin)
        assert "authorization" not in endpoint.requests[0].headers
    with servers(lambda request: Turn(body=b"[]")) as server:
        assert call("list_deployed_models", "timm") == {}
        assert server.requests[0].headers["authorization"] == "Bearer hf_found0123456789"


def test_the_recommended_model_can_be_asked_of_the_class(servers: Any) -> None:
    with servers(lambda request: Turn(body=b'{"translation": {"widgetModels": ["acme/T"]}}')):
        assert InferenceClient.get_recommended_model("translation") == "acme/T"
        assert InferenceClient().get_recommended_model("translation") == "acme/T"
        assert asyncio.run(AsyncInferenceClient.get_recommended_model("translation")) == "acme/T"
        with pytest.raises(UsageError, match="recommends no model for 'no-such-task'"):
            InferenceClient.get_recommended_model("no-such-task")


def test_inference_api_is_called_like_a_function(servers: Any) -> None:
    def script(request: Recorded) -> Turn:
        if request.method == "GET":
            return Turn(body=b'{"pipeline_tag": "fill-mask"}')
        return Turn(body=b"plain", headers={"content-type": "text/plain"})

    with servers(script) as server:
        api = InferenceApi("acme/Bert", token="hf_secret0123456789")
        assert "secret" not in repr(api)
        with pytest.raises(NotOfferedError, match="raw_response=True"):
            api("x", {"top_k": 1})
        assert api(data=b"bytes", raw_response=True).content == b"plain"
        assert [request.raw for request in server.requests[1:]] == [
            b'{"options":{"wait_for_model":true,"use_gpu":false},"inputs":"x","parameters":{"top_k":1}}',
            b"bytes",
        ]


def test_inference_api_needs_a_model_that_has_a_purpose(servers: Any) -> None:
    with servers(lambda request: Turn(body=b"{}")), pytest.raises(UsageError, match="pass task="):
        InferenceApi("acme/Bert")
    with (
        servers(lambda request: status(404, {"error": "Repository not found"})),
        pytest.raises(ProviderError) as caught,
    ):
        InferenceApi("acme/Bert")
    assert caught.value.status == 404


OLD = ["post", "get_model_status", "get_endpoint_info", "health_check", "list_deployed_models", "get_recommended_model"]


@pytest.mark.parametrize("name", OLD)
def test_each_older_name_says_so_where_it_is_called(name: str) -> None:
    refused = {"provider": "groq", "api_key": "pk-x", "model": "a/b"}
    arguments = ["translation"] if name == "get_recommended_model" else []
    with pytest.warns(FutureWarning, match=f"{name} is an older name") as caught, pytest.raises(UsageError):
        _sync(name, *arguments, client=refused)
    assert [warning.filename for warning in caught] == [__file__]
    with pytest.warns(FutureWarning, match=f"{name} is an older name"), pytest.raises(UsageError):
        _async(name, *arguments, client=refused)
    method = getattr(InferenceClient, name)
    assert "Deprecated:" in inspect.getdoc(method)


def test_inference_api_says_so_too() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error", FutureWarning)
        with pytest.raises(FutureWarning, match="use InferenceClient"):
            InferenceApi("acme/Bert")
