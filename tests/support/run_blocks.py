"""Run the Python blocks of a page, in order and in one namespace, as a reader would in a notebook.

    python -m tests.support.run_blocks        blocks as a JSON list on stdin, what each printed as a JSON list on stdout

`await` at the top level is fine. A block that raises ends the run with its traceback, in which lines count from the start
of the block.
"""

from __future__ import annotations

import ast
import asyncio
import contextlib
import inspect
import io
import json
import linecache
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

LIMIT_S = 60
_ROOT = Path(__file__).parents[2]


async def run(blocks: list[str]) -> list[str]:
    printed = []
    names: dict[str, Any] = {"__name__": "__main__"}
    for number, source in enumerate(blocks, 1):
        title = f"<python block {number}>"
        linecache.cache[title] = (len(source), None, source.splitlines(keepends=True), title)
        code = compile(source, title, "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
        output = io.StringIO()
        with contextlib.redirect_stdout(output):
            async with asyncio.timeout(LIMIT_S):
                result = eval(code, names)  # what a notebook does with a cell
                if inspect.isawaitable(result):
                    await result
        printed.append(output.getvalue())
    return printed


def in_own_process(
    blocks: Iterable[str], *, cwd: Path, env: Mapping[str, str] | None = None, timeout: float = 120
) -> list[str]:
    """What each block printed, run in a program of its own in the folder `cwd`, with `env` beside our variables."""
    done = subprocess.run(
        [sys.executable, "-X", "utf8", "-m", "tests.support.run_blocks"],
        input=json.dumps(list(blocks)),
        capture_output=True,
        encoding="utf-8",
        timeout=timeout,
        check=False,
        cwd=cwd,
        env={**os.environ, "PYTHONPATH": str(_ROOT), **(env or {})},
    )
    assert done.returncode == 0, done.stderr
    printed: list[str] = json.loads(done.stdout)
    return printed


if __name__ == "__main__":
    print(json.dumps(asyncio.run(run(json.load(sys.stdin)))))
