"""Calls of huggingface_hub's client, as they were observed, replayed against both of ours."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import pytest

from tests.support import parity
from tests.support.parity_compare import differences

pytestmark = pytest.mark.integration

_EXCEPTIONS = parity.reasons("exceptions.txt")


def _cases() -> list[Any]:
    cases = []
    for row in parity.rows():
        marks = []
        if row["id"] in _EXCEPTIONS:
            marks.append(pytest.mark.xfail(strict=True, reason=_EXCEPTIONS[row["id"]]))
        modes = ("sync", "async") if row.get("async") is not None else ("sync",)
        cases += [pytest.param(row, mode, id=f"{row['id']}-{mode}", marks=marks) for mode in modes]
    return cases


@pytest.mark.parametrize(("row", "mode"), _cases())
def test_a_call_does_what_was_observed(
    row: dict[str, Any], mode: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = tmp_path / "home"
    home.mkdir()
    monkeypatch.setenv("HF_HOME", str(home))
    for name, value in row["env"].items():
        if name == "$token_file":
            (home / "token").write_text(value, encoding="utf-8")
        else:
            monkeypatch.setenv(name, value)
    parity.Clock(monkeypatch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)  # older names say that they are old
        warnings.simplefilter("ignore", UserWarning)  # a setting that replaces another is told
        outcome = parity.replay(row, mode, tmp_path)
    observed = row[mode] if isinstance(row[mode], dict) else row["sync"]
    found = differences(row, observed, outcome.sent, outcome.output, outcome.error)
    assert not found, "\n".join([row.get("note") or "", *found])


def test_exceptions_name_rows_that_exist() -> None:
    assert _EXCEPTIONS.keys() <= {row["id"] for row in parity.rows()}
