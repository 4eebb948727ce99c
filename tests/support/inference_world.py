"""The servers that docs/inference talks to: the Hub, the router, providers and endpoints, all in one script.

What a model answers depends on what it is asked and on nothing else, so pages can show it.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable
from typing import Any

from tests.support.internet import Asked, Reply

PNG = bytes.fromhex(
    "89504e470d0a1a0a0000000d494844520000000100000001080200000090"
    "7753de0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)
"""An image of one pixel."""

_CHAT, _IMAGE = "conversational", "text-to-image"
MODELS: dict[str, tuple[str, list[str]]] = {
    "meta-llama/Llama-3.3-70B-Instruct": (_CHAT, ["together", "groq", "nebius"]),
    "Qwen/Qwen3-32B": (_CHAT, ["cerebras", "groq", "nebius"]),
    "black-forest-labs/FLUX.1-schnell": (_IMAGE, ["replicate", "fal-ai", "together", "black-forest-labs"]),
    "openai/whisper-large-v3": ("automatic-speech-recognition", ["hf-inference", "fal-ai"]),
    "google/vit-base-patch16-224": ("image-classification", ["hf-inference"]),
    "facebook/detr-resnet-50": ("object-detection", ["hf-inference"]),
    "facebook/bart-large-cnn": ("summarization", ["hf-inference"]),
    "BAAI/bge-small-en-v1.5": ("feature-extraction", ["hf-inference"]),
    "ProsusAI/finbert": ("text-classification", ["hf-inference"]),
    "hexgrad/Kokoro-82M": ("text-to-speech", ["replicate", "fal-ai"]),
    "Wan-AI/Wan2.2-T2V-A14B": ("text-to-video", ["fal-ai"]),
}
"""Task of each model, and who serves it."""

_SAID = {
    "capital of France": "The capital of France is Paris.",
    "Count to 5": "1, 2, 3, 4, 5",
    "Say hello": "Hello!",
    "in this picture": "A cat on a red sofa.",
    "Dune": '{"title": "Dune", "authors": ["Frank Herbert"], "year": 1965}',
    "three colours": '{"colours": ["red", "green", "blue"]}',
}
_RESULTS: dict[str, Any] = {
    "summarization": [{"summary_text": "The tower is 330 m tall."}],
    "text-classification": [[{"label": "positive", "score": 0.94}, {"label": "neutral", "score": 0.05}]],
    "image-classification": [{"label": "tabby cat", "score": 0.91}, {"label": "tiger cat", "score": 0.06}],
    "object-detection": [
        {"label": "cat", "score": 0.99, "box": {"xmin": 13, "ymin": 52, "xmax": 314, "ymax": 470}},
    ],
    "automatic-speech-recognition": {"text": "Four score and seven years ago."},
    "feature-extraction": [[0.25, -0.5, 0.125]],
}
_STALL = threading.Event()  # never set: what waits for it waits its whole time


def answer(asked: Asked) -> Reply:
    if asked.path.endswith("/chat/completions"):
        return _chat(asked)
    if asked.host in _HOSTS:
        return _HOSTS[asked.host](asked)
    if asked.host.endswith(".endpoints.huggingface.cloud") or asked.host == "127.0.0.1":
        return Reply(_RESULTS["summarization"])
    return Reply({"error": f"nobody lives at {asked.host}"}, status=404)


# ---------------------------------------------------------------- chat


def _chat(asked: Asked) -> Reply:
    body = asked.body
    if body["model"] == "overloaded":
        return Reply({"error": {"message": "Try again later."}}, 503, {"x-request-id": "req-42", "retry-after": "0"})
    if asked.key == "wrong":
        return Reply({"error": {"message": f"Incorrect API key provided: {asked.key}"}}, 401)
    text = _text(body["messages"][-1])
    if "forever" in text:
        _STALL.wait(2)
    message: dict[str, Any] = {"role": "assistant", "content": _said(body, text)}
    reason = "stop"
    if body.get("tools") and body["messages"][-1]["role"] == "user" and "weather" in text:
        function = {"name": "get_weather", "arguments": json.dumps({"city": "Oslo"})}
        message = {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function", "function": function}]}
        reason = "tool_calls"
    shared = {"id": "chatcmpl-1", "created": 1_760_000_000, "model": body["model"]}
    usage = {"prompt_tokens": 14, "completion_tokens": 8, "total_tokens": 22}
    if not body.get("stream"):
        choice = {"index": 0, "message": message, "finish_reason": reason}
        return Reply({**shared, "object": "chat.completion", "choices": [choice], "usage": usage})
    events: list[Any] = [{"choices": [{"index": 0, "delta": piece}]} for piece in _pieces(message)]
    events.append({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]})
    if (body.get("stream_options") or {}).get("include_usage"):
        events.append({"choices": [], "usage": usage})
    whole = [{**shared, "object": "chat.completion.chunk", **event} for event in events]
    if "cut off" in text:
        return Reply(whole[:2], media_type="text/event-stream")
    return Reply([*whole, "[DONE]"], media_type="text/event-stream")


def _text(message: dict[str, Any]) -> str:
    content = message.get("content") or ""
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)


def _said(body: dict[str, Any], text: str) -> str:
    if body["messages"][-1]["role"] == "tool":
        return f"It is {json.loads(text)['celsius']} degrees in Oslo."
    return next((said for asked, said in _SAID.items() if asked in text), "I see.")


def _pieces(message: dict[str, Any]) -> list[dict[str, Any]]:
    if calls := message.get("tool_calls"):
        return [{"role": "assistant", "tool_calls": [{"index": 0, **calls[0]}]}]
    words = message["content"].split(" ")
    return [{"content": word if number == 0 else f" {word}"} for number, word in enumerate(words)]


# ---------------------------------------------------------------- the Hub and the providers


def _hub(asked: Asked) -> Reply:
    model = asked.path.removeprefix("/api/models/")
    if model not in MODELS:
        return Reply({"error": "Repository not found"}, status=404)
    task, providers = MODELS[model]
    mapping = [{"provider": name, "providerId": model.lower(), "task": task, "status": "live"} for name in providers]
    return Reply({"id": model, "pipeline_tag": task, "tags": [], "inferenceProviderMapping": mapping})


def _router(asked: Asked) -> Reply:
    provider, _, rest = asked.path.removeprefix("/").partition("/")
    if provider == "hf-inference":
        return _hf_inference(rest)
    return _PROVIDERS[provider](asked)


def _hf_inference(path: str) -> Reply:
    model = "/".join(path.removeprefix("models/").split("/")[:2])
    return Reply(_RESULTS[MODELS[model][0]])


def _replicate(asked: Asked) -> Reply:
    kind = "speech.flac" if "kokoro" in asked.path else "image.png"
    return Reply({"id": "p1", "status": "succeeded", "output": f"https://cdn.example.com/{kind}"})


def _fal(asked: Asked) -> Reply:
    if asked.path.endswith("/status"):
        return Reply({"status": "COMPLETED"})
    if "/requests/" in asked.path:
        return Reply({"video": {"url": "https://cdn.example.com/film.mp4"}})
    if "wan" in asked.path:
        place = "https://queue.fal.run/wan-ai/wan2.2-t2v-a14b/requests/r1"
        return Reply({"request_id": "r1", "status": "IN_QUEUE", "response_url": place})
    if "whisper" in asked.path:
        return Reply(_RESULTS["automatic-speech-recognition"])
    return Reply({"images": [{"url": "https://cdn.example.com/image.png"}]})


def _together(asked: Asked) -> Reply:
    return Reply({"data": [{"b64_json": base64.b64encode(PNG).decode()}]})


def _files(asked: Asked) -> Reply:
    if asked.path.endswith(".png"):
        return Reply(PNG, media_type="image/png")
    if asked.path == "/gone.jpg":
        return Reply(b"<h1>Not found</h1>", status=404, media_type="text/html")
    return Reply(b"bytes of a file", media_type="video/mp4" if asked.path.endswith(".mp4") else "audio/flac")


_PROVIDERS: dict[str, Callable[[Asked], Reply]] = {"replicate": _replicate, "fal-ai": _fal, "together": _together}
_HOSTS: dict[str, Callable[[Asked], Reply]] = {
    "huggingface.co": _hub,
    "router.huggingface.co": _router,
    "api.replicate.com": _replicate,
    "fal.run": _fal,
    "queue.fal.run": _fal,
    "api.together.xyz": _together,
    "cdn.example.com": _files,
    "example.com": _files,
}
