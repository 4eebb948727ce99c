"""The official conformance suite of MCP against our client: `python tests/conformance/run.py` (or `make conformance`).

Installs the suite and a Node that runs it with npm, into a folder that git ignores, runs every client scenario of each
version of the protocol, and prints what passed. The exit status is 1 where a required one failed.
"""

from __future__ import annotations

import argparse
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

SUITE = "@modelcontextprotocol/conformance@0.2.0-alpha.12"
NODE = "node@22"
VERSIONS = ("2025-11-25", "2026-07-28")
HERE = Path(__file__).parent
FOLDER = HERE.parent.parent / "build" / "conformance"
DRIVER = f"{sys.executable} {HERE / 'driver.py'}"
LIMIT_S = 90


@dataclass(frozen=True)
class Scenario:
    name: str
    version: str
    required: bool


@dataclass(frozen=True)
class Outcome:
    scenario: Scenario
    passed: bool
    checks: str
    output: str


def install() -> None:
    """Fetch the suite, unless it is there."""
    wanted = FOLDER / ".installed"
    if wanted.exists() and wanted.read_text() == SUITE:
        return
    npm = shutil.which("npm")
    if npm is None:
        sys.exit("npm was not found: it comes with Node.js, https://nodejs.org")
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / "package.json").write_text('{"private": true}\n')
    subprocess.run([npm, "install", "--no-fund", "--no-audit", "--loglevel=error", SUITE, NODE], cwd=FOLDER, check=True)
    wanted.write_text(SUITE)


def suite(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of the suite. Logins are kept in a folder of its own: scenarios know nothing of each other."""
    tools = FOLDER / "node_modules" / ".bin"
    with tempfile.TemporaryDirectory() as logins:
        env = {
            **os.environ,
            "PATH": f"{tools}{os.pathsep}{os.environ['PATH']}",
            "NO_COLOR": "1",
            "TINY_AGENTS_OAUTH_DIR": logins,
        }
        command = [str(tools / "conformance"), *arguments]
        return subprocess.run(
            command, cwd=FOLDER, env=env, capture_output=True, text=True, timeout=LIMIT_S, check=False
        )


def scenarios(version: str) -> list[Scenario]:
    """What the suite has for clients of this version, the required ones first."""
    listed = suite("list", "--client", "--requirements", version).stdout
    required, _, rest = listed.partition("Run and reported")
    required = required.partition("Client scenarios")[2]
    found = [Scenario(name, version, True) for name in re.findall(r"^ +- (\S+)", required, re.MULTILINE)]
    more = re.findall(r"^ +- (\S+) \[client\]", rest, re.MULTILINE)
    return found + [Scenario(name, version, False) for name in more]


def run(scenario: Scenario) -> Outcome:
    arguments = ["--command", DRIVER, "--scenario", scenario.name, "--spec-version", scenario.version]
    try:
        done = suite("client", *arguments, *([] if scenario.required else ["--force"]))
    except subprocess.TimeoutExpired:
        return Outcome(scenario, False, "no end", "")
    output = done.stdout + done.stderr
    counted = re.search(r"Passed: (\d+/\d+)", output)
    return Outcome(scenario, done.returncode == 0, counted[1] if counted else "-", output)


def table(outcomes: Iterable[Outcome]) -> str:
    lines = []
    for outcome in outcomes:
        mark = "pass" if outcome.passed else "FAIL"
        kind = "required" if outcome.scenario.required else "extra"
        lines.append(
            f"{mark}  {outcome.scenario.version}  {kind:8}  {outcome.checks:>7} checks  {outcome.scenario.name}"
        )
    return "\n".join(lines)


def summary(outcomes: list[Outcome]) -> str:
    lines = []
    for version in dict.fromkeys(outcome.scenario.version for outcome in outcomes):
        for kind, required in (("required", True), ("extra", False)):
            of_kind = [o for o in outcomes if o.scenario.version == version and o.scenario.required is required]
            passed = sum(outcome.passed for outcome in of_kind)
            lines.append(f"{version}  {kind:8}  {passed} of {len(of_kind)}")
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description="Run the official conformance suite against our client.")
    parser.add_argument("--version", choices=VERSIONS, action="append", help="of the protocol; both if left out")
    parser.add_argument("--scenario", action="append", help="only those whose name contains this")
    parser.add_argument("--jobs", type=int, default=max(1, (os.cpu_count() or 2) // 2), help="how many at a time")
    parser.add_argument("--verbose", action="store_true", help="show what failed scenarios printed")
    arguments = parser.parse_args()
    install()
    wanted = [
        scenario
        for version in arguments.version or VERSIONS
        for scenario in scenarios(version)
        if not arguments.scenario or any(part in scenario.name for part in arguments.scenario)
    ]
    with ThreadPoolExecutor(arguments.jobs) as pool:
        outcomes = list(pool.map(run, wanted))
    failed = [outcome for outcome in outcomes if not outcome.passed]
    if arguments.verbose:
        for outcome in failed:
            print(f"---- {outcome.scenario.name} {outcome.scenario.version}\n{outcome.output}")
    print(table(outcomes))
    print(f"\n{SUITE.rpartition('/')[2]}\n{summary(outcomes)}")
    return 1 if not outcomes or any(outcome.scenario.required for outcome in failed) else 0


if __name__ == "__main__":
    sys.exit(main())
