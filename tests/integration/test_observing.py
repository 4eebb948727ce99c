"""Spans, metrics and the log of runs: the real OpenTelemetry SDK, a scripted model, real servers."""

from __future__ import annotations

import asyncio
import functools
import gc
import json
import logging
import stat
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from opentelemetry import baggage, context, metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.semconv._incubating.attributes import gen_ai_attributes
from opentelemetry.trace import StatusCode

from tests.support.hosts import RecordingHost
from tests.support.mcp_servers import bad_server, busy_server
from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, delta, status, text
from tiny_agents import Agent, MCPClient, ProviderError, UsageError
from tiny_agents.mcp_client.calls.gate import CallRequest
from tiny_agents.mcp_client.observing.observing import Observer, Operation, ToolCall

pytestmark = [pytest.mark.integration, pytest.mark.anyio]

QUICK = str(Path(__file__).parent.parent / "support" / "quick_server.py")
SECRET = "hunter2-is-secret"
USAGE: dict[str, Any] = {
    "choices": [],
    "usage": {
        "prompt_tokens": 21,
        "completion_tokens": 5,
        "prompt_tokens_details": {"cached_tokens": 8},
        "completion_tokens_details": {"reasoning_tokens": 2},
    },
}


def counted(turn: Turn) -> Turn:
    return Turn([*turn.events, USAGE], turn.message)


class WhileObserving(TracerProvider):
    """Traces while one of these tests runs. A provider stays for the life of its process, and other tests share that.

    Theirs see nothing of it: to a server, too, no trace is named.
    """

    on = False

    def get_tracer(self, *args: Any, **options: Any) -> trace.Tracer:
        return Switched(super().get_tracer(*args, **options), self)


class Switched(trace.Tracer):
    def __init__(self, tracer: trace.Tracer, provider: WhileObserving) -> None:
        self._tracer, self._provider = tracer, provider

    def start_span(self, *args: Any, **options: Any) -> trace.Span:
        return self._now.start_span(*args, **options)

    def start_as_current_span(self, *args: Any, **options: Any) -> Any:
        return self._now.start_as_current_span(*args, **options)

    @property
    def _now(self) -> trace.Tracer:
        return self._tracer if self._provider.on else trace.NoOpTracer()


SDK = tuple[InMemorySpanExporter, InMemoryMetricReader, WhileObserving]


@functools.cache
def sdk() -> SDK:
    """The SDK, set up once for this process, as a program does it: xdist may come back to this file."""
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    tracing = WhileObserving()
    tracing.add_span_processor(SimpleSpanProcessor(exporter))
    measuring = MeterProvider([reader])
    trace.set_tracer_provider(tracing)
    metrics.set_meter_provider(measuring)
    return exporter, reader, tracing


class Spans:
    def __init__(self, exporter: InMemorySpanExporter) -> None:
        self._exporter = exporter

    def all(self) -> Sequence[ReadableSpan]:
        return self._exporter.get_finished_spans()

    def named(self, start: str) -> list[ReadableSpan]:
        return [span for span in self.all() if span.name.startswith(start)]

    def one(self, name: str) -> ReadableSpan:
        (span,) = [span for span in self.all() if span.name == name]
        return span


@pytest.fixture
def spans(caplog: pytest.LogCaptureFixture) -> Iterator[Spans]:
    exporter, _, tracing = sdk()
    exporter.clear()
    before = context.get_current()
    tracing.on = True
    yield Spans(exporter)
    tracing.on = False
    assert context.get_current() == before
    assert not [record for record in caplog.records if record.name.startswith("opentelemetry")]


def quick(*arguments: str, **options: Any) -> dict[str, Any]:
    return {"type": "stdio", "name": "quick", "command": sys.executable, "args": [QUICK, *arguments], **options}


@asynccontextmanager
async def agent_with(
    turns: list[Turn] | Callable[[Recorded], Turn], **arguments: Any
) -> AsyncIterator[tuple[Agent, OpenAIServer]]:
    with OpenAIServer(turns) as model:
        wanted = {"servers": [quick()], "name": "helper"} | arguments
        async with asyncio.timeout(60), Agent(base_url=model.url, model="m", **wanted) as agent:
            await agent.load_tools()
            yield agent, model


