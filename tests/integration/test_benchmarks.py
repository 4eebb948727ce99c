"""The benchmarks still run. How fast things are is not for a test to say."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parent.parent.parent


def run(*arguments: str, name: str = "streaming") -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"benchmarks.{name}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)


def test_the_streaming_benchmark_measures_our_client_agent_and_the_floor_in_every_case() -> None:
    done = run("--quick")
    assert done.returncode == 0, done.stderr
    tables = re.findall(r"\*\*(.+)\*\*\n\n((?:\|.*\n)+)", done.stdout)
    measured = {title: set(re.findall(r"^\| (\w[\w ]*) \| \d+\.\d\d ", rows, re.MULTILINE)) for title, rows in tables}
    streams = {"floor", "tiny_agents client", "tiny_agents agent"}
    assert measured == {
        "One event per HTTP chunk": streams,
        "Sixteen events per HTTP chunk": streams,
        "Decoding alone": {"floor", "tiny_agents client"},
    }


def test_a_contender_that_does_not_exist_is_named() -> None:
    done = run("--only", "floor", "--only", "flor")
    assert done.returncode == 2
    assert "there is no contender flor\n" in done.stderr


def test_the_conversation_benchmark_measures_with_and_without_summaries_and_saving() -> None:
    done = run("--quick", name="conversation")
    assert done.returncode == 0, done.stderr
    tables = re.findall(r"\*\*(.+)\*\*\n\n((?:\|.*\n)+)", done.stdout)
    sent = {title: re.findall(r"^\| (\d+) \| (\d+) \| \d+\.\d\d ", rows, re.MULTILINE) for title, rows in tables}
    assert list(sent) == [f"{way}, {saved}" for way in ("Summed up", "All is sent") for saved in ("not saved", "saved")]
    assert sent["All is sent, saved"] == [("40", "41"), ("80", "81")]
    assert all(int(count) < 30 for _, count in sent["Summed up, saved"])


def test_the_sessions_benchmark_measures_a_growing_conversation() -> None:
    done = run("--quick", name="sessions")
    assert done.returncode == 0, done.stderr
    assert re.findall(r"^\| (\d+) \| \d+\.\d\d ", done.stdout, re.MULTILINE) == ["100", "200", "300", "400"]
    assert re.findall(r"^(.+): \d+ ms$", done.stdout, re.MULTILINE) == [
        "come back to it",
        "find a word, first time",
        "find a word again",
    ]
