"""hf-inference and endpoints: what is sent for each kind of task, and what becomes of each kind of answer."""

from __future__ import annotations

import base64
import io
from typing import Any

import msgspec
import pytest
from PIL import Image

from tiny_agents import InvalidResponseError, ProviderError, UnsupportedTaskError, UsageError
from tiny_agents.inference.call import Ask, Call, Request, Response, Route
from tiny_agents.inference.media import fetched, read
from tiny_agents.inference.providers.hf_inference import PROVIDER, TASKS
from tiny_agents.inference.providers.provider import LookUp
from tiny_agents.inference.tasks import audio, tabular, text, vision
from tiny_agents.inference.types.record import to_builtins

KEY = "hf_secret0123456789"
ROUTE = Route("hf-inference", "https://router.huggingface.co/hf-inference", "acme/m", KEY, headers={"x-mine": "1"})
ENDPOINT = Route("endpoint", "https://e.example/run", None, None, is_endpoint=True)
BASE = "https://router.huggingface.co/hf-inference/models/acme/m"


def _png() -> bytes:
    buffer = io.BytesIO()
    Image.new("L", (3, 2), 255).save(buffer, format="PNG")
    return buffer.getvalue()


PNG = _png()
PNG64 = base64.b64encode(PNG).decode()
FLAC = b"fLaC and so on"
TABLE = {"city": ["Rome", "Oslo"]}


def request_for(call: Call[Any], route: Route = ROUTE) -> Request:
    ready = fetched(read(call), keep_urls=False)
    assert isinstance(ready, Call)
    return TASKS[call.task].prepare(ready, route)


def result_of(call: Call[Any], answer: Any, kind: str = "application/json") -> Any:
    body = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
    return TASKS[call.task].parse(call, ROUTE, Response(200, {"content-type": kind}, body, BASE))


# ---------------------------------------------------------------- what is sent

SENT: list[tuple[Call[Any], dict[str, Any]]] = [
    (text.fill_mask("a [MASK]", top_k=2), {"inputs": "a [MASK]", "parameters": {"top_k": 2}}),
    (text.summarization("long"), {"inputs": "long", "parameters": {}}),
    (
        text.summarization("long", generate_parameters={"max_length": 3, "none": None}),
        {"inputs": "long", "parameters": {"generate_parameters": {"max_length": 3}}},
    ),
    (text.feature_extraction(["a", "b"], normalize=True), {"inputs": ["a", "b"], "normalize": True}),
    (
        text.question_answering("Who?", "Ann."),
        {"inputs": {"question": "Who?", "context": "Ann."}, "parameters": {}},
    ),
    (
        tabular.table_question_answering(TABLE, "Which?", model="x/y"),
        {"inputs": {"query": "Which?", "table": TABLE}, "parameters": {"model": "x/y"}},
    ),
    (tabular.tabular_regression(TABLE), {"inputs": None, "parameters": {}, "table": TABLE}),
    (
        vision.document_question_answering(PNG, "Total?", lang="en"),
        {"inputs": {"question": "Total?", "image": PNG64}, "parameters": {"lang": "en"}},
    ),
    (
        vision.visual_question_answering(PNG, "What?"),
        {"inputs": PNG64, "parameters": {}, "question": "What?", "image": PNG64},
    ),
    (vision.image_classification(PNG, top_k=2), {"inputs": PNG64, "parameters": {"top_k": 2}}),
    (
        vision.zero_shot_image_classification(PNG, ["a", "b"]),
        {"inputs": PNG64, "parameters": {"candidate_labels": ["a", "b"]}},
    ),
    (
        audio.automatic_speech_recognition(FLAC, extra_body={"return_timestamps": True}),
        {"inputs": base64.b64encode(FLAC).decode(), "parameters": {"return_timestamps": True}},
    ),
    (
        text.text_generation("Once", details=True, grammar={"type": "json", "value": {"default": None}}),
        {
            "inputs": "Once",
            "parameters": {
                "details": True,
                "do_sample": False,
                "return_full_text": False,
                "stop": [],
                "grammar": {"type": "json", "value": {"default": None}},
            },
            "stream": False,
        },
    ),
]