def about(span: ReadableSpan) -> dict[str, Any]:
    return dict(span.attributes or {})


def parent(span: ReadableSpan) -> int | None:
    return span.parent.span_id if span.parent is not None else None


def id_of(span: ReadableSpan) -> int:
    assert span.context is not None
    return span.context.span_id


async def test_a_run_is_a_tree_of_spans_by_the_conventions(spans: Spans) -> None:
    script = [
        counted(calls(("echo", {"text": "a"}), ("refuse", {}), ids=["c1", "c2"])),
        counted(text("Done.")),
    ]
    async with agent_with(script, params={"temperature": 0.5, "max_tokens": 100, "stop": "END", "seed": 3}) as (
        agent,
        server,
    ):
        await agent.run_to_completion("hello")
        port = int(server.url.rpartition(":")[2].partition("/")[0])
    run = spans.one("invoke_agent helper")
    assert parent(run) is None
    assert about(run) == {
        "gen_ai.operation.name": "invoke_agent",
        "gen_ai.provider.name": "openai_compatible",
        "gen_ai.agent.name": "helper",
        "gen_ai.request.model": "m",
        "gen_ai.usage.input_tokens": 42,
        "gen_ai.usage.output_tokens": 10,
        "gen_ai.usage.cache_read.input_tokens": 16,
        "gen_ai.usage.reasoning.output_tokens": 4,
        "tiny_agents.stop_reason": "done",
        "tiny_agents.model_calls": 2,
        "tiny_agents.tool_calls": 2,
    }
    first, second = spans.named("chat m")
    assert {parent(first), parent(second)} == {id_of(run)}
    said = about(first)
    assert 0 < said.pop("gen_ai.response.time_to_first_chunk") < 30
    assert said == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai_compatible",
        "gen_ai.request.model": "m",
        "gen_ai.request.stream": True,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.max_tokens": 100,
        "gen_ai.request.stop_sequences": ("END",),
        "gen_ai.request.seed": 3,
        "gen_ai.output.type": "text",
        "gen_ai.response.model": "scripted",
        "gen_ai.response.id": "chatcmpl-1",
        "gen_ai.response.finish_reasons": ("tool_calls",),
        "gen_ai.usage.input_tokens": 21,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.usage.cache_read.input_tokens": 8,
        "gen_ai.usage.reasoning.output_tokens": 2,
        "server.address": "127.0.0.1",
        "server.port": port,
    }
    echo, refuse = spans.one("execute_tool echo"), spans.one("execute_tool refuse")
    assert {parent(echo), parent(refuse)} == {id_of(run)}
    told = about(echo)
    assert 0 <= told.pop("tiny_agents.tool.waited_s") < 30
    assert told == {
        "gen_ai.operation.name": "execute_tool",
        "gen_ai.tool.name": "echo",
        "gen_ai.tool.call.id": "c1",
        "gen_ai.tool.type": "extension",
        "tiny_agents.server.name": "quick",
        "tiny_agents.tool.outcome": "ok",
    }
    assert about(refuse)["error.type"] == "tool_error"
    assert refuse.status.status_code is StatusCode.ERROR
    assert echo.status.status_code is StatusCode.UNSET


async def test_every_name_of_ours_is_one_of_the_conventions(spans: Spans) -> None:
    known = {value for name, value in vars(gen_ai_attributes).items() if name.startswith("GEN_AI_")}
    async with agent_with([counted(calls(("echo", {"text": "a"}))), counted(text("x"))], capture_content=True) as (
        agent,
        _,
    ):
        await agent.run_to_completion("hello")
    ours = [
        span for span in spans.all() if span.instrumentation_scope and span.instrumentation_scope.name == "tiny_agents"
    ]
    used = {name for span in ours for name in about(span) if name.startswith("gen_ai.")}
    assert len(used) > 15
    assert used <= known


async def test_the_servers_get_the_trace_and_the_request_s_span_is_inside_the_call(spans: Spans) -> None:
    async with agent_with([calls(("meta", {})), text("x")]) as (agent, _):
        result = await agent.run_to_completion("hello")
    sent = json.loads(next(message["content"] for message in result.messages if message["role"] == "tool"))
    call = spans.one("execute_tool meta")
    (request,) = [span for span in spans.named("") if about(span).get("mcp.method.name") == "tools/call"]
    assert parent(request) == id_of(call)
    _, trace_id, span_id, _ = sent["traceparent"].split("-")
    assert request.context is not None
    assert (int(trace_id, 16), int(span_id, 16)) == (request.context.trace_id, id_of(request))


