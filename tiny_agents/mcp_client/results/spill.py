"""What is too long for a model: kept in files, from which it reads on in pieces."""

from __future__ import annotations

import logging
import shutil
import tempfile
from collections import OrderedDict
from pathlib import Path
from typing import Annotated

from msgspec.structs import replace

from tiny_agents.errors import UsageError
from tiny_agents.mcp_client.bounds import MAX_RESULT_CHARS
from tiny_agents.mcp_client.results.results import ToolResult
from tiny_agents.mcp_client.tools.table import READ_ON

logger = logging.getLogger("tiny_agents.mcp_client")

MAX_KEPT = 50
"""Results that are kept, the latest ones."""

MAX_PIECE_CHARS = 20_000


NOTE_CHARS = 200
"""Room for what is said beside a piece of a result."""


class Spill:
    """Results too long to be told whole. The files are removed by `close`.

    Args:
        max_chars: How much of a result is told at once, at least 500.
    """

    def __init__(self, max_chars: int = MAX_RESULT_CHARS) -> None:
        self._max_chars = max_chars
        self._piece_chars = min(MAX_PIECE_CHARS, max_chars - NOTE_CHARS)
        self._folder: Path | None = None
        self._kept: OrderedDict[str, int] = OrderedDict()  # id -> characters
        self._count = 0

    @property
    def is_empty(self) -> bool:
        return not self._kept

    def told(self, result: ToolResult) -> str:
        """What the model is told of a result: all of it, or its beginning and how to read on."""
        whole = result.text if result.whole is None else result.whole
        if len(whole) <= self._max_chars:
            return (result if result.whole is None else replace(result, text=whole)).message
        beginning = replace(result, text=whole[: self._max_chars]).message
        cut = f"[Cut here: these are the first {self._max_chars:,} of {len(whole):,} characters."
        try:
            key = self._keep(whole)
        except OSError as error:
            logger.warning("a long result can't be kept, so only its beginning can be read: %s", error)
            return f"{beginning}\n{cut}]"
        return f"{beginning}\n{cut} The tool '{READ_ON}' reads on: result '{key}', start {self._max_chars}.]"

    def _keep(self, text: str) -> str:
        if self._folder is None:
            self._folder = Path(tempfile.mkdtemp(prefix="tiny-agents-"))
        self._count += 1
        key = f"r{self._count}"
        try:
            self._file(key).write_text(text, encoding="utf-8", newline="")
        except OSError:
            self._file(key).unlink(missing_ok=True)  # what there was room for takes up the last of it
            raise
        self._kept[key] = len(text)
        while len(self._kept) > MAX_KEPT:
            oldest, _ = self._kept.popitem(last=False)
            self._file(oldest).unlink(missing_ok=True)
        return key

    def read_on(
        self,
        result: Annotated[str, "Which result, such as r1: the note at its cut says so."],
        start: Annotated[int, "The first character to read, counted from 0."] = 0,
        length: Annotated[
            int, "How many characters to read: as many as a result may have, or fewer."
        ] = MAX_PIECE_CHARS,
    ) -> str:
        """Read a piece of a tool's result that was cut because it was too long."""
        total = self._kept.get(result)
        if total is None:
            known = ", ".join(self._kept) or "none"
            raise UsageError(f"there is no result {result!r}; those that can be read are: {known}")
        start = max(start, 0)
        with self._file(result).open(encoding="utf-8", newline="") as file:
            piece = file.read()[start : start + min(max(length, 1), self._piece_chars)]
        end = start + len(piece)
        rest = f"; go on with start {end}" if end < total else "; this is the end"
        return f"{piece}\n[Characters {start:,} to {end:,} of {total:,}{rest}.]"

    def close(self) -> None:
        """Remove all files."""
        self._kept.clear()
        if self._folder is not None:
            shutil.rmtree(self._folder, ignore_errors=True)
            self._folder = None

    def _file(self, key: str) -> Path:
        assert self._folder is not None
        return self._folder / f"{key}.txt"
