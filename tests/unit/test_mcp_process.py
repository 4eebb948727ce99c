"""Lines do not depend on how their bytes arrive, and nothing grows without bound."""

from __future__ import annotations

import asyncio
import itertools
import os
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tiny_agents.mcp_client.transports.process import CUT_BYTES, CutLine, LineSplitter, ServerProcess, Tail


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[a:b] for a, b in itertools.pairwise(places)] or [data]


def split(parts: list[bytes], limit: int) -> list[bytes | CutLine]:
    splitter = LineSplitter(limit)
    return [line for part in parts for line in splitter.feed(part)]


@given(
    st.lists(st.binary(max_size=30).map(lambda line: line.replace(b"\n", b""))),
    st.lists(st.integers(0, 400)),
    st.integers(0, 20),
)
def test_lines_do_not_depend_on_where_the_bytes_split(lines: list[bytes], cuts: list[int], limit: int) -> None:
    data = b"".join(line + b"\n" for line in lines)
    found = split(pieces(data, cuts), limit)
    assert found == [line if len(line) <= limit else CutLine(line, line, len(line)) for line in lines]


def test_both_ends_of_a_line_that_is_too_long_are_kept() -> None:
    data = b"begin " + b"x" * 10_000 + b" end\nnext\n"
    for step in (1, 7, 512, 4096, len(data)):
        cut, following = split([data[i : i + step] for i in range(0, len(data), step)], 1000)
        assert isinstance(cut, CutLine)
        assert (cut.head[:6], cut.tail[-4:], cut.size) == (b"begin ", b" end", 10_010)
        assert len(cut.head) == len(cut.tail) == CUT_BYTES
        assert following == b"next"


def test_an_endless_line_takes_no_memory() -> None:
    splitter = LineSplitter(1000)
    for _ in range(1000):
        assert splitter.feed(b"x" * 1000) == []
    assert len(splitter._buffer) <= 1000
    assert splitter.feed(b"\n")[0].size == 1_000_000  # type: ignore[union-attr]


@given(st.lists(st.binary(max_size=50)), st.integers(1, 40))
def test_a_tail_is_the_end_of_all_that_was_added(parts: list[bytes], limit: int) -> None:
    tail = Tail(limit)
    for part in parts:
        tail.add(part)
        assert len(tail._kept) <= 3 * limit
    assert bytes(tail._kept[-limit:]) == b"".join(parts)[-limit:]


def test_a_tail_is_shown_without_terminal_escapes() -> None:
    tail = Tail()
    tail.add(b"\x1b[31mfatal\x1b[0m caf\xe9\r\n")
    assert tail.text() == "fatal caf\ufffd\n"


@pytest.mark.anyio
@pytest.mark.parametrize(("size", "is_over_first"), [(10, True), (3_000_000, False)], ids=["few", "many"])
async def test_what_a_process_writes_before_somebody_reads_is_not_lost(size: int, is_over_first: bool) -> None:
    program = f"import sys; sys.stdout.write('x' * {size})"
    process = await ServerProcess.start(sys.executable, ["-c", program], env=dict(os.environ), cwd=None)
    if is_over_first:
        await process.exited.wait()
    taken: list[bytes] = []
    ended = asyncio.Event()
    process.take_output(taken.append, ended.set)
    await ended.wait()
    await process.stop()
    assert (len(b"".join(taken)), process.returncode) == (size, 0)