async def test_calls_at_the_same_time_keep_to_their_own_spans_and_nothing_leaks_into_the_caller(spans: Spans) -> None:
    tracer = trace.get_tracer("the-program")
    async with agent_with([calls(*[("slow", {"n": n}) for n in range(6)]), text("x")], servers=[]) as (agent, _):
        arrived = asyncio.Event()
        waiting = 0

        async def slow(n: int) -> str:
            nonlocal waiting
            waiting += 1
            if waiting == 6:
                arrived.set()
            await arrived.wait()
            with tracer.start_as_current_span(f"inner {n}"):
                return str(n)

        agent.add_tool(slow)
        with tracer.start_as_current_span("outer") as outer:
            token = context.attach(baggage.set_baggage("who", "me"))
            async for _ in agent.run("hello"):
                assert trace.get_current_span() is outer
            context.detach(token)
    run = spans.one("invoke_agent helper")
    assert parent(run) == outer.get_span_context().span_id
    around = {id_of(span): span for span in spans.named("execute_tool slow")}
    inner = [parent(span) for span in spans.named("inner")]
    assert len(around) == 6
    assert sorted(map(str, inner)) == sorted(map(str, around))


async def drop(items: list[Any]) -> None:
    """Forget a run without closing it; whoever collects garbage closes it, in a context of its own."""
    items.clear()
    gc.collect()


async def close(items: list[Any]) -> None:
    await items[0].aclose()


async def close_elsewhere(items: list[Any]) -> None:
    await asyncio.create_task(items[0].aclose())


@pytest.mark.parametrize("leave", [close, close_elsewhere, drop])
@pytest.mark.parametrize("beside", [False, True])
async def test_whoever_leaves_in_the_middle_leaves_no_span_open(
    spans: Spans, beside: bool, leave: Callable[[list[Any]], Awaitable[None]]
) -> None:
    endless = Turn([delta(content="word "), delta(content="word ")], then="stall")
    async with agent_with([endless]) as (agent, _):
        items = [agent.run("hello", events=beside)]
        await anext(items[0])
        await leave(items)
        while not spans.named("invoke_agent"):  # a run that is dropped is closed in its own time
            await asyncio.sleep(0.01)
    assert about(spans.one("chat m"))["error.type"] == "cancelled"
    run = spans.one("invoke_agent helper")
    assert about(run)["tiny_agents.stop_reason"] == "aborted"
    assert run.status.status_code is StatusCode.ERROR


async def test_an_abort_in_a_tool_call_ends_all_spans(spans: Spans, tmp_path: Path) -> None:
    marker = tmp_path / "called"
    async with agent_with([calls(("wait", {}))], servers=[quick(str(marker))]) as (agent, _):
        abort = asyncio.Event()

        async def when_called() -> None:
            while not marker.exists():
                await asyncio.sleep(0.01)
            abort.set()

        watching = asyncio.create_task(when_called())
        async for _ in agent.run("hello", abort_event=abort):
            pass
        await watching
    call = about(spans.one("execute_tool wait"))
    assert (call["error.type"], call["tiny_agents.tool.outcome"]) == ("cancelled", "cancelled")
    assert about(spans.one("invoke_agent helper"))["error.type"] == "cancelled"


async def test_an_error_of_the_model_has_its_status_in_both_spans(spans: Spans) -> None:
    async with agent_with([status(400, {"error": {"message": f"no {SECRET}"}})], api_key=SECRET) as (agent, _):
        with pytest.raises(ProviderError):
            await agent.run_to_completion("hello")
    for name in ("chat m", "invoke_agent helper"):
        span = spans.one(name)
        assert about(span)["error.type"] == "400"
        assert span.status.status_code is StatusCode.ERROR
        assert "***" in str(span.status.description)
        assert SECRET not in span.to_json()


