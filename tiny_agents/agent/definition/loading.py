"""From what the user typed to a definition: a file, a folder, a bundled name, or an agent on the Hub."""

from __future__ import annotations

import logging
import os
import posixpath
import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Literal

from tiny_agents.agent.definition.document import did_you_mean
from tiny_agents.agent.definition.parse import parse_definition
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.errors import (
    ConfigError,
    InferenceConnectionError,
    InferenceTimeoutError,
    MissingCredentialsError,
    ProviderError,
)
from tiny_agents.inference.credentials import find_token

log = logging.getLogger(__name__)

DEFINITION_FILES = ("agent.yaml", "agent.yml", "agent.json")
"""In a folder, the first that is there."""
PROMPT_FILES = ("PROMPT.md", "AGENTS.md")
"""Beside it, the system prompt, unless the definition has its own."""
HUB_REPOSITORY = "tiny-agents/tiny-agents"
"""The dataset on the Hub that `user/agent` refers to."""
HUB_DEFINITION_FILES = ("agent.yaml", "agent.json")
MAX_BYTES = 1_000_000

_FORMATS: Mapping[str, Literal["yaml", "json"]] = {".yaml": "yaml", ".yml": "yaml", ".json": "json"}
_BUNDLED = Path(__file__).parents[2] / "agents"
_BARE_NAME = re.compile(r"[\w-]+")
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*", re.ASCII)

ReadFile = Callable[[str], str | None]
"""A file beside the definition, by its path from there -> its text, or None where there is none."""


def load_definition(ref: str | Path, *, env: Mapping[str, str] = os.environ) -> AgentDefinition:
    """The agent that `ref` means, its prompt read, its placeholders not yet filled in.

    A text is looked for in this order: an existing file or folder, a bundled name, `user/agent` on the Hub. (A folder
    without a definition doesn't hide a bundled agent of the same name.) A `Path` is only ever a file or a folder.

    Args:
        env: For the Hub: `HF_ENDPOINT`, `HF_TOKEN` and the like.
    Raises:
        ConfigError: There is no such agent, or its definition can't be used.
        MissingCredentialsError: The Hub refuses to show it.
        InferenceConnectionError, InferenceTimeoutError: The Hub can't be reached and the agent isn't in the cache.
        ProviderError: The Hub failed.
    """
    path = _expanded(ref)
    bundled = isinstance(ref, str) and ref in bundled_names()
    if os.path.isdir(path):
        if not bundled or _definition_file(path) is not None:
            return _load_folder(path)
    elif os.path.exists(path) and not (bundled and path.suffix not in _FORMATS):
        return _load_file(path)
    if bundled:
        return _load_file(_BUNDLED / f"{ref}.yaml")
    if isinstance(ref, str) and _HUB_NAME.fullmatch(ref) and path.suffix not in (*_FORMATS, ".md"):
        return _load_from_hub(ref, env)
    raise _not_found(ref, path)


def bundled_names() -> list[str]:
    """Names of the agents that come with this package."""
    return sorted(file.stem for file in _BUNDLED.glob("*.yaml"))


def bundled_agents() -> list[AgentDefinition]:
    """The agents that come with this package, by name."""
    return [_load_file(_BUNDLED / f"{name}.yaml") for name in bundled_names()]


def _expanded(ref: str | Path) -> Path:
    try:
        return Path(ref).expanduser()
    except RuntimeError as error:  # ~somebody who doesn't exist
        raise ConfigError(str(error), path=ref) from error


def _not_found(ref: str | Path, path: Path) -> ConfigError:
    text = str(ref)
    names = bundled_names()
    if "://" in text:
        return ConfigError(
            f"{text!r} is an address; an agent is a file, a folder, a bundled name or user/agent on the Hub"
        )
    if re.fullmatch(r"[^@\\]+/[^@\\/]+@[^@\\/]+", text):
        return ConfigError(f"{text!r}: naming a revision with @ is not supported yet; leave it out for the current one")
    if isinstance(ref, str) and _BARE_NAME.fullmatch(ref):
        return ConfigError(
            f"there is no agent {ref!r}: no file or folder of this name here, and the bundled agents are "
            f"{', '.join(names)}{did_you_mean(ref, names)}"
        )
    beside = sorted(os.listdir(path.parent)) if os.path.isdir(path.parent) and os.access(path.parent, os.R_OK) else []
    return ConfigError(f"no such file or folder{did_you_mean(path.name, beside)}", path=text)


# ---- files


def _load_file(path: Path) -> AgentDefinition:
    """A single file brings no prompt file, but the one it names."""
    return _with_prompt(_parse_file(path), _reader(path.parent), look_around=False)


def _load_folder(folder: Path) -> AgentDefinition:
    path = _definition_file(folder)
    if path is None:
        try:
            beside = sorted(os.listdir(folder))
        except OSError as error:
            raise ConfigError(f"this folder can't be read: {_reason(error)}", path=folder) from error
        near = did_you_mean(DEFINITION_FILES[0], beside)
        raise ConfigError(f"this folder has no definition (one of {', '.join(DEFINITION_FILES)}){near}", path=folder)
    return _with_prompt(_parse_file(path), _reader(folder), look_around=True)


def _definition_file(folder: Path) -> Path | None:
    return next((folder / name for name in DEFINITION_FILES if os.path.isfile(folder / name)), None)


