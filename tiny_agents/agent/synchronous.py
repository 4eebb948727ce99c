"""The verbs of `Agent` for programs that aren't asynchronous."""

from __future__ import annotations

import atexit
from typing import TYPE_CHECKING, Any, Self

from tiny_agents.errors import UsageError

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Coroutine
    from types import TracebackType

    from tiny_agents.agent.loop.limits import Limits
    from tiny_agents.agent.loop.request import UserInput
    from tiny_agents.agent.loop.result import AgentResult


class Synchronous:
    """`run_sync`, `with` and `close`: `Agent` has these from here. An agent is used either with these or with `await`."""

    run_to_completion: Callable[..., Coroutine[Any, Any, AgentResult]]
    load_tools: Callable[[], Coroutine[Any, Any, None]]
    cleanup: Callable[[], Coroutine[Any, Any, None]]
    _origin: Any
    _runner: asyncio.Runner | None = None  # the loop in which the servers of this agent live, from call to call
    _has_tools: bool = False

    def run_sync(self, user_input: UserInput, *, limits: Limits | None = None) -> AgentResult:
        """As `run_to_completion`, for a program without an event loop. The first call starts the servers.

            with Agent(model="Qwen/Qwen3-32B") as agent:
                print(agent.run_sync("What can you do?"))

        Ctrl+C stops the run and leaves the agent usable. The servers run until `close`, the end of `with` or that of the
        program.

        Raises:
            UsageError: An event loop is running here: `await agent.run_to_completion(...)`.
            Whatever `load_tools` and `run_to_completion` raise.
        """
        _without_loop("run_sync", "await agent.run_to_completion(...)")
        owner: Synchronous = self._origin or self
        runner = owner._started()
        if not owner._has_tools:
            runner.run(owner.load_tools())
            owner._has_tools = True
        return runner.run(self.run_to_completion(user_input, limits=limits))

    def close(self) -> None:
        """As `cleanup`, for an agent that was used with `run_sync`. Again does nothing.

        Raises:
            UsageError: An event loop is running here: `await agent.cleanup()`.
        """
        _without_loop("close", "await agent.cleanup()")
        if self._origin is not None:  # a conversation beside another one, which this belongs to
            return
        runner = self._started()
        try:
            runner.run(self.cleanup())
        finally:
            atexit.unregister(self.close)
            self._runner = None
            runner.close()

    def __enter__(self) -> Self:
        _without_loop("with", "async with")
        return self

    def __exit__(
        self, exc_type: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def _started(self) -> asyncio.Runner:
        if self._runner is None:
            import asyncio

            self._runner = asyncio.Runner()
            atexit.register(self.close)
        return self._runner


def _without_loop(verb: str, instead: str) -> None:
    import asyncio

    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return
    raise UsageError(
        f"`{verb}` is for programs without an event loop, and one is running here (an async function, a notebook): "
        f"use `{instead}`."
    )
