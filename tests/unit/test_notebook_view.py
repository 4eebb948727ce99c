"""What a notebook shows of a run: all of it, and nothing of it as markup of others."""

from __future__ import annotations

import base64
import json
from html.parser import HTMLParser
from typing import Any

import pytest

from tests.support.inference_world import PNG
from tests.support.openai_server import delta
from tiny_agents import (
    AgentResult,
    ChatCompletionInputFunctionDefinition,
    ChatCompletionInputMessage,
    ChatCompletionInputTool,
    InnerEvent,
    ServerLog,
    ServerLost,
    ToolAnswered,
    ToolProgress,
    ToolResult,
    Usage,
)
from tiny_agents.inference.types.chat import decode_chunk
from tiny_agents.notebook.magic import awaited
from tiny_agents.notebook.transcript import Transcript
from tiny_agents.safe_html import MAX_MEDIA_BYTES, markdown_html, media_html, pre_html, visible

PICTURE = base64.b64encode(PNG).decode()
ALLOWED = {
    "div", "details", "summary", "pre", "code", "p", "em", "strong", "b", "small", "img", "a", "ul", "ol", "li", "hr", "br",
    "h1", "h2", "h3", "blockquote", "table", "thead", "tbody", "tr", "th", "td", "s", "audio",
}  # fmt: skip
ATTRIBUTES = {"style", "class", "open", "href", "target", "rel", "src", "alt", "controls", "start"}

HOSTILE = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '</pre></details><iframe src="https://evil.example"></iframe>',
    "![track](https://evil.example/pixel.png)",
    "![x](data:image/svg+xml;base64,PHN2Zz48L3N2Zz4=)",
    "[click](javascript:alert(1)) [x](vbscript:x) [y](data:text/html,<script>alert(1)</script>)",
    '[a](https://evil.example "\\" onmouseover=alert(1) x=\\"")',
    '```"><script>alert(1)</script>\n<style>*{display:none}</style>\n```',
    '<https://evil.example/"onclick=alert(1)>',
    "| <b onclick=x> | b |\n|---|:-:|\n| <script>x</script> | ![](https://evil.example/a.png) |",
    "&lt;script&gt;alert(1)&lt;/script&gt; &#60;script&#62; &#x202e;",
    "\x1b]0;title\x07 \u202egnp.exe \U000e0041",
    "<" * 3_000 + "[" * 3_000,
]


