"""A program on a full disk: `python -m tests.support.full_disk FOLDER`.

Each thing that is kept for the user is written once, and once more where no file may grow any further (a limit of the
system's, which fails as a full disk does). Printed as JSON: what was said of it, and whether all is as it was before.
"""

from __future__ import annotations

import json
import logging
import resource
import sys
from pathlib import Path
from typing import Any

from tests.support.kept_things import KEPT

SMALL = "x"
LONG = "y" * 200_000


def files(folder: Path) -> dict[str, bytes]:
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


class Said(logging.Handler):
    def __init__(self) -> None:
        super().__init__()
        self.lines: list[str] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())


def tried(what: str, folder: Path) -> dict[str, Any]:
    said = Said()
    logging.getLogger("tiny_agents").addHandler(said)
    KEPT[what](folder, SMALL)
    before = files(folder)
    _, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    problem = ""
    try:
        KEPT[what](folder, LONG)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is looked at
        problem = f"{type(error).__name__}: {error}"
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (hard, hard))
        logging.getLogger("tiny_agents").removeHandler(said)
    after = files(folder)
    changed = sorted(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
    return {"problem": problem, "said": said.lines, "changed": changed}


if __name__ == "__main__":
    base = Path(sys.argv[1])
    print(json.dumps({what: tried(what, base / what.replace(" ", "-")) for what in KEPT}))
