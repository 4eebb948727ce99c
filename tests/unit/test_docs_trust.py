"""The Python on the pages about what agents may do, and about calling tools, can be read, and its names are public."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import tiny_agents

DOCS = Path(__file__).parents[2] / "docs"
BLOCKS = [
    (page, block)
    for page in ("security.md", "tools.md")
    for block in re.findall(r"```python\n(.*?)```", (DOCS / page).read_text(encoding="utf-8"), flags=re.DOTALL)
]


@pytest.mark.parametrize(("page", "block"), BLOCKS, ids=[f"{page}-{n}" for n, (page, _) in enumerate(BLOCKS)])
def test_an_example_can_be_read_and_uses_public_names(page: str, block: str) -> None:
    tree = ast.parse(block)
    compile(block, page, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    own = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and node.id[0].isupper()} - own
    assert used
    assert used <= set(tiny_agents.__all__)
