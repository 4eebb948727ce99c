"""Agents from the Hub start nothing before the user has seen what, and agreed. The answer is remembered for exactly that."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable

from tiny_agents.agent.definition.composed import downloaded_parts
from tiny_agents.agent.definition.reference import Origin
from tiny_agents.agent.definition.trust import Trusted, TrustStore, as_it_is, covers, what_changed
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.cli.prompt.prompts import ask_yes_no
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.errors import ConfigError, TinyAgentsError, UsageError

MAX_FILES_SHOWN = 40


def require_trust(
    definition: AgentDefinition, store: TrustStore, *, can_ask: bool, warn: Callable[[str], None], always: bool = False
) -> None:
    """Show what the agent would run, call and read, whole and unshortened, and go on only after a yes.

    Agents that are its tools and were downloaded too are asked about one by one. Nothing is asked where the user agreed
    to the very same before. Otherwise what changed since is shown, too.

    Args:
        can_ask: A person sits at a terminal.
        warn: Told that the answer can't be remembered.
        always: Also ask about an agent that runs and calls nothing.
    Raises:
        UsageError: Nobody can be asked.
        TinyAgentsError: The answer wasn't yes.
        ConfigError: The answers can't be read.
    """
    for part in downloaded_parts(definition):
        if part.origin is not None:
            _require(part, part.origin, store, can_ask=can_ask, warn=warn, always=always)


def _require(
    definition: AgentDefinition,
    origin: Origin,
    store: TrustStore,
    *,
    can_ask: bool,
    warn: Callable[[str], None],
    always: bool,
) -> None:
    now = as_it_is(definition, origin)
    before = store.answers().get(now.address)
    if covers(before, now) or not (now.consequences or always):
        return
    name = one_line(definition.name)
    sys.stderr.write("".join(f"{line}\n" for line in _shown(name, now, before, origin)))
    if not can_ask:
        reason = "was downloaded" if before is None else "has changed since it was trusted"
        raise UsageError(
            f"the agent {name} {reason}, and nobody can be asked here: if you trust it, add --trust for this run, or run "
            f"`tiny-agents trust add {now.name}` once"
        )
    if not ask_yes_no("Do you trust it?"):
        raise TinyAgentsError(f"the agent {name} was not started")
    _remember(now, store, warn)


def _remember(answer: Trusted, store: TrustStore, warn: Callable[[str], None]) -> None:
    """Keep the answer; where that fails, it holds for now."""
    try:
        store.remember(answer)
        sys.stderr.write(f"Remembered until it changes; `tiny-agents trust revoke {answer.name}` takes it back.\n")
    except OSError as error:
        warn(f"the answer can't be remembered: {store.path}: {error.strerror or error}")
    except ConfigError as error:
        warn(f"the answer can't be remembered: {error}")


def _shown(name: str, now: Trusted, before: Trusted | None, origin: Origin) -> Iterable[str]:
    count = "1 file" if len(now.files) == 1 else f"{len(now.files)} files"
    yield f"The agent {name} was downloaded (revision {now.commit[:12]}, {count} in {origin.folder}). It"
    yield from (f"  {one_line(line)}" for line in now.consequences)
    if not now.consequences:
        yield "  runs no commands and calls no hosts of its own"
    if before is None:
        listed = sorted(now.files)
        more = f", and {len(listed) - MAX_FILES_SHOWN} more" if len(listed) > MAX_FILES_SHOWN else ""
        yield f"Its files: {one_line(', '.join(listed[:MAX_FILES_SHOWN]))}{more}"
        return
    yield f"You trusted it on {one_line(before.on)}, at revision {one_line(before.commit[:12])}. Since then:"
    changes = what_changed(before, now)
    yield from (f"  {one_line(line)}" for line in changes)
    if not changes:
        yield "  its files are the same, in another order"