@pytest.mark.parametrize(("call", "body"), SENT)
def test_tasks_are_sent_as_json(call: Call[Any], body: dict[str, Any]) -> None:
    request = request_for(call)
    assert (request.method, request.json, request.body, request.key) == ("POST", body, None, KEY)
    assert request.headers["x-mine"] == "1"


@pytest.mark.parametrize(
    ("call", "data", "kind"),
    [
        (vision.image_to_text(PNG), PNG, "image/png"),
        (audio.audio_classification(FLAC), FLAC, "audio/flac"),
        (audio.audio_to_audio(b"what is this"), b"what is this", None),
        (vision.object_detection("data:image/webp;base64,aGk="), b"hi", "image/webp"),
    ],
)
def test_a_file_without_parameters_is_sent_as_it_is(call: Call[Any], data: bytes, kind: str | None) -> None:
    request = request_for(call)
    assert (request.json, request.body, request.headers.get("content-type")) == (None, data, kind)


def test_what_gives_an_image_asks_for_one() -> None:
    for call in (vision.text_to_image("x"), vision.image_to_image(PNG), vision.image_to_image(PNG, "p")):
        assert request_for(call).headers["accept"] == "image/png"


@pytest.mark.parametrize("task", sorted(TASKS))
def test_the_address_names_the_model_and_an_endpoint_is_asked_where_it_is(task: str) -> None:
    call: Call[Any] = next((call for call, _ in SENT if call.task == task), Call(task, "x", object))
    if "image" in task or "audio" in task or task in ("object-detection", "automatic-speech-recognition"):
        call = next((call for call, _ in SENT if call.task == task), vision.image_to_text(PNG))
        call = Call(task, call.inputs, call.output, parameters=call.parameters)
    if task == "text-to-image":
        call = vision.text_to_image("x")
    suffix = f"/pipeline/{task}" if task in ("feature-extraction", "sentence-similarity") else ""
    if task.startswith("tabular"):
        call = Call(task, {"table": TABLE}, object)
    assert request_for(call).url == BASE + suffix
    assert request_for(call, ENDPOINT).url == "https://e.example/run"


@pytest.mark.parametrize(
    ("url", "asked"), [("https://e.example", "https://e.example/"), ("http://h/x?y", "http://h/x?y")]
)
def test_an_endpoint_may_have_no_path(url: str, asked: str) -> None:
    assert request_for(text.fill_mask("x"), Route("endpoint", url, None, None, is_endpoint=True)).url == asked


# ---------------------------------------------------------------- what comes back

ONE = {"label": "cat", "score": 1}
READ: list[tuple[Call[Any], Any, Any]] = [
    (text.text_classification("x"), [[ONE, ONE]], [ONE, ONE]),
    (text.text_classification("x"), [ONE], [ONE]),
    (text.text_classification("x"), [], []),
    (vision.image_classification(PNG), ONE, [ONE]),
    (text.fill_mask("x"), [[{"token_str": "a"}], [{"token_str": "b"}]], [[{"token_str": "a"}], [{"token_str": "b"}]]),
    (text.zero_shot_classification("x", ["cat"]), {"labels": ["cat"], "scores": [1], "sequence": "x"}, [ONE]),
    (text.zero_shot_classification("x", ["cat"]), [ONE], [ONE]),
    (text.question_answering("a", "b"), {"answer": "c"}, {"answer": "c"}),
    (text.question_answering("a", "b"), [{"answer": "c"}], [{"answer": "c"}]),
    (text.translation("x"), [{"translation_text": "y"}], {"translation_text": "y"}),
    (vision.image_to_text(PNG), {"generated_text": "y", "more": 1}, {"generated_text": "y", "more": 1}),
    (text.sentence_similarity("a", ["b"]), [0.5, 1], [0.5, 1]),
    (tabular.tabular_classification(TABLE), ["5", "6"], ["5", "6"]),
    (
        vision.object_detection(PNG),
        [{"label": "a", "box": {"xmin": 1, "depth": 2}}],
        [{"label": "a", "box": {"xmin": 1, "depth": 2}}],
    ),
    (
        audio.audio_to_audio(FLAC),
        [{"blob": "aGk=", "content-type": "audio/wav", "label": "l"}],
        [{"blob": b"hi", "content_type": "audio/wav", "label": "l"}],
    ),
    (text.text_generation("x"), [{"generated_text": "y"}], "y"),
    (text.text_generation("x"), {"generated_text": ""}, ""),
    (
        text.text_generation("x", details=True),
        {"generated_text": "y", "details": {"tokens": [{"id": 1}], "top_tokens": [[{"id": 2, "rank": 3}]]}},
        {"generated_text": "y", "details": {"tokens": [{"id": 1}], "top_tokens": [[{"id": 2, "rank": 3}]]}},
    ),
]


