"""Nothing of the package runs while it is installed, and all that it is developed and built with is pinned."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import pytest

from scripts.release.audit import verdict

ROOT = Path(__file__).parents[2]
PINS = (
    "constraints.txt",
    "scripts/release/constraints.txt",
    *(f"tests/servers/requirements/{n}.txt" for n in ("time", "git")),
)


@pytest.fixture(scope="module")
def project() -> dict[str, Any]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def wanted(project: dict[str, Any]) -> list[str]:
    extras = project["project"]["optional-dependencies"].values()
    return [*project["project"]["dependencies"], *(each for extra in extras for each in extra)]


def name_of(requirement: str) -> str:
    return re.split(r"[\[<>=!~;@ ]", requirement, maxsplit=1)[0].lower().replace("_", "-")


def pinned(file: str) -> dict[str, str]:
    lines = (ROOT / file).read_text(encoding="utf-8").splitlines()
    found = [line for line in lines if line.strip() and not line.startswith("#")]
    return {name_of(line): line for line in found}


def test_nothing_of_ours_runs_while_the_package_is_built_or_installed(project: dict[str, Any]) -> None:
    assert project["build-system"] == {"requires": ["hatchling>=1.27"], "build-backend": "hatchling.build"}
    assert "dynamic" not in project["project"]
    hatch = project["tool"]["hatch"]
    assert set(hatch) == {"build"}  # no hooks, neither of the build nor of the metadata
    assert set(hatch["build"]) == {"targets"}
    assert set(hatch["build"]["targets"]) == {"sdist", "wheel"}
    assert {key for target in hatch["build"]["targets"].values() for key in target} == {"include", "files"}
    of_setuptools = {"setup.py", "setup.cfg", "hatch_build.py", "MANIFEST.in"}
    assert {path.name for path in ROOT.iterdir()} & of_setuptools == set()
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout.split()
    assert [
        path for path in tracked if path.endswith((".pth", "sitecustomize.py", "usercustomize.py", ".so", ".pyc"))
    ] == []


def test_requirements_name_packages_and_no_addresses(project: dict[str, Any]) -> None:
    assert [each for each in wanted(project) if "@" in each or "://" in each] == []
    for file in PINS:
        assert [line for line in pinned(file).values() if not re.fullmatch(r"[\w.-]+==[\w.!+]+", line)] == [], file


def test_all_that_is_developed_and_released_with_is_pinned(project: dict[str, Any]) -> None:
    known = set(pinned("constraints.txt")) | {"tiny-agents", "pip"}
    assert {name_of(each) for each in wanted(project)} - known == set()
    assert {"hatchling", "build", "cyclonedx-bom", "pip-audit"} <= set(pinned("scripts/release/constraints.txt"))


def test_importing_the_package_changes_nothing_and_connects_to_nothing() -> None:
    """An import hook sees every file that is opened for writing, every socket and every process."""
    code = (
        "import sys\n"
        "seen = []\n"
        "def hook(event, args):\n"
        "    writes = event == 'open' and isinstance(args[1], str) and set(args[1]) & set('wax+')\n"
        "    if writes or event.startswith(('socket.', 'subprocess.', 'os.system', 'os.mkdir', 'os.rename', 'os.remove')):\n"
        "        seen.append((event, str(args)))\n"
        "sys.dont_write_bytecode = True\n"
        "sys.addaudithook(hook)\n"
        "import tiny_agents\n"
        "for name in tiny_agents.__all__: getattr(tiny_agents, name)\n"
        "import tiny_agents.cli, tiny_agents.cli.commands.run\n"
        "print(seen)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "[]"


def test_what_is_vulnerable_and_what_is_not_known_are_told_apart() -> None:
    safe = {"name": "a", "version": "1", "vulns": []}
    bad = {"name": "b", "version": "2", "vulns": [{"id": "PYSEC-1"}, {"id": "CVE-2"}]}
    unknown = {"name": "c", "skip_reason": "nobody knows"}
    assert verdict([safe]) == (0, [])
    assert verdict([safe, bad]) == (1, ["b 2: PYSEC-1", "b 2: CVE-2"])
    assert verdict([safe, unknown]) == (75, ["1 of 2 packages could not be looked up, c among them"])
    status, lines = verdict([unknown, bad])
    assert (status, len(list(lines))) == (1, 3)
