"""What is opened and closed a thousand times leaves nothing behind."""

from __future__ import annotations

import asyncio
import gc

import pytest

from tests.support.mcp_servers import bad_server, no_model
from tests.support.processes import Grown, Mark, linux_only

pytestmark = [pytest.mark.anyio, pytest.mark.integration]

AT_ONCE = 4
CYCLES = 1_000
MOST_GROWTH = 8_000_000
"""Bytes. A kilobyte lost per cycle would be a megabyte; the allocator's own ups and downs are larger than that."""


@linux_only
async def test_a_thousand_processes_come_and_go() -> None:
    mark = Mark()

    async def cycle() -> None:
        async with no_model() as client:
            await client.add_mcp_server(**bad_server("well_behaved", env=mark.env))
            assert (await client.call_tool("ping")).text == "pong"

    async def cycles(count: int) -> None:
        for number in range(count // AT_ONCE):
            await asyncio.gather(*(cycle() for _ in range(AT_ONCE)))
            if number % 10 == 0:
                gc.collect()  # what only waits for Python's collector is not what is looked for

    async with asyncio.timeout(1500):  # it takes one or two minutes on a machine that has nothing else to do
        await cycles(60)  # until everything is imported, cached and grown to its size
        grown = Grown()
        await cycles(CYCLES)
        await mark.gone()
        await grown.less_than(objects=CYCLES, size=MOST_GROWTH)
