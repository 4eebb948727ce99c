"""The engine: llama.cpp's server inside this process, on a loopback port that only holders of a random key may use.

One per file and context size, shared by whoever asks for it, stopped when the last one lets go. llama.cpp computes in
threads of its own without holding Python's lock, so an event loop in this process goes on running.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import msgspec

from tiny_agents._lazy import require
from tiny_agents.errors import InferenceError, LocalModelError
from tiny_agents.inference.call import Request
from tiny_agents.inference.credentials import without_keys
from tiny_agents.inference.http.blocking import SyncHTTP
from tiny_agents.inference.http.settings import HTTPSettings
from tiny_agents.inference.local.weights import Weights
from tiny_agents.inference.settings import Emulation

N_CTX = 4096
SMALL_BELOW = 1_000_000_000
"""Parameters below which a model that knows no tool format isn't trusted to choose freely."""
SILENT, ERRORS = -1, 1  # verbosity of llama.cpp; it writes to file descriptor 2 directly
PROMPT_CACHE_MIB = 64
START_TIMEOUT_S = 60.0
NOTICED_AFTER_S = 1.5
"""llama.cpp looks each second whether a client is still there, but not while other requests keep it awake: so neither may
we ask more often whether it noticed."""
IDLE_LOOKS_S = (0.0, 0.05, NOTICED_AFTER_S, NOTICED_AFTER_S)


