"""Runs `tests/data/same_program.py` against a scripted model and a real stdio server."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, text

DATA = Path(__file__).parent.parent / "data"
PROGRAM = DATA / "same_program.py"
EXPECTED = DATA / "same_program.txt"
SERVER = DATA / "same_program_server.py"


def model(request: Recorded) -> Turn:
    """What the scripted model answers, by the last message: the two libraries don't ask equally often."""
    history = request.body["messages"]
    last = history[-1]
    ids = [f"call_{len(history)}_{number}" for number in range(3)]
    if last["role"] == "tool":
        return text("Both are ", "done.")
    if last["role"] == "assistant":
        return text("Nothing to add.")
    if last["content"] == "finish":
        return calls(("task_complete", {}), ids=ids)
    if last["content"] == "say it in parts":
        return text("one, ", "two, ", "three")
    return calls(("add", {"a": 2, "b": 3}), ("greet", {"name": "Ada"}), ("fail", {}), ids=ids)


def run(python: str, program: Path) -> str:
    """What the program prints under the interpreter `python`."""
    with OpenAIServer(model) as server:
        command = [python, str(program), server.url, sys.executable, str(SERVER)]
        done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
        if done.returncode:
            raise AssertionError(f"exit code {done.returncode}:\n{done.stderr}")
        return done.stdout
