"""The verbs of `Agent` for what it is composed of: other agents, inference tasks, skills."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable
from typing import TYPE_CHECKING, cast

from tiny_agents.mcp_client.client import MCPClient

if TYPE_CHECKING:
    from pathlib import Path

    from tiny_agents.agent.agent import Agent
    from tiny_agents.agent.composition.composed import Composition
    from tiny_agents.agent.loop.limits import Limits


class Composes(MCPClient):
    """What an agent may be given; `Agent` has these methods from here."""

    composition: Composition
    description: str | None
    limits: Limits

    @abstractmethod
    def _price_known(self, limits: Limits) -> None:
        """Raises UsageError for a limit of costs that can't be kept."""

    def add_agent(self, agent: Agent, *, name: str, description: str | None = None) -> None:
        """Offer another agent to the model as a tool: it gets a task in words, and gives its answer.

        Each task is a conversation of its own. The other agent's servers are started with the first task, and ended with
        this agent. What is left of a request's limits holds for the task too, its usage counts here, and this agent's gate
        is asked about its calls as well (`name/server.tool`). What happens there is seen as `InnerEvent`.

        Args:
            name: Of the tool.
            description: What the model is told of it; by default the agent's own.

        Raises:
            UsageError: There is such a tool, or agents would be tools of each other in a circle.
        """
        agent._price_known(self.limits)
        tool = self.composition.add_agent(
            cast("Agent", self), agent, name, description or agent.description, self._events.emit
        )
        agent._events.follow(tool.tell)

    def add_skills(self, *folders: str | Path) -> None:
        """Let the model read the skills in some folders: each a skill (it has a `SKILL.md`), or a folder of skills."""
        from pathlib import Path

        self.composition.add_skills([Path(folder).absolute() for folder in folders])

    def add_task(
        self,
        task: str,
        *,
        model: str | None = None,
        provider: str | None = None,
        api_key: str | None = None,
        folders: Iterable[str | Path] = (),
    ) -> None:
        """Offer an inference task to the model as a tool, such as `text_to_image` (`definition.task_names.TASKS` has all).

        What it makes is kept in files of the user's data directory, which the model and the user are told; images are shown
        to a model that takes them.

        Args:
            model: A model's id, or the URL of an endpoint; by default the one that Hugging Face recommends for the task.
            provider: An inference provider; by default `auto`.
            api_key: Its key; by default a key or token that is saved for it.
            folders: Where tasks may read files, besides what they made themselves.

        Raises:
            UsageError: There is no such task, it is a tool already, or the agent has a limit of costs: nobody knows what
                tasks cost.
        """
        from pathlib import Path

        from tiny_agents.inference.async_client import AsyncInferenceClient

        client = AsyncInferenceClient(model=model, provider=provider, api_key=api_key)
        self.composition.add_task(task, client, [Path(folder).absolute() for folder in folders])
        self._price_known(self.limits)
