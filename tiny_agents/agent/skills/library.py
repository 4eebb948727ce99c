"""`Skills`: those that an agent has, how its model is told of them, and the tool with which it reads them."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

from tiny_agents.agent.skills.reading import (
    MAX_BYTES,
    MAX_FILES,
    SKILL_FILE,
    Skill,
    file_of,
    files_of,
    read_skill,
    skill_folders,
)
from tiny_agents.errors import ConfigError, UsageError
from tiny_agents.mcp_client.tools.table import LOAD_SKILL

logger = logging.getLogger("tiny_agents.agent")

MAX_LISTED_CHARS = 16_000
"""Most of what the system prompt says about skills."""

INTRODUCTION = f"""\
You have skills: instructions for tasks of a certain kind. Before you begin a task that one of them fits, read it with the \
tool '{LOAD_SKILL}', and then do as it says. These are your skills:"""


class Skills:
    """Skills in folders. They are looked at anew whenever they are used: who edits one need not start the agent again.

    Args:
        folders: Each a skill, or a folder of skills.
        pinned: Path -> SHA-256 of the files that may be read, for an agent that was downloaded; None for the user's own.
    """

    def __init__(self, folders: Iterable[Path], pinned: Mapping[Path, str] | None = None) -> None:
        self._folders = [*folders]
        self._pinned = dict(pinned) if pinned is not None else None
        self._read: dict[Path, tuple[tuple[int, int], Skill | None]] = {}  # what a file was like -> what it says

    def add(self, folders: Iterable[Path], pinned: Mapping[Path, str] | None = None) -> None:
        """More folders, as for a new one."""
        self._folders += folders
        if pinned is not None:
            self._pinned = {**(self._pinned or {}), **pinned}

    def all(self) -> dict[str, Skill]:
        """The skills by name. One that can't be used at the moment is left out, with a warning."""
        found: dict[str, Skill] = {}
        for folder in self._folders:
            for path in skill_folders(folder):
                if (skill := self._skill(path)) is not None:
                    found.setdefault(skill.name, skill)
        return found

    def _skill(self, folder: Path) -> Skill | None:
        try:
            about = (folder / SKILL_FILE).stat()
        except OSError:
            return None
        state = (about.st_mtime_ns, about.st_size)
        if (known := self._read.get(folder)) is not None and known[0] == state:
            return known[1]
        skill: Skill | None = None
        try:
            self._check(folder / SKILL_FILE)
            skill = read_skill(folder)
        except ConfigError as error:
            logger.warning("a skill is left out: %s", error)
        self._read[folder] = (state, skill)
        return skill

    def _check(self, path: Path) -> None:
        """Raises ConfigError for a file of a downloaded agent that isn't as it was downloaded."""
        if self._pinned is None:
            return
        if self._pinned.get(path) != hashlib.sha256(path.read_bytes()).hexdigest():
            raise ConfigError("isn't as it was downloaded, so it isn't read", path=path)

    def listing(self) -> str | None:
        """What the system prompt says of them; None where there are none."""
        skills = self.all()
        if not skills:
            return None
        lines = [INTRODUCTION]
        left = MAX_LISTED_CHARS
        for n, skill in enumerate(skills.values()):
            line = f"- {skill.name}: {skill.description}"
            if len(line) > left:
                names = ", ".join(list(skills)[n:])
                lines.append(f"- and, too many to describe them here: {names}"[:MAX_LISTED_CHARS])
                break
            left -= len(line)
            lines.append(line)
        return "\n".join(lines)

    def load_skill(
        self,
        name: Annotated[str, "Which skill, as it is listed."],
        file: Annotated[str, "A file of that skill, as its list of files says it; by default its instructions."] = "",
    ) -> str:
        """Read a skill: instructions for a kind of task, and the files that belong to them."""
        skills = self.all()
        if name not in skills:
            raise UsageError(f"there is no skill {name[:100]!r}; there are: {', '.join(skills) or 'none'}")
        skill = skills[name]
        if not file or file == SKILL_FILE:
            return f"{skill.body or '(This skill says no more than its description.)'}{_listed(skill.folder)}"
        path = file_of(skill.folder, file)
        if path is None:
            raise UsageError(f"the skill {name!r} has no file {file[:200]!r}{_listed(skill.folder)}")
        return self._text(path)

    def _text(self, path: Path) -> str:
        self._check(path)
        with path.open("rb") as opened:
            data = opened.read(MAX_BYTES + 1)
        if len(data) > MAX_BYTES:
            raise UsageError(f"{path.name} is larger than {MAX_BYTES // 1_000_000} MB and can't be read")
        try:
            return data.decode("utf-8-sig")
        except UnicodeDecodeError:
            raise UsageError(f"{path.name} is no text; it is the file {path}") from None


def _listed(folder: Path) -> str:
    others = [name for name in files_of(folder) if name != SKILL_FILE]
    if not others:
        return ""
    more = " (and more)" if len(others) >= MAX_FILES - 1 else ""
    listed = ", ".join(others) + more
    return f"\n\n[Files of this skill, in the folder {folder}: {listed}. The tool '{LOAD_SKILL}' reads them.]"