async def test_what_a_person_takes_is_told_apart_from_what_the_tool_takes(spans: Spans, tmp_path: Path) -> None:
    async def gate(request: CallRequest) -> bool:
        await asyncio.sleep(0.2)
        return request.tool == "echo"

    log = tmp_path / "log"
    script = [calls(("echo", {"text": "a"}), ("refuse", {})), text("x")]
    async with agent_with(script, gate=gate, run_log=log) as (agent, _):
        await agent.run_to_completion("hello")
    for name, outcome in (("echo", "ok"), ("refuse", "denied")):
        span = about(spans.one(f"execute_tool {name}"))
        assert (span["tiny_agents.tool.outcome"], span.get("error.type", "ok")) == (outcome, outcome)
        (record,) = [each for each in read(log) if each["event"] == "tool.end" and each["name"] == name]
        assert 0.19 < record["waited_s"] <= record["duration_s"]
        assert record["waited_s"] == round(span["tiny_agents.tool.waited_s"], 3)


async def test_each_model_that_is_asked_has_a_span(spans: Spans) -> None:
    def answer(request: Recorded) -> Turn:
        return status(404, {"error": {"message": "no such model"}}) if request.body["model"] == "m" else text("hi")

    async with agent_with(answer, fallbacks=["other"]) as (agent, _):
        await agent.run_to_completion("hello")
    failed, answered = spans.one("chat m"), spans.one("chat other")
    assert about(failed)["error.type"] == "404"
    assert "error.type" not in about(answered)
    assert parent(failed) == parent(answered) == id_of(spans.one("invoke_agent helper"))


async def test_an_agent_in_a_tool_of_another_is_inside_its_call(spans: Spans, tmp_path: Path) -> None:
    log = tmp_path / "log"
    async with (
        agent_with([text("inner answer")], servers=[], name="inner") as (inner, _),
        agent_with([calls(("ask", {})), text("x")], servers=[], name="outer", run_log=log) as (outer, _),
    ):

        async def ask() -> str:
            return (await inner.run_to_completion("you")).text

        outer.add_tool(ask)
        await outer.run_to_completion("hello")
    assert parent(spans.one("invoke_agent inner")) == id_of(spans.one("execute_tool ask"))
    records = read(log)
    assert [(record["event"], record.get("agent")) for record in records if record["event"] == "run.start"] == [
        ("run.start", "outer"), ("run.start", "inner"),
    ]  # fmt: skip
    call = next(record for record in records if record["event"] == "tool.start")
    assert [record["event"] for record in records if record.get("parent") == call["id"]] == ["run.start", "run.end"]


async def test_an_agent_in_a_tool_tells_no_more_than_the_one_around_it_may(
    spans: Spans, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "true")

    async def told(capture_content: bool) -> str:
        spans._exporter.clear()
        log = tmp_path / f"log {capture_content}"
        options: dict[str, Any] = {"capture_content": capture_content, "run_log": log, "api_key": SECRET}
        async with (
            agent_with([text("inner answer")], servers=[], name="inner") as (inner, _),
            agent_with([calls(("ask", {})), text("x")], servers=[], name="outer", **options) as (outer, _),
        ):

            async def ask() -> str:
                return (await inner.run_to_completion(f"use {SECRET}")).text

            outer.add_tool(ask)
            await outer.run_to_completion("hello")
        return log.read_text() + "".join(span.to_json() for span in spans.all())

    assert "inner answer" not in await told(False)
    everything = await told(True)
    assert "use ***" in everything
    assert SECRET not in everything


