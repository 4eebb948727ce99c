"""Ports for those who can't have the system choose one, or who need the same one twice."""

from __future__ import annotations

import random
import socket
from contextlib import suppress


def free_port() -> int:
    """A port of this machine below those that the system gives to whoever wants any: it stays free until it is taken."""
    while True:
        with socket.socket() as taken, suppress(OSError):  # it is somebody's
            taken.bind(("127.0.0.1", random.randrange(20_000, 30_000)))
            return int(taken.getsockname()[1])
