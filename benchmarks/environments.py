"""Environments for what is compared with us: each package apart, pinned, made once under `benchmarks/.venvs`."""

from __future__ import annotations

import shutil
import subprocess
import sys
import venv
from pathlib import Path

FOLDER = Path(__file__).parent / ".venvs"
REQUIREMENTS = {
    "huggingface_hub": "huggingface_hub[mcp]==2.4.0",
    "openai": "openai==3.51.0",
    "openai_agents": "openai-agents==0.24.0",
    "pydantic_ai": "pydantic-ai-slim[openai,mcp]==2.68.0",
}


def python_for(contender: str) -> str:
    """The interpreter that has the contender's package; ours, where it needs none but what we need ourselves."""
    package = contender.partition(" ")[0]
    return str(_installed(package)) if package in REQUIREMENTS else sys.executable


def _installed(package: str) -> Path:
    requirement = f"{REQUIREMENTS[package]} for Python {sys.version.partition(' ')[0]}"
    home = FOLDER / package
    python = home / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    done = home / "installed.txt"
    if done.exists() and done.read_text(encoding="utf-8") == requirement:
        return python
    print(f"Installing {REQUIREMENTS[package]} into {home.relative_to(FOLDER.parent.parent)} ...", file=sys.stderr)
    shutil.rmtree(home, ignore_errors=True)
    venv.create(home, with_pip=True)
    subprocess.run([python, "-m", "pip", "install", "--quiet", REQUIREMENTS[package]], check=True)
    done.write_text(requirement, encoding="utf-8")
    return python
