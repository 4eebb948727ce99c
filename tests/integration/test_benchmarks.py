"""The benchmarks still run. How fast things are is not for a test to say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path
from xml.etree import ElementTree

import pytest

from benchmarks import plots, report

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parent.parent.parent


def run(*arguments: str, name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", name, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)


def test_the_benchmarks_measure_our_own_agent_in_works_of_every_kind() -> None:
    rows = ["stream", "decode", "connections", "requests", "own-10", "shared-100", "help", "cold"]
    chosen = [part for row in rows for part in ("--only", row)]
    done = run("--quick", "--client", "tiny_agents", *chosen, name="benchmarks")
    assert done.returncode == 0, done.stderr
    measured = re.findall(r"^\*\*.+\*\* \(([\w-]+)\)\n\n.*\n.*\n\| tiny_agents \| \d", done.stdout, re.MULTILINE)
    assert measured == rows
    assert (
        "| Requests to the model for 5 tool turns | 6 requests | 3.00 | met |" in done.stdout
    )  # 2 turns where it is quick


def test_what_a_row_may_cost_at_most_is_met_or_missed_by_the_median_within_the_rounds() -> None:
    found = {"stream": {"floor": [1.0, 2.0, 4.0], "tiny_agents": [1.1, 2.2, 4.8], "huggingface_hub": [5.0, 10.0, 16.0]}}
    lines = report.summary(found).splitlines()[2:]
    assert lines == [
        "| A streamed chunk, one event per HTTP chunk | 1.15 × floor | 1.10 | met |",
        "| A streamed chunk, one event per HTTP chunk | 0.17 × huggingface_hub | 0.22 | **missed** |",
    ]


def test_a_plot_is_a_picture_with_every_client_and_its_number() -> None:
    picture = ElementTree.fromstring(
        plots.plot("A & B", {"idle": {"floor": [41.0], "tiny_agents": [50.0, 60.0, 70.0]}})
    )
    texts = [text.text for text in picture.iter("{http://www.w3.org/2000/svg}text")]
    assert texts == ["A & B", "Memory with one stdio server (MB)", "floor", "41.0", "tiny_agents", "60.0"]


def test_a_row_that_does_not_exist_is_named() -> None:
    done = run("--only", "stream", "--only", "strem", name="benchmarks")
    assert done.returncode == 2
    assert "there is no row strem\n" in done.stderr


def test_the_conversation_benchmark_measures_with_and_without_summaries_and_saving() -> None:
    done = run("--quick", name="benchmarks.conversation")
    assert done.returncode == 0, done.stderr
    tables = re.findall(r"\*\*(.+)\*\*\n\n((?:\|.*\n)+)", done.stdout)
    sent = {title: re.findall(r"^\| (\d+) \| (\d+) \| \d+\.\d\d ", rows, re.MULTILINE) for title, rows in tables}
    assert list(sent) == [f"{way}, {saved}" for way in ("Summed up", "All is sent") for saved in ("not saved", "saved")]
    assert sent["All is sent, saved"] == [("40", "41"), ("80", "81")]
    assert all(int(count) < 30 for _, count in sent["Summed up, saved"])


def test_the_sessions_benchmark_measures_a_growing_conversation() -> None:
    done = run("--quick", name="benchmarks.sessions")
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^\| (\d+) \| \d+\.\d\d ", done.stdout, re.MULTILINE) == ["100", "200", "300", "400"]
    assert re.findall(r"^(.+): \d+ ms$", done.stdout, re.MULTILINE) == [
        "come back to it",
        "find a word, first time",
        "find a word again",
    ]


@pytest.mark.skipif(sys.platform == "win32", reason="needs a pseudo-terminal")
def test_the_terminal_benchmark_measures_starts_echoes_and_stops() -> None:
    done = run("--quick", name="benchmarks.terminal")
    assert done.returncode == 0, done.stderr
    tables = re.findall(r"\*\*(.+)\*\*\n\n((?:\|.*\n)+)", done.stdout)
    measured = {
        title: re.findall(r"^\| ([^|]+) \| \d+ \| \d+ \| \d+ \|$", rows, re.MULTILINE) for title, rows in tables
    }
    assert len(measured["From the start, ms"]) == 5
    assert measured["From a key to its echo, ms"] == ["prose"]
    assert measured["From Ctrl+C to the end of the turn, ms"] == ["silence", "thought", "prose", "tool"]
