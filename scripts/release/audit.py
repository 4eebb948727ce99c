"""Look up known vulnerabilities of what is pinned, with pip-audit: `audit.py REQUIREMENTS...`.

The status tells apart what a caller may want to treat differently: 1 if something vulnerable is pinned, 75 ("try again
later") if nothing is known of some packages, as there is no network or no service, 0 if all were looked up and none is.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

VULNERABLE, NOT_LOOKED_UP = 1, 75


def look_up(requirements: str) -> list[Mapping[str, Any]] | None:
    """What pip-audit says of each package; None if it couldn't say anything."""
    tool = Path(sys.executable).with_name("pip-audit")
    command = [tool, "--format", "json", "--no-deps", "--disable-pip", "--requirement", requirements]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    try:
        found: list[Mapping[str, Any]] = json.loads(done.stdout)["dependencies"]
    except ValueError:
        sys.stderr.write(done.stderr)
        return None
    return found


def verdict(packages: Sequence[Mapping[str, Any]]) -> tuple[int, Iterable[str]]:
    """The status for what was found, and what to say of it."""
    vulnerable = [package for package in packages if package.get("vulns")]
    unknown = [package["name"] for package in packages if "skip_reason" in package]
    lines = [f"{each['name']} {each['version']}: {problem['id']}" for each in vulnerable for problem in each["vulns"]]
    if unknown:
        lines.append(f"{len(unknown)} of {len(packages)} packages could not be looked up, {unknown[0]} among them")
    return (VULNERABLE if vulnerable else NOT_LOOKED_UP if unknown else 0), lines


def main(files: Sequence[str]) -> int:
    statuses = []
    for file in files:
        packages = look_up(file)
        status, lines = verdict(packages) if packages is not None else (NOT_LOOKED_UP, ["nothing could be looked up"])
        for line in lines or [f"{len(packages or ())} packages, none known to be vulnerable"]:
            print(f"{file}: {line}")
        statuses.append(status)
    return VULNERABLE if VULNERABLE in statuses else max(statuses)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
