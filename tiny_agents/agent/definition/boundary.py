"""Which files a definition may name: those below its folder, and below what the user allowed. Links are followed first."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from tiny_agents.agent.definition.document import child_key
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.errors import ConfigError

ADVICE = "put it into the agent's folder, or allow its folder with --allow-path (in Python: allow_paths)"


@dataclass(frozen=True, slots=True)
class Boundary:
    """The folder of a definition, and what else it may reach.

    Attributes:
        allowed: Further folders, from the user, never from the definition.
    """

    folder: Path
    allowed: tuple[Path, ...] = ()

    def resolve(self, name: str) -> Path:
        """The path that `name`, written in the definition, stands for; there need not be anything.

        Raises:
            ConfigError: It lies outside. The message doesn't repeat `name`, which the caller's key tells.
        """
        path = self.folder / name.replace("\\", "/")
        if "\0" in name:
            raise ConfigError("contains a NUL character, which no path does", path=self.folder)
        if not self.holds(path):
            raise ConfigError(f"lies outside the agent's folder ({os.path.realpath(path)}); {ADVICE}", path=path)
        return path

    def holds(self, path: Path) -> bool:
        """Whether `path`, with every link on its way followed, is in one of the folders."""
        target = os.path.realpath(path)
        return any(_is_below(target, os.path.realpath(root)) for root in (self.folder, *self.allowed))


def _is_below(target: str, root: str) -> bool:
    try:
        return os.path.commonpath([root, target]) == root
    except ValueError:  # on Windows, another drive
        return False


def allowed_folders(paths: Iterable[str | Path]) -> tuple[Path, ...]:
    """Folders that the user allows, as absolute paths.

    Raises:
        ConfigError: One of them is no folder.
    """
    folders = tuple(Path(path).expanduser().absolute() for path in paths)
    for folder in folders:
        if not folder.is_dir():
            raise ConfigError("can't be allowed: it is no folder", path=folder)
    return folders


def check_task_folders(definition: AgentDefinition, workspace: Path) -> None:
    """Let the tasks of a downloaded agent read files in its folder and in the user's current one, nowhere else.

    Raises:
        ConfigError: With the key.
    """
    if not definition.downloaded or definition.path is None:
        return
    boundary = Boundary(definition.path.absolute().parent, (workspace, *definition.allowed))
    for n, folder in enumerate(definition.tools.folders):
        if not boundary.holds(Path(folder)):
            problem = (
                "the tasks of a downloaded agent read files in the agent's folder or in the one you are in, and this is "
                "neither; allow it with --allow-path (in Python: allow_paths)"
            )
            raise definition.error(f"tools.folders[{n}]", problem)


def check_working_folders(definition: AgentDefinition, workspace: Path) -> None:
    """Refuse the servers of a downloaded agent a `cwd` that is neither in its folder nor in the user's current one.

    The same for files that would be sent away (`assertion_file`).

    A definition of the user's own may start its servers anywhere. Call it once the inputs are filled in.

    Raises:
        ConfigError: With the server's key.
    """
    if not definition.downloaded or definition.path is None:
        return
    boundary = Boundary(definition.path.absolute().parent, (workspace, *definition.allowed))
    for server in definition.servers:
        folder = server.params.get("cwd")
        if folder is not None and not boundary.holds(workspace / folder):
            problem = (
                "a downloaded agent's server is started in the agent's folder or in the one you are in, and this is "
                "neither; allow it with --allow-path (in Python: allow_paths)"
            )
            raise definition.error(child_key(server.key, "cwd"), problem)
        auth = server.params.get("auth")
        file = auth.get("assertion_file") if isinstance(auth, dict) else None
        if file is not None and not boundary.holds(workspace / file):
            problem = (
                "a downloaded agent sends no file to its server's authorization server but one of the agent's folder or of "
                "the one you are in; allow its folder with --allow-path (in Python: allow_paths)"
            )
            raise definition.error(child_key(child_key(server.key, "auth"), "assertion_file"), problem)
