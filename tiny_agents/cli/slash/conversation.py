"""Slash commands that change the conversation."""

from __future__ import annotations

from tiny_agents.cli.saving import open_session
from tiny_agents.cli.slash.talk import Run, SlashCommand, Talk
from tiny_agents.errors import UsageError


async def system(talk: Talk, text: str) -> Run | None:
    """The system prompt; a text replaces it from now on."""
    if text:
        talk.agent.set_system_prompt(text)
        talk.say("The system prompt is replaced, from the next request on.")
        return None
    talk.say(talk.agent.system_prompt or "There is no system prompt.")
    return None


async def compact(talk: Talk, _: str) -> Run | None:
    """Have the older part summed up for the model."""
    done = await talk.agent.compact()
    if done is None:
        talk.say("There is nothing to sum up yet.")
    return None


async def clear(talk: Talk, _: str) -> Run | None:
    """A new conversation; the one before stays saved."""
    await talk.agent.take_up(await open_session(talk.saving))
    talk.say("This is a new conversation; the one before is not forgotten." if talk.saving else "It is forgotten.")
    return None


async def undo(talk: Talk, _: str) -> Run | None:
    """The last request, and what came of it, is taken back; its text is there to be changed."""
    talk.prefill = talk.agent.rollback()
    talk.say("Your last request is taken back, with all that came of it. What tools have done stays done.")
    return None


async def retry(talk: Talk, _: str) -> Run | None:
    """The last request again."""
    if not talk.agent.can_roll_back:
        raise UsageError("there is no request that could be made again")
    return lambda abort: talk.agent.retry(abort_event=abort)


async def edit(talk: Talk, text: str) -> Run | None:
    """The next prompt in the user's editor."""
    talk.prefill, talk.in_editor = text, True
    return None


async def reload(talk: Talk, _: str) -> Run | None:
    """The agent as its definition is now; the conversation stays."""
    if talk.reload is None:
        raise UsageError("this agent has no definition to reload")
    await talk.reload()
    return None


COMMANDS = (
    SlashCommand("system", "[TEXT]", "the system prompt; replace it", system),
    SlashCommand("compact", "", "have the older part of the conversation summed up", compact),
    SlashCommand("clear", "", "begin a new conversation", clear),
    SlashCommand("undo", "", "take the last request back", undo),
    SlashCommand("retry", "", "make the last request again", retry),
    SlashCommand("edit", "[TEXT]", "write the next prompt in your editor (so does Ctrl+X Ctrl+E)", edit),
    SlashCommand("reload", "", "take up the agent's definition as it is now", reload),
)
