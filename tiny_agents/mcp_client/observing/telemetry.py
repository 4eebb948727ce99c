"""OpenTelemetry: spans and metrics by the semantic conventions for generative AI, version 1.41.

    invoke_agent NAME       a run of an agent
      chat MODEL            a call of a model, with all that was tried again
      execute_tool TOOL     a call of a tool; the MCP SDK's own span of the request is inside, and what the server traces

What is written here goes nowhere unless the program sets up an SDK: then this file's tracer and meter are found through
the API, and nothing else has to be said. Before somebody has imported the API there can be no SDK, so it isn't imported
here either.

A span is never current across a `yield`: parents are handed over, and only what happens in one task (asking a model,
carrying out a call) has its span in the context. So nothing leaks into the code that iterates over a run.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from functools import cache
from typing import TYPE_CHECKING, Any

from tiny_agents.inference.types.record import to_builtins
from tiny_agents.mcp_client.observing.observing import CANCELLED, AgentRun, ModelCall, Observer, Operation, ToolCall
from tiny_agents.mcp_client.text import encodable_json, shortened_json

if TYPE_CHECKING:
    from collections.abc import Iterator

    from opentelemetry.trace import Span

CONVENTIONS = "https://opentelemetry.io/schemas/1.41.0"
CAPTURE_VARIABLE = "OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT"
PROVIDER_VARIABLES = ("OTEL_PYTHON_TRACER_PROVIDER", "OTEL_PYTHON_METER_PROVIDER")
"""With these the API finds an SDK by itself, without anybody having imported it."""

MAX_TEXT_CHARS = 32_000
"""Of each text, where what is said is recorded."""

PROVIDER_NAMES = {
    "mistral": "mistral_ai",
    "moonshot": "moonshot_ai",
    "xai": "x_ai",
    "zai-org": "z_ai",
}
"""Providers that the conventions call otherwise than we do."""

_KNOWN_HOSTS = {
    "api.openai.com": "openai",
    "api.anthropic.com": "anthropic",
    "api.groq.com": "groq",
    "api.cohere.com": "cohere",
    "api.deepseek.com": "deepseek",
    "api.mistral.ai": "mistral_ai",
    "api.perplexity.ai": "perplexity",
    "api.x.ai": "x_ai",
    "api.moonshot.ai": "moonshot_ai",
    "generativelanguage.googleapis.com": "gcp.gemini",
}

_PARAMS: Mapping[str, str] = {
    "temperature": "gen_ai.request.temperature",
    "top_p": "gen_ai.request.top_p",
    "top_k": "gen_ai.request.top_k",
    "max_tokens": "gen_ai.request.max_tokens",
    "max_completion_tokens": "gen_ai.request.max_tokens",
    "frequency_penalty": "gen_ai.request.frequency_penalty",
    "presence_penalty": "gen_ai.request.presence_penalty",
    "seed": "gen_ai.request.seed",
    "n": "gen_ai.request.choice.count",
}
_USAGE: Mapping[str, str] = {
    "input_tokens": "gen_ai.usage.input_tokens",
    "output_tokens": "gen_ai.usage.output_tokens",
    "cached_tokens": "gen_ai.usage.cache_read.input_tokens",
    "reasoning_tokens": "gen_ai.usage.reasoning.output_tokens",
}
_SECONDS = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
_TOKENS = (1, 4, 16, 64, 256, 1024, 4096, 16384, 65536, 262144, 1048576, 4194304, 16777216, 67108864)

Attributes = dict[str, Any]


def telemetry() -> Observer | None:
    """The observer that writes spans and metrics; None as long as nobody has set up an SDK."""
    if "opentelemetry.trace" not in sys.modules and not any(os.environ.get(name) for name in PROVIDER_VARIABLES):
        return None
    return _telemetry() if _goes_somewhere() else None


def _goes_somewhere() -> bool:
    """Whether somebody gave the API a provider; its own record nothing, and asking them anyway would take some time."""
    from opentelemetry import metrics, trace

    return not (_is_silent(type(trace.get_tracer_provider())) and _is_silent(type(metrics.get_meter_provider())))


@cache
def _is_silent(kind: type) -> bool:
    """Whether a provider is one of the API's own."""
    return kind.__module__.startswith(("opentelemetry.trace", "opentelemetry.metrics"))


@cache
def _telemetry() -> Observer:
    return Telemetry()


def captures_content(environ: Mapping[str, str]) -> bool:
    """Whether the environment wants what is said recorded in spans."""
    return environ.get(CAPTURE_VARIABLE, "").strip().lower() in ("true", "1", "span_only", "span_and_event")


