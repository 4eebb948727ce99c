"""Tools for a model too small to be trusted with the choice what it can do.

    question -> read (words, no model) -> tools that answer it -> the likeliest (log-probabilities, if there are several)
             -> its arguments (constrained decoding under the schema, narrowed to what the question names) -> one call
    result   -> a sentence of the model's, if it says what the result says; else the result itself

What can't be read, or no tool answers, is refused with a sentence that says what can be done. The system prompt and
earlier turns aren't used: they would not fit, and they would not help.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tiny_agents.inference.call import Call, Route
from tiny_agents.inference.emulation.flow import Flow, ask
from tiny_agents.inference.emulation.grounding import abilities, candidates, fits
from tiny_agents.inference.emulation.history import (
    Result,
    Tool,
    chosen_tool,
    last_question,
    next_call_number,
    pending_results,
    plain_messages,
    tools_of,
)
from tiny_agents.inference.emulation.outputs import call_answer, text_answer
from tiny_agents.inference.emulation.questions import NotUnderstood, read_question
from tiny_agents.inference.emulation.scoring import most_likely, native
from tiny_agents.inference.emulation.sentences import Fact, fact_of, is_failure, shown
from tiny_agents.inference.providers.provider import Adapter
from tiny_agents.inference.types.chat import ChatCompletionOutput

MAX_SENTENCE_TOKENS = 48
MAX_ARGUMENT_TOKENS = 200


def small(call: Call[ChatCompletionOutput], route: Route, adapter: Adapter) -> Flow[ChatCompletionOutput]:
    """The next message: one tool call, an answer from its result, or a refusal."""
    if call.parameters.get("response_format") and not call.parameters.get("tools"):
        # It would fill the form with anything, and what fits is believed: 12 + 30 became {"total": 420}.
        return _refusal("I can't put what the tools said into a form without mistakes.", [], route)
    messages = plain_messages(call.inputs)
    results = pending_results(messages)
    if results:
        return (yield from _answer(last_question(messages), results, call, route, adapter))
    tools = tools_of(call.parameters)
    wanted = chosen_tool(call.parameters, tools)
    if wanted == "none":
        return _refusal("No tool may be used for this answer.", [], route)
    allowed = [wanted] if isinstance(wanted, Tool) else tools
    question = last_question(messages)
    found = candidates(allowed, read_question(question))
    if isinstance(found, NotUnderstood):
        return _refusal(found.reason, allowed, route)
    tool = yield from most_likely(question, [candidate.tool for candidate in found], route)
    schema = next(candidate.schema for candidate in found if candidate.tool is tool)
    arguments = yield from _arguments(question, tool, schema, route)
    if arguments is None:
        return _refusal(f"I could not write the arguments for {tool.name}.", allowed, route)
    return call_answer(tool.name, arguments, next_call_number(messages), route.model)


def _arguments(question: str, tool: Tool, schema: Mapping[str, Any], route: Route) -> Flow[dict[str, Any] | None]:
    """The arguments as the model decodes them under the narrowed schema; None if they don't fit it."""
    body = {
        "prompt": f"Question: {question}\nTool: {tool.name}\nArguments as JSON:\n",
        "json_schema": schema,
        "n_predict": MAX_ARGUMENT_TOKENS,
        "temperature": 0,
        "cache_prompt": True,
    }
    reply = yield from native("/completion", body, route)
    try:
        arguments = msgspec.json.decode(str(reply.get("content")))
    except msgspec.DecodeError:
        return None
    return arguments if fits(arguments, schema) else None


# ---------------------------------------------------------------- after the call


def _answer(
    question: str, results: list[Result], call: Call[ChatCompletionOutput], route: Route, adapter: Adapter
) -> Flow[ChatCompletionOutput]:
    if len(results) > 1 or is_failure(results[0]):
        return text_answer("\n".join(shown(result) for result in results), "tool", route.model)
    fact = fact_of(read_question(question), results[0])
    if fact is None:
        return text_answer(shown(results[0]), "tool", route.model)
    sentence = yield from _sentence(fact, call, route, adapter)
    if fact.agrees(sentence):
        return text_answer(sentence, "model", route.model)
    return text_answer(fact.plain(), "tool", route.model)


def _sentence(fact: Fact, call: Call[ChatCompletionOutput], route: Route, adapter: Adapter) -> Flow[str]:
    """The model's sentence for a fact, from a few examples."""
    messages = [{"role": "system", "content": "Say the result in one short sentence."}]
    for given, sentence in fact.examples():
        messages.append({"role": "user", "content": given})
        if sentence:
            messages.append({"role": "assistant", "content": sentence})
    parameters = {"temperature": 0, "max_tokens": MAX_SENTENCE_TOKENS, "stop": ["\n"]}
    asked = Call(call.task, messages, call.output, call.model, parameters=parameters)
    output = yield from ask(adapter, asked, route)
    message = output.choices[0].message if output.choices else None
    return ((message.content if message is not None else None) or "").strip()


def _refusal(reason: str, tools: list[Tool], route: Route) -> ChatCompletionOutput:
    can = abilities(tools)
    name = route.model or "the embedded model"
    ability = f"can only {' and '.join(can)}" if can else "can do nothing with the tools it has here"
    return text_answer(f"{reason} {name} is a very small model: it {ability}.", "refusal", route.model)
