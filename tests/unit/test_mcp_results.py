"""What a model reads of a tool's result: all of the text, an honest word about the rest, never too much."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_agents.mcp_client.results.results import MAX_RESULT_CHARS, ToolResult, failure, read_result

TEXT = {"type": "text", "text": "hello"}


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([], "[No content]"),
        ([{"type": "text", "text": ""}], "[No content]"),
        ([TEXT], "hello"),
        ([TEXT, {"type": "text", "text": "world"}], "hello\nworld"),
        ([{"type": "image", "data": "iVBORw0K", "mimeType": "image/png"}], "[Binary Content: Image image/png, 6 bytes]"),
        ([{"type": "audio", "data": "AAAA" * 3, "mimeType": "audio/wav"}], "[Binary Content: Audio audio/wav, 9 bytes]"),
        ([{"type": "image", "data": "data:x;base64,AA==", "mimeType": "i/x"}], "[Binary Content: Image i/x, 1 bytes]"),
        ([{"type": "image", "data": "AAA="}], "[Binary Content: Image of unknown type, 2 bytes]"),
        ([{"type": "resource", "resource": {"uri": "memo://1", "text": "a memo"}}], "a memo"),
        (
            [{"type": "resource", "resource": {"uri": "b://1", "blob": "AAAA", "mimeType": "application/x"}}],
            "[Binary Content (b://1): application/x, 3 bytes]",
        ),
        (
            [{"type": "resource_link", "uri": "f:///a", "name": "a", "mimeType": "x/y", "size": 9, "description": "A."}],
            "[Resource link 'a' (f:///a, x/y, 9 bytes): A.]",
        ),
        ([{"type": "resource_link", "uri": "file:///a", "name": "a"}], "[Resource link 'a' (file:///a)]"),
        ([{"type": "hologram", "depth": 3}], "[Content of the type 'hologram', which can't be shown]"),
        ([{"type": "resource", "resource": None}], "[Content of the type 'resource', which can't be shown]"),
        (
            [TEXT, {"type": "image", "data": "AAAA", "mimeType": "image/gif"}, TEXT],
            "hello\n[Binary Content: Image image/gif, 3 bytes]\nhello",
        ),
    ],
)  # fmt: skip
def test_content_as_text(content: list[dict[str, object]], text: str) -> None:
    result = read_result(content)
    assert result.text == text
    assert result.content == tuple(content)
    assert "complete" not in result.text


def test_structured_content_is_shown_where_there_is_no_text() -> None:
    data = {"city": "Tōkyō", "nested": [1, None, True]}
    assert read_result([], structured_content=data).text == '{"city":"Tōkyō","nested":[1,null,true]}'
    assert read_result([TEXT], structured_content=data).text == "hello"
    assert read_result([TEXT], structured_content=data).structured_content == data
    image = {"type": "image", "data": "AAAA", "mimeType": "image/png"}
    assert read_result([image], structured_content={}).text == "{}\n[Binary Content: Image image/png, 3 bytes]"


def test_a_failure_starts_with_error_once() -> None:
    assert read_result([TEXT], is_error=True).message == "Error: hello"
    assert read_result([{"type": "text", "text": "Error: x"}], is_error=True).message == "Error: x"
    assert read_result([], is_error=True).message == "Error: the tool failed and didn't say why"
    assert read_result([TEXT]).message == "hello"
    assert failure("no such tool") == ToolResult("no such tool", is_error=True)


def test_a_long_result_is_cut_and_says_so() -> None:
    result = read_result([{"type": "text", "text": "x" * 5_000_000}])
    assert len(result.text) < MAX_RESULT_CHARS + 100
    assert result.text.endswith("[Cut here: these are the first 40,000 of 5,000,000 characters.]")
    assert len(result.content[0]["text"]) == 5_000_000
    assert result.whole == "x" * 5_000_000
    assert read_result([TEXT]).whole is None


@given(
    st.lists(
        st.fixed_dictionaries(
            {"type": st.sampled_from(["text", "image", "resource", "resource_link", "x"])},
            optional={
                key: st.one_of(st.none(), st.integers(), st.text(st.characters(codec=None, exclude_categories=())))
                for key in ("text", "data", "mimeType", "resource", "uri", "name", "size")
            },
        )
    ),
    st.booleans(),
)
def test_any_content_becomes_text_that_can_be_encoded(content: list[dict[str, object]], is_error: bool) -> None:
    result = read_result(content, is_error=is_error)
    assert result.message.encode()
    assert result.message
