"""hf-inference: Hugging Face's own servers. Models keep their Hub ids, and the address names the model.

Inference Endpoints (and everything else that speaks their protocol) take the same at their own address. Most tasks send
`{"inputs": ..., "parameters": ...}`; those on one file send the file itself where there are no parameters.
See Hugging Face "Inference Providers" documentation, provider page "HF Inference", and "Inference Endpoints", "Supported
Tasks".
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Callable, Mapping
from typing import Any, TypeVar, get_args
from urllib.parse import urlsplit

import msgspec
from msgspec.structs import replace

from tiny_agents._lazy import require
from tiny_agents.errors import InvalidResponseError, ProviderError, UnsupportedTaskError
from tiny_agents.inference.call import Ask, Call, Request, Response, Route, Step, and_then
from tiny_agents.inference.encoding import without_nulls
from tiny_agents.inference.media import Media, base64_text, image_of, media_type
from tiny_agents.inference.providers.answers import file_in, image_in, odd_answer
from tiny_agents.inference.providers.chat import (
    chat_request,
    chat_url,
    error_in_answer,
    parse_chat,
    schema_in_value,
)
from tiny_agents.inference.providers.hub_lookup import model_info, read_info, recommended_model
from tiny_agents.inference.providers.provider import Adapter, LookUp, Provider, Served
from tiny_agents.inference.types.record import Record, decode_json, parse
from tiny_agents.inference.types.tasks import TextGenerationOutput

R = TypeVar("R", bound=Record)

# ---------------------------------------------------------------- which model

_PIPELINES = {
    "conversational": frozenset({"text-generation", "image-text-to-text"}),
    "text-generation": frozenset({"text-generation", "text2text-generation"}),
}
"""What a model may be made for, where that isn't the task's own name."""

_EMBEDDING = frozenset({"feature-extraction", "sentence-similarity"})
"""Models made for one of these do the other too, if their tags say so."""


def _checked_model(provider: Provider, look_up: LookUp) -> Step[Served]:
    """The model's own id, once the Hub has said that it is made for the task. Without one, what the Hub recommends."""
    if look_up.model is None:
        return and_then(
            recommended_model(look_up), lambda model: _checked_model(provider, replace(look_up, model=model))
        )
    return Ask(model_info(look_up), lambda response: _checked(look_up, response), keep=True)


def _checked(look_up: LookUp, response: Response) -> Served:
    info = read_info(look_up, response)
    pipeline, task = info.get("pipeline_tag"), look_up.task
    fits = pipeline in _PIPELINES.get(task, {task})
    if {pipeline, task} <= _EMBEDDING:
        fits = pipeline == task or task in (info.get("tags") or ())
    if not fits:
        raise UnsupportedTaskError(
            f"{look_up.model} is made for {pipeline}, not for {task}.",
            task=task,
            available=[str(pipeline)] if pipeline else [],
            provider="hf-inference",
            model=look_up.model,
        )
    return Served(look_up.model)


# ---------------------------------------------------------------- what is sent


def _prepare_chat(call: Call[Any], route: Route) -> Request:
    return chat_request(chat_url(f"{route.url}/models/{route.model}"), call, route, schema_in_value)


def _url(call: Call[Any], route: Route) -> str:
    if route.is_endpoint:
        return route.url if urlsplit(route.url).path else urlsplit(route.url)._replace(path="/").geturl()
    return f"{route.url}/models/{route.model}" + (f"/pipeline/{call.task}" if call.task in _EMBEDDING else "")


def _json(call: Call[Any], route: Route, body: Mapping[str, Any], headers: Mapping[str, str] | None = None) -> Request:
    merged = {**(headers or {}), **route.headers}
    return Request("POST", _url(call, route), json={**body, **call.extra}, headers=merged, key=route.key)


def _parameters(call: Call[Any]) -> Any:
    return without_nulls(call.parameters)


def _prepare_text(call: Call[Any], route: Route) -> Request:
    """Text, or several texts by their names."""
    return _json(call, route, {"inputs": call.inputs, "parameters": _parameters(call)})


def _prepare_flat(call: Call[Any], route: Route) -> Request:
    """The parameters beside the inputs."""
    return _json(call, route, {"inputs": call.inputs, **_parameters(call)})


def _prepare_table(call: Call[Any], route: Route) -> Request:
    """A table beside the inputs, which are nothing."""
    return _json(call, route, {"inputs": None, "parameters": _parameters(call), **call.inputs})


def _prepare_image_of_text(call: Call[Any], route: Route) -> Request:
    return _json(call, route, {"inputs": call.inputs, "parameters": _parameters(call)}, _IMAGE)


def _prepare_generation(call: Call[Any], route: Route) -> Request:
    """Text generation: whether to stream stands beside the parameters; a grammar may hold a null that means something."""
    parameters = dict(call.parameters)
    stream, grammar = parameters.pop("stream", False), parameters.pop("grammar", None)
    parameters = without_nulls(parameters) | ({"grammar": grammar} if grammar is not None else {})
    return _json(call, route, {"inputs": call.inputs, "parameters": parameters, "stream": stream})


