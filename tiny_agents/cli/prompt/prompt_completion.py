"""What Tab offers at the prompt: commands and what belongs behind them, files, resources. Imports prompt_toolkit."""

from __future__ import annotations

import asyncio
import os
import shlex
from collections.abc import AsyncGenerator, Iterable
from pathlib import Path

from prompt_toolkit.completion import CompleteEvent, Completer, Completion
from prompt_toolkit.document import Document

from tiny_agents.cli.screen.safe_text import neutralise
from tiny_agents.cli.slash.table import COMMANDS
from tiny_agents.cli.slash.talk import Talk
from tiny_agents.errors import TinyAgentsError

MOST = 100
TIMEOUT_S = 2.0
"""How long a server may take to say what there is."""


class PromptCompleter(Completer):
    """Completes the prompt of a conversation."""

    def __init__(self, talk: Talk) -> None:
        self._talk = talk

    def get_completions(self, document: Document, complete_event: CompleteEvent) -> Iterable[Completion]:
        return ()  # servers are asked, so only the other one below can know

    async def get_completions_async(
        self, document: Document, complete_event: CompleteEvent
    ) -> AsyncGenerator[Completion, None]:
        before = document.text_before_cursor
        try:
            async with asyncio.timeout(TIMEOUT_S):
                typed, values = await self._values(before)
        except (TinyAgentsError, TimeoutError, OSError):
            return  # a server that doesn't answer has nothing to offer
        start = typed.lstrip('"')
        offered = [value for value in values if value.lstrip('"').startswith(start) and neutralise(value) == value]
        names_a_command = is_command(before) and " " not in before
        for value in offered[:MOST]:
            about = COMMANDS[value].help if names_a_command else None
            yield Completion(value, start_position=-len(typed), display_meta=about)

    async def _values(self, before: str) -> tuple[str, Iterable[str]]:
        """What was typed of a word, and which words there are."""
        if is_command(before):
            name, space, rest = before[1:].partition(" ")
            if not space:
                return name, COMMANDS
            command = COMMANDS.get(name)
            if command is None or command.values is None:
                return rest, ()
            if name == "prompts" and " " in rest:
                return await self._prompt_arguments(rest)
            return rest, await command.values(self._talk)
        word = before.rpartition(" ")[2].rpartition("\n")[2]
        if not word.startswith("@"):
            return word, ()
        typed = word[1:]
        server, colon, _ = typed.partition(":")
        agent = self._talk.agent
        if colon and server in agent.connections:
            return typed, [f"{server}:{resource.uri}" for resource in await agent.list_resources(server)]
        with_resources = [f"{name}:" for name, each in agent.connections.items() if each.offers("resources")]
        return typed, [*await asyncio.to_thread(files, typed, Path.cwd()), *with_resources]

    async def _prompt_arguments(self, rest: str) -> tuple[str, Iterable[str]]:
        agent = self._talk.agent
        wanted, _, given = rest.partition(" ")
        word = given.rpartition(" ")[2]
        prompts = [p for p in await agent.list_prompts() if wanted in (p.name, f"{p.server}.{p.name}")]
        if len(prompts) != 1:
            return word, ()
        name, equals, value = word.partition("=")
        known = dict(pair.split("=", 1) for pair in given.split() if "=" in pair and pair != word)
        if not equals:
            return word, [f"{argument.name}=" for argument in prompts[0].arguments if argument.name not in known]
        completion = await agent.complete(prompts[0], name, value, known)
        return word, [f"{name}={shlex.quote(found)}" for found in completion.values]


def is_command(text: str) -> bool:
    return text.startswith("/") and not text.startswith("//") and "\n" not in text


def wants_completion(text: str) -> bool:
    """Whether words are offered while one types, not only after Tab."""
    return is_command(text) or text.rpartition(" ")[2].rpartition("\n")[2].startswith("@")


def files(typed: str, folder: Path) -> list[str]:
    """Files and folders whose path begins as typed; hidden ones only where their dot was typed."""
    head, slash, start = typed.rpartition("/")
    try:
        entries = sorted(os.scandir(folder / Path(head + slash).expanduser()), key=lambda entry: entry.name)
    except OSError:
        return []
    found = []
    for entry in entries:
        if entry.name.startswith(start) and (start.startswith(".") or not entry.name.startswith(".")):
            path = f"{head}{slash}{entry.name}{'/' if entry.is_dir() else ''}"
            found.append(f'"{path}"' if " " in path else path)
        if len(found) >= MOST:
            break
    return found
