"""Results of the tasks other than chat, under the names huggingface_hub gave them.

As in `types/chat.py`, every field of a result is optional, because servers differ in what they leave out.
Source: Hugging Face "Inference Providers" documentation, one page per task; text-generation-inference for text generation.
"""

from __future__ import annotations

from typing import Any, Literal

from tiny_agents.inference.types.record import Record

# ---------------------------------------------------------------- what is asked

AudioClassificationOutputTransform = Literal["sigmoid", "softmax", "none"]
FeatureExtractionInputTruncationDirection = Literal["left", "right", "Left", "Right"]
ImageClassificationOutputTransform = Literal["sigmoid", "softmax", "none"]
ImageSegmentationSubtask = Literal["instance", "panoptic", "semantic"]
Padding = Literal["do_not_pad", "longest", "max_length"]
SummarizationTruncationStrategy = Literal["do_not_truncate", "longest_first", "only_first", "only_second"]
TextClassificationOutputTransform = Literal["sigmoid", "softmax", "none"]
TextToSpeechEarlyStoppingEnum = Literal["never"]
TokenClassificationAggregationStrategy = Literal["none", "simple", "first", "average", "max"]
TranslationTruncationStrategy = Literal["do_not_truncate", "longest_first", "only_first", "only_second"]
TypeEnum = Literal["json", "regex", "json_schema"]


class ImageToImageTargetSize(Record):
    """Size of the image that is wanted, in pixels."""

    height: int
    width: int


class ImageToVideoTargetSize(Record):
    """Size of the video that is wanted, in pixels."""

    height: int
    width: int


class TextGenerationInputGrammarType(Record):
    """What the text has to fit: `value` is a JSON Schema for "json", a regular expression for "regex"."""

    type: TypeEnum
    value: Any


# ---------------------------------------------------------------- labels and their scores


class AudioClassificationOutputElement(Record):
    """One class of a recording; `score` is between 0 and 1."""

    label: str | None = None
    score: float | None = None


class ImageClassificationOutputElement(Record):
    """One class of an image; `score` is between 0 and 1."""

    label: str | None = None
    score: float | None = None


class TextClassificationOutputElement(Record):
    """One class of a text; `score` is between 0 and 1."""

    label: str | None = None
    score: float | None = None


class ZeroShotClassificationOutputElement(Record):
    """One of the candidate labels; `score` is between 0 and 1."""

    label: str | None = None
    score: float | None = None


class ZeroShotImageClassificationOutputElement(Record):
    """One of the candidate labels; `score` is between 0 and 1."""

    label: str | None = None
    score: float | None = None


# ---------------------------------------------------------------- audio


class AudioToAudioOutputElement(Record):
    """One of the resulting recordings: `blob` is the file's bytes, of the media type `content_type`."""

    blob: bytes | str | None = None
    content_type: str | None = None
    label: str | None = None


class AutomaticSpeechRecognitionOutputChunk(Record):
    """A piece of the transcript; `timestamp` is its start and end in seconds."""

    text: str | None = None
    timestamp: list[float | None] | None = None


class AutomaticSpeechRecognitionOutput(Record):
    """`text` is the whole transcript; `chunks` are there if timestamps were asked for."""

    text: str | None = None
    chunks: list[AutomaticSpeechRecognitionOutputChunk] | None = None


# ---------------------------------------------------------------- images


class DocumentQuestionAnsweringOutputElement(Record):
    """One answer; `start` and `end` number the words (or characters) of the document that it was taken from."""

    answer: str | None = None
    end: int | None = None
    score: float | None = None
    start: int | None = None


class ImageSegmentationOutputElement(Record):
    """One segment: `mask` is a `PIL.Image` of the input's size, bright where the segment is."""

    label: str | None = None
    mask: Any = None
    score: float | None = None


class ImageToTextOutput(Record):
    """`generated_text` is the description."""

    generated_text: Any = None
    image_to_text_output_generated_text: str | None = None


class ObjectDetectionBoundingBox(Record):
    """Edges of a box in pixels, from the upper left corner of the image."""

    xmax: int | None = None
    xmin: int | None = None
    ymax: int | None = None
    ymin: int | None = None


