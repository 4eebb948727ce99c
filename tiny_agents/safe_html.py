"""Text and media from models, servers and files -> HTML that a notebook can keep. Pure.

Nothing foreign becomes markup: text is escaped, Markdown makes only the elements that this file writes. No script, form or
style of others; nothing is loaded from anywhere: pictures are embedded or described. A link says where it leads.
"""

from __future__ import annotations

import base64
import binascii
import json
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from html import escape
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from markdown_it import MarkdownIt

MAX_TEXT_CHARS = 200_000
MAX_RESULT_CHARS = 20_000
MAX_MEDIA_BYTES = 4_000_000
"""Of one picture or sound; a larger one is described."""

PICTURES = frozenset({"image/png", "image/jpeg", "image/gif", "image/webp"})
SOUNDS = frozenset({"audio/wav", "audio/x-wav", "audio/mpeg", "audio/mp3", "audio/ogg", "audio/flac"})
LINKED = ("https://", "http://", "mailto:")

_JOINERS_AND_SIGNS = frozenset("\u00ad\u200c\u200d\u0600\u0601\u0602\u0603\u0604\u0605\u06dd\u070f\u08e2")
_UNUSUAL = re.compile(r"[^\x20-\x7e\n\t]")
_BORDER = "border:1px solid rgba(128,128,128,.4);border-radius:4px;padding:2px 8px;margin:4px 0"
_ERROR = f"{_BORDER};border-color:#c0392b"


def visible(text: str) -> str:
    """`text` with what a reader can't see written out, as `\\x1b` or `\\u202e`: it stays, and does nothing."""
    return _UNUSUAL.sub(_written_out, text.replace("\r\n", "\n"))


def _written_out(found: re.Match[str]) -> str:
    char = found[0]
    unseen = unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp") or "\U000e0100" <= char <= "\U000e01ef"
    return char.encode("unicode_escape").decode() if unseen and char not in _JOINERS_AND_SIGNS else char


def text_html(text: str) -> str:
    """Plain text, escaped."""
    return escape(visible(text))


def pre_html(text: str, limit: int = MAX_RESULT_CHARS) -> str:
    """Text as it is, in lines; a long one is cut, and says so."""
    cut = f"\n[Cut here: these are the first {limit:,} of {len(text):,} characters.]" if len(text) > limit else ""
    return f'<pre style="white-space:pre-wrap;margin:4px 0">{text_html(text[:limit] + cut)}</pre>'


def folded_html(summary: str, body: str, *, opened: bool = False, failed: bool = False) -> str:
    """A block that a click opens. Both arguments are HTML."""
    style = _ERROR if failed else _BORDER
    return f'<details style="{style}"{" open" if opened else ""}><summary>{summary}</summary>{body}</details>'


def note_html(text: str, *, failed: bool = False) -> str:
    """A line beside the conversation."""
    if failed:
        return f'<div style="{_ERROR}"><b>{text_html(text)}</b></div>'
    return f'<div style="opacity:.7;font-size:90%">{text_html(text)}</div>'


def markdown_html(text: str) -> str:
    """Markdown with tables; HTML in it is shown, not obeyed, and pictures become their address."""
    cut = f"\n\n[Cut here: {len(text):,} characters.]" if len(text) > MAX_TEXT_CHARS else ""
    return str(_parser().render(text[:MAX_TEXT_CHARS] + cut))


def media_html(mime_type: str, data: str) -> str:
    """A picture or a sound, in base64, embedded; described where it is of another kind, too large or broken."""
    kind = mime_type.partition(";")[0].strip().lower()
    size = len(data) * 3 // 4
    if kind not in PICTURES | SOUNDS:
        return note_html(f"[{mime_type[:80]}, {size:,} bytes]")
    if size > MAX_MEDIA_BYTES:
        return note_html(f"[{kind}, {size:,} bytes: too large to be shown here]")
    try:
        checked = base64.b64encode(base64.b64decode(data, validate=True)).decode()
    except (binascii.Error, ValueError):
        return note_html(f"[{kind}: not valid base64]")
    source = f'src="data:{kind};base64,{checked}"'
    if kind in SOUNDS:
        return f"<audio controls {source}></audio>"
    return f'<img alt="a picture" style="max-width:100%;max-height:480px" {source}>'


def page_html(blocks: Iterable[str]) -> str:
    """The blocks as one output. Formulas are left as they are written: what typesets them would follow foreign commands."""
    return f'<div class="tex2jax_ignore mathjax_ignore">{"".join(blocks)}</div>'


def json_text(value: Any) -> str:
    """JSON to be read; text that is JSON is laid out, any other stays."""
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            return str(value)
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)


