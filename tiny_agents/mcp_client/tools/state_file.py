"""A small JSON file of ours that several processes read and change: never half written, for the user's eyes alone."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Generic, TypeVar

import msgspec

from tiny_agents.data_dir import make_private, write_private
from tiny_agents.inference.cache import locked

logger = logging.getLogger("tiny_agents.mcp_client")

T = TypeVar("T", bound=msgspec.Struct)

LOCK_WAIT_S = 2.0
"""How long another process may hold the file; it takes milliseconds, unless that process is stopped in the middle."""

MAX_BYTES = 50_000_000


class StateFile(Generic[T]):
    """What is kept in the file at `path`, as a struct with a field `version`.

    A file that can't be used (broken, of a newer release, not ours to read) is left as it is, with a warning; what would
    have been kept in it is kept until the end of the process.

    Args:
        empty: What a file that isn't there means; its `version` is the one that is understood.
        what: What is kept, for messages: "answers about tools".

    Attributes:
        problem: Why the file can't be used; None as long as it can, or wasn't read yet.
    """

    def __init__(self, path: Path, empty: T, *, what: str) -> None:
        self.path = path
        self._shape = type(empty)
        self._value = empty
        self._version = empty.version  # type: ignore[attr-defined]
        self._what = what
        self.problem: str | None = None
        self._was_read = False

    @property
    def value(self) -> T:
        """What the file said when it was last read or changed; not to be changed itself."""
        if not self._was_read:
            self._was_read = True
            self._read()
        return self._value

    def change(self, change: Callable[[T], T]) -> T:
        """Read the file, and write what `change` makes of it; no other process does so meanwhile.

        Takes some milliseconds, up to `LOCK_WAIT_S`.
        """
        if self.problem is None:
            try:
                file = Path(os.path.realpath(self.path))  # a link is followed: to replace it would cut it off
                make_private(file.parent)
                with locked(file.with_name(f".{file.name}.lock"), limit_s=LOCK_WAIT_S):
                    self._read()
                    self._write(file, change(self._value))
            except OSError as error:  # TimeoutError is one too
                self._give_up(error.strerror or str(error))
        if self.problem is not None:
            self._value = change(self._value)
        return self._value

    def _read(self) -> None:
        try:
            with self.path.open("rb") as file:
                data = file.read(MAX_BYTES)
            found = msgspec.json.decode(data, type=self._shape)
        except FileNotFoundError:
            return
        except OSError as error:
            self._give_up(error.strerror or str(error))
        except (msgspec.DecodeError, ValueError, RecursionError) as error:
            self._give_up(f"it is broken ({error}); remove it to begin anew")
        else:
            if found.version == self._version:  # type: ignore[attr-defined]
                self._value = found
            else:
                self._give_up("it was written by another release of tiny-agents; remove it to begin anew")

    def _write(self, file: Path, value: T) -> None:
        if self.problem is None:
            if value != self._value:
                data = msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"
                if len(data) > MAX_BYTES:  # it could not be read again
                    self._give_up(f"it would be longer than {MAX_BYTES:,} bytes; remove it to begin anew")
                    return
                write_private(file, data)
            self._value = value

    def _give_up(self, why: str) -> None:
        self.problem = why
        logger.warning("%s: %s; %s are remembered only until the end of this program", self.path, why, self._what)
