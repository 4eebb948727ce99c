"""In a notebook every cell is a task of its own: servers opened in one are used in the next and left in a third."""

from __future__ import annotations

import queue
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.support.mcp_servers import bad_server, stdio_server
from tests.support.processes import Mark, linux_only

pytestmark = pytest.mark.integration

WITHIN_S = 60.0


class Notebook:
    """A real kernel. `run` executes a cell and gives what it printed; an error of the cell fails the test."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self.manager = manager
        self._client = client

    def start(self, cell: str) -> str:
        """Have a cell executed, without waiting for it."""
        return str(self._client.execute(cell, store_history=False))

    def run(self, cell: str) -> str:
        printed, error = self.end_of(self.start(cell))
        assert error is None, error
        return printed

    def end_of(self, cell: str) -> tuple[str, str | None]:
        """What it printed, and the name and text of the exception in which it ended."""
        printed, error = "", None
        deadline = time.monotonic() + WITHIN_S
        while True:
            message = self._message(deadline)
            if message["parent_header"].get("msg_id") != cell:
                continue
            content = message["content"]
            match message["msg_type"]:
                case "stream":
                    printed += content["text"]
                case "error":
                    error = f"{content['ename']}: {content['evalue']}"
                case "status" if content["execution_state"] == "idle":
                    return printed, error

    def until_printed(self, text: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while text not in str(self._message(deadline)["content"].get("text")):
            pass

    def _message(self, deadline: float) -> dict[str, Any]:
        try:
            message: dict[str, Any] = self._client.get_iopub_msg(timeout=deadline - time.monotonic())
        except queue.Empty:
            raise AssertionError("the kernel went silent") from None
        return message


@pytest.fixture
def notebook() -> Iterator[Notebook]:
    manager = KernelManager()
    manager.kernel_cmd = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    manager.start_kernel(cwd=str(Path(__file__).parents[2]))
    client = manager.blocking_client()
    client.start_channels()
    try:
        client.wait_for_ready(timeout=WITHIN_S)
        yield Notebook(manager, client)
    finally:
        client.stop_channels()
        manager.shutdown_kernel(now=True)
        manager.cleanup_resources()


@linux_only
def test_one_cell_opens_the_next_calls_and_a_third_closes(notebook: Notebook) -> None:
    mark = Mark()
    notebook.run(
        f"""
        from tiny_agents import MCPClient
        client = MCPClient(base_url="http://127.0.0.1:1/v1", model="none")
        await client.add_mcp_server(**{bad_server("well_behaved", env=mark.env)!r})
        """
    )
    assert len(mark.pids()) == 1
    assert notebook.run("print((await client.call_tool('ping')).text)") == "pong\n"
    notebook.run("await client.cleanup()")
    assert not mark.pids()
    tasks = "import asyncio; print([t.get_name() for t in asyncio.all_tasks() if 'MCP' in t.get_name()])"
    assert notebook.run(tasks) == "[]\n"


@linux_only
def test_an_interrupt_in_the_middle_of_a_call_leaves_the_client_usable(notebook: Notebook) -> None:
    mark = Mark()
    notebook.run(
        f"""
        import asyncio
        from tiny_agents import MCPClient
        client = MCPClient(base_url="http://127.0.0.1:1/v1", model="none")
        await client.add_mcp_server(**{stdio_server(env=mark.env)!r})
        """
    )
    (pid,) = mark.pids()
    cell = notebook.start(
        """
        waiting = asyncio.ensure_future(client.call_tool("wait"))
        await client.call_tool("is_waiting")
        print("it waits")
        await waiting
        """
    )
    notebook.until_printed("it waits")
    notebook.manager.interrupt_kernel()
    _, error = notebook.end_of(cell)
    assert error is not None
    assert error.startswith(("KeyboardInterrupt", "CancelledError"))
    notebook.run("waiting.cancel()")
    assert notebook.run("print((await client.call_tool('echo', {'text': 'still here'})).text)") == "still here\n"
    assert notebook.run("print((await client.call_tool('was_cancelled')).text)") == "yes\n"
    assert mark.pids() == [pid]  # not one that was started again
    notebook.run("await client.cleanup()")
    assert not mark.pids()
