"""What the user agreed to: which downloaded agents may start, as they were then.

The answers are a JSON file in the user's data directory, for the user alone. One holds for exactly the files that were
there and what they would have done; anything else is asked about again, with what changed.
"""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from tiny_agents.agent.definition.reference import Origin
from tiny_agents.agent.definition.requirements import commands_and_hosts
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.data_dir import data_dir, make_private, write_private
from tiny_agents.errors import ConfigError
from tiny_agents.inference.cache import locked

VERSION = 1
FILE = "trusted-agents.json"


class Trusted(msgspec.Struct, frozen=True, kw_only=True):
    """An agent as the user agreed to it.

    Attributes:
        address: The agent, without its revision.
        commit: The revision it was at.
        content: One SHA-256 over its files.
        consequences: What it would run, call and read, a sentence each.
        files: Path -> SHA-256.
        on: The day of the answer, YYYY-MM-DD.
    """

    address: str
    name: str
    commit: str
    content: str
    consequences: tuple[str, ...]
    files: dict[str, str]
    on: str = ""


class _Answers(msgspec.Struct, frozen=True):
    version: int
    agents: tuple[Trusted, ...] = ()


class _Versioned(msgspec.Struct, frozen=True):
    version: int


def as_it_is(definition: AgentDefinition, origin: Origin, *, on: str | None = None) -> Trusted:
    """A downloaded agent as the user would agree to it now."""
    return Trusted(
        address=origin.address,
        name=origin.reference.name,
        commit=origin.commit,
        content=origin.content,
        consequences=tuple(commands_and_hosts(definition)),
        files=dict(origin.files),
        on=on if on is not None else datetime.now(UTC).date().isoformat(),
    )


def covers(answer: Trusted | None, now: Trusted) -> bool:
    """Whether the answer holds for the agent as it is now. Another revision with the same files is the same agent."""
    return answer is not None and (answer.content, answer.consequences) == (now.content, now.consequences)


def what_changed(before: Trusted, now: Trusted) -> list[str]:
    """The differences, a line each: `+` and `-` before what it would do, then the files."""
    gained = [f"+ {line}" for line in now.consequences if line not in before.consequences]
    lost = [f"- {line}" for line in before.consequences if line not in now.consequences]
    return [*lost, *gained, *changed_files(before.files, now.files)]


def changed_files(before: Mapping[str, str], now: Mapping[str, str]) -> list[str]:
    """What became of files that were known by their checksums, a line each."""
    kinds: Iterable[tuple[str, set[str]]] = (
        ("changed", {path for path in before.keys() & now.keys() if before[path] != now[path]}),
        ("new", now.keys() - before.keys()),
        ("gone", before.keys() - now.keys()),
    )
    return [f"{kind}: {path}" for kind, paths in kinds for path in sorted(paths)]


@dataclass(frozen=True, slots=True)
class TrustStore:
    """The answers in a file. Several processes may use it at once."""

    path: Path

    @classmethod
    def of_user(cls, env: Mapping[str, str] = os.environ) -> TrustStore:
        """The answers of whoever runs this."""
        return cls(data_dir(env) / FILE)

    def answers(self) -> dict[str, Trusted]:
        """All answers, by address.

        Raises:
            ConfigError: The file can't be read, others can write it, or it is from a newer version.
        """
        try:
            with self.path.open("rb") as file:
                if sys.platform != "win32" and os.fstat(file.fileno()).st_mode & (stat.S_IWGRP | stat.S_IWOTH):
                    raise ConfigError(
                        "others can write it, so its answers can't be believed: chmod 600 it", path=self.path
                    )
                data = file.read()
        except FileNotFoundError:
            return {}
        except OSError as error:
            raise ConfigError(f"can't be read: {error.strerror}", path=self.path) from error
        try:
            if (version := msgspec.json.decode(data, type=_Versioned).version) > VERSION:
                raise ConfigError(
                    f"was written by a newer tiny-agents (version {version} of this file, here {VERSION}): use that one, or "
                    "remove the file to be asked again",
                    path=self.path,
                )
            return {answer.address: answer for answer in msgspec.json.decode(data, type=_Answers).agents}
        except msgspec.DecodeError as error:
            raise ConfigError(f"is damaged ({error}): remove it to be asked again", path=self.path) from error

    def remember(self, answer: Trusted) -> None:
        """Keep an answer; it replaces an older one for the same agent.

        Raises:
            ConfigError: As `answers`.
            OSError: It can't be written.
        """
        with locked(self._lock):
            self._write({**self.answers(), answer.address: answer})

    def revoke(self, addresses: Iterable[str]) -> None:
        """Forget answers. Raises as `remember`."""
        with locked(self._lock):
            gone = set(addresses)
            self._write({address: answer for address, answer in self.answers().items() if address not in gone})

    @property
    def _lock(self) -> Path:
        make_private(self.path.parent)
        return self.path.with_name(f".{self.path.name}.lock")

    def _write(self, answers: Mapping[str, Trusted]) -> None:
        content = _Answers(VERSION, tuple(answers[address] for address in sorted(answers)))
        write_private(self.path, msgspec.json.format(msgspec.json.encode(content), indent=2) + b"\n")
