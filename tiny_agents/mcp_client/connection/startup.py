"""Why a server could not be started or reached, in words that say what to do. Pure."""

from __future__ import annotations

from pathlib import PurePath

from tiny_agents.mcp_client.connection.servers import HttpServer, Server, StdioServer, address
from tiny_agents.mcp_client.connection.watch import ConnectionLost, Watch
from tiny_agents.mcp_client.text import last_lines

SHOWN_STDERR_LINES = 6

_BROUGHT_BY = {
    "npx": "it comes with Node.js, https://nodejs.org",
    "node": "it comes with Node.js, https://nodejs.org",
    "uvx": "it comes with uv, https://docs.astral.sh/uv",
    "uv": "see https://docs.astral.sh/uv",
    "docker": "see https://docs.docker.com/get-started/get-docker",
    "deno": "see https://deno.com",
    "bunx": "it comes with Bun, https://bun.sh",
}


def start_problem(server: Server, watch: Watch, error: BaseException | None) -> str:
    """What kept `server` from starting, as a sentence that continues its name."""
    cause = _first_leaf(error)
    if isinstance(server, StdioServer) and watch.process is None and not watch.how:
        return _not_started(server, cause)
    if watch.how:
        return f"{watch.how} before it was ready.{_noise(watch)}"
    if watch.denied:
        return watch.denied
    if watch.status is not None:
        return _by_status(server, watch.status)
    if watch.trouble:
        trouble = watch.trouble.rstrip(".")
        return f"could not be reached at {address(server)}: {trouble}. Is it running, and is the URL right?"
    if isinstance(cause, ConnectionLost):
        return f"{cause.how} before it was ready."
    return f"could not be used: {str(cause) if cause else 'it closed the connection'}"


def slow_problem(watch: Watch, timeout_s: float) -> str:
    """The same for a server that took too long."""
    return (
        f"was not ready within {timeout_s:g} s (startup_timeout): it did not answer, or its tools could not be listed "
        f"in time.{_noise(watch)}"
    )


def with_stderr(problem: str, stderr: str) -> str:
    """A message that ends in the last lines of the server's standard error, where there are some."""
    lines = last_lines(stderr, SHOWN_STDERR_LINES)
    if not lines:
        return problem
    return "\n".join([problem, "The end of its standard error:", *(f"  {line}" for line in lines)])


def _not_started(server: StdioServer, cause: BaseException | None) -> str:
    command = server.command
    if isinstance(cause, NotADirectoryError):
        return f"could not be started: {cause.args[0] if len(cause.args) == 1 else cause}"
    if isinstance(cause, FileNotFoundError):
        hint = _BROUGHT_BY.get(PurePath(command).stem)
        advice = f" ({hint})" if hint else ""
        return (
            f"could not be started: the command '{command}' was not found. Install it{advice}, or give its full path."
        )
    if isinstance(cause, PermissionError):
        return f"could not be started: the command '{command}' may not be executed (permission denied)."
    return f"could not be started with the command '{command}': {cause}"


def _by_status(server: Server, status: int) -> str:
    where = address(server)
    if status in (401, 403):
        return (
            f"refused access to {where} (HTTP {status}): give it credentials, "
            "for example headers={'Authorization': 'Bearer ...'}, or check those it was given."
        )
    if status in (404, 405, 410):
        is_http = isinstance(server, HttpServer)
        other = "the older HTTP+SSE isn't there either" if is_http else "it may be of the type 'http'"
        return f"offers no MCP at {where} (HTTP {status}): check the URL; {other}."
    if status == 429 or status >= 500:
        return f"is not available: {where} answered HTTP {status}. Try again later."
    return f"could not be used: {where} answered HTTP {status}."


def _noise(watch: Watch) -> str:
    if not watch.noise:
        return ""
    what = "What it sends" if watch.process is None else "Its standard output"
    return f" {what} is no MCP; it begins with: {watch.noise!r}"


def _first_leaf(error: BaseException | None) -> BaseException | None:
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error
