"""Tasks beside chat in the forms that OpenAI gave them: completions, embeddings, images, speech.

Source: OpenAI API reference, "Completions", "Embeddings", "Images" and "Audio"; several providers took them over.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tiny_agents._lazy import require
from tiny_agents.inference.call import Call, Response, Route
from tiny_agents.inference.providers.answers import Answer, file_in, image_at, image_in_base64, read
from tiny_agents.inference.providers.asking import IMAGE, Body, options_of, post
from tiny_agents.inference.providers.provider import Adapter
from tiny_agents.inference.types.record import parse
from tiny_agents.inference.types.tasks import TextGenerationOutput

# ---------------------------------------------------------------- text generation


def completions(path: str, *, max_tokens: bool = False, spare: bool = False) -> Adapter:
    """Text generation.

    Args:
        max_tokens: The provider knows `max_new_tokens` by that name.
        spare: It is not told of options that are off, or empty.
    """

    def body(call: Call[Any], route: Route) -> dict[str, Any]:
        options = options_of(call)
        if spare:
            options = {name: value for name, value in options.items() if value is not False and value != []}
        if max_tokens:
            options["max_tokens"] = options.pop("max_new_tokens", None)
        return {"prompt": call.inputs, **options, "model": route.model}

    return Adapter(post(path, body), parse_completion)


def parse_completion(call: Call[Any], route: Route, response: Response) -> Any:
    answer = read(route, response)
    return generated(call, answer, answer.need(str, "choices", 0, "text"))


def generated(call: Call[Any], answer: Answer, text: str) -> Any:
    """The text, or with `details=True` the text and what the provider says about it."""
    if not call.parameters.get("details"):
        return text
    details = {name: answer.get("choices", 0, name) for name in ("finish_reason", "seed")}
    return parse(TextGenerationOutput, {"generated_text": text, "details": details})


# ---------------------------------------------------------------- embeddings


def embeddings(path: str, *, with_options: bool = True) -> Adapter:
    """Feature extraction. `with_options` says whether the provider takes more than the text."""

    def body(call: Call[Any], route: Route) -> dict[str, Any]:
        return {"input": call.inputs, **(options_of(call) if with_options else {}), "model": route.model}

    return Adapter(post(path, body), parse_embeddings)


def parse_embeddings(call: Call[Any], route: Route, response: Response) -> Any:
    """An array with a row per text."""
    answer = read(route, response)
    rows = [answer.need(list, "data", index, "embedding") for index in range(len(answer.need(list, "data")))]
    numpy = require("numpy", extra="numpy", purpose="feature_extraction")
    try:
        return numpy.array(rows, dtype="float32")
    except (TypeError, ValueError) as error:
        raise answer.odd("with rows that are no numbers, or not equally long") from error


# ---------------------------------------------------------------- images


def images(path: str, body: Body) -> Adapter:
    """Images from a text (or from an image); the answer holds the image itself, or its address."""
    return Adapter(post(path, body, headers=IMAGE), parse_image, takes_urls=True)


def parse_image(call: Call[Any], route: Route, response: Response) -> Any:
    answer = read(route, response)
    if isinstance(answer.get("data", 0, "url"), str):
        return image_at(answer, "data", 0, "url")
    return image_in_base64(answer, "data", 0, "b64_json")


def sized(options: Mapping[str, Any]) -> dict[str, Any]:
    """`width` and `height` as one `size`, where both are given: `"96x64"`."""
    rest = {name: value for name, value in options.items() if name not in ("width", "height")}
    if {"width", "height"} <= options.keys():
        return {"size": f"{options['width']}x{options['height']}", **rest}
    return dict(options)


# ---------------------------------------------------------------- speech


def speech(path: str) -> Adapter:
    """Speech from a text; the answer is the recording. Which `voice` there is depends on the model."""

    def body(call: Call[Any], route: Route) -> dict[str, Any]:
        return {"input": call.inputs, **options_of(call), "model": route.model}

    return Adapter(post(path, body), parse_recording)


def parse_recording(call: Call[Any], route: Route, response: Response) -> bytes:
    return file_in(route, response)
