"""What an @ in a prompt attaches, long pastes, and what Tab offers of files."""

import base64

import pytest

from tiny_agents.cli.prompt.attachments import (
    MAX_ATTACHMENTS,
    MAX_TEXT_BYTES,
    Mention,
    content_of,
    image_type,
    mentions,
    of_resource,
    read_file,
)
from tiny_agents.cli.prompt.pastes import LONG_CHARS, Pastes
from tiny_agents.cli.prompt.prompt_completion import files, wants_completion
from tiny_agents.errors import UsageError
from tiny_agents.mcp_client.resources.resources import ResourceContent

PNG = b"\x89PNG\r\n\x1a\n" + b"\0" * 8


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "notes.txt").write_text("Buy milk.")
    (tmp_path / "my file").write_text("Spaces.")
    (tmp_path / "pic.png").write_bytes(PNG)
    (tmp_path / "data.bin").write_bytes(b"\xff\x00\xfe")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "deep.md").write_text("Deep.")
    (tmp_path / ".hidden").write_text("")
    return tmp_path


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Read @notes.txt, please", [Mention("", "notes.txt")]),
        ("Read @notes.txt and @notes.txt again", [Mention("", "notes.txt")]),
        ('Read @"my file"!', [Mention("", "my file")]),
        ("@sub/deep.md", [Mention("", "sub/deep.md")]),
        ("@files:note://a/b is a resource", [Mention("files", "note://a/b")]),
        ("mail me@notes.txt", []),
        ("ask @anna", []),
        ("@@notes.txt as text", []),
        ("@app.route('/') is a decorator", []),
        ("look:\n```\n@notes.txt @gone.txt\n```", []),
    ],
)
def test_what_is_attached(folder, text, found):
    assert mentions(text, {"files"}, folder) == found


@pytest.mark.parametrize("text", ["@gone.txt", "see @sub/gone", '@"no such file"', "@~/gone.txt."])
def test_a_file_that_is_missing_is_said(folder, text):
    with pytest.raises(UsageError, match="there is no file .*: nothing was sent"):
        mentions(text, (), folder)


def test_not_too_many_things_are_attached(folder):
    for number in range(MAX_ATTACHMENTS + 1):
        (folder / f"f{number}").touch()
    with pytest.raises(UsageError, match="nothing was sent"):
        mentions(" ".join(f"@f{number}" for number in range(MAX_ATTACHMENTS + 1)), (), folder)


def test_text_goes_as_text_and_images_as_parts(folder):
    notes = read_file("notes.txt", folder, takes_images=False)
    assert content_of("Read", [notes]) == "Read\n\n[File notes.txt]\nBuy milk."
    picture = read_file("pic.png", folder, takes_images=True)
    assert content_of("Look", [notes, picture]) == [
        {"type": "text", "text": "Look\n\n[File notes.txt]\nBuy milk."},
        {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{base64.b64encode(PNG).decode()}"}},
    ]
    assert content_of("Hello", []) == "Hello"


@pytest.mark.parametrize(
    ("name", "why"),
    [("sub", "a folder"), ("data.bin", "neither text"), ("pic.png", "takes none"), ("big", "too large")],
)
def test_what_can_not_be_attached_is_said(folder, name, why):
    (folder / "big").write_bytes(b"a" * (MAX_TEXT_BYTES + 1))
    with pytest.raises(UsageError, match=why):
        read_file(name, folder, takes_images=False)


def test_resources_are_text_or_images():
    mention = Mention("s", "x://y")
    parts = [ResourceContent("x://y", text="Hi."), ResourceContent("x://z", data=PNG)]
    text, image = of_resource(mention, parts, takes_images=True)
    assert (text.title, text.text) == ("Resource x://y of s", "Hi.")
    assert image.image.startswith("data:image/png;base64,")


def test_images_are_told_by_their_first_bytes():
    assert image_type(b"RIFF\0\0\0\0WEBPVP8 ") == "image/webp"
    assert image_type(b"GIF89a") == "image/gif"
    assert image_type(b"\xff\xd8\xff\xe0") == "image/jpeg"
    assert image_type(b"hello") is None


def test_a_long_paste_is_a_few_words_until_it_is_sent():
    pastes = Pastes()
    assert pastes.take("one\r\ntwo\rthree") == "one\ntwo\nthree"
    long = "x" * (LONG_CHARS + 1)
    stand_in = pastes.take(long)
    assert len(stand_in) < 60
    assert pastes.expanded(f"Look: {stand_in}!") == f"Look: {long}!"
    with pytest.raises(UsageError, match="paste it again"):
        Pastes().expanded(stand_in)


def test_files_are_offered_as_they_are_attached(folder):
    assert files("", folder) == ["data.bin", '"my file"', "notes.txt", "pic.png", "sub/"]
    assert files("sub/", folder) == ["sub/deep.md"]
    assert files(".", folder) == [".hidden"]
    assert files("gone/", folder) == []


@pytest.mark.parametrize(
    ("text", "wanted"), [("/he", True), ("//he", False), ("read @no", True), ("read no", False), ("a\n@x", True)]
)
def test_words_are_offered_behind_a_slash_and_an_at(text, wanted):
    assert wants_completion(text) is wanted
