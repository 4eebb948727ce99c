"""Text in, text (or labels, numbers, pieces of it) out."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, Literal, TypedDict

from tiny_agents._lazy import require
from tiny_agents.errors import UsageError
from tiny_agents.inference.call import Call
from tiny_agents.inference.tasks.parameters import given, texts
from tiny_agents.inference.types.tasks import (
    FeatureExtractionInputTruncationDirection,
    FillMaskOutputElement,
    QuestionAnsweringOutputElement,
    SummarizationOutput,
    SummarizationTruncationStrategy,
    TextClassificationOutputElement,
    TextClassificationOutputTransform,
    TextGenerationInputGrammarType,
    TextGenerationOutput,
    TokenClassificationAggregationStrategy,
    TokenClassificationOutputElement,
    TranslationOutput,
    TranslationTruncationStrategy,
    ZeroShotClassificationOutputElement,
)

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray


def feature_extraction(
    text: str | list[str],
    *,
    normalize: bool | None = None,
    prompt_name: str | None = None,
    truncate: bool | None = None,
    truncation_direction: FeatureExtractionInputTruncationDirection | None = None,
    dimensions: int | None = None,
    encoding_format: Literal["float", "base64"] | None = None,
    model: str | None = None,
) -> Call[NDArray[numpy.float32]]:
    """Turn text into numbers that say what it is about (an embedding).

    Args:
        text: One text, or several.
        normalize: Whether vectors are scaled to length 1.
        prompt_name: Which of the model's prompts is put before the text: "query", "passage", ...
        truncate: Whether a text that is too long for the model is cut.
        truncation_direction: Which end is cut off: "left" or "right".
        dimensions: Length of the vectors, where the model can shorten them.
        encoding_format: How the provider sends the numbers; the result is the same.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.

    Returns:
        A numpy array of float32. A row per text where the model gives one vector for each: shape (texts, dimensions).
        Some servers send a single text's vector without the first axis, and models that don't combine their tokens have
        one more: (texts, tokens, dimensions).

    Raises:
        MissingDependencyError: numpy isn't installed (extra `numpy`).
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent.

    Example:
        >>> client = InferenceClient(provider="hf-inference", model="intfloat/multilingual-e5-large")
        >>> client.feature_extraction(["Hello", "Bonjour"]).shape
        (2, 1024)

    Source: Hugging Face "Inference Providers" documentation, task "Feature Extraction".
    """
    numpy = require("numpy", extra="numpy", purpose="feature_extraction")
    return Call(
        "feature-extraction",
        text,
        numpy.ndarray,
        model=model,
        parameters=given(
            normalize=normalize,
            prompt_name=prompt_name,
            truncate=truncate,
            truncation_direction=truncation_direction,
            dimensions=dimensions,
            encoding_format=encoding_format,
        ),
    )


def fill_mask(
    text: str, *, model: str | None = None, targets: list[str] | None = None, top_k: int | None = None
) -> Call[list[FillMaskOutputElement]]:
    """Fill the gap in a text.

    Args:
        text: A text with the model's mask token in it, often "[MASK]" or "<mask>".
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        targets: Words to choose from, in place of all that the model knows.
        top_k: How many ways to return at most, the likeliest first.

    Returns:
        One `FillMaskOutputElement` per way: `token_str` (what is put in), `sequence` (the whole text), `score` from 0 to 1.
        A list of such lists for a text with several gaps.

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent.

    Example:
        >>> client = InferenceClient(provider="hf-inference", model="google-bert/bert-base-uncased")
        >>> client.fill_mask("The goal of life is [MASK].")[0].token_str
        'life'

    Source: Hugging Face "Inference Providers" documentation, task "Fill-mask".
    """
    return Call(
        "fill-mask",
        text,
        list[FillMaskOutputElement],
        model=model,
        parameters=given(targets=targets, top_k=top_k),
    )


def question_answering(
    question: str,
    context: str,
    *,
    model: str | None = None,
    align_to_words: bool | None = None,
    doc_stride: int | None = None,
    handle_impossible_answer: bool | None = None,
    max_answer_len: int | None = None,
    max_question_len: int | None = None,
    max_seq_len: int | None = None,
    top_k: int | None = None,
) -> Call[QuestionAnsweringOutputElement | list[QuestionAnsweringOutputElement]]:
    """Find the answer to a question in a text.

    Args:
        question: The question.
        context: The text that holds the answer.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        align_to_words: Whether answers begin and end with whole words; turn it off for languages without spaces.
        doc_stride: Tokens by which the pieces of a long text overlap.
        handle_impossible_answer: Whether "there is no answer" may be the answer.
        max_answer_len: Most tokens of an answer.
        max_question_len: Most tokens of the question; more are cut off.
        max_seq_len: Most tokens of question and one piece of the text together.
        top_k: How many answers to return at most, the likeliest first.

    Returns:
        `QuestionAnsweringOutputElement`: `answer`, `score` from 0 to 1, and its place in the text in characters (`start`,
        `end`). A list of them if the server sends several.

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent.

    Example:
        >>> client = InferenceClient(provider="hf-inference", model="deepset/roberta-base-squad2")
        >>> client.question_answering("What's my name?", "My name is Clara and I live in Berkeley.").answer
        'Clara'

    Source: Hugging Face "Inference Providers" documentation, task "Question Answering".
    """
    parameters = given(
        align_to_words=align_to_words,
        doc_stride=doc_stride,
        handle_impossible_answer=handle_impossible_answer,
        max_answer_len=max_answer_len,
        max_question_len=max_question_len,
        max_seq_len=max_seq_len,
        top_k=top_k,
    )
    # What a call's `output` names is what one result is; this task alone may have one or several.
    output: Any = QuestionAnsweringOutputElement
    return Call(
        "question-answering", {"question": question, "context": context}, output, model=model, parameters=parameters
    )


def sentence_similarity(
    sentence: str, other_sentences: Iterable[str], *, model: str | None = None
) -> Call[list[float]]:
    """Say how close the meaning of a sentence is to that of others.

    Args:
        sentence: The sentence that the others are compared with.
        other_sentences: The others.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.

    Returns:
        A number for each of the others, in their order: 1 means the same, 0 nothing in common.

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent.

    Example:
        >>> client = InferenceClient(provider="hf-inference", model="sentence-transformers/all-MiniLM-L6-v2")
        >>> client.sentence_similarity("Machine learning is easy.", ["Deep learning is simple.", "It rains."])
        [0.77, 0.04]

    Source: Hugging Face "Tasks" documentation, "Sentence Similarity".
    """
    inputs = {"source_sentence": sentence, "sentences": texts(other_sentences, "other_sentences")}
    return Call("sentence-similarity", inputs, list[float], model=model)


def summarization(
    text: str,
    *,
    model: str | None = None,
    clean_up_tokenization_spaces: bool | None = None,
    generate_parameters: dict[str, Any] | None = None,
    truncation: SummarizationTruncationStrategy | None = None,
) -> Call[SummarizationOutput]:
    """Shorten a text.

    Args:
        text: What to shorten.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        clean_up_tokenization_spaces: Whether superfluous spaces are taken out of the result.
        generate_parameters: Options of text generation, by their names there: `{"max_length": 30}`.
        truncation: What to do with a text that is longer than the model takes.

    Returns:
        `SummarizationOutput`; `summary_text` is the short text.

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent.

    Example:
        >>> client = InferenceClient(provider="hf-inference", model="facebook/bart-large-cnn")
        >>> client.summarization("The Eiffel Tower is ...").summary_text

    Source: Hugging Face "Inference Providers" documentation, task "Summarization".
    """
    parameters = given(
        clean_up_tokenization_spaces=clean_up_tokenization_spaces,
        generate_parameters=generate_parameters,
        truncation=truncation,
    )
    return Call("summarization", text, SummarizationOutput, model=model, parameters=parameters)


def text_classification(
    text: str,
    *,
    model: str | None = None,
    top_k: int | None = None,
    function_to_apply: TextClassificationOutputTransform | None = None,
) -> Call[list[TextClassificationOutputElement]]:
    """Say to which class a text belongs: a mood, a topic, a language.

    Args:
        text: What to classify.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        top_k: How many classes to return at most, the likeliest first.
        function_to_apply: What turns the model's raw outputs into scores.

    Returns:
        One `TextClassificationOutputElement` per class: its `label`, and its `score` from 0 to 1.

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent.

    Example:
        >>> model = "distilbert/distilbert-base-uncased-finetuned-sst-2-english"
        >>> client = InferenceClient(provider="hf-inference", model=model)
        >>> client.text_classification("I like it")[0].label
        'POSITIVE'

    Source: Hugging Face "Inference Providers" documentation, task "Text Classification".
    """
    return Call(
        "text-classification",
        text,
        list[TextClassificationOutputElement],
        model=model,
        parameters=given(top_k=top_k, function_to_apply=function_to_apply),
    )


class TextGenerationOptions(TypedDict, total=False):
    """Arguments of `text_generation` beside `prompt`, `details` and `stream`; described there."""

    model: str | None
    adapter_id: str | None
    best_of: int | None
    decoder_input_details: bool | None
    do_sample: bool | None
    frequency_penalty: float | None
    grammar: TextGenerationInputGrammarType | Mapping[str, Any] | None
    max_new_tokens: int | None
    repetition_penalty: float | None
    return_full_text: bool | None
    seed: int | None
    stop: list[str] | None
    temperature: float | None
    top_k: int | None
    top_n_tokens: int | None
    top_p: float | None
    truncate: int | None
    typical_p: float | None
    watermark: bool | None


def text_generation(
    prompt: str,
    *,
    details: bool | None = False,
    stream: bool | None = False,
    model: str | None = None,
    adapter_id: str | None = None,
    best_of: int | None = None,
    decoder_input_details: bool | None = None,
    do_sample: bool | None = False,
    frequency_penalty: float | None = None,
    grammar: TextGenerationInputGrammarType | Mapping[str, Any] | None = None,
    max_new_tokens: int | None = None,
    repetition_penalty: float | None = None,
    return_full_text: bool | None = False,
    seed: int | None = None,
    stop: list[str] | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_n_tokens: int | None = None,
    top_p: float | None = None,
    truncate: int | None = None,
    typical_p: float | None = None,
    watermark: bool | None = None,
) -> Call[Any]:
    """Continue a text. For conversations there is `chat_completion`.

    Args:
        prompt: The text to continue.
        details: True returns tokens, probabilities and why the text ended beside the text.
        stream: True gives the text in pieces as it is written: an iterator that is a context manager too; leave it early
            and the connection is closed.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        adapter_id: Id of the LoRA weights to use, where the server has several.
        best_of: Write so many texts and return the likeliest; each is paid for.
        decoder_input_details: Whether the details say something of the prompt's tokens too; needs `details`.
        do_sample: Whether tokens are drawn at random; False takes the likeliest each time.
        frequency_penalty: -2.0 to 2.0; positive values discourage repeating what is frequent in the text.
        grammar: What the text has to fit: `{"type": "json", "value": schema}` or `{"type": "regex", "value": expression}`.
        max_new_tokens: Most tokens to write.
        repetition_penalty: 1.0 is no penalty on repetition; more is more.
        return_full_text: Whether the result begins with the prompt.
        seed: For texts that repeat, where the model can.
        stop: Texts that end the result.
        temperature: How far tokens are drawn from the likeliest; above 0.
        top_k: How many of the likeliest tokens are considered.
        top_n_tokens: How many of the likeliest tokens at each place are returned in the details.
        top_p: Only the likeliest tokens that together have this probability are considered.
        truncate: Most tokens of the prompt; the beginning is cut off.
        typical_p: Only tokens that together have this probability are considered, the most typical first.
        watermark: Whether the text is marked as machine-made (in its choice of words).

    Returns:
        The text; with `details`, a `TextGenerationOutput`. With `stream`, the pieces of the text; with both,
        `TextGenerationStreamOutput` for each token.

    Raises:
        InferenceTimeoutError: No data for `timeout` seconds.
        InferenceConnectionError: The server can't be reached; `IncompleteStreamError` if a stream broke off.
        ProviderError: The server answered with an error, after the retries that `max_retries` allows.
        InvalidResponseError: It answered with something that is no text.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent.

    Example:
        >>> client = InferenceClient(base_url="http://localhost:8080")  # text-generation-inference
        >>> for piece in client.text_generation("The sea is", max_new_tokens=12, stream=True):
        ...     print(piece, end="")

    Source: text-generation-inference, "Messages and generate API"; names and defaults as in huggingface_hub.
    """
    if decoder_input_details and not details:
        warnings.warn("decoder_input_details needs details=True; it is left out.", stacklevel=3)
        decoder_input_details = False
    parameters = given(
        adapter_id=adapter_id,
        best_of=best_of,
        decoder_input_details=decoder_input_details,
        details=bool(details),
        do_sample=do_sample,
        frequency_penalty=frequency_penalty,
        grammar=grammar,
        max_new_tokens=max_new_tokens,
        repetition_penalty=repetition_penalty,
        return_full_text=return_full_text,
        seed=seed,
        stop=stop or [],
        stream=bool(stream),
        temperature=temperature,
        top_k=top_k,
        top_n_tokens=top_n_tokens,
        top_p=top_p,
        truncate=truncate,
        typical_p=typical_p,
        watermark=watermark,
    )
    output = TextGenerationOutput if details else str
    return Call("text-generation", prompt, output, model=model, parameters=parameters)


def token_classification(
    text: str,
    *,
    model: str | None = None,
    aggregation_strategy: TokenClassificationAggregationStrategy | None = None,
    ignore_labels: list[str] | None = None,
    stride: int | None = None,
) -> Call[list[TokenClassificationOutputElement]]:
    """Find names, places, dates or parts of speech in a text.

    Args:
        text: The text to look through.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        aggregation_strategy: How tokens are put together to words and names; "none" returns single tokens.
        ignore_labels: Kinds to leave out.
        stride: Tokens by which the pieces of a long text overlap.

    Returns:
        One `TokenClassificationOutputElement` per find: the `word`, its kind (`entity_group`, or `entity` for single
        tokens), `score` from 0 to 1, and its place in characters (`start`, `end`).

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent.

    Example:
        >>> client = InferenceClient(provider="hf-inference", model="dslim/bert-base-NER")
        >>> [(find.word, find.entity_group) for find in client.token_classification("My name is Sarah")]
        [('Sarah', 'PER')]

    Source: Hugging Face "Inference Providers" documentation, task "Token Classification".
    """
    return Call(
        "token-classification",
        text,
        list[TokenClassificationOutputElement],
        model=model,
        parameters=given(aggregation_strategy=aggregation_strategy, ignore_labels=ignore_labels, stride=stride),
    )


def translation(
    text: str,
    *,
    model: str | None = None,
    src_lang: str | None = None,
    tgt_lang: str | None = None,
    clean_up_tokenization_spaces: bool | None = None,
    truncation: TranslationTruncationStrategy | None = None,
    generate_parameters: dict[str, Any] | None = None,
) -> Call[TranslationOutput]:
    """Translate a text.

    Args:
        text: What to translate.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        src_lang: Language of the text, by the model's own name for it ("en_XX"); needed by models that know several.
        tgt_lang: Language to translate into; given together with `src_lang` or not at all.
        clean_up_tokenization_spaces: Whether superfluous spaces are taken out of the result.
        truncation: What to do with a text that is longer than the model takes.
        generate_parameters: Options of text generation, by their names there: `{"num_beams": 2}`.

    Returns:
        `TranslationOutput`; `translation_text` is the translation.

    Raises:
        UsageError: Only one of the two languages is given.
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError: Before anything is sent.

    Example:
        >>> client = InferenceClient(provider="hf-inference", model="Helsinki-NLP/opus-mt-en-fr")
        >>> client.translation("Hello").translation_text
        'Bonjour'

    Source: Hugging Face "Inference Providers" documentation, task "Translation".
    """
    if (src_lang is None) != (tgt_lang is None):
        raise UsageError("translation: give both src_lang and tgt_lang, or neither.")
    parameters = given(
        src_lang=src_lang,
        tgt_lang=tgt_lang,
        clean_up_tokenization_spaces=clean_up_tokenization_spaces,
        truncation=truncation,
        generate_parameters=generate_parameters,
    )
    return Call("translation", text, TranslationOutput, model=model, parameters=parameters)


def zero_shot_classification(
    text: str,
    candidate_labels: Iterable[str],
    *,
    multi_label: bool | None = False,
    hypothesis_template: str | None = None,
    model: str | None = None,
) -> Call[list[ZeroShotClassificationOutputElement]]:
    """Say which of the given labels fits a text.

    Args:
        text: What to classify.
        candidate_labels: The labels to choose from.
        multi_label: Whether several may fit: scores are then independent, otherwise they add up to 1.
        hypothesis_template: Sentence that a label is put into: "This text is about {}."
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.

    Returns:
        One `ZeroShotClassificationOutputElement` per label, the likeliest first: `label`, and `score` from 0 to 1.

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent.

    Example:
        >>> client = InferenceClient(provider="hf-inference", model="facebook/bart-large-mnli")
        >>> client.zero_shot_classification("I want a refund", ["refund", "legal", "faq"])[0].label
        'refund'

    Source: Hugging Face "Inference Providers" documentation, task "Zero Shot Classification".
    """
    return Call(
        "zero-shot-classification",
        text,
        list[ZeroShotClassificationOutputElement],
        model=model,
        parameters=given(
            candidate_labels=texts(candidate_labels, "candidate_labels"),
            multi_label=multi_label,
            hypothesis_template=hypothesis_template,
        ),
    )
