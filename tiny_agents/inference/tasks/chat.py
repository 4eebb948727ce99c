"""Chat: the builder behind `chat_completion` and `chat.completions.create`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

from tiny_agents.errors import UsageError
from tiny_agents.inference.call import Call
from tiny_agents.inference.encoding import Remembered
from tiny_agents.inference.structured import as_response_format
from tiny_agents.inference.types.chat import (
    ChatCompletionInputGrammarType,
    ChatCompletionInputMessage,
    ChatCompletionInputStreamOptions,
    ChatCompletionInputTool,
    ChatCompletionInputToolChoiceClass,
    ChatCompletionOutput,
)
from tiny_agents.inference.types.record import Record

Message = dict[str, Any] | ChatCompletionInputMessage
Tool = dict[str, Any] | ChatCompletionInputTool


class ChatOptions(TypedDict, total=False):
    """Arguments of `chat_completion` beside `messages` and `stream`; described there."""

    model: str | None
    frequency_penalty: float | None
    logit_bias: list[float] | Mapping[str, float] | None
    logprobs: bool | None
    max_tokens: int | None
    n: int | None
    presence_penalty: float | None
    response_format: ChatCompletionInputGrammarType | Mapping[str, Any] | type[Any] | None
    seed: int | None
    stop: str | list[str] | None
    stream_options: ChatCompletionInputStreamOptions | Mapping[str, Any] | None
    temperature: float | None
    tool_choice: ChatCompletionInputToolChoiceClass | Mapping[str, Any] | str | None
    tool_prompt: str | None
    tools: Iterable[Tool] | None
    top_logprobs: int | None
    top_p: float | None
    audio: Mapping[str, Any] | None
    max_completion_tokens: int | None
    metadata: Mapping[str, str] | None
    modalities: list[str] | None
    moderation: Mapping[str, Any] | None
    parallel_tool_calls: bool | None
    prediction: Mapping[str, Any] | None
    prompt_cache_key: str | None
    prompt_cache_options: Mapping[str, Any] | None
    prompt_cache_retention: str | None
    reasoning_effort: str | None
    safety_identifier: str | None
    service_tier: str | None
    store: bool | None
    user: str | None
    verbosity: str | None
    web_search_options: Mapping[str, Any] | None
    extra_body: Mapping[str, Any] | None


def chat_completion(
    messages: Iterable[Message | Record],
    *,
    model: str | None = None,
    stream: bool = False,
    frequency_penalty: float | None = None,
    logit_bias: list[float] | Mapping[str, float] | None = None,
    logprobs: bool | None = None,
    max_tokens: int | None = None,
    n: int | None = None,
    presence_penalty: float | None = None,
    response_format: ChatCompletionInputGrammarType | Mapping[str, Any] | type[Any] | None = None,
    seed: int | None = None,
    stop: str | list[str] | None = None,
    stream_options: ChatCompletionInputStreamOptions | Mapping[str, Any] | None = None,
    temperature: float | None = None,
    tool_choice: ChatCompletionInputToolChoiceClass | Mapping[str, Any] | str | None = None,
    tool_prompt: str | None = None,
    tools: Iterable[Tool] | None = None,
    top_logprobs: int | None = None,
    top_p: float | None = None,
    audio: Mapping[str, Any] | None = None,
    max_completion_tokens: int | None = None,
    metadata: Mapping[str, str] | None = None,
    modalities: list[str] | None = None,
    moderation: Mapping[str, Any] | None = None,
    parallel_tool_calls: bool | None = None,
    prediction: Mapping[str, Any] | None = None,
    prompt_cache_key: str | None = None,
    prompt_cache_options: Mapping[str, Any] | None = None,
    prompt_cache_retention: str | None = None,
    reasoning_effort: str | None = None,
    safety_identifier: str | None = None,
    service_tier: str | None = None,
    store: bool | None = None,
    user: str | None = None,
    verbosity: str | None = None,
    web_search_options: Mapping[str, Any] | None = None,
    extra_body: Mapping[str, Any] | None = None,
) -> Call[ChatCompletionOutput]:
    """Ask a chat model for its next message.

    Args:
        messages: The conversation, oldest first: dictionaries or `ChatCompletionInputMessage`.
        model: Id or URL for this call in place of the client's. With a client that has a URL, the name to send there.
        stream: True gives the answer in pieces as it is written: an iterator of `ChatCompletionStreamOutput` that is a
            context manager too; leave it early and the connection is closed.
        frequency_penalty: -2.0 to 2.0; positive values discourage repeating what is frequent in the text.
        logit_bias: Token id to bias, -100 to 100.
        logprobs: Whether to return log-probabilities of the output tokens.
        max_tokens: Most tokens to write.
        n: How many answers; each is paid for.
        presence_penalty: -2.0 to 2.0; positive values encourage new topics.
        response_format: Text, JSON, or JSON that fits a schema: `{"type": "json_schema", "json_schema": {...}}`, or a class
            (dataclass, msgspec struct, pydantic model) whose schema is sent: `output.parse(cls)` makes an instance.
        seed: For answers that repeat, where the model can.
        stop: Up to four texts that end the answer, or one.
        stream_options: `{"include_usage": True}` asks for the token counts in the last chunk.
        temperature: 0 to 2; 0 takes the likeliest token each time.
        tool_choice: "auto", "none", "required", or one function; a bare name means that function.
        tool_prompt: Text before the tools (text-generation-inference only).
        tools: What the model may call.
        top_logprobs: 0 to 20 likeliest tokens per position; needs `logprobs`.
        top_p: Nucleus sampling: only tokens within this probability mass are considered.
        audio: Voice and format of a spoken answer: `{"voice": "alloy", "format": "mp3"}`; needs "audio" in `modalities`.
        max_completion_tokens: Most tokens to write, those of the reasoning included; newer models want it in place of
            `max_tokens`.
        metadata: Up to 16 names and values that the provider keeps with the answer.
        modalities: Kinds of output: `["text"]`, `["text", "audio"]`.
        moderation: How OpenAI checks the conversation: `{"model": "omni-moderation-latest"}`.
        parallel_tool_calls: Whether the model may call several tools in one turn.
        prediction: Text that the answer will mostly repeat, which makes it faster: `{"type": "content", "content": ...}`.
        prompt_cache_key: Calls with the same key are more likely to find the start of their messages in a cache.
        prompt_cache_options: How that cache is used.
        prompt_cache_retention: How long it is kept: "in_memory", "24h".
        reasoning_effort: How long a reasoning model may think: "none", "minimal", "low", "medium", "high", ...
        safety_identifier: A stable, anonymous id of your user, for the provider's checks against abuse.
        service_tier: "auto", "default", "flex", "priority".
        store: Whether the provider keeps the answer.
        user: The older name of `safety_identifier`.
        verbosity: How long the answer should be: "low", "medium", "high".
        web_search_options: For models that search the web.
        extra_body: Added to the request, and wins over the parameters above; fields that are None are left out.

    Returns:
        `ChatCompletionOutput`, or the stream of chunks.

    Raises:
        InferenceTimeoutError: No data for `timeout` seconds.
        InferenceConnectionError: The server can't be reached; `IncompleteStreamError` if a stream broke off.
        ProviderError: The server answered with an error, after the retries that `max_retries` allows.
        MissingCredentialsError, UnsupportedTaskError, UsageError: Before anything is sent.

    Example:
        >>> client = InferenceClient(provider="groq", model="meta-llama/Llama-3.3-70B-Instruct")
        >>> answer = client.chat_completion([{"role": "user", "content": "What is the capital of France?"}])
        >>> answer.choices[0].message.content
        'The capital of France is Paris.'

    Source: OpenAI API reference, "Chat: create chat completion"; names and defaults as in huggingface_hub.
    """
    conversation = _conversation(messages)
    parameters = {
        "stream": stream,
        "frequency_penalty": frequency_penalty,
        "logit_bias": logit_bias,
        "logprobs": logprobs,
        "max_tokens": max_tokens,
        "n": n,
        "presence_penalty": presence_penalty,
        "response_format": as_response_format(response_format),
        "seed": seed,
        "stop": stop,
        "stream_options": stream_options,
        "temperature": temperature,
        "tool_choice": _tool_choice(tool_choice),
        "tool_prompt": tool_prompt,
        "tools": tools if tools is None or isinstance(tools, Remembered) else list(tools),
        "top_logprobs": top_logprobs,
        "top_p": top_p,
        "audio": audio,
        "max_completion_tokens": max_completion_tokens,
        "metadata": metadata,
        "modalities": modalities,
        "moderation": moderation,
        "parallel_tool_calls": parallel_tool_calls,
        "prediction": prediction,
        "prompt_cache_key": prompt_cache_key,
        "prompt_cache_options": prompt_cache_options,
        "prompt_cache_retention": prompt_cache_retention,
        "reasoning_effort": reasoning_effort,
        "safety_identifier": safety_identifier,
        "service_tier": service_tier,
        "store": store,
        "user": user,
        "verbosity": verbosity,
        "web_search_options": web_search_options,
    }
    return Call(
        "conversational",
        conversation,
        ChatCompletionOutput,
        model=model,
        parameters={name: value for name, value in parameters.items() if value is not None},
        extra=extra_body or {},
    )


def _conversation(messages: Any) -> list[Any]:
    """The messages as a list. Raises UsageError where they are something else: a text, one message, none."""
    if isinstance(messages, (str, bytes, Mapping, Record)) or not isinstance(messages, Iterable):
        raise UsageError(f"{_WANTED}; got {type(messages).__name__}.")
    conversation = messages if isinstance(messages, Remembered) else list(messages)
    if not conversation:
        raise UsageError("messages is empty: a chat needs at least one message.")
    check_messages(conversation, conversation.written.count if isinstance(conversation, Remembered) else 0)
    return conversation


def check_messages(messages: Sequence[Any], start: int = 0) -> None:
    """See that all are messages, from `start` on.

    Raises:
        UsageError: One is something else.
    """
    if set(map(type, messages[start:])) <= _USUAL:  # of thousands of messages, mostly
        return
    for index, message in enumerate(messages):
        if not isinstance(message, (Record, Mapping)):
            raise UsageError(f"{_WANTED}; messages[{index}] is {type(message).__name__}.")


_WANTED = "messages must be a list of messages such as {'role': 'user', 'content': 'Hello'}"
_USUAL = {dict, ChatCompletionInputMessage}


def _tool_choice(choice: Any) -> Any:
    if isinstance(choice, str) and choice not in ("auto", "none", "required"):
        return {"type": "function", "function": {"name": choice}}
    return choice