class Telemetry(Observer):
    """Operations as spans and metrics of the SDK that the program has set up, or of none."""

    def __init__(self) -> None:
        from opentelemetry import context, metrics, trace

        from tiny_agents import __version__

        self._context, self._trace = context, trace
        self._tracer = trace.get_tracer("tiny_agents", __version__, schema_url=CONVENTIONS)
        meter = metrics.get_meter("tiny_agents", __version__, schema_url=CONVENTIONS)
        self._duration = meter.create_histogram(
            "gen_ai.client.operation.duration",
            unit="s",
            description="Duration of a call of a model.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._first_chunk = meter.create_histogram(
            "gen_ai.client.operation.time_to_first_chunk",
            unit="s",
            description="Time until a model begins to answer.",
            explicit_bucket_boundaries_advisory=_SECONDS,
        )
        self._tokens = meter.create_histogram(
            "gen_ai.client.token.usage",
            unit="{token}",
            description="Tokens that a call of a model read and wrote.",
            explicit_bucket_boundaries_advisory=_TOKENS,
        )

    def started(self, operation: Operation) -> None:
        words = _WORDS.get(type(operation))
        if words is None:
            return
        name, about, _, client = words
        kind = self._trace.SpanKind.CLIENT if client else self._trace.SpanKind.INTERNAL
        outer = None if isinstance(operation, AgentRun) else self._span_around(operation)
        context = None if outer is None else self._trace.set_span_in_context(outer)
        attributes = _some(about(operation))
        operation.kept[self] = self._tracer.start_span(name(operation), context, kind, attributes)

    def ended(self, operation: Operation) -> None:
        span: Span | None = operation.kept.pop(self, None)
        if span is None:
            return
        if span.is_recording():
            _, _, result, _ = _WORDS[type(operation)]
            span.set_attributes(_some(result(operation)))
            if operation.capture_content or (operation.capture_content is None and captures_content(os.environ)):
                said = shortened_json(operation.cleaned(_CONTENT[type(operation)](operation)), MAX_TEXT_CHARS)
                span.set_attributes({key: _json(value) for key, value in said.items() if value})
            if operation.error:
                message = "" if operation.error == CANCELLED else operation.message
                span.set_status(self._trace.StatusCode.ERROR, message or None)
        span.end()
        if isinstance(operation, ModelCall):
            self._measure(operation, self._trace.set_span_in_context(span))

    def within(self, operation: Operation) -> AbstractContextManager[object]:
        span = operation.kept.get(self)
        return nullcontext() if span is None else self._current(span)

    @contextmanager
    def _current(self, span: Span) -> Iterator[None]:
        token = self._context.attach(self._trace.set_span_in_context(span))
        try:
            yield
        finally:
            self._context.detach(token)

    def _span_around(self, operation: Operation) -> Span | None:
        """The span of what an operation is a part of."""
        outer = operation.parent
        while outer is not None:
            if (span := outer.kept.get(self)) is not None:
                found: Span = span
                return found
            outer = outer.parent
        return None

    def _measure(self, call: ModelCall, context: Any) -> None:
        about = {
            "gen_ai.operation.name": "chat",
            "gen_ai.provider.name": provider_name(call),
            "gen_ai.request.model": call.model,
            "gen_ai.response.model": call.fold.model or "",
            "server.address": call.host,
            "server.port": call.port or None,
            "error.type": call.error,
        }
        attributes = _some(about)
        self._duration.record(call.duration_s or 0.0, attributes, context)
        if call.first_chunk_s is not None:
            self._first_chunk.record(call.first_chunk_s, attributes, context)
        counted = call.usage
        for kind in ("input", "output"):
            if (tokens := counted.get(f"{kind}_tokens")) is not None:
                self._tokens.record(tokens, {**attributes, "gen_ai.token.type": kind}, context)


# ---- what spans say


def provider_name(operation: AgentRun | ModelCall) -> str:
    """Who serves the model, as the conventions name it; "openai_compatible" for a server of the user's own."""
    if operation.provider:
        return PROVIDER_NAMES.get(operation.provider, operation.provider)
    host = operation.host if isinstance(operation, ModelCall) else ""
    return _KNOWN_HOSTS.get(host, "openai_compatible")


def _run_name(run: AgentRun) -> str:
    return f"invoke_agent {run.agent}".rstrip()


def _run(run: AgentRun) -> Attributes:
    return {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": provider_name(run),
        "gen_ai.agent.name": run.agent,
        "gen_ai.request.model": run.model,
        "gen_ai.conversation.id": run.session,
        "tiny_agents.definition.hash": run.definition,
    }


def _run_result(run: AgentRun) -> Attributes:
    return {
        **{key: run.usage.get(name) for name, key in _USAGE.items()},
        "tiny_agents.stop_reason": run.stop_reason,
        "tiny_agents.limit": run.limit,
        "tiny_agents.model_calls": run.usage.get("model_calls"),
        "tiny_agents.tool_calls": run.usage.get("tool_calls"),
        "tiny_agents.cost_usd": run.usage.get("cost_usd"),
        "error.type": run.error,
    }


def _chat_name(call: ModelCall) -> str:
    return f"chat {call.model}".rstrip()


