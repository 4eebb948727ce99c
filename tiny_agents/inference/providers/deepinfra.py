"""DeepInfra: chat, text, embeddings, speech both ways, all in OpenAI's forms.

See DeepInfra documentation, "OpenAI-compatible API".
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

import msgspec

from tiny_agents.inference.call import Call, Request, Response, Route
from tiny_agents.inference.media import Media
from tiny_agents.inference.providers.answers import read
from tiny_agents.inference.providers.asking import options_of
from tiny_agents.inference.providers.chat import chat_adapter
from tiny_agents.inference.providers.hub_lookup import mapped_model
from tiny_agents.inference.providers.openai_tasks import completions, embeddings, speech
from tiny_agents.inference.providers.provider import Adapter, Provider
from tiny_agents.inference.types.record import parse
from tiny_agents.inference.types.tasks import AutomaticSpeechRecognitionOutput

_SUFFIXES = {
    "audio/aac": ".aac",
    "audio/flac": ".flac",
    "audio/mp4": ".m4a",
    "audio/mpeg": ".mp3",
    "audio/ogg": ".ogg",
    "audio/wav": ".wav",
    "audio/webm": ".webm",
    "audio/x-flac": ".flac",
    "audio/x-wav": ".wav",
    "video/mp4": ".mp4",
    "video/webm": ".webm",
}
_ANY_SUFFIX = ".wav"  # the server tells the format by the name, and by the bytes where that is wrong


def _transcription(call: Call[Any], route: Route) -> Request:
    fields = {**options_of(call), "model": route.model}
    body, kind = form(call.inputs, fields)
    headers = {**route.headers, "content-type": kind}
    return Request("POST", f"{route.url}/v1/openai/audio/transcriptions", body=body, headers=headers, key=route.key)


def form(audio: Media, fields: Mapping[str, Any]) -> tuple[bytes, str]:
    """A recording and further fields as `multipart/form-data`: the body, and the content type that says how it is split."""
    name = "audio" + _SUFFIXES.get(audio.mime or "", _ANY_SUFFIX)
    parts = [
        f'Content-Disposition: form-data; name="file"; filename="{name}"\r\n'
        f"Content-Type: {audio.mime or 'application/octet-stream'}\r\n\r\n".encode()
        + audio.data
    ]
    for field, value in fields.items():
        text = value if isinstance(value, str) else msgspec.json.encode(value).decode()
        parts.append(f'Content-Disposition: form-data; name="{_quoted(field)}"\r\n\r\n{text}'.encode())
    # Derived from the content, so that the same call is the same bytes. Nothing can contain its own checksum.
    boundary = hashlib.sha256(b"".join(parts)).hexdigest()
    head = f"--{boundary}\r\n".encode()
    body = b"".join(head + part + b"\r\n" for part in parts) + f"--{boundary}--\r\n".encode()
    return body, f"multipart/form-data; boundary={boundary}"


def _quoted(name: str) -> str:
    """A field's name as HTML forms write it: it can't end its quotes or its line."""
    return name.replace('"', "%22").replace("\r", "%0D").replace("\n", "%0A")


def _parse_transcription(call: Call[Any], route: Route, response: Response) -> AutomaticSpeechRecognitionOutput:
    answer = read(route, response)
    found: dict[str, Any] = {"text": answer.need(str, "text")}
    segments = answer.get("segments")
    if isinstance(segments, list):
        found["chunks"] = [
            {"text": segment.get("text"), "timestamp": [segment.get("start"), segment.get("end")]}
            for segment in segments
            if isinstance(segment, dict)
        ]
    return parse(AutomaticSpeechRecognitionOutput, found)


PROVIDER = Provider(
    "deepinfra",
    "https://api.deepinfra.com",
    {
        "conversational": chat_adapter("/v1/openai/chat/completions"),
        "text-generation": completions("/v1/openai/completions", max_tokens=True, spare=True),
        "feature-extraction": embeddings("/v1/openai/embeddings"),
        "automatic-speech-recognition": Adapter(_transcription, _parse_transcription),
        "text-to-speech": speech("/v1/openai/audio/speech"),
    },
    mapped_model,
    key_env="DEEPINFRA_API_KEY",
)
