"""Text in, text (or numbers about it) out."""

from __future__ import annotations

from typing import Any

from tiny_agents.inference.call import Call
from tiny_agents.inference.types.tasks import SummarizationOutput, SummarizationTruncationStrategy


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
    parameters = {
        "clean_up_tokenization_spaces": clean_up_tokenization_spaces,
        "generate_parameters": generate_parameters,
        "truncation": truncation,
    }
    given = {name: value for name, value in parameters.items() if value is not None}
    return Call("summarization", text, SummarizationOutput, model=model, parameters=given)
