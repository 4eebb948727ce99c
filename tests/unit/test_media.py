"""Binary inputs: whatever they are given as, the provider gets bytes; what can't be read is said before anything is sent."""

from __future__ import annotations

import base64
import io
import os
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from tiny_agents import (
    InputNotFoundError,
    InvalidResponseError,
    MissingDependencyError,
    ProviderError,
    UnreadableInputError,
    UsageError,
)
from tiny_agents.inference.call import Ask, Call, Response
from tiny_agents.inference.media import (
    Content,
    Media,
    base64_text,
    content,
    data_url,
    fetched,
    has_content,
    image_of,
    media_type,
    read,
    type_of_name,
)


def png(size: tuple[int, int] = (3, 2)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size, "red").save(buffer, format="PNG")
    return buffer.getvalue()


PNG = png()


def call_with(source: Any) -> Call[Any]:
    return Call("image-classification", content(source, "image"), object)


def media_of(source: Any) -> Media:
    inputs = read(call_with(source)).inputs
    assert isinstance(inputs, Media)
    return inputs


# ---------------------------------------------------------------- what is on this machine


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_bytes_are_taken_as_they_are(kind: Any) -> None:
    assert media_of(kind(PNG)) == Media(PNG, None)


@pytest.mark.parametrize("form", [str, Path])
def test_a_path_is_read_and_its_name_says_what_it_is(form: Any, tmp_path: Path) -> None:
    path = tmp_path / "a picture.PNG"
    path.write_bytes(PNG)
    assert media_of(form(path)) == Media(PNG, "image/png")


def test_a_path_may_be_any_object_that_stands_for_one(tmp_path: Path) -> None:
    class Named:
        def __fspath__(self) -> bytes:
            return os.fsencode(tmp_path / "a.jpg")

    (tmp_path / "a.jpg").write_bytes(b"jpeg")
    assert media_of(Named()) == Media(b"jpeg", "image/jpeg")


def test_an_open_file_is_read_from_where_it_stands(tmp_path: Path) -> None:
    path = tmp_path / "sound.flac"
    path.write_bytes(b"--fLaC")
    with path.open("rb") as file:
        file.seek(2)
        assert media_of(file) == Media(b"fLaC", "audio/flac")
        with pytest.raises(
            UsageError, match="image: there is nothing in it .an open file is read from where it stands"
        ):
            read(call_with(file))
    assert media_of(io.BytesIO(PNG)) == Media(PNG, None)


def test_an_image_is_written_in_its_own_format_or_as_png() -> None:
    bare = media_of(Image.new("RGB", (3, 2)))
    assert (bare.mime, media_type(bare.data)) == ("image/png", "image/png")
    buffer = io.BytesIO()
    Image.new("RGB", (3, 2)).save(buffer, format="GIF")
    opened = media_of(Image.open(io.BytesIO(buffer.getvalue())))
    assert (opened.mime, media_type(opened.data)) == ("image/gif", "image/gif")


@pytest.mark.parametrize(
    ("url", "media"),
    [
        ("data:image/png;base64,aGk=", Media(b"hi", "image/png")),
        ("DATA:;base64,aGk=", Media(b"hi", None)),
        ("data:text/plain,a%20b", Media(b"a b", "text/plain")),
    ],
)
def test_a_data_url_holds_its_bytes(url: str, media: Media) -> None:
    assert media_of(url) == media


@pytest.mark.parametrize(
    ("source", "error", "says"),
    [
        ("no/such/file.png", InputNotFoundError, "image: there is no file 'no/such/file.png'"),
        (Path("no/such/file.png"), FileNotFoundError, "there is no file"),
        ("", InputNotFoundError, "there is no file ''"),
        ("a\0b", UnreadableInputError, "can't be read"),
        ("x" * 5000, UnreadableInputError, r"image: 'x{80}\.\.\.' can't be read"),
        (b"", UsageError, "there is nothing in it"),
        (io.StringIO("text"), UsageError, "open it in binary mode"),
        ("data:image/png", UsageError, "a data URL without data"),
        ("data:image/png;base64,a", UsageError, "not base64"),
    ],
)
def test_what_can_not_be_read_is_named(source: Any, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says) as caught:
        read(call_with(source))
    assert isinstance(caught.value, UsageError)


