"""A skill's folder: what its `SKILL.md` says, which files it has, and where they end. Nothing of a skill is executed.

    ---
    name: invoices
    description: How invoices of this company are written. Use it whenever somebody asks for an invoice.
    ---
    The instructions, as long as they need to be.

Source: the "Agent Skills" specification (agentskills.io): `name` and `description` are needed, other keys are left alone.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from tiny_agents.agent.definition.document import read_yaml
from tiny_agents.agent.definition.markdown import split_markdown
from tiny_agents.errors import ConfigError

SKILL_FILE = "SKILL.md"
MAX_BYTES = 1_000_000
"""Of a file that a model reads."""
MAX_NAME_CHARS = 64
MAX_DESCRIPTION_CHARS = 1_024
MAX_FILES = 200
"""Files of a skill that are listed."""
MAX_SKILLS = 200
"""Skills of one folder."""

_NAME = re.compile(r"[a-z0-9]+(?:-[a-z0-9]+)*")


class Skill(msgspec.Struct, frozen=True):
    """A skill as its file says it.

    Attributes:
        folder: Its folder; absolute if that of the definition is.
        body: The text below the front matter.
    """

    name: str
    description: str
    folder: Path
    body: str


def skill_folders(folder: Path) -> list[Path]:
    """The skills in a folder, by name: the folder itself, or those folders in it that have a `SKILL.md`."""
    if (folder / SKILL_FILE).is_file():
        return [folder]
    try:
        found = sorted(entry for entry in folder.iterdir() if (entry / SKILL_FILE).is_file())
    except OSError:
        return []
    return [entry for entry in found if _is_below(entry, folder)][:MAX_SKILLS]


def read_skill(folder: Path) -> Skill:
    """The skill of a folder.

    Raises:
        ConfigError: Its `SKILL.md` can't be read, or lacks what it has to say; with the file and the line.
    """
    path = folder / SKILL_FILE
    if not _is_below(path, folder):
        raise ConfigError("is a link that leads out of the skill's folder", path=path)
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"can't be read: {(error.strerror or str(error)).lower()}", path=path) from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"is larger than {MAX_BYTES // 1_000_000} MB, which no skill needs", path=path)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError("is not UTF-8 text; save it as UTF-8", path=path, line=line) from error
    if not text.startswith("---"):
        raise ConfigError(
            "a skill begins with a line '---', then its name and description, then another '---'", path=path
        )
    front, body = split_markdown(text, str(path))
    root = read_yaml(front, str(path))
    says = root.mapping()
    for key, why in (("name", "it is what the skill is called"), ("description", "the model goes by it")):
        if key not in says:
            raise root.missing(key, why)
    name = says["name"].text().strip()
    if len(name) > MAX_NAME_CHARS or not _NAME.fullmatch(name):
        problem = f"must be at most {MAX_NAME_CHARS} small letters, digits and single '-', but is {name[:100]!r}"
        raise says["name"].error(problem)
    description = " ".join(says["description"].text().split())
    if len(description) > MAX_DESCRIPTION_CHARS:
        raise says["description"].error(
            f"must be at most {MAX_DESCRIPTION_CHARS:,} characters, but is {len(description):,}"
        )
    return Skill(name, description, folder, body)


def files_of(folder: Path) -> list[str]:
    """The files below a skill's folder, as paths from it with `/`: `SKILL.md` first, at most `MAX_FILES`, links that lead
    out left out."""
    found = sorted(name for name in _walk(folder) if name != SKILL_FILE)
    return [SKILL_FILE, *found][:MAX_FILES]


def _walk(folder: Path) -> Iterator[str]:
    count = 0
    for at, folders, files in os.walk(folder):  # which follows no links to folders
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            path = Path(at) / name
            if not name.startswith(".") and _is_below(path, folder) and path.is_file():
                yield path.relative_to(folder).as_posix()
                count += 1
                if count > 10 * MAX_FILES:
                    return


def file_of(folder: Path, name: str) -> Path | None:
    """The file of a skill that `name` means; None where there is none, or it lies outside."""
    if "\0" in name:
        return None
    path = folder / name.replace("\\", "/")
    return path if _is_below(path, folder) and path.is_file() else None


def _is_below(path: Path, folder: Path) -> bool:
    """Whether `path`, with all links followed, lies in the folder."""
    target, root = os.path.realpath(path), os.path.realpath(folder)
    try:
        return os.path.commonpath([root, target]) == root
    except ValueError:  # on Windows, another drive
        return False