def _parse_file(path: Path) -> AgentDefinition:
    format = _FORMATS.get(path.suffix.lower())
    if path.suffix and format is None:
        if path.suffix.lower() == ".md":
            raise ConfigError("definitions in Markdown are not supported yet; write agent.yaml beside it", path=path)
        raise ConfigError(f"a definition is a .yaml, .yml or .json file, not {path.suffix}", path=path)
    text = _read_text(path)
    return parse_definition(text, path=path, format=format or _guessed_format(text))


def _guessed_format(text: str) -> Literal["yaml", "json"]:
    """For what has no ending, such as /dev/stdin."""
    return "json" if text.lstrip("\ufeff \t\r\n").startswith("{") else "yaml"


def _read_text(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except OSError as error:
        raise ConfigError(f"can't be read: {_reason(error)}", path=path) from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"is larger than {MAX_BYTES // 1_000_000} MB, which no definition or prompt needs", path=path)
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise ConfigError("is UTF-16 text; save it as UTF-8", path=path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise ConfigError(
            f"is not UTF-8 text (byte 0x{data[error.start]:02x}); save it as UTF-8", path=path, line=line
        ) from error


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _reader(folder: Path) -> ReadFile:
    """Reads files of `folder`, and no others: not through `..`, an absolute path or a symbolic link either."""
    root = os.path.realpath(folder)

    def read(name: str) -> str | None:
        path = folder / name.replace("\\", "/")
        target = os.path.realpath(path)
        if not os.path.isfile(target):
            return None
        if os.path.commonpath([root, target]) != root:
            raise ConfigError(
                f"lies outside the agent's folder ({target}); put the file itself into the folder", path=path
            )
        return _read_text(path)

    return read


def _with_prompt(definition: AgentDefinition, read: ReadFile, *, look_around: bool) -> AgentDefinition:
    """`definition` with its prompt: its own, else with `look_around` that of a prompt file beside it."""
    if definition.prompt_file is not None:
        return replace(definition, prompt=_read_named_prompt(definition, definition.prompt_file, read))
    if definition.prompt is not None or not look_around:
        return definition
    found = {name: text for name in PROMPT_FILES if (text := read(name)) is not None and text.strip()}
    if not found:
        return definition
    used, *others = found
    if any(found[name].strip() != found[used].strip() for name in others):
        log.warning("%s: %s is the prompt; %s differs from it and is not used", definition.path, used, others[0])
    return replace(definition, prompt=found[used], prompt_file=used)


def _read_named_prompt(definition: AgentDefinition, name: str, read: ReadFile) -> str:
    try:
        text = read(name)
    except ConfigError as error:
        raise definition.error("prompt", f"{name!r} {error.problem}") from error
    if text is None:
        raise definition.error("prompt", f"there is no file {name!r} beside the definition")
    if not text.strip():
        raise definition.error("prompt", f"the file {name!r} is empty")
    return text


# ---- the Hub


def _load_from_hub(ref: str, env: Mapping[str, str]) -> AgentDefinition:
    unreachable: InferenceConnectionError | InferenceTimeoutError | None = None

    def read(name: str) -> str | None:
        try:
            path = _fetch(ref, name, env)
        except (InferenceConnectionError, InferenceTimeoutError):
            if unreachable is None:
                raise
            return None  # the cache is all there is, and it has no such file
        return _read_text(path) if path is not None else None

    for name in HUB_DEFINITION_FILES:
        try:
            path = _fetch(ref, name, env)
        except (InferenceConnectionError, InferenceTimeoutError) as error:
            unreachable = unreachable or error
            env = {**env, "HF_HUB_OFFLINE": "1"}  # from here on the cache, without waiting for each file in turn
            continue
        if path is not None:
            definition = replace(_parse_file(path), downloaded=True)
            if "name" not in definition.places:
                definition = replace(definition, name=ref)
            return _with_prompt(definition, read, look_around=True)
    if unreachable is not None:
        raise InferenceConnectionError(
            f"{ref!r} is no file or folder here, and the Hub can't be asked for it: {unreachable}",
            url=getattr(unreachable, "url", None),
        ) from unreachable
    raise ConfigError(
        f"there is no agent {ref!r}: no file or folder of this name here, and the dataset {HUB_REPOSITORY} on the Hub has "
        f"neither {ref}/{HUB_DEFINITION_FILES[0]} nor {ref}/{HUB_DEFINITION_FILES[1]}"
    )


def _fetch(ref: str, name: str, env: Mapping[str, str]) -> Path | None:
    """The local copy of the file `name` of the agent `ref`; None where the dataset has none."""
    from tiny_agents.inference.hub import fetch_file

    filename = posixpath.normpath(posixpath.join(ref, name.replace("\\", "/")))
    if not filename.startswith(f"{ref}/"):
        raise ConfigError("lies outside the agent's folder; put the file itself into the folder", path=name)
    token = find_token(env)
    try:
        return fetch_file(HUB_REPOSITORY, filename, repo_type="dataset", token=token, env=env, progress=_unseen)
    except ProviderError as error:
        if error.status == 404:
            return None
        if error.status in (401, 403):
            raise MissingCredentialsError(f"the agent {ref!r} can't be fetched from the Hub: {error}") from error
        raise


def _unseen(done: int, total: int | None, label: str, /) -> None:
    """Files of a few kilobytes need no progress bar."""