def _chat(call: ModelCall) -> Attributes:
    params = call.params
    stop = params.get("stop")
    format = params.get("response_format")
    run = call.parent if isinstance(call.parent, AgentRun) else None
    return {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": provider_name(call),
        "gen_ai.request.model": call.model,
        "gen_ai.request.stream": None if call.server else True,
        "tiny_agents.server.name": call.server,
        **{key: params[name] for name, key in _PARAMS.items() if isinstance(params.get(name), (int, float))},
        "gen_ai.request.stop_sequences": [stop] if isinstance(stop, str) else stop,
        "gen_ai.output.type": "json" if format and to_builtins(format).get("type") != "text" else "text",
        "gen_ai.conversation.id": run.session if run is not None else "",
        "server.address": call.host,
        "server.port": call.port or None,
    }


def _chat_result(call: ModelCall) -> Attributes:
    fold = call.fold
    return {
        "gen_ai.response.model": fold.model,
        "gen_ai.response.id": fold.id,
        "gen_ai.response.finish_reasons": [fold.finish_reason] if fold.finish_reason else None,
        "gen_ai.response.time_to_first_chunk": call.first_chunk_s,
        **{key: call.usage.get(name) for name, key in _USAGE.items()},
        "server.address": call.host,
        "server.port": call.port or None,
        "error.type": call.error,
    }


def _tool_name(call: ToolCall) -> str:
    return f"execute_tool {call.name[:128]}"


def _tool(call: ToolCall) -> Attributes:
    host, port = call.address
    return {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": call.name[:128],
        "gen_ai.tool.call.id": call.call_id[:128],
        "gen_ai.tool.type": "extension" if call.server and call.server != "function" else "function",
        "tiny_agents.server.name": call.server,
        "server.address": host,
        "server.port": port or None,
    }


def _tool_result(call: ToolCall) -> Attributes:
    return {
        "tiny_agents.tool.outcome": call.outcome,
        "tiny_agents.tool.waited_s": call.waited_s or None,
        "error.type": call.error,
    }


# ---- what was said


def _run_content(run: AgentRun) -> dict[str, Any]:
    return {
        "gen_ai.input.messages": _messages([{"role": "user", "content": run.request}]),
        "gen_ai.output.messages": _messages([{"role": "assistant", "content": run.text}]) if run.text else [],
    }


def _chat_content(call: ModelCall) -> dict[str, Any]:
    sent = [to_builtins(message) for message in call.messages]
    answer = call.answer
    said = _messages([to_builtins(answer)]) if answer is not None else []
    return {
        "gen_ai.system_instructions": [
            part for message in sent if message.get("role") == "system" for part in _parts(message)
        ],
        "gen_ai.input.messages": _messages(message for message in sent if message.get("role") != "system"),
        "gen_ai.output.messages": [{**message, "finish_reason": call.fold.finish_reason} for message in said],
        "gen_ai.tool.definitions": [
            {"type": "function", **{key: tool["function"].get(key) for key in ("name", "description", "parameters")}}
            for tool in map(to_builtins, call.tools)
        ],
    }


def _tool_content(call: ToolCall) -> dict[str, Any]:
    return {
        "gen_ai.tool.call.arguments": dict(call.arguments),
        "gen_ai.tool.call.result": call.text,
    }


def _messages(messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Messages in the form of the conventions; images and sounds only as that they were there."""
    return [{"role": message.get("role"), "parts": _parts(message)} for message in messages]


def _parts(message: Mapping[str, Any]) -> list[dict[str, Any]]:
    content, parts = message.get("content"), []
    if message.get("role") == "tool":
        response = {"type": "tool_call_response", "id": message.get("tool_call_id"), "response": _text(content)}
        return [response]
    if reasoning := message.get("reasoning_content") or message.get("reasoning"):
        parts.append({"type": "reasoning", "content": _text(reasoning)})
    if isinstance(content, str):
        parts.append({"type": "text", "content": _text(content)})
    elif isinstance(content, Sequence):
        parts += [
            {"type": "text", "content": _text(part.get("text"))}
            if part.get("type") == "text"
            else {"type": str(part.get("type"))}
            for part in content
        ]
    for call in message.get("tool_calls") or ():
        function = call.get("function", {})
        parts.append(
            {
                "type": "tool_call",
                "id": call.get("id"),
                "name": function.get("name"),
                "arguments": _text(function.get("arguments")),
            }
        )
    return parts


def _text(value: Any) -> str:
    return value if isinstance(value, str) else "" if value is None else str(value)


def _json(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(encodable_json(value), ensure_ascii=False, default=str)


def _some(attributes: Mapping[str, Any]) -> Attributes:
    """Those that say something."""
    return {key: value for key, value in attributes.items() if value not in (None, "", [])}


Words = tuple[Callable[[Any], str], Callable[[Any], Attributes], Callable[[Any], Attributes], bool]

_WORDS: Mapping[type[Operation], Words] = {
    AgentRun: (_run_name, _run, _run_result, False),
    ModelCall: (_chat_name, _chat, _chat_result, True),
    ToolCall: (_tool_name, _tool, _tool_result, False),
}
"""For each kind: the span's name, what is known at the begin, what at the end, whether another machine does it."""

_CONTENT: Mapping[type[Operation], Callable[[Any], dict[str, Any]]] = {
    AgentRun: _run_content,
    ModelCall: _chat_content,
    ToolCall: _tool_content,
}
