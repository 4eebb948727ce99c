"""Every task as a builder: where each argument ends up, what can't work is said at once, and the methods of both clients."""

from __future__ import annotations

import inspect
import re
import sys
from typing import Any

import pytest

from tiny_agents import AsyncInferenceClient, InferenceClient, MissingDependencyError, UsageError
from tiny_agents.inference.call import Call
from tiny_agents.inference.media import Content
from tiny_agents.inference.tasks import audio, chat, tabular, text, vision

IMAGE = b"\x89PNG\r\n\x1a\nand so on"
TABLE = {"city": ["Rome"]}

# Builder, its inputs as they are given, and as the call has them.
INPUTS: dict[str, tuple[Any, tuple[Any, ...], Any]] = {
    "audio_classification": (audio.audio_classification, (IMAGE,), IMAGE),
    "audio_to_audio": (audio.audio_to_audio, (IMAGE,), IMAGE),
    "automatic_speech_recognition": (audio.automatic_speech_recognition, (IMAGE,), IMAGE),
    "document_question_answering": (
        vision.document_question_answering,
        (IMAGE, "Total?"),
        {"image": IMAGE, "question": "Total?"},
    ),
    "feature_extraction": (text.feature_extraction, ("hello",), "hello"),
    "fill_mask": (text.fill_mask, ("a [MASK]",), "a [MASK]"),
    "image_classification": (vision.image_classification, (IMAGE,), IMAGE),
    "image_segmentation": (vision.image_segmentation, (IMAGE,), IMAGE),
    "image_to_image": (vision.image_to_image, (IMAGE,), IMAGE),
    "image_to_text": (vision.image_to_text, (IMAGE,), IMAGE),
    "image_to_video": (vision.image_to_video, (IMAGE,), IMAGE),
    "object_detection": (vision.object_detection, (IMAGE,), IMAGE),
    "question_answering": (text.question_answering, ("Who?", "Ann."), {"question": "Who?", "context": "Ann."}),
    "sentence_similarity": (
        text.sentence_similarity,
        ("a", ("b", "c")),
        {"source_sentence": "a", "sentences": ["b", "c"]},
    ),
    "summarization": (text.summarization, ("long",), "long"),
    "table_question_answering": (
        tabular.table_question_answering,
        (TABLE, "Which?"),
        {"table": TABLE, "query": "Which?"},
    ),
    "tabular_classification": (tabular.tabular_classification, (TABLE,), {"table": TABLE}),
    "tabular_regression": (tabular.tabular_regression, (TABLE,), {"table": TABLE}),
    "text_classification": (text.text_classification, ("good",), "good"),
    "text_generation": (text.text_generation, ("Once",), "Once"),
    "text_to_image": (vision.text_to_image, ("a horse",), "a horse"),
    "text_to_speech": (audio.text_to_speech, ("hello",), "hello"),
    "text_to_video": (vision.text_to_video, ("a cat",), "a cat"),
    "token_classification": (text.token_classification, ("Sarah",), "Sarah"),
    "translation": (text.translation, ("Hello",), "Hello"),
    "visual_question_answering": (
        vision.visual_question_answering,
        (IMAGE, "What?"),
        {"image": IMAGE, "question": "What?"},
    ),
    "zero_shot_classification": (text.zero_shot_classification, ("refund", ["a", "b"]), "refund"),
    "zero_shot_image_classification": (vision.zero_shot_image_classification, (IMAGE, ["a", "b"]), IMAGE),
}
TASKS = [*INPUTS, "chat_completion"]
BUILDERS = {name: builder for name, (builder, _, _) in INPUTS.items()} | {"chat_completion": chat.chat_completion}

# What goes along with an argument that can't be given alone.
TOGETHER: dict[tuple[str, str], dict[str, Any]] = {
    ("translation", "src_lang"): {"tgt_lang": "fr"},
    ("translation", "tgt_lang"): {"src_lang": "en"},
    ("text_generation", "decoder_input_details"): {"details": True},
}
# Values for arguments that aren't handed on as they are.
VALUES: dict[tuple[str, str], Any] = {("text_generation", "details"): True, ("text_generation", "stream"): True}


def plain(inputs: Any) -> Any:
    """Inputs with what stands for binary ones put in its place."""
    if isinstance(inputs, dict):
        return {name: plain(value) for name, value in inputs.items()}
    return inputs.source if isinstance(inputs, Content) else inputs


def options(builder: Any) -> list[str]:
    """Arguments of a builder that may be left out."""
    parameters = inspect.signature(builder).parameters.values()
    return [p.name for p in parameters if p.default is not p.empty]


CASES = [(task, option) for task, (builder, _, _) in INPUTS.items() for option in options(builder)]


@pytest.mark.parametrize("task", INPUTS)
def test_the_call_names_its_task_and_holds_its_inputs(task: str) -> None:
    builder, given, inputs = INPUTS[task]
    call: Call[Any] = builder(*given)
    assert call.task == task.replace("_", "-")
    assert plain(call.inputs) == inputs
    assert call.model is None
    assert None not in call.parameters.values()


@pytest.mark.parametrize(("task", "option"), CASES)
def test_each_argument_ends_up_under_its_own_name(task: str, option: str) -> None:
    builder, given, _ = INPUTS[task]
    value = VALUES.get((task, option), object())
    if option == "extra_body":
        call = builder(*given, extra_body={"voice": value, "left_out": None})
        assert call.parameters["voice"] is value
        assert "left_out" not in call.parameters
        return
    call = builder(*given, **{option: value}, **TOGETHER.get((task, option), {}))
    assert (call.model if option == "model" else call.parameters[option]) is value


