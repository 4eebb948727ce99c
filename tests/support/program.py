"""`tiny-agents` as a process, and small agents for it."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support import starting
from tests.support.starting import PROGRAM
from tiny_agents.cli.report import LOADING, STARTING

LIMIT_S = 60.0
SUPPORT = Path(__file__).parent


_WHILE_SLOW = {LOADING, STARTING}


def usual(err: str) -> str:
    """Standard error without what is said only where starting takes seconds: on a busy machine it may."""
    return "".join(line for line in err.splitlines(keepends=True) if line.rstrip("\n") not in _WHILE_SLOW)


def until_said(process: starting.Started | subprocess.Popen[bytes], words: bytes) -> None:
    """Read its standard error up to the line with these words."""
    assert process.stderr is not None
    while words not in (line := process.stderr.readline()):
        assert line, f"it never said {words.decode()!r}"


@dataclass(frozen=True)
class Done:
    """A run that has ended; `err` without what only a busy machine makes it say."""

    code: int
    out: str
    err: str

    @property
    def last_line(self) -> str:
        """The last line of standard error."""
        return self.err.rstrip("\n").rpartition("\n")[2]


def environment(folder: Path, **more: str) -> dict[str, str]:
    """Ours, with what the program writes for its user under `folder`."""
    own = {
        "XDG_DATA_HOME": str(folder / "data"),
        "XDG_CACHE_HOME": str(folder / "cache"),
        "XDG_CONFIG_HOME": str(folder),
        "TERM": "xterm-256color",
    }
    own["XDG_CONFIG_HOME"] = str(folder / "config")
    of_ours = {"NO_COLOR", "COLUMNS", "LINES"}  # the last two are of the terminal that the tests run in
    return {**{k: v for k, v in os.environ.items() if k not in of_ours}, **own, **more}


def run(*args: str, cwd: Path, input: bytes | int = subprocess.DEVNULL, **env: str) -> Done:
    """Run the program to its end. `input` is what it reads, or a file descriptor."""
    with start(*args, cwd=cwd, stdin=input if isinstance(input, int) else subprocess.PIPE, **env) as process:
        out, err = process.communicate(b"" if isinstance(input, int) else input, timeout=LIMIT_S)
    return Done(process.returncode, out.decode(), usual(err.decode()))


def start(
    *args: str, cwd: Path, stdin: int = subprocess.DEVNULL, **env: str
) -> starting.Started | subprocess.Popen[bytes]:
    """Start the program, its output in pipes."""
    return starting.start([*PROGRAM, *args], cwd=cwd, env=environment(cwd, **env), stdin=stdin)


def write_agent(folder: Path, **definition: Any) -> str:
    """A definition in `folder` (JSON is YAML, too); its path."""
    path = folder / f"{definition.get('name', 'helper')}.yaml"
    path.write_text(json.dumps({"model": "m", **definition}), encoding="utf-8")
    return str(path)


def script(name: str, *args: str, env: Mapping[str, str] | None = None) -> dict[str, Any]:
    """A server of an agent: one of the scripts beside this file."""
    arguments: Sequence[str] = [str(SUPPORT / name), *args]
    return {"command": "${python}", "args": arguments, **({"env": dict(env)} if env else {})}
