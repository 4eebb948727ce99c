"""A program that watches a run in every way there is: `python observed_run.py AGENT MODEL_URL KEY INPUTS`.

It prints, as JSON, what it saw: the spans and metrics of OpenTelemetry, with what is said; the log of runs; the log records
of all libraries; the events of the run; tracebacks of errors. INPUTS is a JSON object. The model of the run comes from the
environment.
"""

from __future__ import annotations

import asyncio
import io
import json
import logging
import sys
import traceback
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from opentelemetry import metrics, trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from tiny_agents import Agent, InferenceClient, MCPClient, TinyAgentsError, load_definition, resolve_inputs


async def observe(agent_path: str, model_url: str, key: str, inputs: dict[str, str]) -> dict[str, Any]:
    exporter, reader, logged = InMemorySpanExporter(), InMemoryMetricReader(), io.StringIO()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    trace.set_tracer_provider(provider)
    metrics.set_meter_provider(MeterProvider([reader]))
    logging.basicConfig(level=logging.DEBUG, stream=logged)
    logging.getLogger("httpcore2").setLevel(logging.INFO)  # below that it shows what goes over the wire, on purpose
    seen: dict[str, Any] = {"events": [], "errors": []}
    agent = Agent.load(agent_path, inputs=inputs, capture_content=True, run_log="observed.log")
    async with agent:
        async for item in agent.run("x", events=True):
            seen["events"].append(repr(item))
        seen["messages"] = repr(agent.messages)
        seen["agent"] = [repr(agent), str(agent)]
    seen["errors"] += [failure(work) for work in failures(model_url, key)]
    seen["errors"] += [said async for said in failing_servers(agent_path, inputs)]
    seen["spans"] = [span.to_json() for span in exporter.get_finished_spans()]
    seen["metrics"] = str(reader.get_metrics_data())
    seen["log"] = logged.getvalue()
    seen["run log"] = Path("observed.log").read_text(encoding="utf-8")
    return seen


def failures(model_url: str, key: str) -> list[Any]:
    """Calls of a model that fail, each in its own way: nobody there, no TLS there, a key that no header can hold."""
    nobody = InferenceClient(base_url=f"http://me:{key}@127.0.0.1:9/v1?api_key={key}", api_key=key, max_retries=0)
    no_tls = InferenceClient(base_url=model_url.replace("http", "https", 1), api_key=key, max_retries=0)
    broken = InferenceClient(base_url=model_url, api_key=f"{key}\u00e9", headers={"x": key})
    return [
        lambda each=each: each.chat_completion([{"role": "user", "content": "x"}]) for each in (nobody, no_tls, broken)
    ]


async def failing_servers(agent_path: str, inputs: dict[str, str]) -> AsyncIterator[str]:
    """What the errors of servers say that don't start, or refuse what they are asked."""
    definition = resolve_inputs(load_definition(agent_path), values=inputs)
    for server in definition.servers:
        async with MCPClient(model="m") as client:
            for kind in ("http", "sse") if "url" in server.params else ("stdio",):
                try:
                    await client.add_mcp_server(**{**server.as_kwargs(definition.secrets), "type": kind, "name": kind})
                    await client.read_resource("x:", server=kind)
                except TinyAgentsError as error:
                    yield carried_by(error)


def failure(work: Any) -> str:
    """What the error of `work` and all that it came from say, show and carry."""
    try:
        work()
    except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
        return carried_by(error)
    raise AssertionError("it did not fail")


def carried_by(error: BaseException) -> str:
    said = "".join(traceback.format_exception(error))
    waiting: list[BaseException | None] = [error]
    while waiting:
        link = waiting.pop()
        if link is not None:
            said += repr(link) + repr(link.args) + repr(vars(link))
            said += "".join(repr(dict(held.headers)) for held in vars(link).values() if hasattr(held, "headers"))
            waiting += [link.__cause__, link.__context__, *getattr(link, "exceptions", ())]
    return said


if __name__ == "__main__":
    _, path, url, key, inputs = sys.argv
    print(json.dumps(asyncio.run(observe(path, url, key, json.loads(inputs)))))
