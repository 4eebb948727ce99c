"""The engine: llama.cpp's server inside this process, on a loopback port that only holders of a random key may use.

One per file and context size, shared by whoever asks for it, stopped when the last one lets go. llama.cpp computes in
threads of its own without holding Python's lock, so an event loop in this process goes on running.
"""

from __future__ import annotations

import atexit
import contextlib
import os
import secrets
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from tiny_agents._lazy import require
from tiny_agents.errors import LocalModelError
from tiny_agents.inference.call import Request
from tiny_agents.inference.http import HTTPSettings, SyncHTTP
from tiny_agents.inference.local.weights import Weights
from tiny_agents.inference.settings import Emulation

N_CTX = 4096
SMALL_BELOW = 1_000_000_000
"""Parameters below which a model that knows no tool format isn't trusted to choose freely."""
SILENT, ERRORS = -1, 1  # verbosity of llama.cpp; it writes to file descriptor 2 directly
PROMPT_CACHE_MIB = 256
START_TIMEOUT_S = 60.0


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
        server.native = None


def _stop_all() -> None:
    with _servers_lock:
        running = list(_servers.values())
        _servers.clear()
    for server in running:
        server.native = None


atexit.register(_stop_all)  # llama.cpp's threads should end before the interpreter takes itself apart


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
    wanted.cache_ram_mib = PROMPT_CACHE_MIB  # 8 GiB by default
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
            timeout=START_TIMEOUT_S,
            check=False,
        )
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "; ".join(_errors_in(tried.stderr.decode("utf-8", "replace")))


def _errors_in(log: str) -> Iterator[str]:
    """The messages of llama.cpp's error lines that name a cause, without time stamps."""
    seen = set()
    for line in log.splitlines():
        _, is_error, message = line.partition(" E ")
        cause = message.strip().rpartition("error loading model: ")[2]
        if is_error and cause not in seen and "error loading model: " in message:
            seen.add(cause)
            yield cause
