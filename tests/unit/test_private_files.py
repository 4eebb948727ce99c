"""Whatever is kept for the user is for the user alone, however wide the umask or the file that was there."""

from __future__ import annotations

import os
import stat
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.kept_things import KEPT
from tiny_agents.data_dir import make_private, write_private

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="POSIX permissions")


@pytest.fixture(autouse=True)
def wide_umask() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


@pytest.mark.parametrize("what", KEPT)
def test_what_is_kept_is_for_the_user_alone_under_any_umask(tmp_path: Path, what: str) -> None:
    base = tmp_path / "new" / "folder"
    KEPT[what](base, "some text")
    modes = {path.relative_to(tmp_path): stat.S_IMODE(path.stat().st_mode) for path in tmp_path.rglob("*")}
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert files
    assert {str(path): oct(mode) for path, mode in modes.items() if mode & 0o077} == {}


def test_a_file_that_others_could_read_is_not_after_it_was_written_anew(tmp_path: Path) -> None:
    path = tmp_path / "known.json"
    path.write_text("{}")
    path.chmod(0o666)
    write_private(path, b"{}")
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_a_folder_that_is_there_stays_as_it_is(tmp_path: Path) -> None:
    shared = tmp_path / "shared"
    shared.mkdir(mode=0o775)
    make_private(shared / "a" / "b")
    modes = [stat.S_IMODE(path.stat().st_mode) for path in (shared, shared / "a", shared / "a" / "b")]
    assert modes == [0o775, 0o700, 0o700]
    make_private(shared)
    assert stat.S_IMODE(shared.stat().st_mode) == 0o775


def test_a_file_in_the_place_of_a_folder_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for place in (tmp_path / "file", tmp_path / "file" / "below"):
        with pytest.raises(OSError, match="file"):
            make_private(place)