@pytest.mark.parametrize("builder", [vision.image_to_image, vision.image_to_video])
def test_a_provider_s_own_parameters_can_be_given_by_name(builder: Any) -> None:
    assert builder(IMAGE, prompt="p", strength=0.6, other=None).parameters == {"prompt": "p", "strength": 0.6}


def test_labels_are_parameters() -> None:
    assert text.zero_shot_classification("x", ("a", "b")).parameters == {
        "candidate_labels": ["a", "b"],
        "multi_label": False,
    }
    call = vision.zero_shot_image_classification(IMAGE, iter(["a", "b"]))
    assert call.parameters == {"candidate_labels": ["a", "b"]}


def test_text_generation_says_what_it_does_not_want() -> None:
    expected = {"details": False, "do_sample": False, "return_full_text": False, "stop": [], "stream": False}
    assert text.text_generation("x").parameters == expected
    assert text.text_generation("x", details=None, stream=None).parameters == expected
    with pytest.warns(UserWarning, match="needs details=True"):
        assert text.text_generation("x", decoder_input_details=True).parameters["decoder_input_details"] is False


@pytest.mark.parametrize(
    ("build", "says"),
    [
        (lambda: text.translation("x", src_lang="en"), "both src_lang and tgt_lang"),
        (lambda: text.translation("x", tgt_lang="fr"), "both src_lang and tgt_lang"),
        (lambda: text.sentence_similarity("a", "b"), "other_sentences: a list of texts is needed, got the text 'b'"),
        (lambda: text.zero_shot_classification("a", "b"), "candidate_labels: a list of texts"),
        (lambda: vision.zero_shot_image_classification(IMAGE, ["one"]), "at least two labels"),
        (lambda: vision.image_classification(None), "image: bytes, an open file, .* got NoneType"),  # type: ignore[arg-type]
        (lambda: audio.audio_to_audio(3), "audio: bytes, .* got int"),  # type: ignore[arg-type]
    ],
)
def test_what_can_not_work_is_said_at_once(build: Any, says: str) -> None:
    with pytest.raises(UsageError, match=says):
        build()


@pytest.mark.parametrize(
    ("package", "extra", "build"),
    [
        ("PIL.Image", "images", lambda: vision.text_to_image("x")),
        ("PIL.Image", "images", lambda: vision.image_to_image(IMAGE)),
        ("PIL.Image", "images", lambda: vision.image_segmentation(IMAGE)),
        ("numpy", "numpy", lambda: text.feature_extraction("x")),
    ],
)
def test_an_absent_package_is_named_before_anything_is_paid_for(
    package: str, extra: str, build: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, package, None)  # what Python does for a package that must not be imported
    with pytest.raises(MissingDependencyError, match=re.escape(f"pip install 'tiny-agents[{extra}]'")) as caught:
        build()
    assert caught.value.extra == extra


# ---------------------------------------------------------------- on the clients


def described(method: Any) -> list[tuple[str, Any, Any]]:
    """Arguments of a method beside `self`: name, kind and default."""
    _, *rest = inspect.signature(method).parameters.values()
    return [(p.name, p.kind, p.default) for p in rest]


@pytest.mark.parametrize("task", TASKS)
def test_both_clients_take_the_arguments_of_the_builder(task: str) -> None:
    builder = [(p.name, p.kind, p.default) for p in inspect.signature(BUILDERS[task]).parameters.values()]
    assert described(getattr(InferenceClient, task)) == builder
    assert described(getattr(AsyncInferenceClient, task)) == builder
    assert not inspect.iscoroutinefunction(getattr(InferenceClient, task))
    assert inspect.iscoroutinefunction(getattr(AsyncInferenceClient, task))


@pytest.mark.parametrize("task", TASKS)
def test_one_docstring_says_all_of_a_task(task: str) -> None:
    doc = BUILDERS[task].__doc__ or ""
    assert getattr(InferenceClient, task).__doc__ == getattr(AsyncInferenceClient, task).__doc__ == doc
    doc = inspect.cleandoc(doc)  # Python takes the indentation away since 3.13
    for section in ("Args:", "Returns:", "Raises:", "Example:", "Source:"):
        assert f"\n{section}" in doc, section
    arguments = doc.partition("Args:")[2].partition("Returns:")[0]
    described = set(re.findall(r"^    \**(\w+): ", arguments, re.MULTILINE))
    assert described == set(inspect.signature(BUILDERS[task]).parameters)


@pytest.mark.parametrize("messages", ["hello", {"role": "user", "content": "x"}, None, ["hello"], []])
def test_what_is_no_list_of_messages_is_refused(messages: Any) -> None:
    with pytest.raises(UsageError, match="messages"):
        chat.chat_completion(messages)


def test_messages_may_come_from_any_iterable() -> None:
    message = {"role": "user", "content": "x"}
    assert chat.chat_completion(iter([message])).inputs == [message]


def test_chat_takes_every_parameter_of_openai_s_api() -> None:
    completions = pytest.importorskip("openai.resources.chat.completions").Completions
    of_the_request_itself = {"self", "extra_headers", "extra_query", "timeout"}
    replaced = {"functions", "function_call"}  # by tools and tool_choice
    theirs = set(inspect.signature(completions.create).parameters) - of_the_request_itself - replaced
    assert theirs <= set(inspect.signature(chat.chat_completion).parameters)
    for name in theirs - {"messages", "model", "stream", "response_format", "tools", "extra_body"}:
        value = object()
        assert chat.chat_completion([{"role": "user", "content": "x"}], **{name: value}).parameters[name] is value
