"""What every test may rely on."""

from __future__ import annotations

import os
from collections import Counter

import pytest
from hypothesis import HealthCheck, settings

# How long one example takes says more about the machine's other work than about the code. Each run has the same examples,
# so that a test that fails says something about the change at hand; `make fuzz` looks for others.
settings.register_profile("tiny-agents", deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])
EXAMPLES = int(os.environ.get("TINY_AGENTS_FUZZ") or 0)
settings.register_profile(
    "fuzz", deadline=None, max_examples=max(EXAMPLES, 100), suppress_health_check=list(HealthCheck)
)
settings.load_profile("fuzz" if EXAMPLES else "tiny-agents")

# Nothing of the user's own may decide a test: no keys, no models, no proxies, no saved login.
_OURS = ("TINY_AGENTS_", "HF_", "HUGGING_FACE_", "OPENAI_")
_KEYS = ("_API_KEY", "_API_TOKEN", "_PAT", "FAL_KEY")
_PROXIES = ("http_proxy", "https_proxy", "all_proxy")


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory) -> None:
    for name in os.environ:
        if name.startswith(_OURS) or name.endswith(_KEYS) or name.lower() in _PROXIES:
            monkeypatch.delenv(name)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path_factory.getbasetemp() / "data"))  # conversations, answers, locks
    monkeypatch.setenv("HF_HOME", str(tmp_path_factory.getbasetemp() / "no-hf-home"))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """One worker more than there are cores: many a test waits for a time limit, and leaves its core to others meanwhile."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    return (cores or 1) + 1


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """A line that counts the scenarios of the fault suite, by the side on which something goes wrong."""
    outcomes: dict[str, str] = {}
    for outcome in ("passed", "skipped", "failed", "error"):  # a scenario that passed and left something is an error
        for report in terminalreporter.stats.get(outcome, []):
            if report.nodeid.startswith("tests/faults/test_"):
                outcomes[report.nodeid] = outcome
    if outcomes:
        sides = Counter((name.split("_")[1], outcome) for name, outcome in outcomes.items())
        said = "; ".join(f"{side}: {count} {outcome}" for (side, outcome), count in sorted(sides.items()))
        terminalreporter.write_line(f"fault suite: {len(outcomes)} scenarios; {said}")