class ObjectDetectionOutputElement(Record):
    """One object and where it is; `score` is between 0 and 1."""

    box: ObjectDetectionBoundingBox | None = None
    label: str | None = None
    score: float | None = None


class VisualQuestionAnsweringOutputElement(Record):
    """One answer; `score` is between 0 and 1."""

    score: float | None = None
    answer: str | None = None


# ---------------------------------------------------------------- texts and tables


class FillMaskOutputElement(Record):
    """One way to fill the gap: `token_str` is what is put there, `sequence` the whole text with it."""

    score: float | None = None
    sequence: str | None = None
    token: int | None = None
    token_str: Any = None
    fill_mask_output_token_str: str | None = None


class QuestionAnsweringOutputElement(Record):
    """One answer: the characters `start` to `end` of the context."""

    answer: str | None = None
    end: int | None = None
    score: float | None = None
    start: int | None = None


class SummarizationOutput(Record):
    """`summary_text` is the shortened text."""

    summary_text: str | None = None


class TableQuestionAnsweringOutputElement(Record):
    """The answer: `coordinates` are (row, column) of the `cells` that it was taken from, both counted from 0.

    `aggregator` says how the cells were put together: "NONE", "SUM", "AVERAGE" or "COUNT".
    """

    answer: str | None = None
    cells: list[str] | None = None
    coordinates: list[list[int]] | None = None
    aggregator: str | None = None


class TokenClassificationOutputElement(Record):
    """One piece of the text: the characters `start` to `end`. `entity_group` is its kind where pieces were put together,
    `entity` where they weren't."""

    end: int | None = None
    score: float | None = None
    start: int | None = None
    word: str | None = None
    entity: str | None = None
    entity_group: str | None = None


class TranslationOutput(Record):
    """`translation_text` is the text in the other language."""

    translation_text: str | None = None


# ---------------------------------------------------------------- text generation

TextGenerationOutputFinishReason = Literal["length", "eos_token", "stop_sequence"]


class TextGenerationOutputPrefillToken(Record):
    """A token of the prompt."""

    id: int | None = None
    logprob: float | None = None
    text: str | None = None


class TextGenerationOutputToken(Record):
    """A generated token; `special` ones (end of text, ...) are not part of the text."""

    id: int | None = None
    logprob: float | None = None
    special: bool | None = None
    text: str | None = None


class TextGenerationOutputBestOfSequence(Record):
    """One of the sequences that `best_of` compared."""

    finish_reason: str | None = None
    generated_text: str | None = None
    generated_tokens: int | None = None
    prefill: list[TextGenerationOutputPrefillToken] | None = None
    tokens: list[TextGenerationOutputToken] | None = None
    seed: int | None = None
    top_tokens: list[list[TextGenerationOutputToken]] | None = None


class TextGenerationOutputDetails(Record):
    """How a text came about; `prefill` (the prompt's tokens) only with `decoder_input_details`."""

    finish_reason: str | None = None
    generated_tokens: int | None = None
    prefill: list[TextGenerationOutputPrefillToken] | None = None
    tokens: list[TextGenerationOutputToken] | None = None
    best_of_sequences: list[TextGenerationOutputBestOfSequence] | None = None
    seed: int | None = None
    top_tokens: list[list[TextGenerationOutputToken]] | None = None


class TextGenerationOutput(Record):
    """A generated text, and `details` where they were asked for and the server has them."""

    generated_text: str | None = None
    details: TextGenerationOutputDetails | None = None


class TextGenerationStreamOutputStreamDetails(Record):
    """How the text came about; `generated_tokens` and `input_length` count tokens."""

    finish_reason: str | None = None
    generated_tokens: int | None = None
    input_length: int | None = None
    seed: int | None = None


class TextGenerationStreamOutputToken(Record):
    """A generated token; `special` ones (end of text, ...) are not part of the text."""

    id: int | None = None
    logprob: float | None = None
    special: bool | None = None
    text: str | None = None


class TextGenerationStreamOutput(Record):
    """One step of a streamed text: `token.text` is what it adds.

    `generated_text` (the whole text) and `details` come with the last step.
    """

    index: int | None = None
    token: TextGenerationStreamOutputToken | None = None
    details: TextGenerationStreamOutputStreamDetails | None = None
    generated_text: str | None = None
    top_tokens: list[TextGenerationStreamOutputToken] | None = None
