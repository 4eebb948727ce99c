"""From what the user typed to a definition: a file, a folder, a bundled name, or an agent on the Hub."""

from __future__ import annotations

import json
import logging
import os
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from tiny_agents.agent.definition.boundary import Boundary, allowed_folders
from tiny_agents.agent.definition.composed import Above, composed
from tiny_agents.agent.definition.document import did_you_mean
from tiny_agents.agent.definition.imports import unreadable, with_import
from tiny_agents.agent.definition.parse import Format, parse_definition
from tiny_agents.agent.definition.reference import HubReference, Origin, full_address, hub_reference
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

DEFINITION_FILES = ("agent.yaml", "agent.yml", "agent.json", "agent.md")
"""In a folder, the first that is there."""
PROMPT_FILES = ("PROMPT.md", "AGENTS.md")
"""Beside it, the system prompt, unless the definition has its own."""
MAX_BYTES = 1_000_000

_FORMATS: Mapping[str, Format] = {".yaml": "yaml", ".yml": "yaml", ".json": "json", ".md": "markdown"}
_BUNDLED = Path(__file__).parents[2] / "agents"
_BARE_NAME = re.compile(r"[\w-]+")


def load_definition(
    ref: str | Path,
    *,
    env: Mapping[str, str] = os.environ,
    allow_paths: Iterable[str | Path] = (),
    revision: str | None = None,
    revisions: Mapping[str, str] | None = None,
) -> AgentDefinition:
    """The agent that `ref` means, its prompt read, its placeholders not yet filled in.

    A text is looked for in this order: an existing file or folder, a bundled name, an agent on the Hub: `user/agent`,
    `user/agent@revision`, or `hf://datasets/owner/name[@revision]/path`. (A folder without a definition doesn't hide a
    bundled agent of the same name.) A `Path` is only ever a file or a folder. All files of an agent on the Hub are
    fetched into the cache, from one revision.

    Args:
        env: For the Hub: `HF_ENDPOINT`, `HF_TOKEN` and the like.
        allow_paths: Folders from which the definition may read files though they aren't its own.
        revision: Of an agent on the Hub whose `ref` names none; by default its newest.
        revisions: The same for agents on the Hub that are its tools, by their addresses (`Origin.address`).
    Raises:
        ConfigError: There is no such agent, or its definition can't be used.
        InvalidResponseError: What the Hub has can't be fetched safely: hostile paths, too many or too large files.
        MissingCredentialsError: The Hub refuses to show it.
        InferenceConnectionError, InferenceTimeoutError: The Hub can't be reached and the agent isn't in the cache.
        ProviderError: The Hub failed.
    """
    return _load(ref, _Around(env, allowed_folders(allow_paths), revisions=revisions or {}), revision)


@dataclass(frozen=True, slots=True)
class _Around:
    """What holds for an agent that is loaded, and for those that are its tools.

    Attributes:
        allowed: Folders besides its own.
        above: The agents whose tool it is.
        revisions: Address -> revision, of agents on the Hub that are asked for without one.
    """

    env: Mapping[str, str] = field(repr=False)
    allowed: tuple[Path, ...] = ()
    above: Above = field(default_factory=Above)
    revisions: Mapping[str, str] = field(default_factory=dict)


def _load(ref: str | Path, around: _Around, revision: str | None = None) -> AgentDefinition:
    found = _found(ref)
    if isinstance(found, HubReference):
        pinned = revision or around.revisions.get(full_address(found, around.env))
        return _load_from_hub(found.at(found.revision or pinned), around)
    if os.path.isdir(found):
        return _load_folder(found, around)
    return _load_file(found, replace(around, allowed=()) if is_bundled(found) else around)


def _found(ref: str | Path) -> Path | HubReference:
    """The file, folder or agent on the Hub that `ref` means. Raises ConfigError if it means none."""
    path = _expanded(ref)
    bundled = isinstance(ref, str) and ref in bundled_names()
    if os.path.isdir(path):
        if not bundled or _definition_file(path) is not None:
            return path
    elif os.path.exists(path) and not (bundled and path.suffix not in _FORMATS):
        return path
    if bundled:
        return _BUNDLED / f"{ref}.yaml"
    if isinstance(ref, str) and (reference := hub_reference(ref)) is not None:
        return reference
    raise _not_found(ref, path)


def local_definition(ref: str | Path) -> Path | None:
    """The file of the definition that `ref` means, where it means one on this machine."""
    try:
        found = _found(ref)
    except ConfigError:
        return None
    if isinstance(found, HubReference):
        return None
    return _definition_file(found) if os.path.isdir(found) else found


def bundled_names() -> list[str]:
    """Names of the agents that come with this package."""
    return sorted(file.stem for file in _BUNDLED.glob("*.yaml"))


def is_bundled(path: Path) -> bool:
    """Whether a definition is one of those that come with this package."""
    return path.parent == _BUNDLED