@pytest.mark.parametrize(("call", "answer", "result"), READ)
def test_answers_become_typed_results(call: Call[Any], answer: Any, result: Any) -> None:
    assert to_builtins(result_of(call, answer)) == result


def test_results_read_like_objects_and_like_dictionaries() -> None:
    (found,) = result_of(vision.object_detection(PNG), [{"label": "a", "box": {"xmin": 1, "depth": 2}, "more": 3}])
    assert (found.label, found["label"], found.get("label")) == ("a", "a", "a")
    assert (found.box.xmin, found["box"]["depth"], found.more, found.score) == (1, 2, 3, None)


def test_embeddings_are_an_array_of_float32() -> None:
    array = result_of(text.feature_extraction("x"), [[1, 2.5], [3, 4]])
    assert (array.dtype.name, array.shape, array.tolist()) == ("float32", (2, 2), [[1, 2.5], [3, 4]])


def test_images_and_masks_are_pil_images() -> None:
    assert result_of(vision.text_to_image("x"), PNG, "image/png").size == (3, 2)
    (segment,) = result_of(vision.image_segmentation(PNG), [{"label": "a", "score": 1, "mask": PNG64}])
    assert (segment.label, segment["mask"].size) == ("a", (3, 2))


def test_speech_is_bytes() -> None:
    assert result_of(audio.text_to_speech("x"), FLAC, "audio/flac") == FLAC


@pytest.mark.parametrize(
    ("call", "answer"),
    [
        (text.fill_mask("x"), b"<html>"),
        (text.fill_mask("x"), b""),
        (text.fill_mask("x"), [1]),
        (text.fill_mask("x"), {"message": "hello"}),
        (text.translation("x"), []),
        (text.translation("x"), "y"),
        (text.sentence_similarity("a", ["b"]), {"scores": [1]}),
        (text.feature_extraction("x"), [[1], [2, 3]]),
        (text.feature_extraction("x"), [["a"]]),
        (text.text_generation("x"), [{"generated_text": None}]),
        (text.text_generation("x"), {"choices": []}),
        (audio.audio_to_audio(FLAC), [{"blob": "!", "label": "l"}]),
        (audio.text_to_speech("x"), b""),
        (vision.image_segmentation(PNG), [{"label": "a", "mask": "!"}]),
        (vision.image_segmentation(PNG), [{"label": "a", "mask": "aGk="}]),
        (vision.image_segmentation(PNG), [{"label": "a"}]),
        (vision.text_to_image("x"), b"<html>"),
        (vision.text_to_image("x"), {"error": f"loading for {KEY}"}),
        (vision.text_to_image("x"), b""),
    ],
)
def test_an_answer_that_is_no_result_is_an_error_that_shows_it(call: Call[Any], answer: Any) -> None:
    with pytest.raises(
        InvalidResponseError, match="no result of|no image|of application/json|without content"
    ) as caught:
        result_of(call, answer)
    assert KEY not in f"{caught.value} {caught.value.body}"


@pytest.mark.parametrize(
    "call",
    [text.fill_mask("x"), text.text_generation("x"), audio.text_to_speech("x"), vision.image_segmentation(PNG)],
)
def test_an_error_in_place_of_an_answer_is_the_provider_s(call: Call[Any]) -> None:
    with pytest.raises(ProviderError, match="model is broken"):
        result_of(call, {"error": "model is broken"})