def call_html(name: str, arguments: Any) -> str:
    """A tool call as one line: its name and the start of its arguments."""
    shown = arguments if isinstance(arguments, str) else json.dumps(arguments, ensure_ascii=False, default=str)
    shown = " ".join(shown.split())
    short = shown if len(shown) <= 100 else shown[:99] + "…"
    return f"<b>{text_html(name)}</b> <code>{text_html(short)}</code>"


def content_html(content: Any) -> str:
    """What a message says: text as Markdown, pictures embedded, of other parts their kind."""
    if content is None:
        return ""
    if isinstance(content, str):
        return markdown_html(content)
    return "".join(_part_html(part) for part in content)


def _part_html(part: Any) -> str:
    kind = part.get("type") if hasattr(part, "get") else None
    if kind == "text":
        return markdown_html(str(part.get("text") or ""))
    if kind == "image_url":
        address = part.get("image_url")
        url = str((address.get("url") if hasattr(address, "get") else address) or "")
        if embedded := re.fullmatch(r"data:([^;,]+);base64,(.*)", url, re.DOTALL):
            return media_html(embedded[1], embedded[2])
        return note_html(f"[image: {url[:500]}]")
    return note_html(f"[{kind or 'unknown part'}]")


def message_html(message: Mapping[str, Any] | Any) -> str:
    """A message of a conversation."""
    role, name = message.get("role"), message.get("name")
    blocks = [note_html(f"{role}: {name}" if name else str(role))]
    if thought := message.get("reasoning") or message.get("reasoning_content"):
        blocks.append(folded_html("thought", pre_html(str(thought), MAX_TEXT_CHARS)))
    content = message.get("content")
    blocks.append(pre_html(content) if role == "tool" and isinstance(content, str) else content_html(content))
    for call in message.get("tool_calls") or ():
        function = call.get("function") or {}
        arguments = function.get("arguments") or ""
        blocks.append(folded_html(call_html(str(function.get("name")), arguments), pre_html(json_text(arguments))))
    return page_html(blocks)


def tool_html(tool: Mapping[str, Any] | Any) -> str:
    """A tool: its name, what it says of itself, and its parameters behind a click."""
    function = tool.get("function") or {}
    description = str(function.get("description") or "")
    parameters = function.get("parameters") or {}
    properties = parameters.get("properties") if hasattr(parameters, "get") else None
    names = ", ".join(str(name) for name in properties) if isinstance(properties, Mapping) else ""
    summary = f"<b>{text_html(str(function.get('name')))}</b>({text_html(names[:200])})"
    return page_html([folded_html(summary, pre_html(description) + pre_html(json_text(parameters)))])


def result_html(text: str, notes: Sequence[str], problem: str) -> str:
    """What came of a request: the answer, why it is none, what it used."""
    failed = [note_html(problem, failed=True)] if problem else []
    return page_html([markdown_html(text), *failed, note_html(" · ".join(notes))])


# ---- Markdown


@cache
def _parser() -> MarkdownIt:
    from markdown_it import MarkdownIt

    parser = MarkdownIt("commonmark", {"html": False}).enable(["table", "strikethrough"])
    rules = {
        "text": _text, "code_inline": _code, "fence": _block, "code_block": _block,
        "image": _image, "link_open": _link_open, "link_close": _link_close,
    }  # fmt: skip
    for name, rule in rules.items():
        parser.add_render_rule(name, rule)
    return parser


def _text(_: Any, tokens: Any, index: int, *__: Any) -> str:
    return text_html(tokens[index].content)


def _code(_: Any, tokens: Any, index: int, *__: Any) -> str:
    return f"<code>{text_html(tokens[index].content)}</code>"


def _block(_: Any, tokens: Any, index: int, *__: Any) -> str:
    return f"<pre><code>{text_html(tokens[index].content)}</code></pre>\n"


def _image(_: Any, tokens: Any, index: int, *__: Any) -> str:
    token = tokens[index]
    return text_html(f"[image: {' '.join(filter(None, [token.content, str(token.attrs.get('src', ''))[:500]]))}]")


def _address(token: Any) -> str:
    address = str(token.attrs.get("href", ""))
    return address if address.lower().startswith(LINKED) else ""


def _link_open(_: Any, tokens: Any, index: int, *__: Any) -> str:
    if not (address := _address(tokens[index])):
        return ""
    return f'<a href="{escape(visible(address))}" target="_blank" rel="noopener noreferrer nofollow">'


def _link_close(_: Any, tokens: Any, index: int, *__: Any) -> str:
    start = next(at for at in range(index, -1, -1) if tokens[at].type == "link_open")
    said = "".join(token.content for token in tokens[start + 1 : index])
    target = str(tokens[start].attrs.get("href", ""))
    where = "" if said == target else f" <small>({text_html(target)})</small>"
    return f"</a>{where}" if _address(tokens[start]) else where