def bundled_agents() -> list[AgentDefinition]:
    """The agents that come with this package, by name."""
    return [_load_file(_BUNDLED / f"{name}.yaml", _Around({})) for name in bundled_names()]


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
            f"{text!r} is an address; an agent is a file, a folder, a bundled name, user/agent on the Hub, or "
            "hf://datasets/owner/name/path"
        )
    if isinstance(ref, str) and _BARE_NAME.fullmatch(ref):
        return ConfigError(
            f"there is no agent {ref!r}: no file or folder of this name here, and the bundled agents are "
            f"{', '.join(names)}{did_you_mean(ref, names)}"
        )
    if os.path.islink(path):
        return ConfigError("is a link to what isn't there", path=text)
    beside = sorted(os.listdir(path.parent)) if os.path.isdir(path.parent) and os.access(path.parent, os.R_OK) else []
    return ConfigError(f"no such file or folder{did_you_mean(path.name, beside)}", path=text)


# ---- files


def _load_file(path: Path, around: _Around) -> AgentDefinition:
    """A single file brings no prompt file, but the one it names."""
    definition = replace(_parse_file(path), allowed=around.allowed)
    return _completed(definition, Boundary(path.parent, around.allowed), around, look_around=False)


def _load_folder(folder: Path, around: _Around) -> AgentDefinition:
    path = _definition_file(folder)
    if path is None:
        try:
            beside = sorted(os.listdir(folder))
        except OSError as error:
            raise ConfigError(f"this folder can't be read: {_reason(error)}", path=folder) from error
        near = did_you_mean(DEFINITION_FILES[0], [name for name in beside if Path(name).suffix.lower() in _FORMATS])
        raise ConfigError(f"this folder has no definition (one of {', '.join(DEFINITION_FILES)}){near}", path=folder)
    definition = replace(_parse_file(path), allowed=around.allowed)
    return _completed(definition, Boundary(folder, around.allowed), around, look_around=True)


def _definition_file(folder: Path) -> Path | None:
    return next((folder / name for name in DEFINITION_FILES if os.path.isfile(folder / name)), None)


def _parse_file(path: Path) -> AgentDefinition:
    format = _FORMATS.get(path.suffix.lower())
    if path.suffix and format is None:
        raise ConfigError(f"a definition is a .yaml, .yml, .json or .md file, not {path.suffix}", path=path)
    text = read_text(path)
    return replace(parse_definition(text, path=path, format=format or _guessed_format(text)), sources=(path,))


def _guessed_format(text: str) -> Format:
    """For what has no ending, such as /dev/stdin."""
    return "json" if text.lstrip("\ufeff \t\r\n").startswith("{") else "yaml"


def _with_imports(definition: AgentDefinition, boundary: Boundary) -> AgentDefinition:
    """`definition` with the servers of the files it imports."""
    for number, wanted in enumerate(definition.imports):
        try:
            path = boundary.resolve(os.path.expanduser(wanted.file))
            if not os.path.isfile(path):
                raise ConfigError("is not there", path=path)
            text = read_text(path)
        except ConfigError as error:
            raise unreadable(definition, number, wanted.file, error) from error
        if definition.path is not None and os.path.realpath(path) == os.path.realpath(definition.path):
            raise definition.error(f"import[{number}]", f"{wanted.file!r} is this definition itself")
        definition = with_import(definition, number, wanted, text, path)
    return definition


def read_text(path: Path) -> str:
    """The text of a definition, or of another file that belongs to an agent. Raises ConfigError."""
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


def _read_below(boundary: Boundary, name: str) -> str | None:
    """The text of a file that the definition may read; None where there is none."""
    path = boundary.resolve(name)
    return read_text(path) if os.path.isfile(path) else None


def _completed(
    definition: AgentDefinition, boundary: Boundary, around: _Around, *, look_around: bool
) -> AgentDefinition:
    """`definition` with all that it names, and its prompt: its own, else with `look_around` that of a file beside it."""
    outer = around.above.agents[-1] if around.above.agents else None
    if outer is not None and outer.downloaded and definition.origin is None and not is_bundled(_path_of(definition)):
        definition = replace(definition, downloaded=True, origin=outer.origin)
    around.above.check(definition)
    definition = _with_output(_with_imports(definition, boundary), boundary)

    def load(of: AgentDefinition, ref: str, above: Above) -> AgentDefinition:
        return _load_agent_of(of, ref, boundary, replace(around, above=above))

    definition = composed(definition, boundary, around.above, load)
    if definition.prompt_file is not None:
        return _prompted(definition, definition.prompt_file, _read_named_prompt(definition, boundary))
    if definition.prompt is not None or not look_around:
        return definition
    found = {name: text for name in PROMPT_FILES if (text := _read_below(boundary, name)) is not None and text.strip()}
    if not found:
        return definition
    used, *others = found
    if any(found[name].strip() != found[used].strip() for name in others):
        log.warning("%s: %s is the prompt; %s differs from it and is not used", definition.path, used, others[0])
    return _prompted(definition, used, found[used])


