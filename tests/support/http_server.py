"""The HTTP server on loopback that the servers of the tests are made with."""

from __future__ import annotations

import sys
from http.server import ThreadingHTTPServer
from typing import Any


class QuietHTTPServer(ThreadingHTTPServer):
    """Takes many connections at the same moment, and doesn't mind clients that go away: these are part of the tests.

    What it shows of those would be in what a later test captures.
    """

    daemon_threads = True
    request_queue_size = 200

    def handle_error(self, request: Any, client_address: Any) -> None:
        if not isinstance(sys.exc_info()[1], ConnectionError):
            super().handle_error(request, client_address)
