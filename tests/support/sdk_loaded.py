"""Whether a program loads the MCP SDK, or what that stands on."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent

SHOW = """
import sys
loaded = {name.partition(".")[0] for name in sys.modules}
print(sorted(loaded & {"mcp", "mcp_types", "pydantic", "opentelemetry", "jsonschema", "starlette"}))
"""


def run_and_show_sdk(program: str) -> subprocess.CompletedProcess[str]:
    """Run a program of Python's in a process of its own; behind what it prints there is what it had loaded of these."""
    command = [sys.executable, "-c", program + SHOW]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)
