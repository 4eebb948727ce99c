"""Environments for what is compared with us: each package apart, pinned, made once under `benchmarks/.venvs`."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

FOLDER = Path(__file__).parent / ".venvs"
REQUIREMENTS = {
    "huggingface_hub": ("huggingface_hub[mcp]==2.4.0",),
    "openai": ("openai==3.51.0",),
    "openai_agents": ("openai-agents==0.24.0",),
    "pydantic_ai": ("pydantic-ai-slim[openai,mcp]==2.68.0",),
    "fast_agent": ("fast-agent-mcp==0.10.46",),
    "mcp_use": ("mcp-use==1.7.1", "langchain-openai==1.7.3"),
    "smolagents": ("smolagents[mcp,openai]==1.26.0", "mcp<2"),  # it installs mcp 2, and can't import it
    "strands": ("strands-agents[openai]==1.62.0",),
}
LEAST_PYTHON = {"fast_agent": (3, 12)}
"""Packages that don't run on every Python that we run on."""
NEWEST_MINOR = 15


class NotInstalledError(Exception):
    """A package can't be had here; says why."""


def python_for(contender: str) -> str:
    """The interpreter that has the contender's package; ours, where it needs none but what we need ourselves.

    Raises:
        NotInstalledError: The package, or a Python for it, isn't there and can't be installed.
    """
    package = contender.partition(" ")[0]
    return str(_installed(package)) if package in REQUIREMENTS else sys.executable


def install(contenders: Iterable[str]) -> dict[str, str]:
    """Install what they need; those for which that can't be, and why."""
    missing = {}
    for contender in sorted(contenders):
        try:
            python_for(contender)
        except NotInstalledError as error:
            missing[contender] = str(error)
    return missing


def _installed(package: str) -> Path:
    base, version = _base(package)
    requirement = f"{' '.join(REQUIREMENTS[package])} for Python {version}"
    home = FOLDER / package
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = home / "installed.txt"
    if done.exists() and done.read_text(encoding="utf-8") == requirement:
        return python
    print(f"Installing {requirement} into {home.relative_to(FOLDER.parent.parent)} ...", file=sys.stderr)
    shutil.rmtree(home, ignore_errors=True)
    try:
        subprocess.run([base, "-m", "venv", home], check=True)
        subprocess.run([python, "-m", "pip", "install", "--quiet", *REQUIREMENTS[package]], check=True)
    except subprocess.CalledProcessError as error:
        raise NotInstalledError(f"{requirement} could not be installed") from error
    done.write_text(requirement, encoding="utf-8")
    return python


def _base(package: str) -> tuple[str, str]:
    """The interpreter that an environment is made from, and its version: ours, or the next one that the package runs on."""
    least = LEAST_PYTHON.get(package, (0,))
    if sys.version_info >= least:
        return sys.executable, sys.version.partition(" ")[0]
    for minor in range(least[1], NEWEST_MINOR + 1):
        for python in _pythons(f"python3.{minor}"):
            # a launcher that is there may still have no Python to start
            asked = subprocess.run([python, "--version"], capture_output=True, text=True, check=False)
            if asked.returncode == 0:
                return python, asked.stdout.split()[1]
    raise NotInstalledError(f"{REQUIREMENTS[package][0]} needs Python {'.'.join(map(str, least))}, which isn't here")


def _pythons(name: str) -> Iterator[str]:
    """Those on the path, and those that are installed beside ours, as pyenv and uv do."""
    if found := shutil.which(name):
        yield found
    yield from map(str, sorted(Path(sys.base_prefix).parent.glob(f"*/bin/{name}")))
