"""One turn: the model is asked once, and the tool calls it makes are carried out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from tiny_agents.mcp_client.asking import composing
from tiny_agents.mcp_client.asking.turns import Asked, TurnOptions, allowed
from tiny_agents.mcp_client.calls.answering import settle
from tiny_agents.mcp_client.calls.planning import INTERRUPTED, plan_calls
from tiny_agents.mcp_client.results.media import insert_after, media_message

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Collection, Coroutine, MutableSequence, Sequence

    from tiny_agents.inference.types.chat import ChatCompletionInputMessage, ChatCompletionInputTool
    from tiny_agents.mcp_client.calls.answering import Told
    from tiny_agents.mcp_client.calls.planning import PlannedCall
    from tiny_agents.mcp_client.client import Item, MCPClient, Message
    from tiny_agents.mcp_client.tools.shelf import Hand


async def one_turn(
    client: MCPClient,
    messages: MutableSequence[Message],
    exit_tools: Sequence[ChatCompletionInputTool],
    probing: bool,
    options: TurnOptions | None,
) -> AsyncGenerator[Item, None]:
    """What `MCPClient.process_single_turn_with_tools` says.

    Args:
        probing: Its `exit_if_first_chunk_no_tool`.
    """
    options = options or TurnOptions()
    client._require_open()
    for connection in client._connections.values():
        connection.freshen()
    if client._observing.is_watched(options.within):
        client._shelf.lend()
    start = len(messages)
    tools, hand = client._deferral.offered(client._shelf.hand, exit_tools, messages)
    stream, request, call = await composing.ask(
        client._seats,
        client._observing,
        messages,
        tools,
        options,
        instructions=client._told_instructions(),
        exit_names=hand.exit_names,
    )
    fold = call.fold
    try:
        if probing:
            first = [chunk async for chunk in composing.first(stream)]
            for chunk in first:
                fold.add(chunk)
            if not fold.has_tool_calls:
                return
            for chunk in first:
                yield chunk
        while chunks := await stream.arrived():
            call.heard()
            rest = iter(chunks)
            if options.at_hand is not None:
                options.at_hand.rest = rest
            for chunk in rest:
                fold.add(chunk)
                yield chunk
    except BaseException as error:  # also where the caller stops to iterate
        call.end(error)
        if (kept := fold.message(with_tool_calls=False)) is not None:
            messages.insert(start, kept)
        raise
    finally:
        options.asked(Asked(request.messages, request.tools, fold))
        call.end()
        await stream.aclose()

    message, finish_reason = fold.message(), fold.finish_reason
    del stream, request, call, fold, chunks  # what was sent may be large, and tools may take their time
    if message is None:
        return
    if not message.tool_calls:
        messages.insert(start, message)
        await client._before_calls()
        return
    calls = plan_calls(message, finish_reason=finish_reason, used_ids=client._deferral.ids_in(messages))
    calls = _in_order(calls, options, hand.exit_names)
    answers = [planned.answer(planned.problem or INTERRUPTED) for planned in calls]
    messages[start:start] = [message, *answers]  # complete from now on; each answer is filled in when it is there
    await client._before_calls()
    answering = _answering(client, calls, answers, hand, options)
    alone = len(calls) == 1 and client._answering.runs_elsewhere(calls[0], hand)  # it is waited for here anyway
    running = () if alone else [asyncio.create_task(told) for told in answering]
    media: list[tuple[str, dict[str, Any]]] = []
    handed_out = 0  # those are the caller's: what it makes of them stays
    try:
        while handed_out < len(calls):
            told = await (running or answering)[handed_out]
            planned, answer = calls[handed_out], answers[handed_out]
            answer.content = told.text
            media += ((planned.kept_name, part) for part in told.media)
            handed_out += 1
            yield answer
    finally:
        if handed_out < len(running):
            await settle(answers[handed_out:], running[handed_out:])
    if media and calls[-1].name not in hand.exit_names:
        insert_after(messages, answers[-1], media_message(media))


# Of their own, because what a comprehension or a lambda uses lives on in one more object each, as long as a turn does.


def _in_order(calls: list[PlannedCall], options: TurnOptions, exit_names: Collection[str]) -> list[PlannedCall]:
    """Those that end the turn come last, and say why they aren't made where they aren't."""
    calls.sort(key=lambda planned: planned.name in exit_names)  # stable
    return [allowed(planned, options, exit_names) for planned in calls]


def _answering(
    client: MCPClient,
    calls: Sequence[PlannedCall],
    answers: Sequence[ChatCompletionInputMessage],
    hand: Hand,
    options: TurnOptions,
) -> list[Coroutine[Any, Any, Told]]:
    return [
        client._answering.answer(planned, answer, hand, options.within, options.request)
        for planned, answer in zip(calls, answers, strict=True)
    ]
