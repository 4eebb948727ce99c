"""What names an agent on the Hub: `user/agent`, `user/agent@revision`, `hf://datasets/owner/name[@revision]/path`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import unquote

from tiny_agents.errors import ConfigError

HUB_REPOSITORY = "tiny-agents/tiny-agents"
"""The dataset on the Hub that `user/agent` refers to."""
SCHEME = "hf://"
DEFINITION_ENDINGS = (".yaml", ".yml", ".json", ".md")

_NAME = r"[A-Za-z0-9][\w.-]{0,95}"
_SHORT = re.compile(rf"({_NAME}/{_NAME})(?:@(.*))?", re.ASCII)
_LONG = re.compile(rf"hf://datasets/({_NAME}/{_NAME})(?:@(refs/(?:pr|convert)/[^/]+|[^/]*))?(?:/(.*))?", re.ASCII)
_REVISION = re.compile(r"\w[\w./+-]{0,199}", re.ASCII)
_PART = re.compile(r"[\w. +-]{1,96}", re.ASCII)
_FORMS = "user/agent[@revision] or hf://datasets/owner/name[@revision]/path"


@dataclass(frozen=True, slots=True)
class HubReference:
    """An agent on the Hub.

    Attributes:
        repository: The dataset, `owner/name`.
        folder: The agent's folder in it; "" for all of it.
        revision: Branch, tag or commit; None where the user named none.
        file: The definition in that folder, where the user named it.
    """

    repository: str
    folder: str
    revision: str | None = None
    file: str | None = None

    @property
    def name(self) -> str:
        """The agent without its revision, as short as it can be written."""
        if self.repository == HUB_REPOSITORY and self.file is None and _SHORT.fullmatch(self.folder):
            return self.folder
        return self.address

    @property
    def address(self) -> str:
        """The agent without its revision, in full: what answers and locks are kept under."""
        return "/".join(part for part in (f"{SCHEME}datasets/{self.repository}", self.folder, self.file) if part)

    def at(self, revision: str | None) -> HubReference:
        """The same agent at another revision; None leaves it as it is."""
        return self if revision is None else replace(self, revision=revision)

    def __str__(self) -> str:
        return self.name if self.revision is None else f"{self.name}@{self.revision}"


@dataclass(frozen=True, slots=True)
class Origin:
    """What was downloaded.

    Attributes:
        reference: As it was asked for.
        commit: The revision it is from.
        folder: Its copy on this disk.
        files: Path from the folder -> SHA-256 of the content.
        sizes: Path from the folder -> bytes.
        content: One SHA-256 over all of it.
        address: The agent without its revision, and the Hub where that isn't Hugging Face's: its name in answers and locks.
    """

    reference: HubReference
    commit: str
    folder: Path
    files: Mapping[str, str]
    sizes: Mapping[str, int]
    content: str
    address: str


def full_address(reference: HubReference, env: Mapping[str, str]) -> str:
    """The agent without its revision, and the Hub where that isn't Hugging Face's."""
    from tiny_agents.inference.hub import HUB_URL  # with which the HTTP library comes

    endpoint = (env.get("HF_ENDPOINT") or HUB_URL).rstrip("/")
    return reference.address if endpoint == HUB_URL else f"{reference.address} at {endpoint}"


def hub_reference(text: str) -> HubReference | None:
    """The agent on the Hub that `text` names; None if it has another form.

    Raises:
        ConfigError: It begins like one and can't be one.
    """
    if text.startswith(SCHEME):
        return _long(text)
    found = _SHORT.fullmatch(text)
    if found is None or (found[2] is None and text.lower().endswith(DEFINITION_ENDINGS)):
        return None
    return HubReference(HUB_REPOSITORY, _without_dots(found[1], text), _revision(found[2], text))


def _long(text: str) -> HubReference:
    if not text.startswith(f"{SCHEME}datasets/"):
        raise ConfigError(f"{text!r}: agents are in datasets: write {_FORMS}")
    found = _LONG.fullmatch(text)
    if found is None:
        raise ConfigError(f"{text!r} is no address of an agent on the Hub: write {_FORMS}")
    repository, revision, path = found.groups()
    folder = _without_dots((path or "").strip("/"), text)
    file = None
    if folder.lower().endswith(DEFINITION_ENDINGS):
        folder, _, file = folder.rpartition("/")
    return HubReference(repository, folder, _revision(unquote(revision) if revision is not None else None, text), file)


def _without_dots(path: str, text: str) -> str:
    if any(part in (".", "..") or not _PART.fullmatch(part) for part in path.split("/") if path):
        raise ConfigError(f"{text!r}: {path!r} can't be a path in a dataset here: write {_FORMS}")
    return path


def _revision(revision: str | None, text: str) -> str | None:
    if revision is None:
        return None
    if not _REVISION.fullmatch(revision) or ".." in revision:
        raise ConfigError(f"{text!r}: what follows @ must be a branch, a tag or a commit, but is {revision!r}")
    return revision
