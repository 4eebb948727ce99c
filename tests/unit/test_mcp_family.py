"""Which processes belong to a server though they left its group."""

from __future__ import annotations

import os
import signal
import subprocess
import sys

from tests.support.processes import linux_only
from tiny_agents.mcp_client.transports.family import Entry, Family, process_table, send, strayed


def entry(parent: int, group: int) -> Entry:
    return Entry(b"S", parent, group, b"1")


def test_descendants_in_other_groups_are_strays_and_nobody_else_is() -> None:
    table = {
        10: entry(1, 10),  # the server
        11: entry(10, 10),  # its helper
        12: entry(10, 12),  # a browser in a session of its own
        13: entry(12, 12),
        14: entry(11, 14),
        20: entry(1, 20),  # a daemon, or anybody else
        21: entry(20, 20),
    }
    assert set(strayed(10, table)) == {12, 13, 14}
    assert strayed(99, table) == {}


@linux_only
def test_a_stray_is_known_until_it_ends_and_not_longer() -> None:
    script = (
        "import subprocess, sys\n"
        "print(subprocess.Popen(['sleep', '60'], start_new_session=True).pid, flush=True)\n"
        "sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as leader:
        assert leader.stdin is not None
        assert leader.stdout is not None
        pid = int(leader.stdout.readline())
        family = Family(leader.pid)
        assert family.living() == []
        family.look()
        leader.stdin.close()
        leader.wait()
        assert family.living() == [pid]
        family.signal(signal.SIGKILL)
        while family.living():
            pass
        send([pid], signal.SIGTERM)  # nobody minds
    assert os.getpid() in process_table()
