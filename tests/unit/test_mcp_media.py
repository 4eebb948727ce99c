"""What tools return besides text reaches the model after the tool messages; long text is read on in pieces."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from tiny_agents.errors import UsageError
from tiny_agents.mcp_client.results.media import (
    MAX_PART_CHARS,
    MAX_PARTS,
    TakesImages,
    hide_media,
    insert_after,
    media_message,
    media_parts,
)
from tiny_agents.mcp_client.results.results import ToolResult, read_result
from tiny_agents.mcp_client.results.spill import MAX_KEPT, MAX_PIECE_CHARS, Spill

PNG = {"type": "image", "data": "iVBO", "mimeType": "image/png"}
WAV = {"type": "audio", "data": "AAAA", "mimeType": "audio/wav"}
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBO"}}
SOUND = {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}


@pytest.mark.parametrize(
    ("block", "images", "audio", "parts"),
    [
        (PNG, "auto", False, [IMAGE]),
        (PNG, True, False, [IMAGE]),
        (PNG, False, True, []),
        (WAV, True, True, [SOUND]),
        (WAV, True, False, []),
        ({**PNG, "mimeType": "IMAGE/PNG; x=1"}, True, False, [IMAGE]),
        ({**PNG, "data": "data:image/png;base64,iVBO"}, True, False, [IMAGE]),
        ({**PNG, "mimeType": "image/svg+xml"}, True, False, []),
        ({**PNG, "data": "x" * (MAX_PART_CHARS + 1)}, True, False, []),
        ({**PNG, "data": None}, True, False, []),
        ({"type": "resource", "resource": {"uri": "a://b", "blob": "iVBO", "mimeType": "image/png"}}, True, False, [IMAGE]),
        ({"type": "resource", "resource": {"uri": "a://b", "text": "x", "mimeType": "image/png"}}, True, False, []),
        ({"type": "resource", "resource": None}, True, True, []),
        ({"type": "text", "text": "x"}, True, True, []),
    ],
)  # fmt: skip
def test_images_and_sound_become_parts_where_a_model_takes_them(
    block: dict[str, Any], images: TakesImages, audio: bool, parts: list[dict[str, Any]]
) -> None:
    assert media_parts(read_result([block]), images=images, audio=audio) == parts


def test_the_message_says_where_its_parts_come_from_and_can_be_put_into_words() -> None:
    message = media_message([("camera", IMAGE), ("mic", SOUND)])
    text = (
        "[What the tools returned besides text, in the order of the calls: an image from 'camera', a sound from 'mic'.]"
    )
    assert message.role == "user"
    assert message.content == [{"type": "text", "text": text}, IMAGE, SOUND]
    own = {"role": "user", "content": [{"type": "text", "text": "Mine"}, IMAGE]}
    messages = [{"role": "user", "content": "?"}, own, message]
    assert hide_media(messages)
    assert messages[:2] == [{"role": "user", "content": "?"}, own]
    assert messages[2]["content"] == f"{text[:-1]} This model can't be shown them.]"
    assert not hide_media(messages)


def test_there_are_never_too_many_parts() -> None:
    message = media_message([("t", IMAGE)] * (MAX_PARTS + 2))
    assert isinstance(message.content, list)
    assert len(message.content) == MAX_PARTS + 1
    assert message.content[0]["text"].endswith(", and 2 more that are left out.]")


def test_a_message_is_put_behind_another_by_identity() -> None:
    first, same = {"a": 1}, {"a": 1}
    messages = [first, same]
    insert_after(messages, first, {"b": 1})
    insert_after(messages, {"a": 1}, {"c": 1})
    assert messages == [first, {"b": 1}, same]


# ---------------------------------------------------------------- long results


def long_result(text: str, *, is_error: bool = False) -> ToolResult:
    return read_result([{"type": "text", "text": text}], is_error=is_error)


def test_all_of_a_long_result_can_be_read_in_pieces() -> None:
    text = "".join(f"{number:07}ü\r\n" for number in range(6_000))
    spill = Spill()
    told = spill.told(long_result(text, is_error=True))
    assert told.startswith("Error: 0000000ü")
    assert told.endswith(
        "[Cut here: these are the first 40,000 of 60,000 characters. The tool 'read_on' reads on: result 'r1', start 40000.]"
    )
    start, pieces = 0, []
    for _ in range(3):
        piece, _, note = spill.read_on("r1", start).rpartition("\n[Characters ")
        pieces.append(piece)
        start += MAX_PIECE_CHARS
    assert "".join(pieces) == text
    assert note == "40,000 to 60,000 of 60,000; this is the end.]"
    assert spill.read_on("r1", 10, 5) == f"{text[10:15]}\n[Characters 10 to 15 of 60,000; go on with start 15.]"
    assert spill.read_on("r1", -5, 0).startswith("0\n")
    assert spill.read_on("r1", 70_000).startswith("\n[Characters 70,000 to 70,000")
    spill.close()
    with pytest.raises(UsageError, match="there is no result 'r1'; those that can be read are: none"):
        spill.read_on("r1")


def test_short_results_are_told_as_they_are_and_nothing_is_written() -> None:
    spill = Spill()
    assert spill.told(read_result([{"type": "text", "text": "short"}])) == "short"
    assert spill.is_empty


def test_old_results_are_forgotten_and_all_files_removed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    spill = Spill()
    keys = []
    for _ in range(MAX_KEPT + 1):
        found = re.search(r"result '(\w+)'", spill.told(long_result("x" * 40_001)))
        assert found is not None
        keys.append(found[1])
    with pytest.raises(UsageError, match="there is no result 'r1'"):
        spill.read_on(keys[0])
    assert spill.read_on(keys[-1], 40_000).startswith("x\n")
    assert len(list(tmp_path.glob("tiny-agents-*/*"))) == MAX_KEPT
    spill.close()
    assert not list(tmp_path.iterdir())


def test_where_nothing_can_be_written_the_beginning_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "nowhere"))
    assert (
        Spill().told(long_result("x" * 40_001)).endswith("[Cut here: these are the first 40,000 of 40,001 characters.]")
    )