_IMAGE = {"accept": "image/png"}


def _prepare_file(call: Call[Any], route: Route, headers: Mapping[str, str] | None = None) -> Request:
    """A file: itself, or in base64 where it comes with parameters."""
    media: Media = call.inputs
    if call.parameters or call.extra:
        return _json(call, route, {"inputs": base64_text(media), "parameters": _parameters(call)}, headers)
    kind = media.mime or media_type(media.data)
    merged = {**({"content-type": kind} if kind else {}), **(headers or {}), **route.headers}
    return Request("POST", _url(call, route), body=media.data, headers=merged, key=route.key)


def _prepare_image_of_file(call: Call[Any], route: Route) -> Request:
    return _prepare_file(call, route, _IMAGE)


def _prepare_document_question(call: Call[Any], route: Route) -> Request:
    inputs = {"question": call.inputs["question"], "image": base64_text(call.inputs["image"])}
    return _json(call, route, {"inputs": inputs, "parameters": _parameters(call)})


def _prepare_image_question(call: Call[Any], route: Route) -> Request:
    """The image goes out twice: servers differ in where they look for it, and huggingface_hub sends both."""
    image = base64_text(call.inputs["image"])
    body = {"inputs": image, "parameters": _parameters(call), "question": call.inputs["question"], "image": image}
    return _json(call, route, body)


# ---------------------------------------------------------------- what comes back


def _answer(read: Callable[[Call[Any], Any], Any]) -> Callable[[Call[Any], Route, Response], Any]:
    """Parse an answer in JSON by `read`, which raises `ValueError` (as msgspec's errors are) for what it can't be."""

    def parse_answer(call: Call[Any], route: Route, response: Response) -> Any:
        try:
            found = decode_json(response.body)
            _raise_reported(found, route, response)
            return read(call, found)
        except (msgspec.DecodeError, binascii.Error, _OddAnswerError) as error:
            raise odd_answer(route, response, f"that is no result of {call.task}") from error

    return parse_answer


class _OddAnswerError(ValueError):
    """The answer hasn't the shape of this task's."""


def _raise_reported(found: Any, route: Route, response: Response) -> None:
    if isinstance(found, dict) and found.get("error"):
        raise error_in_answer(response.body, response.url, route, status=response.status)


def _record(kind: type[R], found: Any) -> R:
    if not isinstance(found, dict) or found.keys().isdisjoint(kind.__struct_fields__):
        raise _OddAnswerError
    return parse(kind, found)


def _records(kind: type[R], found: Any) -> Any:
    """Records, in lists as deep as they came: a text with several gaps has a list for each."""
    return [_records(kind, item) for item in found] if isinstance(found, list) else _record(kind, found)


def _one(call: Call[Any], found: Any) -> Any:
    """One record; servers send it bare or as a list of one."""
    return _record(call.output, found[0] if isinstance(found, list) and found else found)


def _one_or_many(call: Call[Any], found: Any) -> Any:
    return _records(call.output, found)


def _many(call: Call[Any], found: Any) -> Any:
    """A list of records; some servers send a single one bare."""
    (kind,) = get_args(call.output)
    return _records(kind, found if isinstance(found, list) else [found])


def _many_of_one_text(call: Call[Any], found: Any) -> Any:
    """A list of records for a single text; most servers send a list of such lists."""
    nested = isinstance(found, list) and len(found) == 1 and isinstance(found[0], list)
    return _many(call, found[0] if nested else found)


def _labels(call: Call[Any], found: Any) -> Any:
    """Labels and scores: as records, or as two lists in one object."""
    if isinstance(found, dict) and isinstance(found.get("labels"), list) and isinstance(found.get("scores"), list):
        found = [
            {"label": label, "score": score} for label, score in zip(found["labels"], found["scores"], strict=False)
        ]
    return _many(call, found)


def _values(call: Call[Any], found: Any) -> list[Any]:
    if not isinstance(found, list):
        raise _OddAnswerError
    return found


def _array(call: Call[Any], found: Any) -> Any:
    numpy = require("numpy", extra="numpy", purpose="feature_extraction")
    try:
        return numpy.array(_values(call, found), dtype="float32")
    except (TypeError, ValueError) as error:
        raise _OddAnswerError("no numbers, or not equally many in each row") from error


def _recordings(call: Call[Any], found: Any) -> Any:
    items = [dict(item) if isinstance(item, dict) else item for item in _values(call, found)]
    for item in items:
        if isinstance(item, dict):
            item["content_type"] = item.pop("content-type", item.get("content_type"))
            item["blob"] = _from_base64(item.get("blob"))
    return _many(call, items)


def _segments(call: Call[Any], found: Any) -> Any:
    segments = _many(call, found)
    for segment in segments:
        segment.mask = image_of(_from_base64(segment.mask), source="The model (mask of a segment)")
    return segments


