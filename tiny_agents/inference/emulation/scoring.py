"""Which of several tools a model finds likelier, by log-probabilities; through llama.cpp's own endpoints.

Two scores are added up, which chose better than either in trials with a 135M model: how likely the tool's name is after
the question, and how likely the question is after the tool's description.
"""

from __future__ import annotations

import math
from typing import Any

import msgspec

from tiny_agents.errors import InvalidResponseError
from tiny_agents.inference.call import Request, Response, Route
from tiny_agents.inference.emulation.flow import Flow
from tiny_agents.inference.emulation.history import Tool

MAX_DESCRIPTION = 200


def most_likely(question: str, tools: list[Tool], route: Route) -> Flow[Tool]:
    """The tool that fits `question` best."""
    if len(tools) == 1:
        return tools[0]
    menu = "".join(f"- {tool.name}: {_short(tool)}\n" for tool in tools)
    scores = []
    for tool in tools:
        name = yield from log_probability(f"Tools:\n{menu}\nQuestion: {question}\nTool:\n", tool.name, route)
        asked = yield from log_probability(f"A question for {tool.name}, {_short(tool)}:\n", question, route)
        scores.append(name + asked)
    return tools[max(range(len(tools)), key=scores.__getitem__)]


def log_probability(prompt: str, continuation: str, route: Route) -> Flow[float]:
    """Log-probability that the model goes on with exactly this text. `prompt` ends with a line end."""
    tokens = (yield from native("/tokenize", {"content": continuation}, route)).get("tokens")
    if not isinstance(tokens, list):
        raise InvalidResponseError("The embedded model's engine sent no tokens.", model=route.model)
    if not tokens:
        return 0.0
    # A grammar of one token after the other forces the text; the probabilities are those before the grammar.
    body = {
        "prompt": prompt,
        "grammar": "root ::= " + " ".join(f"<[{token}]>" for token in tokens),
        "n_predict": len(tokens),
        "n_probs": 1,
        "temperature": 0,
        "cache_prompt": True,
    }
    found = (yield from native("/completion", body, route)).get("completion_probabilities")
    if not isinstance(found, list) or len(found) < len(tokens):
        raise InvalidResponseError("The embedded model's engine sent no probabilities.", model=route.model)
    return math.fsum(float(token["logprob"]) for token in found[: len(tokens)])


def native(path: str, body: dict[str, Any], route: Route) -> Flow[dict[str, Any]]:
    """Ask one of llama.cpp's own endpoints, which are beside the OpenAI ones."""
    url = route.url.removesuffix("/").removesuffix("/v1") + path
    response: Response = yield Request("POST", url, json=body, headers=route.headers, key=route.key)
    try:
        return msgspec.json.decode(response.body, type=dict[str, Any])
    except msgspec.DecodeError as error:
        raise InvalidResponseError(
            f"The embedded model's engine answered {path} with something that is no JSON.", model=route.model
        ) from error


def _short(tool: Tool) -> str:
    return " ".join(tool.description.split())[:MAX_DESCRIPTION]
