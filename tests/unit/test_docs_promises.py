"""What the pages about reliability and security promise is held by tests that exist."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

from tests.faults.scenario import PROMISES

ROOT = Path(__file__).parents[2]
RELIABILITY = (ROOT / "docs" / "reliability.md").read_text(encoding="utf-8")
SECURITY = (ROOT / "SECURITY.md").read_text(encoding="utf-8")
PERFORMANCE = (ROOT / "docs" / "performance.md").read_text(encoding="utf-8")
LEAST_PROMISES = 23


def names_of_tests() -> set[str]:
    """Names of all test functions, read and not imported."""
    found = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and node.name.startswith("test_"):
                found.add(node.name)
    return found


def promises() -> dict[int, str]:
    items = re.findall(r"^(\d+)\. (.*?)(?=^\d+\. |^## |\Z)", RELIABILITY, re.DOTALL | re.MULTILINE)
    return {int(number): text for number, text in items}


@pytest.mark.parametrize(
    ("page", "least"),
    [(RELIABILITY, 20), (SECURITY, 20), (PERFORMANCE, 8)],
    ids=["reliability", "security", "performance"],
)
def test_every_test_that_a_page_names_exists(page: str, least: int) -> None:
    named = set(re.findall(r"`(test_\w+)`", page))
    assert len(named) > least
    assert named - names_of_tests() == set()


def test_every_promise_has_a_number_and_names_a_test() -> None:
    found = promises()
    assert list(found) == [*range(1, len(found) + 1)]
    assert len(found) >= LEAST_PROMISES
    assert [number for number, text in found.items() if not re.search(r"`test_\w+`", text)] == []


def test_the_headings_are_the_promises_that_the_fault_suite_marks() -> None:
    assert re.findall(r"^## .*\(`([\w ]+)`\)$", RELIABILITY, re.MULTILINE) == [*PROMISES]


def test_every_row_of_the_threat_model_names_a_test_or_says_that_there_is_none() -> None:
    model = SECURITY[SECURITY.index("## Risks") : SECURITY.index("## What isn't defended")]
    heads = ("|---", "| Risk", "| Address")
    rows = [line for line in model.splitlines() if line.startswith("|") and not line.startswith(heads)]
    assert len(rows) > 30
    assert [row for row in rows if not re.search(r"`test_\w+`|no test", row)] == []


def test_links_of_the_pages_lead_somewhere() -> None:
    for page, folder in ((RELIABILITY, ROOT / "docs"), (SECURITY, ROOT)):
        for target in re.findall(r"\]\((?!http|#)([^)#]+)", page):
            assert (folder / target).exists(), target
