"""Write the parts of docs/ that are made from the command line: `python scripts/write_cli_docs.py [--check]`."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

from tiny_agents.cli.arguments import build_parser
from tiny_agents.cli.machine.record_schema import record_schema, record_table
from tiny_agents.cli.reference import reference

REFERENCE = """\
# All commands and flags

What `tiny-agents COMMAND --help` says, on one page. [cli.md](cli.md) tells how it belongs together.

<!-- made from the command line itself by scripts/write_cli_docs.py -->
"""
DOCS = Path(__file__).parents[1] / "docs"
MARK = "<!-- made from the types in tiny_agents/cli/machine/records.py by scripts/write_cli_docs.py -->\n"


def pages() -> dict[str, str]:
    """File in docs/ -> what it has to hold."""
    written, _, _ = (DOCS / "cli-events.md").read_text(encoding="utf-8").partition(MARK)
    return {
        "cli-events.md": f"{written}{MARK}\n{record_table()}".rstrip("\n") + "\n",
        "../tiny_agents/cli/help.txt": help_text(),
        "cli-reference.md": f"{REFERENCE}\n{reference(build_parser())}".rstrip("\n") + "\n",
        "cli-events.schema.json": json.dumps(record_schema(), indent=2) + "\n",
    }


def help_text() -> str:
    """What `tiny-agents --help` says, 80 columns wide."""
    os.environ["COLUMNS"] = "80"
    return build_parser().format_help()


def main() -> int:
    stale = []
    for name, text in pages().items():
        path = DOCS / name
        # By words: where the lines break differs between versions of Python.
        if not path.exists() or path.read_text(encoding="utf-8").split() != text.split():
            stale.append(name)
            if "--check" not in sys.argv:
                path.write_text(text, encoding="utf-8")
    print("\n".join(f"docs/{name}" for name in stale))
    return 1 if stale and "--check" in sys.argv else 0


if __name__ == "__main__":
    sys.exit(main())
