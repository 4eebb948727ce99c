"""Run tests/data/same_program.py with huggingface_hub, in an environment of its own, and keep what it prints.

    python -m scripts.freeze_same_program

The two libraries can't share an environment: huggingface_hub needs mcp 1.x.
"""

import subprocess
import sys
import tempfile
import venv
from pathlib import Path

from tests.support.same_program import EXPECTED, PROGRAM, run

REFERENCE = "huggingface_hub[mcp]==2.4.0"

with tempfile.TemporaryDirectory() as folder:
    venv.create(folder, with_pip=True)
    python = Path(folder) / ("Scripts" if sys.platform == "win32" else "bin") / "python"
    subprocess.run([str(python), "-m", "pip", "install", "--quiet", REFERENCE], check=True)
    printed = run(str(python), PROGRAM)
EXPECTED.write_text(printed, encoding="utf-8")
print(printed)