@dataclass(slots=True)
class _Server:
    """A running engine and how many hold it. `lock` is held while it starts and stops."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    leases: int = 0
    native: Any = None  # xllamacpp.Server; dropping it stops it
    url: str = ""
    key: str = ""
    supports_tools: bool = False
    parameters: int = 0


_servers: dict[tuple[str, int], _Server] = {}
_servers_lock = threading.Lock()


class LocalEngine:
    """A lease on a running engine. `close` gives it back; the last one stops the engine.

    Attributes:
        url: Base URL of its OpenAI-compatible API; llama.cpp's own endpoints are one level up.
        key: Random; without it every request is refused.
        model: Name for the screen.
        supports_tools: Whether the model's chat template knows tools.
        emulation: How tools are offered to it where it doesn't, see `inference.emulation`; None where it does.
    """

    def __init__(self, server: _Server, pool_key: tuple[str, int], model: str) -> None:
        self.url = f"{server.url}/v1"
        self.key = server.key
        self.model = model
        self.supports_tools = server.supports_tools
        small: Emulation = "small" if server.parameters < SMALL_BELOW else "constrained"
        self.emulation: Emulation | None = None if server.supports_tools else small
        self._pool_key = pool_key
        self._server: _Server | None = server
        self._lock = threading.Lock()

    def __repr__(self) -> str:
        return f"LocalEngine(model={self.model!r}, url={self.url!r})"

    def close(self) -> None:
        """Give the lease back. Closing twice is fine."""
        with self._lock:
            server, self._server = self._server, None
        if server is not None:
            _release(server, self._pool_key)


def lease(weights: Weights, n_ctx: int = N_CTX) -> LocalEngine:
    """An engine for these weights, started if none runs.

    Raises:
        MissingDependencyError: The extra `local` isn't installed.
        LocalModelError: llama.cpp can't load the file; with its reason.
    """
    pool_key = (os.path.realpath(weights.path), n_ctx)
    with _servers_lock:
        server = _servers.setdefault(pool_key, _Server())
        server.leases += 1
    try:
        with server.lock:
            if server.native is None:
                _start(server, weights, n_ctx)
    except BaseException:
        _release(server, pool_key)
        raise
    return LocalEngine(server, pool_key, weights.name)


def _release(server: _Server, pool_key: tuple[str, int]) -> None:
    with _servers_lock:
        server.leases -= 1
        if server.leases:
            return
        if _servers.get(pool_key) is server:
            del _servers[pool_key]
    with server.lock:
        _stop(server)


def _stop_all() -> None:
    with _servers_lock:
        running = list(_servers.values())
        _servers.clear()
    for server in running:
        _stop(server)


atexit.register(_stop_all)  # llama.cpp's threads should end before the interpreter takes itself apart


def _stop(server: _Server) -> None:
    """End the engine. Requests that are still being answered are broken off.

    The destructor waits for them, and holds Python's lock while it waits: a client in this process could never hang up, and
    both would wait for each other for ever. So it is only called when nothing is being answered.
    """
    if server.native is None:
        return
    for wait_s in IDLE_LOOKS_S:
        time.sleep(wait_s)
        if not _is_busy(server):
            break
    else:
        _hang_up(urlsplit(server.url).port or 0)
        while _is_busy(server):
            time.sleep(NOTICED_AFTER_S)
    server.native = None


def _is_busy(server: _Server) -> bool:
    try:
        with contextlib.closing(SyncHTTP(HTTPSettings(START_TIMEOUT_S, max_retries=0))) as http:
            reply = http.send(Request("GET", f"{server.url}/slots", key=server.key))
    except InferenceError:
        return False  # whatever is wrong with it, it isn't answering
    return any(slot.get("is_processing") for slot in msgspec.json.decode(reply.body, type=list[dict[str, Any]]))


def _hang_up(port: int) -> None:
    """Shut the server's side of every connection to `port`, which is ours.

    Where that can't be done (Windows) the answers are waited for; they end with the context at the latest.
    """
    folder = Path("/dev/fd")
    for name in os.listdir(folder) if folder.is_dir() else []:
        try:
            copy = os.dup(int(name))
        except OSError:
            continue  # closed since it was listed
        try:
            connection = socket.socket(fileno=copy)
        except OSError:  # no socket
            os.close(copy)
            continue
        with connection, contextlib.suppress(OSError):  # the listening socket has no peer
            if connection.getpeername() and connection.getsockname()[1:2] == (port,):
                connection.shutdown(socket.SHUT_RDWR)


def _start(server: _Server, weights: Weights, n_ctx: int) -> None:
    xllamacpp = require("xllamacpp", extra="local", purpose="The embedded model")
    key = secrets.token_urlsafe(24)
    try:
        native = xllamacpp.Server(_parameters(xllamacpp, weights.path, n_ctx, key, SILENT))
    except RuntimeError as error:
        raise LocalModelError(
            f"llama.cpp can't load {weights.path}: {_reason(weights.path, n_ctx) or error}", model=weights.name
        ) from error
    server.url, server.key = native.listening_address, key
    with contextlib.closing(SyncHTTP(HTTPSettings(START_TIMEOUT_S, max_retries=0))) as http:
        capabilities = _ask(http, server, "/props").get("chat_template_caps") or {}
        models = _ask(http, server, "/v1/models").get("data") or [{}]
    server.supports_tools = bool(capabilities.get("supports_tools"))
    server.parameters = int((models[0].get("meta") or {}).get("n_params") or 0)
    server.native = native


def _ask(http: SyncHTTP, server: _Server, path: str) -> dict[str, Any]:
    response = http.send(Request("GET", server.url + path, key=server.key))
    return msgspec.json.decode(response.body, type=dict[str, Any])


def _parameters(xllamacpp: Any, path: Path, n_ctx: int, key: str, verbosity: int) -> Any:
    wanted = xllamacpp.CommonParams()
    wanted.model.path = str(path)
    wanted.n_ctx = n_ctx
    wanted.n_parallel = 1
    wanted.port = 0  # a free one; the default host is the loopback address
    wanted.api_keys = [key]
    wanted.verbosity = verbosity
    wanted.cache_ram_mib = PROMPT_CACHE_MIB  # 8 GiB by default; none would double the time per question
    # All cores would be slower on a busy machine, by far: llama.cpp's threads wait for each other spinning.
    wanted.cpuparams.n_threads = wanted.cpuparams_batch.n_threads = max(1, (os.cpu_count() or 2) // 2)
    return wanted


def _reason(path: Path, n_ctx: int) -> str:
    """Why llama.cpp refuses a file. It says so on file descriptor 2 only, so a process of its own tries it once more."""
    script = (
        "import sys, xllamacpp; from tiny_agents.inference.local.engine import _parameters, ERRORS; from pathlib import "
        "Path; xllamacpp.Server(_parameters(xllamacpp, Path(sys.argv[1]), int(sys.argv[2]), 'none', ERRORS))"
    )
    try:
        tried = subprocess.run(
            [sys.executable, "-P", "-c", script, str(path), str(n_ctx)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env=without_keys(os.environ),
            timeout=START_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "; ".join(_errors_in(tried.stderr.decode("utf-8", "replace")))


def _errors_in(log: str) -> Iterator[str]:
    """The causes that llama.cpp's log names, without time stamps."""
    seen = set()
    for line in log.splitlines():
        _, found, cause = line.partition("error loading model: ")
        if found and cause not in seen:
            seen.add(cause)
            yield cause.strip()
