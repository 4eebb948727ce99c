"""In a notebook every cell is a task of its own: servers opened in one are used in the next and left in a third."""

from __future__ import annotations

import queue
import re
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

from tests.support.mcp_servers import bad_server, desk_server, stdio_server
from tests.support.notebooks import kernels_place
from tests.support.openai_server import OpenAIServer, Recorded, Turn, calls, text
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

    def interrupt(self) -> None:
        """As the button does. The kernel notices it when something comes in, such as a question of the page it serves."""
        self.manager.interrupt_kernel()
        self._client.kernel_info()

    def until_printed(self, text: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while text not in str(self._message(deadline)["content"].get("text")):
            pass

    def shown(self, cell: str) -> list[dict[str, Any]]:
        """Its outputs as they are saved with it, by MIME type; an error of the cell fails the test."""
        outputs, error = self.outputs_of(self.start(cell))
        assert error is None, error
        return outputs

    def outputs_of(self, cell: str) -> tuple[list[dict[str, Any]], str | None]:
        outputs: dict[str, dict[str, Any]] = {}
        error = None
        deadline = time.monotonic() + WITHIN_S
        while True:
            message = self._message(deadline)
            if message["parent_header"].get("msg_id") != cell:
                continue
            content = message["content"]
            match message["msg_type"]:
                case "display_data" | "update_display_data" | "execute_result":
                    name = content.get("transient", {}).get("display_id") or f"output {len(outputs)}"
                    outputs[name] = content["data"]
                case "error":
                    error = f"{content['ename']}: {content['evalue']}"
                case "status" if content["execution_state"] == "idle":
                    return list(outputs.values()), error

    def until_shown(self, html: str) -> None:
        deadline = time.monotonic() + WITHIN_S
        while html not in str(self._message(deadline)["content"].get("data", {}).get("text/html")):
            pass

    def _message(self, deadline: float) -> dict[str, Any]:
        try:
            message: dict[str, Any] = self._client.get_iopub_msg(timeout=deadline - time.monotonic())
        except queue.Empty:
            raise AssertionError("the kernel went silent") from None
        return message


@pytest.fixture
def notebook() -> Iterator[Notebook]:
    with kernels_place() as place:
        manager = KernelManager(**place)
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
        await client.add_mcp_server(**{desk_server(env=mark.env)!r})
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
    notebook.interrupt()
    _, error = notebook.end_of(cell)
    assert error is not None
    assert error.startswith(("KeyboardInterrupt", "CancelledError"))
    notebook.run("waiting.cancel()")
    assert notebook.run("print((await client.call_tool('echo', {'text': 'still here'})).text)") == "still here\n"
    assert notebook.run("print((await client.call_tool('was_cancelled')).text)") == "yes\n"
    assert mark.pids() == [pid]  # not one that was started again
    notebook.run("await client.cleanup()")
    assert not mark.pids()


def _model(request: Recorded) -> Turn:
    """Calls what the user names; what a tool answered leads to a table."""
    last = request.body["messages"][-1]
    if last["role"] == "tool" or not isinstance(last["content"], str):  # the picture comes after the tool's message
        return text("**Done.**\n\n| a | b |\n|---|---|\n| 1 | 2 |\n\n<script>alert('said')</script>")
    if last["content"] in ("picture", "wait"):
        return calls((last["content"], {}), ids=[f"c{len(request.body['messages'])}"])
    asked = [m for m in request.body["messages"] if m["role"] == "user" and isinstance(m["content"], str)]
    return text(f"You said {len(asked)} things.")


def test_runs_are_shown_as_html_that_stays_and_an_interrupt_leaves_the_agent_usable(notebook: Notebook) -> None:
    with OpenAIServer(_model) as model:
        notebook.run(
            f"""
            %load_ext tiny_agents.notebook
            from tiny_agents import Agent
            from tiny_agents.notebook import show
            agent = Agent(base_url={model.url!r}, model="m", servers=[{stdio_server(name="desk")!r}])
            await agent.load_tools()
            """
        )
        shown = notebook.shown("await show(agent.run('picture'))")
        assert len(shown) == 1  # the value of the line isn't shown a second time
        page = shown[0]["text/html"]
        assert '<img alt="a picture"' in page
        assert 'src="data:image/png;base64,' in page
        assert "<details" in page
        assert "<td>1</td>" in page
        assert "2 model calls" in page
        assert "<script" not in page
        assert "&lt;script&gt;" in page
        assert shown[0]["text/plain"].startswith("**Done.**")

        cell = notebook.start("await show(agent.run('wait'))")
        notebook.until_shown("<b>wait</b>")
        notebook.interrupt()
        left, error = notebook.outputs_of(cell)
        assert error is not None
        assert error.startswith(("KeyboardInterrupt", "CancelledError"))
        assert "Interrupted." in left[-1]["text/html"]
        assert notebook.run("print(agent.stop_reason)") == "aborted\n"

        (again,) = notebook.shown("%%agent agent\nAre you still there?")
        assert "You said 3 things." in again["text/html"]
        (again,) = notebook.shown("%%agent agent --new\nAnd now?")
        assert "You said 1 things." in again["text/html"]
        assert notebook.run("print(agent.result)") == "You said 1 things.\n"
        (turn,) = notebook.shown(
            "said = await show(agent.process_single_turn_with_tools([{'role': 'user', 'content': 'Hi'}]))"
        )
        assert "You said 1 things." in turn["text/html"]
        assert notebook.run("print(said)") == "You said 1 things.\n"
        assert "<div" in notebook.shown("agent.result")[0]["text/html"]
        assert "UsageError" in str(notebook.end_of(notebook.start("%%agent agent --old\nHello"))[1])
        assert notebook.shown("%%agent agent --close") == []
        assert "has been closed" in str(notebook.end_of(notebook.start("%%agent agent\nHello"))[1])

        page = (Path(__file__).parents[2] / "docs" / "notebook.md").read_text(encoding="utf-8")
        blocks = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
        outputs = [notebook.shown(block.replace("http://localhost:8080", model.origin)) for block in blocks]
        assert [len(shown) for shown in outputs] == [1, 1, 0, 1, 1, 0]
        assert "You said 2 things." in outputs[3][0]["text/html"]
        assert outputs[4][0]["text/html"].startswith("<div")
