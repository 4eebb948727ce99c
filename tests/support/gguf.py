"""A GGUF file with another chat template: the header is written anew, the tensors are copied as they are.

Source: the GGUF specification: magic, version, counts, key-value pairs, tensor descriptions, then data at a multiple of
`general.alignment` (32 by default).
"""

from __future__ import annotations

import struct
from pathlib import Path
from typing import BinaryIO

ALIGNMENT = 32
TEMPLATE_KEY = b"tokenizer.chat_template"
STRING, ARRAY = 8, 9
_SIZES = {0: 1, 1: 1, 2: 2, 3: 2, 4: 4, 5: 4, 6: 4, 7: 1, 10: 8, 11: 8, 12: 8}


def with_chat_template(source: Path, target: Path, template: str) -> None:
    """Copy `source` to `target` with this chat template."""
    with source.open("rb") as file, target.open("wb") as out:
        magic, version, tensors, pairs = struct.unpack("<4sIQQ", file.read(24))
        assert magic == b"GGUF"
        out.write(struct.pack("<4sIQQ", magic, version, tensors, pairs))
        for _ in range(pairs):
            key = _string(file)
            (kind,) = struct.unpack("<I", file.read(4))
            value = _value(file, kind)
            if key == TEMPLATE_KEY:
                value = _packed(template.encode())
            out.write(_packed(key) + struct.pack("<I", kind) + value)
        for _ in range(tensors):
            out.write(_packed(_string(file)))
            (dimensions,) = struct.unpack("<I", file.read(4))
            out.write(struct.pack("<I", dimensions) + file.read(8 * dimensions + 4 + 8))
        file.seek(-file.tell() % ALIGNMENT, 1)
        out.write(b"\0" * (-out.tell() % ALIGNMENT))
        while data := file.read(1 << 20):
            out.write(data)


def _string(file: BinaryIO) -> bytes:
    (length,) = struct.unpack("<Q", file.read(8))
    return file.read(length)


def _packed(text: bytes) -> bytes:
    return struct.pack("<Q", len(text)) + text


def _value(file: BinaryIO, kind: int) -> bytes:
    """The bytes of a value, as they are."""
    if kind == STRING:
        return _packed(_string(file))
    if kind == ARRAY:
        head = file.read(12)
        item, count = struct.unpack("<IQ", head)
        return head + b"".join(_value(file, item) for _ in range(count))
    return file.read(_SIZES[kind])
