"""What runs, in a line: for the foot of a prompt, and of a turn. Pure but for looking at the agent."""

from __future__ import annotations

from tiny_agents.agent.agent import Agent
from tiny_agents.agent.loop.usage import dollars
from tiny_agents.cli.screen.safe_text import one_line


def turn_words(agent: Agent) -> str:
    """The model, and how long the conversation is for it."""
    tokens = agent.context.tokens
    return " · ".join([one_line(agent.model_name, 60), *([f"about {tokens:,} tokens"] if tokens else [])])


def prompt_words(agent: Agent) -> str:
    """The model, the servers, what was used, and what a request may use."""
    parts = [one_line(agent.model_name, 60)]
    if count := len(agent.connections) + len(agent.failed_servers):
        up = sum(connection.state == "ready" for connection in agent.connections.values())
        parts.append(f"{up} of {count} servers" if up < count else f"{count} server{'' if count == 1 else 's'}")
    used = agent.usage
    if used.model_calls:
        parts.append(f"{'about ' if used.estimated else ''}{used.total_tokens:,} tokens")
        if used.cost_usd:
            parts.append(dollars(used.cost_usd))
    if agent.limits.cost_usd is not None:
        parts.append(f"at most {dollars(agent.limits.cost_usd)} a request")
    if agent.limits.tokens is not None:
        parts.append(f"at most {agent.limits.tokens:,} tokens a request")
    return " · ".join(parts)