def test_a_folder_a_closed_file_and_a_path_through_a_file_can_not_be_read(tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_bytes(b"x")
    with file.open("rb") as closed:
        pass
    for source, says in ((tmp_path, "is a directory"), (file / "below", "directory"), (closed, "closed file")):
        with pytest.raises(UnreadableInputError, match=f"(?i)image: .*can't be read: .*{says}") as caught:
            read(call_with(source))
        assert isinstance(caught.value, OSError)


def test_an_error_does_not_show_the_input() -> None:
    assert "secret" not in repr(call_with(b"secret")) + repr(Media(b"secret"))


# ---------------------------------------------------------------- what a URL names

URL = "https://img.example/dog.png?size=large"


def answer(body: bytes, kind: str | None = None, url: str = URL) -> Response:
    return Response(200, {"content-type": kind} if kind else {}, body, url)


def ask_for(call: Call[Any]) -> Ask[Call[Any]]:
    step = fetched(read(call), keep_urls=False)
    assert isinstance(step, Ask)
    return step


@pytest.mark.parametrize("url", [URL, "http://img.example/dog.png", "HTTPS://img.example/dog.png"])
def test_a_url_is_asked_for_without_any_credential(url: str) -> None:
    step = ask_for(call_with(url))
    assert (step.request.method, step.request.url, step.request.key, step.request.headers) == ("GET", url, None, {})
    call = step.then(answer(PNG, "image/webp; q=1"))
    assert isinstance(call, Call)
    assert call.inputs == Media(PNG, "image/webp")


def test_a_url_s_name_says_what_it_is_where_the_server_does_not() -> None:
    call = ask_for(call_with(URL)).then(answer(PNG))
    assert isinstance(call, Call)
    assert call.inputs.mime == "image/png"


@pytest.mark.parametrize(
    ("response", "says"),
    [
        (answer(b"", "image/png"), "https://img.example/dog.png is empty"),
        (answer(b"<html>", "text/html"), "a web page"),
    ],
)
def test_what_is_no_file_is_not_sent_on(response: Response, says: str) -> None:
    with pytest.raises(InvalidResponseError, match=f"{says}.*nothing was sent to the model"):
        ask_for(call_with(URL)).then(response)


def test_a_url_that_is_refused_is_not_sent_on() -> None:
    refused = ask_for(call_with(URL)).refused
    assert refused is not None
    with pytest.raises(ProviderError, match=r"image: could not be fetched; nothing was sent.*gone") as caught:
        refused(ProviderError("gone", status=404, url="https://img.example/dog.png"))
    assert caught.value.status == 404


def test_a_provider_that_takes_urls_gets_them_as_they_are() -> None:
    for url in (URL, "data:image/png;base64,aGk="):
        call = fetched(read(call_with(url)), keep_urls=True)
        assert isinstance(call, Call)
        assert data_url(call.inputs, "image/jpeg") == url


def test_inputs_with_names_are_read_and_fetched_one_after_the_other() -> None:
    inputs = {
        "image": content(URL, "image"),
        "mask": content("http://img.example/m", "mask"),
        "file": content(PNG, "f"),
    }
    call: Call[Any] = Call("t", {**inputs, "question": "What?"}, object)
    assert has_content(call)
    step: Any = fetched(read(call), keep_urls=False)
    for body in (b"1", b"2"):
        assert isinstance(step, Ask)
        step = step.then(answer(body))
    assert [value.data for value in list(step.inputs.values())[:3]] == [b"1", b"2", PNG]
    assert step.inputs["question"] == "What?"
    assert not has_content(step)


# ---------------------------------------------------------------- forms on the wire


@pytest.mark.parametrize(
    ("start", "kind"),
    [
        (PNG, "image/png"),
        (b"\xff\xd8\xff\xe0", "image/jpeg"),
        (b"GIF89a", "image/gif"),
        (b"RIFF\0\0\0\0WEBPVP8 ", "image/webp"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"fLaC\0", "audio/flac"),
        (b"ID3\x04", "audio/mpeg"),
        (b"OggS\0", "audio/ogg"),
        (b"\0\0\0\x18ftypmp42", "video/mp4"),
        (b"\0\0\0\x18ftypM4A ", "audio/mp4"),
        (b"\0\0\0\x1cftypavif", "image/avif"),
        (b"\x1aE\xdf\xa3", "video/webm"),
        (b"%PDF-1.7", "application/pdf"),
        (b"hello", None),
        (b"", None),
    ],
)
def test_bytes_say_what_they_are(start: bytes, kind: str | None) -> None:
    assert media_type(start) == kind


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.png", "image/png"), ("b/c.JPG", "image/jpeg"), ("d.mp3", "audio/mpeg"), ("png", None), ("e.xyz", None)],
)
def test_names_say_what_they_are(name: str, kind: str | None) -> None:
    assert type_of_name(name) == kind


def test_media_in_base64_and_as_a_data_url() -> None:
    assert base64.b64decode(base64_text(Media(PNG))) == PNG
    assert data_url(Media(b"hi", "image/png"), "image/jpeg") == "data:image/png;base64,aGk="
    assert data_url(Media(b"hi"), "image/jpeg") == "data:image/jpeg;base64,aGk="


def test_an_image_comes_back_from_bytes() -> None:
    image = image_of(PNG, source="https://p.example")
    assert (image.size, image.format) == ((3, 2), "PNG")


@pytest.mark.parametrize("data", [b"", b"{}", b'{"key": "hf_abcdefghijklmnop"}', PNG[:20]])
def test_what_is_no_image_is_named_without_keys(data: bytes) -> None:
    with pytest.raises(
        InvalidResponseError, match="https://p.example answered with something that is no image"
    ) as caught:
        image_of(data, source="https://p.example")
    assert "hf_abc" not in f"{caught.value} {caught.value.body}"


def test_content_that_can_not_be_one_is_refused_when_the_call_is_built() -> None:
    with pytest.raises(
        UsageError, match="audio: bytes, an open file, a path, a URL or a PIL image is needed; got dict"
    ):
        content({}, "audio")
    assert content("x", "audio") == Content("x", "audio")


def test_an_image_as_a_result_names_the_extra_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "PIL.Image", None)
    with pytest.raises(MissingDependencyError, match=r"tiny-agents\[images\]"):
        image_of(PNG, source="x")
