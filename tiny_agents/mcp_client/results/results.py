"""What a tool answered -> what the model reads. Pure; works on the wire's own JSON (mimeType, structuredContent)."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import msgspec
from msgspec.structs import replace

from tiny_agents.mcp_client.bounds import MAX_RESULT_CHARS
from tiny_agents.mcp_client.text import encodable, shortened
from tiny_agents.records import Discreet

if TYPE_CHECKING:
    from tiny_agents.mcp_client.host.rounds import PendingRounds

NO_CONTENT = "[No content]"

Block = Mapping[str, Any]


class ToolResult(Discreet, msgspec.Struct, frozen=True):
    """The answer to one tool call.

    Attributes:
        text: For the model: the text parts joined by newlines, everything else described; bounded in length.
        is_error: The tool, or the server on its behalf, says that it failed; `text` says why.
        content: The blocks as the server sent them (images and audio in base64), whole and in its order.
        structured_content: The result as data, where the tool gives some.
        whole: The text before it was cut; None where it wasn't.
        pending: The call isn't over: its server asks something first (only with `on_input="return"`).
    """

    not_shown = frozenset({"content", "structured_content", "whole"})

    text: str
    is_error: bool = False
    content: tuple[dict[str, Any], ...] = ()
    structured_content: Any = None
    whole: str | None = None
    pending: PendingRounds | None = None

    @property
    def message(self) -> str:
        """`text` as the model gets it: a failure starts with "Error"."""
        if not self.is_error or self.text[:5].lower() == "error":
            return self.text
        return f"Error: {self.text}"


def failure(reason: str) -> ToolResult:
    """The result of a call that the server refused or answered with nonsense."""
    return ToolResult(encodable(shortened(reason, MAX_RESULT_CHARS)), is_error=True)


def with_notes(result: ToolResult, notes: Sequence[str]) -> ToolResult:
    """`result` with sentences of ours at its end, for the model."""
    if not notes:
        return result
    added = "\n".join(["", *notes])
    return replace(result, text=result.text + added, whole=None if result.whole is None else result.whole + added)


def read_result(
    content: Sequence[dict[str, Any]],
    *,
    structured_content: Any = None,
    is_error: bool = False,
    max_chars: int = MAX_RESULT_CHARS,
) -> ToolResult:
    """A result as the protocol has it, with its text for the model.

    Text parts are joined by newlines. Structured content is shown (as compact JSON) where there is no text: a tool that
    gives both says the same thing twice.
    """
    parts = [_DESCRIBE.get(str(block.get("type")), _unknown)(block) for block in content]
    has_text = any(block.get("type") == "text" and block.get("text") for block in content)
    if structured_content is not None and not has_text:
        parts.insert(0, _compact(structured_content))
    whole = encodable("\n".join(parts))
    shown = shortened(whole, max_chars)
    if not shown:
        shown = "the tool failed and didn't say why" if is_error else NO_CONTENT
    cut = len(whole) > max_chars
    return ToolResult(shown, is_error, tuple(content), structured_content, whole if cut else None)


# ---------------------------------------------------------------- one function per kind of block


def _text(block: Block) -> str:
    return str(block.get("text") or "")


def _binary(kind: str) -> Callable[[Block], str]:
    def describe(block: Block) -> str:
        return f"[Binary Content: {kind} {_mime(block)}, {_bytes_in(block.get('data'))} bytes]"

    return describe


def _resource(block: Block) -> str:
    resource = block.get("resource")
    if not isinstance(resource, Mapping):
        return _unknown(block)
    if isinstance(text := resource.get("text"), str):
        return text
    return f"[Binary Content ({resource.get('uri')}): {_mime(resource)}, {_bytes_in(resource.get('blob'))} bytes]"


def _resource_link(block: Block) -> str:
    title = block.get("title") or block.get("name") or "unnamed"
    facts = [str(block.get("uri"))]
    if block.get("mimeType"):
        facts.append(str(block["mimeType"]))
    if isinstance(size := block.get("size"), int):
        facts.append(f"{size} bytes")
    described = f": {block['description']}" if block.get("description") else ""
    return f"[Resource link '{title}' ({', '.join(facts)}){described}]"


def _unknown(block: Block) -> str:
    return f"[Content of the type '{block.get('type')}', which can't be shown]"


_DESCRIBE: dict[str, Callable[[Block], str]] = {
    "text": _text,
    "image": _binary("Image"),
    "audio": _binary("Audio"),
    "resource": _resource,
    "resource_link": _resource_link,
}


def _mime(block: Block) -> str:
    return str(block.get("mimeType") or "of unknown type")


def _bytes_in(base64_text: object) -> int:
    """How many bytes base64 text stands for, without decoding it; a `data:` URL's prefix doesn't count."""
    if not isinstance(base64_text, str):
        return 0
    start = base64_text.find(",") + 1 if base64_text.startswith("data:") else 0
    length = len(base64_text) - start
    padding = 2 if base64_text.endswith("==") else 1 if base64_text.endswith("=") else 0
    return max(length * 3 // 4 - padding, 0)


def _compact(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"), default=str)
