"""What docs/notebook.md shows, runs: its cells are executed by a real kernel, and what is saved is HTML that stays."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.openai_server import OpenAIServer, Recorded, Turn, text

pytestmark = pytest.mark.integration


def respond(request: Recorded) -> Turn:
    asked = request.body["messages"][-1]["content"]
    return text(
        "The capital is **Oslo**." if "Norway" in asked else "It is *Rome*." if "Italy" in asked else "Oslo is."
    )


def test_the_cells_of_the_page_run_and_are_saved_with_what_they_show(tmp_path: Path) -> None:
    notebooks = pytest.importorskip("tests.support.notebooks", reason="needs nbclient", exc_type=ImportError)
    with OpenAIServer(respond) as model:
        notebook = notebooks.executed("notebook.md", tmp_path, model.url)
    html = notebooks.shown(notebook)
    assert "<strong>Oslo</strong>" in html[0]
    assert "<em>Rome</em>" in html[1]
    assert "Oslo is." in "".join(html[2:4])
    assert "Oslo is." in html[4]  # the last message
    saved = (tmp_path / "notebook.ipynb").read_text(encoding="utf-8")
    assert "<strong>Oslo</strong>" in saved
    assert "<script" not in saved
