"""Carries a call out without a network: the steps that a provider takes are answered from a script."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec

from tiny_agents.inference.call import Ask, Call, Request, Response, Step, and_then
from tiny_agents.inference.media import fetched, read
from tiny_agents.inference.routing import Destination, Surroundings, destination
from tiny_agents.inference.settings import client_settings
from tiny_agents.inference.wire import wire_headers

HF = "hf_token0123456789"
OWN = "pk-own-key-0123"
HUB = "https://huggingface.co"
MOST_STEPS = 5000

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d494844520000000100000001080200000090"
    "7753de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
"""An image of one pixel."""


@dataclass
class File:
    """A scripted answer that is no JSON."""

    data: bytes
    kind: str = "application/octet-stream"


CDN = "https://cdn.example/result"
"""Where scripted results lie."""

VIDEO = File(b"a video", "video/mp4")
IMAGE = File(PNG, "image/png")

ODD = [
    b"",
    b"<html>",
    b"[]",
    b"3",
    b"null",
    b"{}",
    b'{"data": 3, "video": "x", "output": {"a": 1}, "id": 7, "urls": []}',
]
"""Answers that are no result of anything."""


@dataclass
class Seen:
    """What came out, and what was asked for on the way (look-ups on the Hub apart)."""

    output: Any
    requests: list[Request] = field(default_factory=list)
    waits_s: list[float] = field(default_factory=list)

    @property
    def urls(self) -> list[str]:
        return [f"{request.method} {request.url}" for request in self.requests]


def carry_out(
    provider: str | None,
    call: Call[Any],
    script: Sequence[Any],
    *,
    key: str = OWN,
    served_as: str = "served/m",
    mapping: dict[str, Any] | None = None,
    headers: dict[str, str] | None = None,
) -> Seen:
    """Answer each request with the next of `script`: JSON data, a `File`, or `bytes` as they are. The last one repeats."""
    step: Step[Any] = _settled(_destination(provider, call, key, headers), _hub(provider, call, served_as, mapping))
    assert isinstance(step, Destination)
    seen = Seen(None)
    answers = list(script)
    adapter_call = fetched(read(call), keep_urls=step.adapter.takes_urls)
    step = and_then(adapter_call, step.answer)
    while isinstance(step, Ask):
        assert len(seen.requests) < MOST_STEPS
        seen.requests.append(step.request)
        seen.waits_s.append(step.delay_s)
        answer = answers.pop(0) if len(answers) > 1 else answers[0]
        step = step.then(_response(answer, step.request.url))
    seen.output = step
    return seen


def _destination(provider: str | None, call: Call[Any], key: str, headers: dict[str, str] | None) -> Step[Destination]:
    arguments: dict[str, Any] = dict.fromkeys(
        ("token", "base_url", "timeout", "total_timeout", "cookies", "bill_to", "proxies")
    )
    settings = client_settings(
        "org/model",
        provider=provider,
        api_key=key,
        headers=headers,
        max_retries=2,
        trust_env=True,
        tool_emulation=False,
        **arguments,
    )
    return destination(call, settings, Surroundings(HUB, lambda: None, {}))


def _hub(provider: str | None, call: Call[Any], served_as: str, mapping: dict[str, Any] | None) -> dict[str, Any]:
    entry = {"provider": provider, "providerId": served_as, "task": call.task, "status": "live", **(mapping or {})}
    return {"id": "org/model", "pipeline_tag": call.task, "inferenceProviderMapping": [entry]}


def _settled(step: Step[Any], hub: dict[str, Any]) -> Any:
    while isinstance(step, Ask):
        assert step.request.url.startswith(f"{HUB}/api/")
        step = step.then(_response(hub, step.request.url))
    return step


def _response(answer: Any, url: str) -> Response:
    if isinstance(answer, File):
        return Response(200, {"content-type": answer.kind}, answer.data, url)
    body = answer if isinstance(answer, bytes) else msgspec.json.encode(answer)
    return Response(200, {"content-type": "application/json"}, body, url)


def sent_headers(request: Request) -> dict[str, str]:
    """The headers as they go out, without those that every request has."""
    return {
        name: value
        for name, value in wire_headers(request, stream=False).items()
        if name not in ("user-agent", "accept", "content-type")
    }
