"""Recordings in, labels, text or recordings out; and speech from text."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from tiny_agents.inference.call import Call
from tiny_agents.inference.media import ContentT, content
from tiny_agents.inference.tasks.parameters import given
from tiny_agents.inference.types.tasks import (
    AudioClassificationOutputElement,
    AudioClassificationOutputTransform,
    AudioToAudioOutputElement,
    AutomaticSpeechRecognitionOutput,
)


def audio_classification(
    audio: ContentT,
    *,
    model: str | None = None,
    top_k: int | None = None,
    function_to_apply: AudioClassificationOutputTransform | None = None,
) -> Call[list[AudioClassificationOutputElement]]:
    """Say what is heard in a recording: a language, a mood, a kind of sound.

    Args:
        audio: The recording: bytes, an open file, a path, or a URL.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        top_k: How many classes to return at most, the likeliest first.
        function_to_apply: What turns the model's raw outputs into scores.

    Returns:
        One `AudioClassificationOutputElement` per class: its `label`, and its `score` from 0 to 1.

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent to the model; a file that can't
            be read is an `UnreadableInputError`, one that isn't there an `InputNotFoundError`.

    Example:
        >>> client = InferenceClient(provider="hf-inference", model="superb/hubert-base-superb-er")
        >>> client.audio_classification("speech.flac")[0].label
        'hap'

    Source: Hugging Face "Inference Providers" documentation, task "Audio Classification".
    """
    return Call(
        "audio-classification",
        content(audio, "audio"),
        list[AudioClassificationOutputElement],
        model=model,
        parameters=given(top_k=top_k, function_to_apply=function_to_apply),
    )


def audio_to_audio(audio: ContentT, *, model: str | None = None) -> Call[list[AudioToAudioOutputElement]]:
    """Work on a recording: clean it, or take its voices apart.

    Args:
        audio: The recording: bytes, an open file, a path, or a URL.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.

    Returns:
        One `AudioToAudioOutputElement` per resulting recording: `blob` (the bytes of a file), its `content_type` and a
        `label`.

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent to the model; a file that can't
            be read is an `UnreadableInputError`, one that isn't there an `InputNotFoundError`.

    Example:
        >>> for number, voice in enumerate(client.audio_to_audio("two-speakers.flac")):
        ...     Path(f"voice-{number}.flac").write_bytes(voice.blob)

    Source: Hugging Face "Tasks" documentation, "Audio-to-Audio".
    """
    return Call("audio-to-audio", content(audio, "audio"), list[AudioToAudioOutputElement], model=model)


def automatic_speech_recognition(
    audio: ContentT,
    *,
    model: str | None = None,
    extra_body: Mapping[str, Any] | None = None,
) -> Call[AutomaticSpeechRecognitionOutput]:
    """Write down what is said in a recording.

    Args:
        audio: The recording: bytes, an open file, a path, or a URL.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        extra_body: Further parameters by their names at the provider: `{"return_timestamps": True}`.

    Returns:
        `AutomaticSpeechRecognitionOutput`: `text` is the transcript, `chunks` its pieces with start and end in seconds,
        where timestamps were asked for.

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent to the model; a file that can't
            be read is an `UnreadableInputError`, one that isn't there an `InputNotFoundError`.

    Example:
        >>> client = InferenceClient(provider="hf-inference", model="openai/whisper-large-v3")
        >>> client.automatic_speech_recognition("hello.flac").text
        'hello world'

    Source: Hugging Face "Inference Providers" documentation, task "Automatic Speech Recognition".
    """
    return Call(
        "automatic-speech-recognition",
        content(audio, "audio"),
        AutomaticSpeechRecognitionOutput,
        model=model,
        parameters=given(**(extra_body or {})),
    )


def text_to_speech(
    text: str,
    *,
    model: str | None = None,
    do_sample: bool | None = None,
    early_stopping: bool | Literal["never"] | None = None,
    epsilon_cutoff: float | None = None,
    eta_cutoff: float | None = None,
    max_length: int | None = None,
    max_new_tokens: int | None = None,
    min_length: int | None = None,
    min_new_tokens: int | None = None,
    num_beam_groups: int | None = None,
    num_beams: int | None = None,
    penalty_alpha: float | None = None,
    temperature: float | None = None,
    top_k: int | None = None,
    top_p: float | None = None,
    typical_p: float | None = None,
    use_cache: bool | None = None,
    extra_body: Mapping[str, Any] | None = None,
) -> Call[bytes]:
    """Read a text aloud. Everything left at None is the model's to choose.

    Args:
        text: What to say.
        model: Id on the Hub, or URL of an endpoint, for this call in place of the client's.
        do_sample: Whether tokens are drawn at random; False takes the likeliest each time.
        early_stopping: When a search over beams ends: True at once when there are enough candidates, False when better
            ones are unlikely, "never" when there can't be any.
        epsilon_cutoff: 0 to 1: only tokens likelier than this are drawn.
        eta_cutoff: 0 to 1: the same, adapted to how sure the model is.
        max_length: Most tokens, those of the text included; `max_new_tokens` wins over it.
        max_new_tokens: Most tokens to generate.
        min_length: Fewest tokens, those of the text included; `min_new_tokens` wins over it.
        min_new_tokens: Fewest tokens to generate.
        num_beam_groups: Groups that the beams are divided into, for variety.
        num_beams: Beams of the search; 1 searches none.
        penalty_alpha: Weight of the penalty on repetition in contrastive search.
        temperature: How far tokens are drawn from the likeliest; above 0.
        top_k: How many of the likeliest tokens are considered.
        top_p: Only the likeliest tokens that together have this probability are considered.
        typical_p: The same by how typical a token is.
        use_cache: Whether the model keeps what it has computed, for speed.
        extra_body: Further parameters by their names at the provider: `{"voice": "af_nicole"}`.

    Returns:
        The bytes of an audio file; which format is the provider's choice.

    Raises:
        InferenceTimeoutError, InferenceConnectionError, ProviderError, InvalidResponseError: While asking.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent.

    Example:
        >>> client = InferenceClient(provider="fal-ai", model="hexgrad/Kokoro-82M")
        >>> Path("hello.wav").write_bytes(client.text_to_speech("Hello there"))

    Source: Hugging Face "Inference Providers" documentation, task "Text to Speech"; transformers, "GenerationConfig".
    """
    parameters = given(
        do_sample=do_sample,
        early_stopping=early_stopping,
        epsilon_cutoff=epsilon_cutoff,
        eta_cutoff=eta_cutoff,
        max_length=max_length,
        max_new_tokens=max_new_tokens,
        min_length=min_length,
        min_new_tokens=min_new_tokens,
        num_beam_groups=num_beam_groups,
        num_beams=num_beams,
        penalty_alpha=penalty_alpha,
        temperature=temperature,
        top_k=top_k,
        top_p=top_p,
        typical_p=typical_p,
        use_cache=use_cache,
    )
    return Call("text-to-speech", text, bytes, model=model, parameters=parameters | given(**(extra_body or {})))
