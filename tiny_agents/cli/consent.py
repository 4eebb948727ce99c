"""Agents from the Hub start nothing before the user has seen what, and agreed."""

from __future__ import annotations

import sys

from tiny_agents.agent.definition.requirements import commands_and_hosts
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.cli.prompts import ask_yes_no
from tiny_agents.cli.safe_text import one_line
from tiny_agents.errors import TinyAgentsError, UsageError


def require_trust(definition: AgentDefinition, *, can_ask: bool) -> None:
    """Show what the agent would run, call and read, whole and unshortened, and go on only after a yes.

    Args:
        can_ask: A person sits at a terminal.
    Raises:
        UsageError: Nobody can be asked.
        TinyAgentsError: The answer wasn't yes.
    """
    consequences = commands_and_hosts(definition)
    if not consequences:
        return
    name = one_line(definition.name)
    listed = "".join(f"  {one_line(line)}\n" for line in consequences)
    sys.stderr.write(f"The agent {name} was downloaded ({definition.path}). It\n{listed}")
    if not can_ask:
        raise UsageError(f"the agent {name} was downloaded, and nobody can be asked here: if you trust it, add --trust")
    if not ask_yes_no("Do you trust it?"):
        raise TinyAgentsError(f"the agent {name} was not started")