def _from_base64(text: Any) -> bytes:
    if not isinstance(text, str):
        raise _OddAnswerError
    return base64.b64decode("".join(text.split()), validate=True)


def _parse_image(call: Call[Any], route: Route, response: Response) -> Any:
    try:
        return image_in(response)
    except InvalidResponseError as error:
        raise odd_answer(route, response, "that is no image") from error


def _parse_file(call: Call[Any], route: Route, response: Response) -> bytes:
    _raise_error_document(route, response)
    return file_in(route, response)


def _raise_error_document(route: Route, response: Response) -> None:
    """Raise ProviderError for an error that was sent, with a success status, in place of a file."""
    if response.headers.get("content-type", "").startswith("application/json"):
        try:
            found = decode_json(response.body)
        except msgspec.DecodeError:
            return  # the label is wrong: what it is shows when it is read
        _raise_reported(found, route, response)


# ---------------------------------------------------------------- text generation


def _generated(call: Call[Any], found: Any) -> Any:
    """The text, or with `details=True` all that the server says about it."""
    output = _record(TextGenerationOutput, found[0] if isinstance(found, list) and found else found)
    if not isinstance(output.generated_text, str):
        raise _OddAnswerError
    return output.generated_text if call.output is str else output


_parse_generation = _answer(_generated)
_UNUSED = re.compile(r"`model_kwargs` are not used by the model: \[(.*?)\]")


def _without_unused(call: Call[Any], route: Route, error: ProviderError) -> Step[Any]:
    """A model that isn't served by text-generation-inference refuses options it doesn't know, and names them.

    It is asked once more as it was (that is what huggingface_hub sends), and then without them.
    """
    refused = _UNUSED.search(error.body) if error.status == 400 else None
    if refused is None:
        raise error
    names = {name.strip("' ") for name in refused[1].split(",")}
    less = replace(call, parameters={name: value for name, value in call.parameters.items() if name not in names})

    def again(asked: Call[Any], otherwise: Callable[[ProviderError], Step[Any]] | None = None) -> Ask[Any]:
        request = _prepare_generation(asked, route)
        return Ask(request, lambda response: _parse_generation(asked, route, response), refused=otherwise)

    return again(call, lambda _: again(less))


# ---------------------------------------------------------------- the tasks

_TEXT_TO_RECORDS = Adapter(_prepare_text, _answer(_many))
_TEXT_TO_RECORD = Adapter(_prepare_text, _answer(_one))
_FILE_TO_RECORDS = Adapter(_prepare_file, _answer(_many))
_FILE_TO_RECORD = Adapter(_prepare_file, _answer(_one))

TASKS: dict[str, Adapter] = {
    "audio-classification": _FILE_TO_RECORDS,
    "audio-to-audio": Adapter(_prepare_file, _answer(_recordings)),
    "automatic-speech-recognition": _FILE_TO_RECORD,
    "document-question-answering": Adapter(_prepare_document_question, _answer(_many)),
    "feature-extraction": Adapter(_prepare_flat, _answer(_array)),
    "fill-mask": _TEXT_TO_RECORDS,
    "image-classification": _FILE_TO_RECORDS,
    "image-segmentation": Adapter(_prepare_file, _answer(_segments)),
    "image-to-image": Adapter(_prepare_image_of_file, _parse_image),
    "image-to-text": _FILE_TO_RECORD,
    "object-detection": _FILE_TO_RECORDS,
    "question-answering": Adapter(_prepare_text, _answer(_one_or_many)),
    "sentence-similarity": Adapter(_prepare_text, _answer(_values)),
    "summarization": _TEXT_TO_RECORD,
    "table-question-answering": _TEXT_TO_RECORD,
    "tabular-classification": Adapter(_prepare_table, _answer(_values)),
    "tabular-regression": Adapter(_prepare_table, _answer(_values)),
    "text-classification": Adapter(_prepare_text, _answer(_many_of_one_text)),
    "text-generation": Adapter(_prepare_generation, _parse_generation, refused=_without_unused),
    "text-to-image": Adapter(_prepare_image_of_text, _parse_image),
    "text-to-speech": Adapter(_prepare_text, _parse_file),
    "token-classification": _TEXT_TO_RECORDS,
    "translation": _TEXT_TO_RECORD,
    "visual-question-answering": Adapter(_prepare_image_question, _answer(_many)),
    "zero-shot-classification": Adapter(_prepare_text, _answer(_labels)),
    "zero-shot-image-classification": _FILE_TO_RECORDS,
}
"""Tasks that an Inference Endpoint answers at its own address in the same way."""

PROVIDER = Provider(
    "hf-inference",
    "https://router.huggingface.co/hf-inference",
    {"conversational": Adapter(_prepare_chat, parse_chat), **TASKS},
    _checked_model,
    needs_key=False,
)
