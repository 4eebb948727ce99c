"""What `tiny-agents doctor` finds, and what of it can be known without starting anything or asking anybody."""

from __future__ import annotations

import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from importlib import metadata, util
from pathlib import Path
from typing import Any, Literal

from tiny_agents import __version__
from tiny_agents.data_dir import data_dir
from tiny_agents.inference.cache import cache_root
from tiny_agents.inference.credentials import find_token, is_hugging_face_token, token_path

State = Literal["ok", "note", "warning", "error"]

LEAST_PYTHON = (3, 11)
PACKAGES = ("mcp", "httpx2", "msgspec", "anyio", "prompt-toolkit", "rich", "PyYAML")
EXTRAS: Mapping[str, tuple[str, str]] = {
    "local": ("xllamacpp", "the embedded model"),
    "images": ("PIL", "images as PIL objects"),
    "keyring": ("keyring", "remembering inputs in the system's keyring"),
    "numpy": ("numpy", "embeddings as arrays"),
}
"""Extra -> the module it brings, and what that is for."""
PROGRAMS: Mapping[str, str] = {
    "npx": "starts servers written for Node.js: https://nodejs.org",
    "uvx": "starts servers written in Python: https://docs.astral.sh/uv",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at.

    Attributes:
        state: "note" is neither good nor bad; with an "error" the exit status is 1.
        what: What was looked at, in a word or two.
        text: What was found.
        fix: What to do about it; empty where nothing has to be done.
    """

    state: State
    what: str
    text: str
    fix: str = ""


def here(
    env: Mapping[str, str] = os.environ,
    *,
    which: Callable[[str], str | None] = shutil.which,
    find_module: Callable[[str], Any] = util.find_spec,
) -> Iterator[Finding]:
    """This machine: Python, packages, programs, folders, the token."""
    yield _python(sys.version_info[:2])
    yield from _packages()
    yield from _extras(find_module)
    for name, purpose in PROGRAMS.items():
        found = which(name)
        yield Finding("ok", name, found) if found else Finding("note", name, "not on the PATH", purpose)
    for name, folder in (("data", data_dir(env)), ("cache", cache_root(env))):
        yield _folder(name, folder)
    yield token_finding(env)


def _python(version: tuple[int, ...]) -> Finding:
    text = f"{platform.python_version()} on {platform.system()} {platform.machine()} ({sys.executable})"
    if version < LEAST_PYTHON:
        return Finding("error", "Python", text, f"tiny-agents needs {'.'.join(map(str, LEAST_PYTHON))} or newer")
    return Finding("ok", "Python", text)


def _packages() -> Iterator[Finding]:
    found, missing = [], []
    for name in PACKAGES:
        try:
            found.append(f"{name} {metadata.version(name)}")
        except metadata.PackageNotFoundError:
            missing.append(name)
    yield Finding("ok", "tiny-agents", f"{__version__} with {', '.join(found)}")
    if missing:
        text = f"not installed: {', '.join(missing)}"
        yield Finding("error", "packages", text, "pip install --force-reinstall tiny-agents")


def _extras(find_module: Callable[[str], Any]) -> Iterator[Finding]:
    for extra, (module, purpose) in EXTRAS.items():
        if find_module(module) is not None:
            yield Finding("ok", f"extra {extra}", f"installed: {purpose}")
        else:
            yield Finding("note", f"extra {extra}", f"not installed: {purpose}", f"pip install 'tiny-agents[{extra}]'")


def _folder(name: str, folder: Path) -> Finding:
    """Whether something can be kept in `folder`, which need not exist yet."""
    existing = next((path for path in (folder, *folder.parents) if path.exists()), folder)
    if existing.is_dir() and os.access(existing, os.W_OK | os.X_OK):
        return Finding("ok", f"{name} folder", str(folder))
    variable = "TINY_AGENTS_DATA" if name == "data" else "XDG_CACHE_HOME"
    return Finding("error", f"{name} folder", f"{folder} can't be written", f"{variable} can name another folder")


def token_finding(env: Mapping[str, str]) -> Finding:
    """Whether there is a Hugging Face token and what it looks like; never the token itself."""
    token = find_token(env)
    what = "Hugging Face token"
    if token is None:
        fix = "`hf auth login`, or HF_TOKEN; not needed for other endpoints and the embedded model"
        return Finding("note", what, "none", fix)
    variable = next((name for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN") if env.get(name, "").strip()), None)
    source = f"in {variable}" if variable else f"in {token_path(env)}"
    if not is_hugging_face_token(token) or not token.isascii() or any(char.isspace() for char in token):
        return Finding("warning", what, f"{source}, but it doesn't look like one", "tokens begin with hf_")
    return Finding("ok", what, f"{source} (not tried; --online does)")
