"""What is said before the first prompt: which agent, which model and who chose it, which servers."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.agent.model_choice import EMBEDDED, EMBEDDED_PLACE, ModelSettings
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.cli.screen.terminal import Screen, Style
from tiny_agents.inference import local
from tiny_agents.inference.settings import is_url


def is_embedded(settings: ModelSettings) -> bool:
    """Whether the embedded model runs."""
    return settings.place == EMBEDDED_PLACE


def model_words(settings: ModelSettings) -> str:
    """Which model runs and where, in one line; for the embedded model also what it can't do."""
    if is_embedded(settings):
        return local.describe(settings.model)
    kind, where = settings.place or ("provider", "Hugging Face")
    name = "the model" if settings.model is None or is_url(settings.model) else settings.model
    if kind == "url":
        return f"{name} at {urlsplit(where).netloc.rpartition('@')[2]}"
    return f"{name} through {where}"


def show_banner(
    screen: Screen, definition: AgentDefinition, model: ModelSettings, tool_counts: Mapping[str, int]
) -> None:
    """Agent, model and working servers, a line each.

    Args:
        tool_counts: Server -> number of its tools.
    """
    about = f" · {one_line(definition.description, 200)}" if definition.description else ""
    screen.line(f"{one_line(definition.name)}{about}", Style.BOLD)
    source = "" if is_embedded(model) and model.source == EMBEDDED else f" (from {model.source})"
    screen.line(f"model: {one_line(model_words(model))}{source}", Style.DIM)
    for server, count in tool_counts.items():
        screen.line(f"server: {one_line(server)}, {count} tool{'' if count == 1 else 's'}", Style.DIM)
    screen.line("Alt+Enter: a new line. Ctrl+C: stop. Ctrl+D: leave. /help: what else there is.", Style.DIM)
    screen.line()
