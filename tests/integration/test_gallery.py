"""docs/gallery.md and its recordings show the program as it is."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")]


def test_the_recordings_are_fresh_and_show_nothing_of_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    from scripts import record_casts

    wanted = record_casts.recorded()
    assert record_casts.stale(wanted) == [], "run scripts/record_casts.py"
    casts = [path for path in wanted if path.suffix == ".cast"]
    assert len(casts) >= 7
    for path in casts:
        header, *events = map(json.loads, path.read_text(encoding="utf-8").splitlines())
        assert (header["version"], header["width"]) == (2, 80)
        times = [time for time, _, _ in events]
        assert times == sorted(times)
        assert {kind for _, kind, _ in events} == {"o"}
    for text in wanted.values():
        assert str(Path.home()) not in text
        assert sys.prefix not in text
        assert "127.0.0.1" not in text


def test_a_page_gets_the_screens_that_its_marks_name() -> None:
    from scripts.record_casts import with_screens

    page = "a\n<!-- screens: x -->\nold\n<!-- end -->\nb\n"
    once = with_screens(page, {"x": ["one", "two"]})
    assert once == "a\n<!-- screens: x -->\n```text\none\n```\n\n```text\ntwo\n```\n<!-- end -->\nb\n"
    assert with_screens(once, {"x": ["one", "two"]}) == once
