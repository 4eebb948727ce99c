"""Names of earlier releases of huggingface_hub, kept working. Each says in a FutureWarning what to use in its place.

Like the tasks, the methods are builders of a `Call`, bound to both clients; where such a call goes is decided by
`routing.older`. They speak to Hugging Face's own servers and to endpoints, never to another provider.

Source: huggingface_hub 0.28 and 0.33, reference "Inference".
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Literal
from urllib.parse import quote

import msgspec

from tiny_agents.errors import InvalidResponseError, NotOfferedError, UsageError, public_url
from tiny_agents.inference.call import Ask, Call, Request, Response, Route, Step
from tiny_agents.inference.media import ContentT, Media, content
from tiny_agents.inference.providers import hf_inference
from tiny_agents.inference.providers.provider import Adapter
from tiny_agents.inference.types.record import Record, decode_json

API = "https://api-inference.huggingface.co"

MAIN_FRAMEWORKS = ("diffusers", "sentence-transformers", "text-generation-inference", "transformers")
ALL_FRAMEWORKS = (
    *MAIN_FRAMEWORKS,
    *("adapter-transformers", "allennlp", "asteroid", "bertopic", "doctr", "espnet", "fairseq", "fastai", "fasttext"),
    *("flair", "k2", "keras", "mindspore", "nemo", "open_clip", "paddlenlp", "peft", "pyannote-audio", "sklearn"),
    *("spacy", "span-marker", "speechbrain", "stanza", "timm"),
)

POST = "post"
_STATUS, _INFO, _HEALTH, _DEPLOYED = "get_model_status", "get_endpoint_info", "health_check", "list_deployed_models"
_RECOMMENDED, MODEL_INFO, PIPELINE = "get_recommended_model", "InferenceApi", "InferenceApi()"
ON_HUB = frozenset({_RECOMMENDED, MODEL_INFO})
"""Calls that ask the Hub rather than a server of models."""

_PIPELINE_TASKS = frozenset({"feature-extraction", "sentence-similarity"})  # models made for another task do these, too
KNOWN_TASKS = frozenset({*hf_inference.TASKS, "conversational", "text2text-generation", "voice-activity-detection"})
_IMAGE_TASKS = frozenset({"text-to-image", "image-to-image"})


class ModelStatus(Record):
    """The state of a model on Hugging Face's servers.

    Attributes:
        loaded: Whether it answers at once.
        state: "Loaded", "Loadable" or "TooBig".
        compute_type: What it runs on.
        framework: The library it is made for.
    """

    loaded: bool | None = None
    state: str | None = None
    compute_type: dict[str, Any] | str | None = None
    framework: str | None = None


class RawAnswer(bytes):
    """The body of an answer, which also reads like the response of an HTTP library.

    Attributes:
        status_code: HTTP status.
        headers: Names in lower case.
    """

    status_code: int
    headers: Mapping[str, str]

    @property
    def content(self) -> bytes:
        """The body as plain bytes."""
        return bytes(self)

    @property
    def text(self) -> str:
        return self.decode("utf-8", "replace")

    def json(self) -> Any:
        """The body as JSON. Raises InvalidResponseError where it is none."""
        try:
            return decode_json(self)
        except msgspec.DecodeError as error:
            raise InvalidResponseError(f"The answer is no JSON: {self.text[:200]!r}", body=self.text) from error


def _warn(name: str, advice: str) -> None:
    # Seen from here: the builder, the client's method, and the line that called it.
    warnings.warn(f"{name} is an older name: {advice}.", FutureWarning, stacklevel=4)


# ---------------------------------------------------------------- builders, bound to both clients


def post(
    *,
    json: str | dict[str, Any] | list[Any] | None = None,
    data: ContentT | None = None,
    model: str | None = None,
    task: str | None = None,
) -> Call[RawAnswer]:
    """Send a request to a model's address and return the answer as it is.

    Deprecated: use the method of the task (`client.fill_mask(...)`), which knows the form of questions and answers.

    Args:
        json: Body of the request as JSON.
        data: Body of the request as bytes, an open file, a path or a URL.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        task: The task on the Hub ("fill-mask"): chooses a recommended model where none is named.

    Returns:
        bytes, with `.content`, `.text`, `.json()`, `.status_code` and `.headers`.

    Raises:
        ProviderError, InferenceTimeoutError, InferenceConnectionError: While asking.
        UsageError: No model, both `json` and `data`, or a client for another provider.
    """
    _warn("post", "use the method of the task, such as client.text_classification(...)")
    if json is not None and data is not None:
        raise UsageError("post: give `json` or `data`, not both.")
    inputs = json if data is None else content(data, "data")
    return Call(POST, inputs, RawAnswer, model, {"task": task} if task else {})


def get_model_status(model: str | None = None) -> Call[ModelStatus]:
    """Whether a model is loaded on Hugging Face's servers.

    Deprecated: the page of a model on the Hub says who serves it (`huggingface_hub.model_info`).

    Args:
        model: Id on the Hub, in place of the client's; not a URL.

    Raises:
        ProviderError: There is no such model; the message is the server's.
        NotOfferedError: `model` is a URL.
        UsageError: No model, or a client for another provider.
    """
    _warn("get_model_status", "the Hub's information on a model says who serves it")
    return Call(_STATUS, None, ModelStatus, model)


def get_endpoint_info(*, model: str | None = None) -> Call[dict[str, Any]]:
    """What an endpoint says about itself at `/info`: text-generation-inference and text-embeddings-inference do.

    Deprecated: ask the endpoint's `/info` with any HTTP library.

    Args:
        model: URL of the endpoint, or id on the Hub, in place of the client's.

    Returns:
        The endpoint's own dictionary: `model_id`, `max_total_tokens`, `version` and more.

    Raises:
        ProviderError, InferenceTimeoutError, InferenceConnectionError: While asking.
        UsageError: No model, or a client for another provider.
    """
    _warn("get_endpoint_info", "ask the endpoint's /info with any HTTP library")
    return Call(_INFO, None, dict[str, Any], model)


def health_check(model: str | None = None) -> Call[bool]:
    """Whether an endpoint says at `/health` that it is well. It is asked once, and not waited for.

    Deprecated: ask the endpoint's `/health` with any HTTP library.

    Args:
        model: URL of the endpoint, in place of the client's.

    Returns:
        False if it answers with an error.

    Raises:
        InferenceConnectionError, InferenceTimeoutError: It does not answer at all.
        UsageError: No URL, or a client for another provider.
    """
    _warn("health_check", "ask the endpoint's /health with any HTTP library")
    return Call(_HEALTH, None, bool, model)


def list_deployed_models(
    frameworks: str | Literal["all"] | Sequence[str] | None = None,
) -> Call[dict[str, list[str]]]:
    """The models that Hugging Face's servers had ready lately, by task.

    Deprecated: `huggingface_hub.list_models(inference_provider="hf-inference")`.

    Args:
        frameworks: Which libraries' models: one, several, "all", or by default the four that most models need. One
            request each.

    Returns:
        Task to sorted ids on the Hub.

    Raises:
        ProviderError, InferenceTimeoutError, InferenceConnectionError: While asking.
        UsageError: A client for another provider.
    """
    _warn("list_deployed_models", "use huggingface_hub.list_models(inference_provider='hf-inference')")
    if frameworks is None:
        chosen: Sequence[str] = MAIN_FRAMEWORKS
    elif frameworks == "all":
        chosen = ALL_FRAMEWORKS
    else:
        chosen = [frameworks] if isinstance(frameworks, str) else list(frameworks)
    if not chosen:
        raise UsageError("list_deployed_models: frameworks is empty.")
    return Call(_DEPLOYED, sorted(set(chosen)), dict[str, list[str]])


def get_recommended_model(task: str) -> Call[str]:
    """The model that the Hub recommends for a task.

    Deprecated: name the model, so that the same one answers tomorrow.

    Args:
        task: As the Hub spells it: "translation", "text-to-image".

    Raises:
        UsageError: There is no recommendation for the task.
    """
    _warn("get_recommended_model", "name the model itself")
    return Call(_RECOMMENDED, task, str)


class OfClassOrInstance:
    """A method that can be called on the class, too, as when it was static: a client is made for the call.

    `on_class` makes that function from the class; it closes the client.
    """

    def __init__(self, method: Callable[..., Any], on_class: Callable[[Any], Callable[..., Any]]) -> None:
        self._method = method
        self._on_class = on_class

    def __get__(self, client: object, owner: Any) -> Any:
        if client is not None:
            return self._method.__get__(client, owner)
        function = self._on_class(owner)
        function.__doc__ = self._method.__doc__
        return function


def recommended_by(client_class: Any) -> Callable[[str], str]:
    def get_recommended_model(task: str) -> str:
        with client_class() as client:
            found: str = client.get_recommended_model(task)
            return found

    return get_recommended_model


def recommended_by_async(client_class: Any) -> Callable[[str], Coroutine[Any, Any, str]]:
    async def get_recommended_model(task: str) -> str:
        async with client_class() as client:
            found: str = await client.get_recommended_model(task)
            return found

    return get_recommended_model


# ---------------------------------------------------------------- requests and answers


def _at(route: Route, path: str, **options: Any) -> Request:
    return Request("GET", route.url.rstrip("/") + path, headers=route.headers, key=route.key, **options)


def _model(route: Route, call: Call[Any]) -> str:
    if route.model is None:
        raise UsageError(f"{call.task}: say which model, by its id on the Hub or its URL: model=.")
    return quote(route.model, safe="/")


def _post_request(call: Call[Any], route: Route) -> Request:
    task = call.parameters.get("task")
    kind = "pipeline/" + task if task in _PIPELINE_TASKS else "models"
    url = route.url if route.is_endpoint else f"{route.url}/{kind}/{_model(route, call)}"
    headers = {**({"accept": "image/png"} if task in _IMAGE_TASKS else {}), **route.headers}
    if isinstance(call.inputs, Media):
        return Request("POST", url, body=call.inputs.data, headers=headers, key=route.key)
    return Request("POST", url, json=call.inputs, headers=headers, key=route.key)


def _raw(call: Call[Any], route: Route, response: Response) -> RawAnswer:
    answer = RawAnswer(response.body)
    answer.status_code = response.status
    answer.headers = response.headers
    return answer


def _json(route: Route, response: Response, kind: type) -> Any:
    """The answer as plain data of the expected kind."""
    try:
        return decode_json(response.body, kind)
    except msgspec.DecodeError as error:
        text = response.body.decode("utf-8", "replace")
        raise InvalidResponseError(
            f"{public_url(response.url)} answered with something unexpected: {text[:200]!r}",
            body=text,
            provider=route.provider,
            model=route.model,
        ) from error


def _status_request(call: Call[Any], route: Route) -> Request:
    if route.is_endpoint:
        raise NotOfferedError("get_model_status: there is a status for models on the Hub only, not for a URL.")
    return _at(route, f"/status/{_model(route, call)}")


def _status(call: Call[Any], route: Route, response: Response) -> ModelStatus:
    found = _json(route, response, dict[str, Any])
    if "error" in found:
        raise UsageError(f"{route.model}: {found['error']}")
    return ModelStatus.parse_obj_as_instance(found)


def _info_request(call: Call[Any], route: Route) -> Request:
    return _at(route, "/info" if route.is_endpoint else f"/models/{_model(route, call)}/info")


def _info(call: Call[Any], route: Route, response: Response) -> dict[str, Any]:
    found: dict[str, Any] = _json(route, response, dict[str, Any])
    return found


def _health_request(call: Call[Any], route: Route) -> Request:
    if not route.is_endpoint:
        raise UsageError("health_check needs the URL of an endpoint: model='https://...'.")
    return _at(route, "/health", once=True)


def _deployed_request(call: Call[Any], route: Route) -> Request:
    return _at(route, f"/framework/{call.inputs[0]}")


def _deployed(call: Call[Any], route: Route, response: Response) -> Step[dict[str, list[str]]]:
    return _next_framework(route, call.inputs, response, {})


class _Deployed(msgspec.Struct):
    model_id: str
    task: str = ""


def _next_framework(
    route: Route, frameworks: Sequence[str], response: Response, found: Mapping[str, frozenset[str]]
) -> Step[dict[str, list[str]]]:
    """Take in the answer for the first of `frameworks`, and ask for the next."""
    by_task = dict(found)
    for model in _json(route, response, list[_Deployed]):
        # These models do both, whatever they are marked as.
        both = frameworks[0] == "sentence-transformers"
        for task in ("feature-extraction", "sentence-similarity") if both else (model.task,):
            by_task[task] = by_task.get(task, frozenset()) | {model.model_id}
    rest = frameworks[1:]
    if rest:
        return Ask(_at(route, f"/framework/{rest[0]}"), lambda answer: _next_framework(route, rest, answer, by_task))
    return {task: sorted(models, key=str.lower) for task, models in by_task.items()}


def _recommended(call: Call[Any], route: Route, response: Response) -> str:
    found = _json(route, response, dict[str, Any]).get(call.inputs)
    models = found.get("widgetModels") if isinstance(found, dict) else None
    if isinstance(models, list) and models:
        return str(models[0])
    raise UsageError(f"The Hub recommends no model for {call.inputs!r}.")


def _pipeline_request(call: Call[Any], route: Route) -> Request:
    url = f"{route.url}/pipeline/{call.parameters['task']}/{_model(route, call)}"
    if isinstance(call.inputs, bytes):
        return Request("POST", url, body=call.inputs, headers=route.headers, key=route.key)
    return Request("POST", url, json=call.inputs, headers=route.headers, key=route.key)


ADAPTERS: dict[str, Adapter] = {
    POST: Adapter(_post_request, _raw),
    _STATUS: Adapter(_status_request, _status),
    _INFO: Adapter(_info_request, _info),
    _HEALTH: Adapter(
        _health_request,
        lambda call, route, response: response.status == 200,
        refused=lambda call, route, error: False,
    ),
    _DEPLOYED: Adapter(_deployed_request, _deployed),
    _RECOMMENDED: Adapter(lambda call, route: _at(route, "/api/tasks"), _recommended),
    MODEL_INFO: Adapter(lambda call, route: _at(route, f"/api/models/{_model(route, call)}"), _info),
    PIPELINE: Adapter(_pipeline_request, _raw),
}
