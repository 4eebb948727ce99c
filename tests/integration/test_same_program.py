"""A program written for huggingface_hub runs with its import line changed, and prints the same turns."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from tests.support.same_program import EXPECTED, PROGRAM, run

pytestmark = pytest.mark.integration


def test_only_the_import_line_has_to_change(tmp_path: Path) -> None:
    source = PROGRAM.read_text(encoding="utf-8")
    ours = source.replace("from huggingface_hub import", "from tiny_agents import")
    assert ours.count("from tiny_agents import") == 1
    program = tmp_path / "program.py"
    program.write_text(ours, encoding="utf-8")
    assert run(sys.executable, program) == EXPECTED.read_text(encoding="utf-8")