async def test_what_is_said_is_recorded_only_where_it_is_asked_for(
    spans: Spans, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = [calls(("echo", {"text": f"arguments {SECRET}"}), ids=["c1"]), text("the answer")]

    async def content(**options: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
        spans._exporter.clear()
        async with agent_with(script, servers=[quick(secrets=[SECRET])], prompt="the prompt", **options) as (agent, _):
            await agent.run_to_completion("the request")
        everything = "".join(span.to_json() for span in spans.all())
        assert SECRET not in everything
        return everything, about(spans.named("chat m")[-1]), about(spans.one("execute_tool echo"))

    for setting in ("", "false", "no_content", "event_only"):
        monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", setting)
        everything, _, _ = await content()
        assert not any(part in everything for part in ("the prompt", "the request", "the answer", "arguments"))
    monkeypatch.setenv("OTEL_INSTRUMENTATION_GENAI_CAPTURE_MESSAGE_CONTENT", "SPAN_ONLY")
    assert "the request" not in (await content(capture_content=False))[0]
    _, chat, call = await content()
    assert json.loads(chat["gen_ai.system_instructions"]) == [{"type": "text", "content": "the prompt"}]
    assert json.loads(chat["gen_ai.input.messages"]) == [
        {"role": "user", "parts": [{"type": "text", "content": "the request"}]},
        {
            "role": "assistant",
            "parts": [{"type": "tool_call", "id": "c1", "name": "echo", "arguments": '{"text": "arguments ***"}'}],
        },
        {"role": "tool", "parts": [{"type": "tool_call_response", "id": "c1", "response": "arguments ***"}]},
    ]
    assert json.loads(chat["gen_ai.output.messages"]) == [
        {"role": "assistant", "parts": [{"type": "text", "content": "the answer"}], "finish_reason": "stop"}
    ]
    assert "echo" in [tool["name"] for tool in json.loads(chat["gen_ai.tool.definitions"])]
    assert json.loads(call["gen_ai.tool.call.arguments"]) == {"text": "arguments ***"}
    assert call["gen_ai.tool.call.result"] == "arguments ***"


async def test_a_turn_without_an_agent_has_spans_too(spans: Spans) -> None:
    with OpenAIServer([calls(("echo", {"text": "a"}))]) as model:
        async with MCPClient(base_url=model.url, model="m") as client:
            await client.add_mcp_server(**quick())
            with trace.get_tracer("the-program").start_as_current_span("outer") as outer:
                async for _ in client.process_single_turn_with_tools([{"role": "user", "content": "x"}]):
                    pass
    outside = outer.get_span_context().span_id
    assert [parent(span) for span in spans.named("chat") + spans.named("execute_tool")] == [outside, outside]


async def test_a_text_that_a_server_asks_for_is_a_call_of_the_model_too(spans: Spans, tmp_path: Path) -> None:
    def answer(request: Recorded) -> Turn:
        if "tools" not in request.body:
            return text("a poem")
        return text("x") if request.body["messages"][-1]["role"] == "tool" else calls(("ask", {"what": "text"}))

    log = tmp_path / "log"
    async with agent_with(answer, servers=[busy_server(name="busy")], host=RecordingHost(), run_log=log) as (agent, _):
        result = await agent.run_to_completion("hello")
        assert "a poem" in next(str(message["content"]) for message in result.messages if message["role"] == "tool")
    (sampled,) = [span for span in spans.named("chat m") if "tiny_agents.server.name" in about(span)]
    assert about(sampled)["tiny_agents.server.name"] == "busy"
    assert about(sampled)["gen_ai.response.model"] == "scripted"
    assert [record["for"] for record in read(log) if "for" in record] == ["busy"]


async def test_time_and_tokens_are_measured(spans: Spans) -> None:
    async with agent_with([counted(text("x"))], servers=[]) as (agent, model):
        await agent.run_to_completion("hello")
        port = int(model.url.rpartition(":")[2].partition("/")[0])
    data = sdk()[1].get_metrics_data()
    assert data is not None
    found = {
        metric.name: [point for point in metric.data.data_points if (point.attributes or {}).get("server.port") == port]
        for resource in data.resource_metrics
        for scope in resource.scope_metrics
        for metric in scope.metrics
    }
    (duration,) = found["gen_ai.client.operation.duration"]
    assert dict(duration.attributes or {}) == {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai_compatible",
        "gen_ai.request.model": "m",
        "gen_ai.response.model": "scripted",
        "server.address": "127.0.0.1",
        "server.port": port,
    }
    tokens = {(point.attributes or {})["gen_ai.token.type"]: point.sum for point in found["gen_ai.client.token.usage"]}
    assert tokens == {"input": 21, "output": 5}
    assert found["gen_ai.client.operation.time_to_first_chunk"][0].count == 1


# ---- without an SDK


def test_the_api_of_opentelemetry_is_not_imported_by_a_run_without_servers() -> None:
    code = (
        "import asyncio, sys\n"
        "from tests.support.openai_server import OpenAIServer, text\n"
        "from tiny_agents import Agent\n"
        "async def main():\n"
        "    with OpenAIServer([text('hi')]) as model:\n"
        "        async with Agent(base_url=model.url, model='m') as agent:\n"
        "            await agent.run_to_completion('hello')\n"
        "asyncio.run(main())\n"
        "print([name for name in sys.modules if name.startswith('opentelemetry')])\n"
    )
    root = Path(__file__).parent.parent.parent
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True, cwd=root
    )
    assert done.stdout.strip() == "[]"


# ---- observers of one's own


class Keeping(Observer):
    def __init__(self) -> None:
        self.seen: list[tuple[str, Operation]] = []

    def started(self, operation: Operation) -> None:
        self.seen.append(("started", operation))

    def ended(self, operation: Operation) -> None:
        self.seen.append(("ended", operation))


async def test_an_observer_is_told_of_every_begin_and_end_and_may_fail(caplog: pytest.LogCaptureFixture) -> None:
    class Failing(Observer):
        def started(self, operation: Operation) -> None:
            raise ValueError("on purpose")

    keeping = Keeping()
    async with agent_with(
        [counted(calls(("echo", {"text": "a"}), ("nothing", {}))), counted(text("x"))], observers=[Failing(), keeping]
    ) as (agent, _):
        assert (await agent.run_to_completion("hello")).text == "x"
    kinds = [type(operation).__name__ for what, operation in keeping.seen if what == "started"]
    assert kinds == ["AgentRun", "ModelCall", "ToolCall", "ToolCall", "ModelCall"]
    begun = [operation.id for what, operation in keeping.seen if what == "started"]
    assert sorted(begun) == sorted(operation.id for what, operation in keeping.seen if what == "ended")
    assert len(set(begun)) == 5
    outcomes = {operation.name: operation.outcome for _, operation in keeping.seen if isinstance(operation, ToolCall)}
    assert outcomes == {"echo": "ok", "nothing": "not_run"}
    assert [record.message for record in caplog.records if "observer" in record.message]


# ---- the log


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


async def test_the_log_has_a_record_for_everything_that_happens(tmp_path: Path) -> None:
    log = tmp_path / "run.jsonl"
    script = [counted(calls(("echo", {"text": "é"}), ("gone", {}), ids=["c1", "c2"])), counted(text("Done."))]
    async with agent_with(script, run_log=log, params={"temperature": 0.5}) as (agent, model):
        await agent.run_to_completion("the request")
        place = model.url.removeprefix("http://").partition("/")[0]
    records = read(log)
    for record in records:
        assert record.pop("time").endswith("Z")
        if "duration_s" in record:
            assert 0 <= record.pop("duration_s") < 60
        record.pop("first_chunk_s", None)
        record.pop("waited_s", None)  # on a machine that is busy
    ids = {id: number for number, id in enumerate(dict.fromkeys(record["id"] for record in records))}
    for record in records:
        record["id"] = ids[record["id"]]
        if "parent" in record:
            record["parent"] = ids[record["parent"]]
    records.sort(key=lambda record: (record["id"], record["event"].endswith("end")))
    asked = {"event": "model.start", "parent": 0, "model": "m", "server": place, "params": {"temperature": 0.5}}
    answered = {
        "event": "model.end", "parent": 0, "model": "scripted", "server": place, "response": "chatcmpl-1",
        "input_tokens": 21, "output_tokens": 5, "cached_tokens": 8, "reasoning_tokens": 2,
    }  # fmt: skip
    assert records == [
        {"event": "run.start", "id": 0, "version": 1, "agent": "helper", "model": "m"},
        {
            "event": "run.end", "id": 0, "stop_reason": "done", "has_answer": True, "input_tokens": 42, "output_tokens": 10,
            "cached_tokens": 16, "reasoning_tokens": 4, "model_calls": 2, "tool_calls": 2, "cost_usd": None,
            "estimated": False,
        },
        {"id": 1, **asked, "messages": 2, "tools": 6},
        {"id": 1, **answered, "finish_reason": "tool_calls"},
        {
            "event": "tool.start", "id": 2, "parent": 0, "name": "echo", "server": "quick", "call": "c1",
            "arguments_bytes": 14,
        },
        {"event": "tool.end", "id": 2, "parent": 0, "name": "echo", "outcome": "ok", "result_chars": 1},
        {"event": "tool.start", "id": 3, "parent": 0, "name": "gone", "call": "c2", "arguments_bytes": 2},
        {
            "event": "tool.end", "id": 3, "parent": 0, "name": "gone", "outcome": "not_run", "error": "not_run",
            "result_chars": records[7]["result_chars"],
        },
        {"id": 4, **asked, "messages": 5, "tools": 6},
        {"id": 4, **answered, "finish_reason": "stop"},
    ]  # fmt: skip
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


async def test_the_log_says_when_a_server_is_lost_and_when_it_is_back(tmp_path: Path) -> None:
    log = tmp_path / "run.jsonl"
    server = {"type": "stdio", **bad_server("well_behaved", name="frail")}
    async with agent_with([calls(("leave", {})), calls(("ping", {})), text("x")], servers=[server], run_log=log) as (
        agent,
        _,
    ):
        await agent.run_to_completion("hello")
    records = [record for record in read(log) if record["event"].startswith(("server", "tool.end"))]
    assert [(record["event"], record.get("server") or record["outcome"]) for record in records] == [
        ("server.lost", "frail"), ("tool.end", "failed"), ("server.returned", "frail"), ("tool.end", "ok"),
    ]  # fmt: skip
    assert records[0]["message"].startswith("frail exited with status")
    assert records[1]["error"] == "ServerConnectionError"


async def test_the_log_says_what_was_said_only_on_request_without_secrets_and_in_short_lines(tmp_path: Path) -> None:
    log = tmp_path / "run.jsonl"
    long = "x" * 7_990 + SECRET + "y" * 50_000
    script = [calls(("echo", {"text": long}), ids=["c1"]), text("the answer")]
    servers = [quick(secrets=[SECRET])]
    async with agent_with(script, run_log=log, servers=servers) as (agent, _):
        await agent.run_to_completion("the request")
    assert "the request" not in log.read_text()
    assert "the answer" not in log.read_text()
    async with agent_with(script, run_log=log, servers=servers, capture_content=True) as (agent, _):
        await agent.run_to_completion("the request")
    said = [record["content"] for record in read(log) if "content" in record]
    assert said[0] == {"request": "the request"}
    assert said[-1] == {"text": "the answer"}
    assert all(len(line) < 64_100 for line in log.read_bytes().splitlines())
    assert SECRET[:4] not in log.read_text()


async def test_a_log_that_cannot_be_made_is_an_error_before_anything_runs(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"log .*nowhere.* can't be written: No such file or directory"):
        Agent(base_url="http://127.0.0.1:1/v1", model="m", run_log=tmp_path / "nowhere" / "log")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a disk that is always full")
async def test_a_full_disk_is_said_once_and_stops_nothing(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "tiny_agents.agent"):
        async with agent_with([calls(("echo", {"text": "a"})), text("x")], run_log="/dev/full") as (agent, _):
            assert (await agent.run_to_completion("hello")).text == "x"
    said = [record.getMessage() for record in caplog.records if "/dev/full" in record.getMessage()]
    assert len(said) == 1
    assert "No space left on device" in said[0]


async def test_a_run_that_breaks_has_its_end_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "run.jsonl"
    async with agent_with([status(400, {"error": {"message": "no"}})], run_log=log, servers=[]) as (agent, _):
        with pytest.raises(ProviderError):
            await agent.run_to_completion("hello")
    *_, model, run = read(log)
    assert (model["event"], model["error"]) == ("model.end", "400")
    assert (run["event"], run["error"], run["stop_reason"]) == ("run.end", "400", "failed")


async def test_the_chunks_of_an_answer_cost_nothing_more(tmp_path: Path) -> None:
    """What is done per piece of an answer is the same with observers and without."""
    pieces = Turn([delta(content="w") for _ in range(2_000)] + [delta("stop")])
    told = Keeping()
    async with agent_with([pieces], servers=[], observers=[told], run_log=tmp_path / "log") as (agent, _):
        await agent.run_to_completion("hello")
    assert len(told.seen) == 4
    assert len(read(tmp_path / "log")) == 4
