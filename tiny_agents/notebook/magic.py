"""`%%agent`: a cell whose text is what an agent is asked."""

from __future__ import annotations

import argparse
import shlex
from collections.abc import Awaitable, Callable
from typing import Any, NoReturn

from tiny_agents.agent.agent import Agent
from tiny_agents.errors import UsageError
from tiny_agents.notebook.display import ShownResult, ShownText, show

USAGE = (
    "%%agent AGENT [--new] [--trust] [--as NAME] [--close]\nAGENT is a variable that holds an Agent, or what names a "
    "definition: a file, a folder, a bundled name, user/agent on the Hub. The lines below are what it is asked."
)


class _Arguments(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        raise UsageError(f"%%agent: {message}. {USAGE}")


def _parser() -> _Arguments:
    parser = _Arguments(add_help=False)
    parser.add_argument("agent")
    parser.add_argument("--new", action="store_true")
    parser.add_argument("--trust", action="store_true")
    parser.add_argument("--close", action="store_true")
    parser.add_argument("--as", dest="name")
    return parser


class AgentMagic:
    """The agents that cells have asked, and what they are asked next.

    Args:
        shell: The IPython shell; its variables are looked up at each cell.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._loaded: dict[str, Agent] = {}

    async def ask(self, line: str, cell: str) -> ShownResult | ShownText | None:
        """Ask an agent what the cell says, and go on with the conversation that was had with it in earlier cells.

        The result is in the agent's `result`. Options of the line: `--new` starts another conversation, `--as NAME` puts the
        agent into a variable, `--trust` agrees to what a downloaded definition runs, `--close` ends the agent and its
        servers, after the question if there is one.

        Raises:
            UsageError: The line makes no sense, or a run of the agent is going on.
            TinyAgentsError: Whatever loading or the run raises.
        """
        try:
            words = shlex.split(line)
        except ValueError as error:
            raise UsageError(f"%%agent: {error}. {USAGE}") from None
        wanted = _parser().parse_args(words)
        agent = await self._agent(wanted.agent, trust=wanted.trust)
        if wanted.name:
            if not wanted.name.isidentifier():
                raise UsageError(f"%%agent: --as {wanted.name!r} is no name for a variable. {USAGE}")
            self._shell.user_ns[wanted.name] = agent
        if wanted.new:
            agent.messages[1:] = []
        if not cell.strip() and not wanted.close:
            raise UsageError(f"%%agent: the cell is empty, so there is nothing to ask. {USAGE}")
        try:
            return await show(agent.run(cell.strip())) if cell.strip() else None
        finally:
            if wanted.close:
                self._loaded = {ref: other for ref, other in self._loaded.items() if other is not agent}
                await agent.cleanup()

    async def _agent(self, ref: str, *, trust: bool) -> Agent:
        held = self._shell.user_ns.get(ref)
        if isinstance(held, Agent):
            return held
        if ref not in self._loaded:
            agent = Agent.load(ref, trust=trust)
            try:
                await agent.load_tools()
            except BaseException:
                await agent.cleanup()
                raise
            self._loaded[ref] = agent
        return self._loaded[ref]


def awaited(lines: list[str]) -> list[str]:
    """A cell that begins with `%%agent`, as the `await` of its magic: IPython itself doesn't wait for those."""
    if not lines or lines[0].split(maxsplit=1)[:1] != ["%%agent"]:
        return lines
    line = lines[0].strip().removeprefix("%%agent").strip()
    body = "".join(lines[1:]) or "\n"  # IPython refuses an empty one, which `--close` has
    return [f"await get_ipython().run_cell_magic('agent', {line!r}, {body!r})\n"]


def load_ipython_extension(shell: Any) -> None:
    """What `%load_ext tiny_agents.notebook` does."""
    unload_ipython_extension(shell)
    ask: Callable[[str, str], Awaitable[Any]] = AgentMagic(shell).ask
    shell.register_magic_function(ask, magic_kind="cell", magic_name="agent")
    shell.input_transformers_cleanup.insert(0, awaited)


def unload_ipython_extension(shell: Any) -> None:
    """What `%unload_ext tiny_agents.notebook` does. Agents that cells loaded go on until they are closed."""
    shell.magics_manager.magics["cell"].pop("agent", None)
    if awaited in shell.input_transformers_cleanup:
        shell.input_transformers_cleanup.remove(awaited)