# ---------------------------------------------------------------- a server that isn't text-generation-inference

REFUSAL = (
    "The following `model_kwargs` are not used by the model: ['return_full_text', 'watermark', 'stop'] (note: typos)"
)


def test_a_model_that_refuses_options_is_asked_without_them() -> None:
    call = text.text_generation("x", details=True, watermark=True, max_new_tokens=3)
    error = ProviderError("400", status=400, body='{"error": "' + REFUSAL + '"}')
    refused = TASKS["text-generation"].refused
    assert refused is not None
    first = refused(call, ROUTE, error)
    assert isinstance(first, Ask)
    assert first.request.json["parameters"]["watermark"] is True
    assert first.refused is not None
    second = first.refused(error)
    assert isinstance(second, Ask)
    expected = {"details": True, "do_sample": False, "max_new_tokens": 3}
    assert second.request.json == {"inputs": "x", "parameters": expected, "stream": False}
    assert second.refused is None
    result = second.then(Response(200, {}, b'[{"generated_text": "y"}]', BASE))
    assert result == {"generated_text": "y"}


@pytest.mark.parametrize(("status", "body"), [(400, "too long"), (500, REFUSAL)])
def test_other_errors_are_not_asked_around(status: int, body: str) -> None:
    refused = TASKS["text-generation"].refused
    assert refused is not None
    with pytest.raises(ProviderError, match="the one"):
        refused(text.text_generation("x"), ROUTE, ProviderError("the one", status=status, body=body))


# ---------------------------------------------------------------- which model


def located(task: str, info: dict[str, Any], *, model: str | None = "acme/m", tasks: Any = None) -> list[str]:
    step: Any = PROVIDER.locate(PROVIDER, LookUp(task, model, "https://hub", None))
    asked = []
    while isinstance(step, Ask):
        asked.append(step.request.url)
        answer = tasks if step.request.url.endswith("/api/tasks") else info
        step = step.then(Response(200, {}, msgspec.json.encode(answer), step.request.url))
    return [*asked, str(step.model)]


@pytest.mark.parametrize(
    ("task", "pipeline", "tags"),
    [
        ("conversational", "text-generation", []),
        ("conversational", "image-text-to-text", []),
        ("text-generation", "text-generation", []),
        ("text-generation", "text2text-generation", []),
        ("feature-extraction", "feature-extraction", []),
        ("feature-extraction", "sentence-similarity", ["feature-extraction"]),
        ("sentence-similarity", "feature-extraction", ["sentence-similarity"]),
        ("image-to-text", "image-to-text", []),
    ],
)
def test_a_model_made_for_a_task_is_taken(task: str, pipeline: str, tags: list[str]) -> None:
    assert located(task, {"pipeline_tag": pipeline, "tags": tags}) == ["https://hub/api/models/acme/m", "acme/m"]


@pytest.mark.parametrize(
    ("task", "info"),
    [
        ("conversational", {"pipeline_tag": "text2text-generation"}),
        ("text-generation", {"pipeline_tag": "image-text-to-text"}),
        ("feature-extraction", {"pipeline_tag": "sentence-similarity", "tags": None}),
        ("image-to-text", {"pipeline_tag": None}),
        ("image-to-text", {}),
    ],
)
def test_a_model_made_for_something_else_is_refused(task: str, info: dict[str, Any]) -> None:
    with pytest.raises(UnsupportedTaskError, match=f"acme/m is made for .*, not for {task}") as caught:
        located(task, info)
    assert caught.value.task == task


def test_without_a_model_the_one_that_the_hub_recommends_is_taken() -> None:
    tasks = {"fill-mask": {"widgetModels": ["best/one", "other/one"]}, "image-to-text": {"widgetModels": []}}
    assert located("fill-mask", {"pipeline_tag": "fill-mask"}, model=None, tasks=tasks) == [
        "https://hub/api/tasks",
        "https://hub/api/models/best/one",
        "best/one",
    ]
    for task in ("image-to-text", "translation"):
        with pytest.raises(UsageError, match=f"the Hub recommends none for {task}"):
            located(task, {}, model=None, tasks=tasks)
