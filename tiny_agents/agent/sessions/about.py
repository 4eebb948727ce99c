"""With whom a conversation is had: the words for it, and what is different the next time. Pure."""

from __future__ import annotations

import hashlib
from dataclasses import MISSING, fields
from pathlib import Path

from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.agent.model_choice import ModelSettings
from tiny_agents.agent.sessions.types import About
from tiny_agents.errors import public_url

_NOT_CONTENT = frozenset({"path", "places", "secrets", "downloaded", "origin", "sources", "allowed"})


def about(ref: str | Path, written: AgentDefinition, model: ModelSettings) -> About:
    """What to save about an agent.

    Args:
        ref: What it was loaded by.
        written: Its definition as it stands in the file, placeholders not filled in: nothing in it is secret.
        model: The model that was chosen.
    """
    return About(
        agent=lasting_ref(ref, written),
        agent_name=written.name,
        agent_hash=definition_hash(written),
        model=model.model,
        provider=model.provider,
        endpoint=public_url(model.base_url) if model.base_url else None,
        model_from=model.source or None,
    )


def lasting_ref(ref: str | Path, definition: AgentDefinition) -> str:
    """What loads the same agent from any folder: files by their whole path, names as they are."""
    if definition.path is None or definition.downloaded:
        return str(ref)
    path = Path(ref).expanduser().absolute()
    found = definition.path.absolute()
    return str(path) if path in (found, found.parent) else str(ref)


def definition_hash(written: AgentDefinition) -> str:
    """A checksum of what the definition says. What it leaves out doesn't count: a newer version may know more keys."""
    said = [
        (field.name, getattr(written, field.name))
        for field in fields(written)
        if field.name not in _NOT_CONTENT
        and (field.default is MISSING or getattr(written, field.name) != field.default)
        and getattr(written, field.name)
    ]
    return hashlib.sha256(_text(said).encode("utf-8", "backslashreplace")).hexdigest()


def _text(value: object) -> str:
    """Like repr, but with what dataclasses hide there, and in one order."""
    if isinstance(value, AgentDefinition):  # one that is a tool
        return definition_hash(value)
    if hasattr(value, "__dataclass_fields__"):
        names = (name for name in value.__dataclass_fields__ if name not in ("key", "path"))
        return _text([(name, getattr(value, name)) for name in names if getattr(value, name)])
    if isinstance(value, dict):
        return _text(sorted(value.items(), key=lambda item: str(item[0])))
    if isinstance(value, (list, tuple)):
        return f"[{', '.join(map(_text, value))}]"
    return repr(value)


def settings_of(saved: About) -> ModelSettings:
    """The model that a conversation was had with, as settings to choose it again."""
    return ModelSettings(saved.model, saved.provider, saved.endpoint)


def differences(before: About, now: About) -> list[str]:
    """What has changed since a conversation was saved, a sentence each, for the user. Tools are not looked at."""
    said = []
    if before.agent_name and now.agent_name and before.agent != now.agent:
        said.append(f"The agent was {before.agent_name}, now it is {now.agent_name}.")
    elif before.agent_hash and now.agent_hash and before.agent_hash != now.agent_hash:
        said.append("The agent's definition has changed since; it holds as it is now.")
    if _model_words(before) != _model_words(now) and _model_words(before):
        said.append(f"The model was {_model_words(before)}, now it is {_model_words(now) or 'another'}.")
    return said


def tool_differences(before: tuple[str, ...], now: tuple[str, ...]) -> list[str]:
    """The same for the tools' names."""
    said = []
    if gone := [name for name in before if name not in now]:
        said.append(f"Tools that are gone since: {', '.join(gone)}.")
    if before and (new := [name for name in now if name not in before]):
        said.append(f"Tools that are new: {', '.join(new)}.")
    return said


def _model_words(about: About) -> str:
    place = about.endpoint or about.provider
    return " at ".join(part for part in (about.model, place) if part)
