"""Python files of a downloaded agent, and those beside them, are run as they were downloaded or not at all."""

from __future__ import annotations

import hashlib
import py_compile
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tiny_agents.agent.composition.python_files import public_functions
from tiny_agents.errors import ConfigError

FILES = {
    "tools.py": "from . import beside\nfrom .deep.er import below\nfrom .loose import far\n\n"
    "def answer() -> str:\n    'Say it.'\n    return beside.VALUE + below() + far.VALUE\n",
    "beside.py": "VALUE = 'a'\n",
    "deep/__init__.py": "",
    "deep/er.py": "from ..beside import VALUE\n\ndef below() -> str:\n    return VALUE + 'b'\n",
    "loose/far.py": "VALUE = 'c'\n",
}


def downloaded(folder: Path) -> dict[Path, str]:
    for name, text in FILES.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text, encoding="utf-8")
    return {folder / name: hashlib.sha256(text.encode()).hexdigest() for name, text in FILES.items()}


def offered(folder: Path, pinned: dict[Path, str], name: str = "tools.py") -> list[Callable[..., Any]]:
    return public_functions(folder / name, pinned)


def test_what_was_downloaded_runs_with_what_lies_beside_it_and_leaves_nothing_behind(tmp_path: Path) -> None:
    path = list(sys.path)
    (answer,) = offered(tmp_path, downloaded(tmp_path))
    assert answer() == "aabc"
    assert sys.path == path
    assert not list(tmp_path.rglob("__pycache__"))


@pytest.mark.parametrize("name", FILES)
def test_a_file_that_was_changed_since_is_not_run(tmp_path: Path, name: str) -> None:
    if name == "deep/__init__.py":
        name = "deep/er.py"
    pinned = downloaded(tmp_path)
    ran = tmp_path / "ran"
    (tmp_path / name).write_text(f"open({str(ran)!r}, 'w').close()\nVALUE = below = 'x'\n", encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        offered(tmp_path, pinned)
    assert str(caught.value) == f"{tmp_path / name}: isn't as it was downloaded, so it isn't run"
    assert not ran.exists()


def test_a_file_that_was_not_downloaded_is_not_there(tmp_path: Path) -> None:
    pinned = downloaded(tmp_path)
    del pinned[tmp_path / "beside.py"]
    with pytest.raises(ConfigError, match=r"tools\.py:1: can't be imported: ImportError: cannot import name 'beside'"):
        offered(tmp_path, pinned)


def test_a_file_by_a_roundabout_path_is_checked_too(tmp_path: Path) -> None:
    pinned = downloaded(tmp_path)
    (tmp_path / "tools.py").write_text("def other() -> int:\n    return 1\n", encoding="utf-8")
    with pytest.raises(ConfigError, match="isn't as it was downloaded"):
        offered(tmp_path, pinned, "deep/../tools.py")


def test_bytecode_that_somebody_put_there_is_not_run(tmp_path: Path) -> None:
    pinned = downloaded(tmp_path)
    ran = tmp_path / "ran"
    source = tmp_path / "beside.py"
    kept = source.read_bytes()
    source.write_text(f"open({str(ran)!r}, 'w').close()\nVALUE = 'x'\n", encoding="utf-8")
    py_compile.compile(str(source), invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH)
    source.write_bytes(kept)
    (answer,) = offered(tmp_path, pinned)
    assert answer() == "aabc"
    assert not ran.exists()


def test_files_of_ones_own_are_run_as_they_are(tmp_path: Path) -> None:
    downloaded(tmp_path)
    (tmp_path / "beside.py").write_text("VALUE = 'z'\n", encoding="utf-8")
    (answer,) = public_functions(tmp_path / "tools.py")
    assert answer() == "zzbc"
