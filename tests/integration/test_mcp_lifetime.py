"""Connections belong to no caller: any task may open, call and close; servers that die come back; nothing is left over."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from tests.support.cancelling import cancelled_at
from tests.support.mcp_server import server as in_process
from tests.support.mcp_servers import bad_server, desk_server, no_model, remote_server
from tests.support.ports import free_port
from tests.support.processes import Grown, Mark, linux_only
from tests.support.sdk_loaded import run_and_show_sdk
from tiny_agents.errors import ServerConnectionError, UsageError
from tiny_agents.mcp_client.client import MCPClient

pytestmark = [pytest.mark.anyio, pytest.mark.integration]


def names(client: MCPClient) -> list[str]:
    return [tool.function.name for tool in client.available_tools]


def comes_and_goes(kind: str, stack: ExitStack, mark: Mark) -> tuple[dict[str, Any], str]:
    """Parameters of a server of this kind, and a tool of it that takes no arguments."""
    if kind == "stdio":
        return bad_server("well_behaved", env=mark.env), "ping"
    if kind == "inprocess":
        return {"type": "inprocess", "server": in_process, "name": "s"}, "pid"
    return stack.enter_context(remote_server(kind)).parameters(), "pid"


def other_tasks() -> set[asyncio.Task[Any]]:
    return asyncio.all_tasks() - {task for task in (asyncio.current_task(),) if task}


# ---------------------------------------------------------------- from any task


async def test_one_task_opens_many_call_and_another_closes() -> None:
    mark = Mark()
    client = no_model()

    async def call(number: int) -> str:
        return (await client.call_tool("echo", {"text": str(number)})).text

    async with asyncio.timeout(60):
        await asyncio.create_task(client.add_mcp_server(**desk_server(env=mark.env)))
        answers = await asyncio.gather(*(asyncio.create_task(call(number)) for number in range(10)))
        assert answers == [str(number) for number in range(10)]
        await asyncio.create_task(client.cleanup())
        await mark.gone()
        assert {connection.state for connection in client.connections.values()} == {"closed"}


def test_in_a_notebook_one_cell_opens_the_next_calls_and_a_third_closes() -> None:
    client = no_model()
    loop = asyncio.new_event_loop()
    try:
        loop.run_until_complete(asyncio.wait_for(client.add_mcp_server(**bad_server("well_behaved")), 30))
        result = loop.run_until_complete(asyncio.wait_for(client.call_tool("ping"), 30))
        assert result.text == "pong"
        loop.run_until_complete(asyncio.wait_for(client.cleanup(), 30))
        assert not asyncio.all_tasks(loop)
    finally:
        loop.close()


def test_a_client_outlives_the_event_loop_it_was_used_in() -> None:
    client = no_model()
    asyncio.run(asyncio.wait_for(client.add_mcp_server(**bad_server("well_behaved")), 30))
    assert client.connections["well_behaved"].state == "lost"
    assert asyncio.run(asyncio.wait_for(client.call_tool("ping"), 30)).text == "pong"
    asyncio.run(asyncio.wait_for(client.cleanup(), 30))


def test_limits_hold_in_each_event_loop() -> None:
    client = no_model()
    server = bad_server("well_behaved", max_parallel_calls=1)

    async def call() -> list[str]:
        if not client.connections:
            await client.add_mcp_server(**server)
        return [result.text for result in await asyncio.gather(*(client.call_tool("ping") for _ in range(3)))]

    assert [asyncio.run(asyncio.wait_for(call(), 30)) for _ in range(2)] == [["pong"] * 3] * 2
    asyncio.run(asyncio.wait_for(client.cleanup(), 30))


def test_a_server_whose_event_loop_was_closed_under_it_is_started_again() -> None:
    client = no_model()
    loop = asyncio.new_event_loop()
    loop.run_until_complete(asyncio.wait_for(client.add_mcp_server(**bad_server("well_behaved")), 30))
    loop.close()
    assert client.connections["well_behaved"].state == "lost"

    async def call() -> str:
        async with client:
            return (await client.call_tool("ping")).text

    assert asyncio.run(asyncio.wait_for(call(), 30)) == "pong"


async def test_another_thread_is_told_where_the_connection_lives_and_may_close_it() -> None:
    mark = Mark()

    def elsewhere(client: MCPClient) -> None:
        with pytest.raises(UsageError, match="'well_behaved' is connected in another event loop"):
            asyncio.run(client.call_tool("ping"))
        asyncio.run(asyncio.wait_for(client.cleanup(), 30))

    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**bad_server("well_behaved", env=mark.env))
        await asyncio.to_thread(elsewhere, client)
        assert client.connections["well_behaved"].state == "closed"
        await mark.gone()


async def test_cleaning_up_from_several_tasks_and_again_is_fine() -> None:
    async with asyncio.timeout(30):
        client = no_model()
        await client.add_mcp_server(**bad_server("well_behaved"))
        await asyncio.gather(*(client.cleanup() for _ in range(5)))
        await client.cleanup()
        with pytest.raises(UsageError, match="this MCPClient has been closed"):
            async with client:
                pass
        with pytest.raises(UsageError, match="has been closed"):
            await client.add_mcp_server(**bad_server("well_behaved"))
        with pytest.raises(ServerConnectionError, match="has been closed"):
            await client.call_tool("ping")


async def test_cleaning_up_ends_what_still_waits() -> None:
    async with asyncio.timeout(60):
        client = no_model()
        await client.add_mcp_server(**desk_server(name="busy"))
        waiting = asyncio.create_task(client.call_tool("wait", {"place": "x"}))
        await client.call_tool("is_waiting", {"place": "x"})
        starting = asyncio.create_task(client.add_mcp_server(**bad_server("never_answers")))
        while len(client.connections) < 2:
            await asyncio.sleep(0)
        await client.cleanup()
        with pytest.raises(ServerConnectionError, match="'busy' was closed during the call of 'wait'"):
            await waiting
        with pytest.raises(ServerConnectionError, match="'never_answers' was closed before it was ready"):
            await starting


@linux_only
async def test_fifty_servers_start_at_once_and_in_the_order_they_were_added() -> None:
    mark = Mark()
    async with asyncio.timeout(120):
        async with no_model() as client:
            servers = [bad_server("well_behaved", name=f"s{n}", env=mark.env) for n in range(50)]
            await asyncio.gather(*(client.add_mcp_server(**server) for server in servers))
            assert len(mark.pids()) == 50
            expected = ["ping", "leave"] + [f"s{n}__{tool}" for n in range(1, 50) for tool in ("ping", "leave")]
            assert names(client) == expected
            results = await asyncio.gather(*(client.call_tool(name) for name in expected if name.endswith("ping")))
            assert [result.text for result in results] == ["pong"] * 50
        assert not mark.pids()


CYCLES = {"stdio": 30, "inprocess": 100, "http": 15, "sse": 20}
"""How often each kind of server is opened and closed here; `make servers` does it a thousand times."""


@linux_only
@pytest.mark.parametrize("kind", CYCLES)
async def test_nothing_grows_when_connections_come_and_go(kind: str) -> None:
    mark = Mark()
    with ExitStack() as stack:
        parameters, tool = comes_and_goes(kind, stack, mark)

        async def cycles(count: int) -> None:
            for number in range(count):
                async with no_model() as client:
                    await client.add_mcp_server(**parameters)
                    assert not (await client.call_tool(tool)).is_error
                if number % 10 == 0:
                    gc.collect()  # what only waits for Python's collector is not what is looked for

        async with asyncio.timeout(120):
            await cycles(8)  # until everything is imported and cached
            grown = Grown()
            await cycles(CYCLES[kind])
            assert not mark.pids()
            await grown.less_than(objects=1_000, size=8_000_000)  # a connection has about as many objects


async def test_a_client_that_is_dropped_leaves_its_servers() -> None:
    """As where a cell of a notebook is executed again, and its client is another one from then on."""
    mark = Mark()
    async with asyncio.timeout(60):
        client = no_model()
        await client.add_mcp_server(**bad_server("well_behaved", env=mark.env))
        del client
        with pytest.warns(ResourceWarning, match="was dropped without cleanup"):
            gc.collect()
        await mark.gone()
        while any(task.get_name().startswith("MCP server") for task in other_tasks()):
            await asyncio.sleep(0.01)


# ---------------------------------------------------------------- cancellation


@linux_only
@pytest.mark.parametrize("behaviour", ["never_answers", "never_lists", "is_stubborn"])
async def test_cancelling_a_start_leaves_nothing_behind(behaviour: str) -> None:
    mark = Mark()
    async with asyncio.timeout(30), no_model() as client:
        tasks = other_tasks()
        starting = asyncio.create_task(client.add_mcp_server(**bad_server(behaviour, "silent", env=mark.env)))
        await mark.running(1)
        starting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await starting
        await mark.gone()
        assert not client.connections
        assert other_tasks() == tasks


@linux_only
async def test_a_start_can_be_cancelled_wherever_it_waits() -> None:
    async with asyncio.timeout(60), no_model() as client:
        for waits in range(4):
            mark = Mark()
            parameters = bad_server("well_behaved", name=f"s{waits}", env=mark.env)
            starting = asyncio.create_task(cancelled_at(waits, client.add_mcp_server(**parameters)))
            await asyncio.wait({starting})
            assert starting.cancelled() == (f"s{waits}" not in client.connections)
            if starting.cancelled():
                await mark.gone()
        assert "s0" not in client.connections
        assert "s3" in client.connections


@pytest.mark.parametrize("protocol", ["auto", "legacy"])
@pytest.mark.parametrize("kind", ["stdio", "http", "sse"])
async def test_a_call_can_be_cancelled_wherever_it_waits_and_the_server_stays(kind: str, protocol: str) -> None:
    """Walks from wait to wait until there is none left; after each cancellation the same connection serves the next call."""
    with ExitStack() as stack:
        parameters = desk_server() if kind == "stdio" else stack.enter_context(remote_server(kind)).parameters()
        async with asyncio.timeout(60), no_model() as client:
            await client.add_mcp_server(**parameters, name="s", protocol=protocol)
            pid = (await client.call_tool("pid")).text
            for waits in range(100):
                calling = asyncio.create_task(cancelled_at(waits, client.call_tool("echo", {"text": "x"})))
                await asyncio.wait({calling})
                assert (await client.call_tool("pid")).text == pid
                if not calling.cancelled():
                    break
            assert calling.result().text == "x"
            assert waits > 0
            assert client.connections["s"].state == "ready"


# ---------------------------------------------------------------- servers that die


async def test_a_dying_server_fails_its_own_call_and_no_other() -> None:
    async with asyncio.timeout(60), no_model() as client:
        await asyncio.gather(
            client.add_mcp_server(**desk_server(name="doomed")),
            client.add_mcp_server(**desk_server(name="healthy")),
        )
        meeting = asyncio.create_task(client.call_tool("healthy__meet", {"place": "x", "party": 2, "say": "one"}))
        with pytest.raises(ServerConnectionError) as caught:
            await client.call_tool("die")
        assert caught.value.server == "doomed"
        assert str(caught.value).splitlines() == [
            "MCP server 'doomed' exited with status 7 during the call of 'die'. The call may have run. "
            "The server is started again when it is needed next.",
            "The end of its standard error:",
            "  dying as told",
        ]
        assert client.connections["doomed"].state == "lost"
        assert (await client.call_tool("healthy__meet", {"place": "x", "party": 2, "say": "two"})).text == "two"
        assert (await meeting).text == "one"
        assert (await client.call_tool("echo", {"text": "back again"})).text == "back again"
        assert client.connections["doomed"].state == "ready"


async def test_all_calls_of_a_dying_server_fail_at_once() -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**desk_server(name="doomed"))
        calls = [asyncio.create_task(client.call_tool("wait", {"place": str(n)})) for n in range(3)]
        for n in range(3):
            await client.call_tool("is_waiting", {"place": str(n)})
        with pytest.raises(ServerConnectionError):
            await client.call_tool("die")
        for result in await asyncio.gather(*calls, return_exceptions=True):
            assert isinstance(result, ServerConnectionError)
            assert "exited with status 7 during the call of 'wait'" in str(result)


async def test_a_server_that_died_between_calls_is_started_again_unnoticed() -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**desk_server(name="mortal"))
        pid = int((await client.call_tool("pid")).text)
        os.kill(pid, signal.SIGKILL)
        while client.connections["mortal"].state == "ready":
            await asyncio.sleep(0.01)
        assert int((await client.call_tool("pid")).text) != pid


@pytest.mark.parametrize("tool", ["die_once_read_only", "die_once_idempotent"])
async def test_a_call_that_can_do_no_harm_is_made_again(tool: str, tmp_path: Path) -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**desk_server())
        assert (await client.call_tool(tool, {"mark": str(tmp_path / "mark")})).text == "second life"


async def test_any_other_call_is_not_made_again(tmp_path: Path) -> None:
    arguments = {"mark": str(tmp_path / "mark")}
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**desk_server())
        with pytest.raises(ServerConnectionError, match="The call may have run"):
            await client.call_tool("die_once", arguments)
        assert (await client.call_tool("die_once", arguments)).text == "second life"


async def test_tools_are_listed_again_after_a_restart_and_known_names_stay(tmp_path: Path) -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**bad_server("well_behaved", name="first"))
        await client.add_mcp_server(**bad_server("changes_its_tools", str(tmp_path / "lives"), name="second"))
        assert names(client)[2:] == ["second__ping", "second__leave", "life_1"]
        with pytest.raises(ServerConnectionError):
            await client.call_tool("second__leave")
        assert (await client.call_tool("second__ping")).text == "pong"
        assert names(client)[2:] == ["second__ping", "second__leave", "life_2"]


async def test_a_server_that_keeps_dying_is_left_alone_after_some_time() -> None:
    async with asyncio.timeout(60), no_model() as client:
        await client.add_mcp_server(**bad_server("well_behaved", name="weak"))
        for _ in range(4):
            with pytest.raises(ServerConnectionError, match="exited with status 5 during the call"):
                await client.call_tool("leave")
        with pytest.raises(ServerConnectionError, match="went away 4 times in a row and is left alone for 60 s"):
            await client.call_tool("ping")


async def test_calls_that_wait_for_a_restart_share_its_failure(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    async with asyncio.timeout(30), no_model() as client:
        await client.add_mcp_server(**bad_server("well_behaved", name="homeless", cwd=tmp_path / "home"))
        with pytest.raises(ServerConnectionError):
            await client.call_tool("leave")
        (tmp_path / "home").rmdir()
        results = await asyncio.gather(*(client.call_tool("ping") for _ in range(6)), return_exceptions=True)
        assert len({str(result) for result in results}) == 1
        assert "'homeless' could not be started: the working directory" in str(results[0])
        (tmp_path / "home").mkdir()
        assert (await client.call_tool("ping")).text == "pong"


@pytest.mark.parametrize("kind", ["http", "sse"])
async def test_a_remote_server_that_was_restarted_is_found_again(kind: str) -> None:
    async with asyncio.timeout(60), no_model() as client:
        with remote_server(kind, free_port()) as server:
            await client.add_mcp_server(**server.parameters(name="far", allowed_tools=["pid", "wait", "is_waiting"]))
            assert (await client.call_tool("pid")).text == str(server.process.pid)
            waiting = asyncio.create_task(client.call_tool("wait", {"place": "x"}))
            await client.call_tool("is_waiting", {"place": "x"})
            server.process.kill()
            with pytest.raises(ServerConnectionError, match="during the call of 'wait'. The call may have run."):
                await waiting
            server.process.wait()
            with pytest.raises(ServerConnectionError, match="could not be reached at"):
                await client.call_tool("pid")
        with remote_server(kind, server.port) as again:
            assert (await client.call_tool("pid")).text == str(again.process.pid)


def test_an_agent_with_processes_for_servers_loads_neither_the_sdk_nor_what_that_stands_on() -> None:
    """They would be most of a start and of the memory."""
    program = """
import asyncio, sys
from tests.support.mcp_servers import bad_server, library_server
from tests.support.openai_server import OpenAIServer, calls, text
from tiny_agents import Agent

async def main():
    with OpenAIServer([calls(("ping", {})), text("done")]) as model:
        async with Agent(base_url=model.url, model="m") as agent:
            await agent.add_mcp_server(**bad_server("well_behaved"))
            await agent.add_mcp_server(**library_server())
            await agent.list_resources()
            result = await agent.run_to_completion("go")
            print([message["content"] for message in result.messages if message["role"] == "tool"])

asyncio.run(main())
"""
    done = run_and_show_sdk(program)
    assert done.stdout == "['pong']\n[]\n", done.stderr