class Read(HTMLParser):
    """What a browser would make of it."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.text += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.elements if name == tag]


def harmless(page: str) -> Read:
    read = Read(page)
    assert {tag for tag, _ in read.elements} <= ALLOWED
    for _, attrs in read.elements:
        assert set(attrs) <= ATTRIBUTES
        assert "url(" not in (attrs.get("style") or "")
        assert (attrs.get("href") or "https://").startswith(("https://", "http://", "mailto:"))
        assert (attrs.get("src") or "data:image/png;").startswith(("data:image/png;", "data:audio/"))
    assert "\u202e" not in page
    page.encode()
    return read


def chunk(finish_reason: str | None = None, **fields: Any) -> Any:
    return decode_chunk(json.dumps(delta(finish_reason, **fields)).encode())


def call(name: str, arguments: str, call_id: str = "c1") -> dict[str, Any]:
    return {"index": 0, "id": call_id, "type": "function", "function": {"name": name, "arguments": arguments}}


def tool_message(text: str, name: str = "draw", call_id: str = "c1") -> ChatCompletionInputMessage:
    return ChatCompletionInputMessage(role="tool", name=name, tool_call_id=call_id, content=text)


@pytest.mark.parametrize("text", HOSTILE)
def test_nothing_foreign_becomes_markup_wherever_it_stands(text: str) -> None:
    transcript = Transcript()
    transcript.add(chunk(reasoning=text))
    transcript.add(chunk(content=text))
    transcript.add(chunk("tool_calls", tool_calls=[call(text, text)]))
    blocks = (
        {"type": "image", "mimeType": text, "data": text},
        {"type": "image", "mimeType": "image/png", "data": text},
    )
    transcript.add(ToolAnswered("c1", text, text, ToolResult(text, content=blocks)))
    transcript.add(InnerEvent(text, "c1", chunk(content=text)))
    transcript.add(ServerLog(text, "error", {text: text}))
    transcript.add(ServerLost(text, text))
    transcript.fail(text)
    transcript.end(AgentResult(text, "done", problem=text, model=text))
    harmless(transcript.html())
    for shown in (
        AgentResult(text, "failed", model=text, problem=text),
        ChatCompletionInputMessage(role=text, name=text, content=text, reasoning=text),
        ChatCompletionInputMessage(role="user", content=[{"type": "image_url", "image_url": {"url": text}}]),
        ChatCompletionInputTool(
            function=ChatCompletionInputFunctionDefinition(
                name=text, description=text, parameters={"properties": {text: {}}}
            )
        ),
    ):
        harmless(shown._repr_html_())


def test_a_run_is_shown_in_its_order_with_the_call_folded_and_its_picture_in_sight() -> None:
    transcript = Transcript()
    transcript.add(chunk(reasoning="A cat it is."))
    transcript.add(chunk("tool_calls", tool_calls=[call("art__draw", '{"what": "cat"}')]))
    transcript.add(ToolProgress("art", "draw", 2, 5, "whiskers"))
    assert "… 2 of 5 whiskers" in Read(transcript.html()).text
    picture = {"type": "image", "mimeType": "image/png", "data": PICTURE}
    transcript.add(ToolAnswered("c1", "art", "draw", ToolResult("drawn", content=(picture,))))
    transcript.add(tool_message("drawn", "art__draw"))
    transcript.add(chunk(content="Here is **a cat**:\n\n| a | b |\n|---|---|\n| 1 | 2 |\n"))
    transcript.add(chunk("stop"))
    usage = Usage(input_tokens=10, output_tokens=2, model_calls=2)
    transcript.end(AgentResult("Here", "done", usage=usage, model="m", tool_calls=1))
    read = harmless(transcript.html())
    places = [read.text.index(part) for part in ("A cat it is.", "art__draw", "✓", "drawn", "Here is", "10 tokens in")]
    assert places == sorted(places)
    assert read.of("img")[0]["src"] == f"data:image/png;base64,{PICTURE}"
    assert len(read.of("details")) == 2
    assert not [attrs for attrs in read.of("details") if "open" in attrs]
    assert len(read.of("td")) == 2
    assert transcript.text.startswith("Here is **a cat**")


def test_a_call_that_failed_and_one_that_was_left_say_so() -> None:
    transcript = Transcript()
    pieces = [call("one", "{}"), {**call("two", "{}", "c2"), "index": 1}]
    transcript.add(chunk("tool_calls", tool_calls=pieces))
    transcript.add(ToolAnswered("c1", "s", "one", ToolResult("no such file", is_error=True)))
    transcript.add(tool_message("no such file", "one"))
    transcript.end()
    text = Read(transcript.html()).text
    assert "one {} failed" in text
    assert "two {} not finished" in text
    assert text.count("no such file") == 1


def test_what_an_inner_agent_does_is_inside_its_call() -> None:
    transcript = Transcript()
    transcript.add(chunk("tool_calls", tool_calls=[call("researcher", "{}")]))
    transcript.add(InnerEvent("researcher", "c1", chunk("tool_calls", tool_calls=[call("look_up", "{}", "i1")])))
    transcript.add(InnerEvent("researcher", "c1", tool_message("12 C", "look_up", "i1")))
    transcript.add(tool_message("mild", "researcher"))
    page = transcript.html()
    assert page.index("researcher") < page.index("look_up") < page.index("12 C") < page.index("mild")
    assert page.count("<details") == 2


def test_a_link_says_where_it_leads_and_a_picture_is_an_address() -> None:
    read = harmless(markdown_html("[the bank](https://evil.example/x) ![cat](https://evil.example/cat.png)"))
    assert read.of("a")[0]["href"] == "https://evil.example/x"
    assert "the bank (https://evil.example/x)" in read.text
    assert "[image: cat https://evil.example/cat.png]" in read.text
    assert not read.of("img")
    assert harmless(markdown_html("[click](javascript:x)")).text.strip() == "[click](javascript:x)"
    assert harmless(markdown_html("[click](ftp://x/)")).text.strip() == "click (ftp://x/)"


def test_media_that_can_not_be_shown_are_described() -> None:
    assert "too large" in media_html("image/png", "A" * (MAX_MEDIA_BYTES * 4 // 3 + 8))
    assert "not valid base64" in media_html("image/png", '"><script>')
    assert "image/svg+xml" in media_html("image/svg+xml", PICTURE)
    assert "<img" not in media_html("image/svg+xml", PICTURE)
    assert media_html("audio/wav", PICTURE).startswith("<audio")


def test_long_results_are_cut_and_unseen_characters_written_out() -> None:
    assert "the first 20,000 of 30,000 characters" in pre_html("x" * 30_000)
    assert visible("a\u202eb\x1b\tc\nd\r\ne\ud800") == "a\\u202eb\\x1b\tc\nd\ne\\ud800"
    assert visible("نمی\u200cدانم 👩\u200d🔬 ﷲ") == "نمی\u200cدانم 👩\u200d🔬 ﷲ"


def test_a_cell_of_the_magic_is_awaited_and_others_are_left_alone() -> None:
    assert awaited(["%%agent clock --new\n", "What's\n", "up?\n"]) == [
        "await get_ipython().run_cell_magic('agent', 'clock --new', \"What's\\nup?\\n\")\n"
    ]
    assert awaited(["%%agent\n"])[0].startswith("await ")
    for other in (["%%agents x\n"], ["%%agent?\n"], ["x = 1\n", "%%agent x\n"], []):
        assert awaited(other) == other
