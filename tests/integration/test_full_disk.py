"""What can't be kept because the disk is full is said, what was kept before stays, and nothing half is left."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.kept_things import KEPT
from tests.support.program import LIMIT_S, environment

pytestmark = [pytest.mark.integration, pytest.mark.skipif(sys.platform == "win32", reason="needs limits of POSIX")]

NOTHING_WRITTEN = {"a lock file", "a log"}


@pytest.fixture(scope="module")
def outcomes(tmp_path_factory):
    folder = tmp_path_factory.mktemp("disk")
    done = subprocess.run(
        [sys.executable, "-m", "tests.support.full_disk", str(folder)],
        cwd=Path(__file__).parents[2],
        env=environment(folder),
        capture_output=True,
        text=True,
        timeout=LIMIT_S,
        check=True,
    )
    return json.loads(done.stdout.splitlines()[-1]), done.stdout


@pytest.mark.parametrize("what", [what for what in KEPT if what not in NOTHING_WRITTEN])
def test_what_could_not_be_kept_is_said_and_what_was_there_stays(outcomes, what):
    found, printed = outcomes
    assert found[what]["changed"] == []
    words = " ".join([found[what]["problem"], *found[what]["said"], printed if what == "prompts" else ""])
    assert any(reason in words for reason in ("File too large", "the disk is full"))
    assert what.replace(" ", "-") in words  # the path


def test_an_export_that_has_no_room_says_where_and_leaves_nothing(tmp_path):
    """And pictures of `tiny-agents call`, which are written the same way."""
    code = (
        "import resource, sys; from pathlib import Path; from tiny_agents.data_dir import write_new;"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (10, 10));"
        "write_new(Path(sys.argv[1]), b'x' * 100)"
    )
    target = tmp_path / "new.json"
    done = subprocess.run([sys.executable, "-c", code, str(target)], capture_output=True, text=True, timeout=LIMIT_S)
    assert done.returncode == 1
    assert f"File too large: '{target}'" in done.stderr
    assert list(tmp_path.iterdir()) == []
