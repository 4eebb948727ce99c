"""Where downloads are kept, and which strategy an embedded model gets."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from tiny_agents.errors import InferenceError
from tiny_agents.inference.cache import cache_root, locked
from tiny_agents.inference.local.engine import LocalEngine, _Server


@pytest.mark.parametrize(
    ("env", "platform", "root"),
    [
        ({"XDG_CACHE_HOME": "/c"}, "linux", "/c/tiny-agents"),
        ({"XDG_CACHE_HOME": "/c"}, "darwin", "/c/tiny-agents"),
        ({"HOME": "/h"}, "linux", "/h/.cache/tiny-agents"),
        ({"HOME": "/h"}, "darwin", "/h/Library/Caches/tiny-agents"),
        ({"LOCALAPPDATA": "/l", "HOME": "/h"}, "win32", "/l/tiny-agents/Cache"),
        ({"HOME": "/h", "XDG_CACHE_HOME": ""}, "linux", "/h/.cache/tiny-agents"),
    ],
)
def test_the_cache_is_where_the_system_keeps_caches(env, platform, root):
    assert cache_root(env, platform) == Path(root)


def test_a_lock_is_held_by_one_at_a_time_and_waiting_can_be_given_up(tmp_path):
    stop = threading.Event()
    with locked(tmp_path / "folder" / ".lock"):
        stop.set()
        with pytest.raises(InferenceError, match="Stopped"), locked(tmp_path / "folder" / ".lock", stop):
            pytest.fail("held twice")
    with locked(tmp_path / "folder" / ".lock", stop):
        pass  # free again, so nobody had to wait


@pytest.mark.parametrize(
    ("parameters", "supports_tools", "strategy"),
    [
        (135_000_000, False, "small"),
        (0, False, "small"),
        (7_000_000_000, False, "constrained"),
        (135_000_000, True, None),
        (7_000_000_000, True, None),
    ],
)
def test_how_tools_are_offered_depends_on_the_model(parameters, supports_tools, strategy):
    server = _Server(url="http://127.0.0.1:1", key="k", parameters=parameters, supports_tools=supports_tools)
    assert LocalEngine(server, ("path", 4096), "name").emulation == strategy
