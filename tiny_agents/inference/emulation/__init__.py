"""Tools for models and endpoints that have no tool API, with ordinary tool calls and ordinary text as the outcome. Pure.

Two strategies:
    "constrained"  any chat endpoint: the model chooses a tool and writes its arguments as constrained JSON.
    "small"        the embedded model below a billion parameters: it is not trusted with the choice of what it can do. It
                   tells the time in a city and adds two numbers, and refuses everything else.
"""

from __future__ import annotations

from collections.abc import Callable

from tiny_agents.inference.call import Call, Route, Step
from tiny_agents.inference.emulation.constrained import constrained
from tiny_agents.inference.emulation.flow import Flow, as_step
from tiny_agents.inference.emulation.small import small
from tiny_agents.inference.providers.chat import chat_adapter
from tiny_agents.inference.providers.provider import Adapter
from tiny_agents.inference.settings import Emulation
from tiny_agents.inference.types.chat import ChatCompletionOutput

__all__ = ["emulate"]

_STRATEGIES: dict[Emulation, Callable[[Call[ChatCompletionOutput], Route, Adapter], Flow[ChatCompletionOutput]]] = {
    "small": small,
    "constrained": constrained,
}
_OPENAI = chat_adapter("/chat/completions")


def emulate(
    call: Call[ChatCompletionOutput], route: Route, *, strategy: Emulation, adapter: Adapter | None = None
) -> Step[ChatCompletionOutput]:
    """The answer to a chat call with tools, where the other side knows none.

    Args:
        strategy: "small" needs llama.cpp's own endpoints beside the OpenAI ones, so it is for the embedded model only.
        adapter: How chat is asked for on this route; by default `{url}/chat/completions`.

    Returns: The answer, or what has to be asked first. Its undeclared field `tiny_agents` says whose sentence it is:
        `{"answer_from": "model" | "tool" | "refusal", "model": name}`.
    """
    return as_step(_STRATEGIES[strategy](call, route, adapter or _OPENAI))
