"""Pixels -> sixels, the graphics of DEC's terminals, which some of today's show. Pure.

Six rows of pixels are one of characters: for each colour in it a line of characters, each of which says which of its six
pixels have that colour.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

BAND = 6
START = "\x1bP0;1;0q"  # pixels that nobody draws stay as they are
END = "\x1b\\"

_RUNS = re.compile(rb"(.)\1{3,254}", re.DOTALL)
_CHARACTERS = bytes((value + 63) & 0xFF for value in range(256))

Colour = tuple[int, int, int]
"""Red, green and blue, 0 to 255."""


def encode(width: int, pixels: bytes, palette: Sequence[Colour]) -> str:
    """What a terminal has to be sent.

    Args:
        width: Pixels of a row.
        pixels: For each its place in the palette, row after row.
        palette: At most 256 colours.
    """
    rows = [pixels[start : start + width] for start in range(0, len(pixels), width)]
    colours = "".join(
        f"#{number};2;{red * 100 // 255};{green * 100 // 255};{blue * 100 // 255}"
        for number, (red, green, blue) in enumerate(palette)
    )
    bands = "-".join(b"$".join(_band(rows[start : start + BAND])).decode() for start in range(0, len(rows), BAND))
    return f'{START}"1;1;{width};{len(rows)}{colours}{bands}{END}'


def _band(rows: Sequence[bytes]) -> Iterator[bytes]:
    """The lines of a band, one for each of its colours."""
    for colour in sorted(set(b"".join(rows))):
        # Each pixel is a byte in which the bit of its row is set or not, so rows can be added up as one large number.
        added = 0
        for bit, row in enumerate(rows):
            of_colour = bytearray(256)
            of_colour[colour] = 1 << bit
            added += int.from_bytes(row.translate(bytes(of_colour)), "big")
        characters = added.to_bytes(len(rows[0]), "big").translate(_CHARACTERS)
        yield b"#%d%s" % (colour, _RUNS.sub(_shortened, characters))


def _shortened(run: re.Match[bytes]) -> bytes:
    return b"!%d%s" % (len(run[0]), run[1])
