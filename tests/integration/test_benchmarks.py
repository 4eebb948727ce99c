"""The benchmarks still run. How fast things are is not for a test to say."""

from __future__ import annotations

import asyncio
import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import httpx2
import pytest

from benchmarks import environments, measuring, model_server, plots, report, rows
from benchmarks.clients.__main__ import BARE, MODULES

pytestmark = pytest.mark.integration

ROOT = Path(__file__).parent.parent.parent


def run(*arguments: str, name: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", name, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT)


def test_the_benchmarks_measure_our_own_agent_in_works_of_every_kind() -> None:
    names = ["stream", "decode", "connections", "requests", "own-10", "shared-100", "help", "cold"]
    chosen = [part for row in names for part in ("--only", row)]
    done = run("--quick", "--client", "tiny_agents", *chosen, name="benchmarks")
    assert done.returncode == 0, done.stderr
    measured = re.findall(r"^\*\*.+\*\* \(([\w-]+)\)\n\n.*\n.*\n\| tiny_agents \| \d", done.stdout, re.MULTILINE)
    assert measured == names
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


def test_every_client_of_a_row_has_a_module_a_pin_and_an_import() -> None:
    clients = {client for row in rows.ROWS for client in row.clients} - {rows.PYTHON}
    packages = {client.partition(" ")[0] for client in clients} - {rows.FLOOR, rows.OURS}
    assert packages == set(environments.REQUIREMENTS)
    assert {client for client in clients if client not in BARE} == set(MODULES)
    assert all((ROOT / "benchmarks" / "clients" / f"{module}.py").exists() for module in MODULES.values())
    assert {client for row in rows.ROWS if row.name == "import" for client in row.clients} == set(measuring.IMPORTS)


def test_a_package_that_cannot_be_had_here_is_left_out_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(environments.LEAST_PYTHON, "strands", (3, 99))
    why = f"{environments.REQUIREMENTS['strands'][0]} needs Python 3.99, which isn't here"
    assert environments.install(["tiny_agents", "strands", "floor"]) == {"strands": why}


@pytest.mark.parametrize(
    ("error", "why"),
    [
        (FileNotFoundError(2, "No such file or directory", "/somewhere/bin/program"), "No such file or directory"),
        (subprocess.CalledProcessError(3, ["/somewhere/bin/program"]), "ended with status 3"),
    ],
)
def test_a_package_that_fails_costs_its_own_number_only_and_ours_ends_it(
    monkeypatch: pytest.MonkeyPatch, error: Exception, why: str
) -> None:
    def measure(row: rows.Row, client: str, *_: Any, **__: Any) -> tuple[float, dict[str, str]]:
        if client == failing:
            raise error
        return 1.0, {}

    monkeypatch.setattr(measuring, "measure", measure)
    row = next(row for row in rows.ROWS if row.name == "cold")
    failing = "huggingface_hub"
    found, _, failed = measuring.measure_all([row], 2, ["floor", "tiny_agents", failing], quick=True)
    assert found == {"cold": {"floor": [1.0, 1.0], "tiny_agents": [1.0, 1.0]}}
    assert failed == {"huggingface_hub in cold": why}
    failing = "tiny_agents"
    with pytest.raises(type(error)):
        measuring.measure_all([row], 2, ["floor", failing], quick=True)


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("results", "said"),
    [
        ([{"role": "tool", "content": "42"}], ["look"]),
        ([{"role": "user", "content": [{"type": "text", "text": "Observation:\n42"}]}], ["look"]),
        ([{"role": "tool", "content": "42"}] * 2, ["Well, ", "token ", "token ", "final_answer"]),
    ],
)
async def test_the_model_of_the_benchmarks_knows_the_turn_of_a_run_and_ends_it_as_asked(
    results: list[dict[str, Any]], said: list[str]
) -> None:
    server = await asyncio.start_server(model_server.Model().serve, "127.0.0.1", 0)
    async with server, httpx2.AsyncClient() as client:
        asked = {"role": "user", "content": "turns=2 calls=1 tool=look end=final_answer"}
        host, port = server.sockets[0].getsockname()
        answer = await client.post(f"http://{host}:{port}/v1/chat/completions", json={"messages": [asked, *results]})
    chunks = [json.loads(line[6:]) for line in answer.text.splitlines() if line.startswith("data: {")]
    deltas = [chunk["choices"][0]["delta"] for chunk in chunks]
    names = [call["function"].get("name") for delta in deltas for call in delta.get("tool_calls", ())]
    assert [delta["content"] for delta in deltas if delta.get("content")] + [name for name in names if name] == said


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