def _load_agent_of(definition: AgentDefinition, ref: str, boundary: Boundary, around: _Around) -> AgentDefinition:
    """An agent that is a tool of `definition`: a path below its folder, or else what `_load` takes."""
    looks_like_path = ref.startswith((".", "~", "/", "\\")) or Path(ref).suffix in _FORMATS
    path = boundary.folder / os.path.expanduser(ref).replace("\\", "/")
    if looks_like_path or os.path.exists(path):
        return _load(boundary.resolve(os.path.expanduser(ref)), around)
    if ref in bundled_names() or hub_reference(ref) is not None:
        return _load(ref, around)
    beside = sorted(os.listdir(boundary.folder))
    raise ConfigError(
        f"no such file or folder beside the definition, and the bundled agents are {', '.join(bundled_names())}"
        f"{did_you_mean(ref, (*beside, *bundled_names()))}"
    )


def _path_of(definition: AgentDefinition) -> Path:
    return definition.path if definition.path is not None else Path()


def _with_output(definition: AgentDefinition, boundary: Boundary) -> AgentDefinition:
    """`definition` with the schema of its output, where that is in a file."""
    name = definition.output.get("schema")
    if not isinstance(name, str):
        return definition
    try:
        text = _read_below(boundary, name)
        schema = json.loads(text) if text is not None else None
    except ConfigError as error:
        raise definition.error("output.schema", f"{name!r} {error.problem}") from error
    except (ValueError, RecursionError) as error:
        raise definition.error("output.schema", f"the file {name!r} is no JSON: {error}") from error
    if text is None:
        raise definition.error("output.schema", f"there is no file {name!r} beside the definition")
    if not isinstance(schema, dict):
        raise definition.error("output.schema", f"the file {name!r} holds no JSON Schema, which is an object")
    folder = definition.path.parent if definition.path is not None else Path()
    sources = (*definition.sources, folder / name.replace("\\", "/"))
    return replace(definition, output={**definition.output, "schema": schema}, sources=sources)


def _prompted(definition: AgentDefinition, name: str, text: str) -> AgentDefinition:
    folder = definition.path.parent if definition.path is not None else Path()
    source = folder / name.replace("\\", "/")
    return replace(definition, prompt=text, prompt_file=name, sources=(*definition.sources, source))


def _read_named_prompt(definition: AgentDefinition, boundary: Boundary) -> str:
    name = definition.prompt_file or ""
    try:
        text = _read_below(boundary, name)
    except ConfigError as error:
        raise definition.error("prompt", f"{name!r} {error.problem}") from error
    if text is None:
        raise definition.error("prompt", f"there is no file {name!r} beside the definition")
    if not text.strip():
        raise definition.error("prompt", f"the file {name!r} is empty")
    return text


# ---- the Hub


def _load_from_hub(reference: HubReference, around: _Around) -> AgentDefinition:
    from tiny_agents.inference.hub import is_offline
    from tiny_agents.inference.hub_folder import fetch_folder

    env = around.env
    try:
        snapshot = fetch_folder(
            reference.repository,
            reference.folder,
            revision=reference.revision or "main",
            token=find_token(env),
            env=env,
        )
    except ProviderError as error:
        if error.status == 404:
            raise ConfigError(
                f"there is no agent {str(reference)!r}: no file or folder of this name here, and {error}"
            ) from error
        if error.status in (401, 403):
            raise MissingCredentialsError(
                f"the agent {str(reference)!r} can't be fetched from the Hub: {error}"
            ) from error
        raise
    except (InferenceConnectionError, InferenceTimeoutError) as error:
        raise InferenceConnectionError(
            f"{str(reference)!r} is no file or folder here, and the Hub can't be asked for it: {error}",
            url=getattr(error, "url", None),
        ) from error
    if snapshot.stale is not None:
        level = logging.INFO if is_offline(env) else logging.WARNING  # who says so needs no warning of it
        message = "%s is taken from the cache, as of revision %s: %s"
        log.log(level, message, reference.name, snapshot.commit[:12], snapshot.stale)
    names = (reference.file,) if reference.file is not None else DEFINITION_FILES
    found = next((name for name in names if name in snapshot.files), None)
    if found is None:
        near = did_you_mean(names[0], snapshot.files)
        raise ConfigError(f"{str(reference)!r} is a folder on the Hub without a definition ({', '.join(names)}){near}")
    address = full_address(reference, env)
    files = Origin(reference, snapshot.commit, snapshot.path, snapshot.files, snapshot.sizes, snapshot.content, address)
    boundary = Boundary(snapshot.path, around.allowed)
    definition = replace(_parse_file(snapshot.path / found), downloaded=True, origin=files, allowed=around.allowed)
    if "name" not in definition.places:
        definition = replace(definition, name=reference.name)
    return _completed(definition, boundary, around, look_around=reference.file is None)
