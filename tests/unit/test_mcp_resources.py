"""Lists of resources and prompts, templates, changes that wait: what the wire says, read."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from tiny_agents.mcp_client.connection.changes import MAX_WAITING, Change, Changes, KeptLists
from tiny_agents.mcp_client.resources.prompts import fill, read_completion, read_prompt_entry
from tiny_agents.mcp_client.resources.resources import (
    ResourceContent,
    ResourceTemplate,
    as_result,
    read_contents,
    read_resource_entry,
)

pytestmark = pytest.mark.anyio


@pytest.mark.parametrize(
    ("template", "uri", "fits"),
    [
        ("shelf://{room}/{number}", "shelf://attic/3", True),
        ("shelf://{room}/{number}", "shelf://attic/3/4", False),
        ("shelf://{room}/{number}", "shelf://attic", False),
        ("file:///{+path}", "file:///a/b.txt", True),
        ("search://x{?q,lang}", "search://x?q=1&lang=en", True),
        ("search://x{?q,lang}", "search://y", False),
        ("a.b://{x}", "aXb://1", False),
    ],
)
def test_a_template_knows_its_uris(template: str, uri: str, fits: bool) -> None:
    assert ResourceTemplate("s", template, "t").fits(uri) is fits


def test_a_template_names_its_variables_once() -> None:
    assert ResourceTemplate("s", "x://{a}/{b*}{?c,d:3,a}", "t").variables == ("a", "b", "c", "d")


def test_what_nobody_sees_is_taken_out_of_names_but_not_of_addresses() -> None:
    listed = {
        "uri": "x://\u202ea",
        "name": "n\x1b[2J",
        "description": "d\u200b",
        "size": True,
        "mimeType": "text/plain",
    }
    resource = read_resource_entry("s", listed)
    assert (resource.uri, resource.name, resource.description, resource.size) == ("x://\u202ea", "n", "d", None)


def test_contents_are_text_or_bytes() -> None:
    parts = [{"uri": "a", "text": "x\ud800"}, {"uri": "b", "mimeType": "image/png", "blob": "AAE="}]
    read = read_contents(parts)
    assert read == (ResourceContent("a", None, text="x\ufffd"), ResourceContent("b", "image/png", data=b"\x00\x01"))
    assert as_result(read).text == "x\ufffd\n[Binary Content (b): image/png, 2 bytes]"
    assert [block["resource"]["uri"] for block in as_result(read).content] == ["a", "b"]
    with pytest.raises(ValueError, match="not valid base64"):
        read_contents([{"uri": "b", "blob": "?"}])


def test_a_prompt_without_arguments_or_of_odd_messages_is_read() -> None:
    assert read_prompt_entry("s", {"name": "p"}).arguments == ()
    odd: dict[str, Any] = {
        "messages": [
            {"role": "assistant", "content": {"type": "image", "mimeType": "image/png", "data": "AAAA"}},
            {"role": "user", "content": {"type": "resource_link", "uri": "x://y", "name": "y"}},
            {"role": "user", "content": {"type": "audio", "mimeType": "audio/wav", "data": "AAAA"}},
            {"role": "user"},
        ]
    }
    assert [message.content for message in fill(odd, images=True, audio=True).messages] == [
        "[Binary Content: Image image/png, 3 bytes]",
        "[Resource link 'y' (x://y)]",
        [{"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}}],
        "[Content of the type 'None', which can't be shown]",
    ]


def test_a_completion_has_at_most_a_hundred_values() -> None:
    assert len(read_completion({"values": [str(n) for n in range(300)]}).values) == 100


async def test_changes_are_told_once_and_are_bounded() -> None:
    changes, told = Changes(), []
    for n in range(3 * MAX_WAITING):
        changes.note(Change("resources", f"x://{n % (2 * MAX_WAITING)}"))
        changes.note(Change("prompts"))
    done = asyncio.Event()

    def tell(change: Change) -> None:
        told.append(change)
        done.set()

    telling = asyncio.create_task(changes.tell(tell))
    async with asyncio.timeout(30):
        await done.wait()
    telling.cancel()
    assert len(told) == MAX_WAITING
    assert told.count(Change("prompts")) == 1


def test_a_list_is_kept_until_its_time_or_a_change() -> None:
    changes = Changes()
    kept = KeptLists(changes)
    assert kept.find("prompts", 0) is None
    kept.keep("prompts", ["p"], until=10, times=kept.times("prompts"))
    kept.keep("resource templates", ["t"], until=10, times=kept.times("resource templates"))
    assert kept.find("prompts", 9) == ["p"]
    assert kept.find("prompts", 10) is None
    changes.note(Change("resources"))
    assert kept.find("resource templates", 1) is None
    assert kept.find("prompts", 1) == ["p"]
    before = kept.times("prompts")
    changes.note(Change("prompts"))  # while the list is on its way
    kept.keep("prompts", ["old"], until=10, times=before)
    assert kept.find("prompts", 1) is None
