"""What an agent is made of, as its file says it: `agent.yaml` read strictly, `agent.json` as leniently as ever.

Nothing is filled in here: `${...}` stays as written (see inputs.py), prompt files stay unread (see loading.py), and what
the file leaves out is None, so that defaults live where they are used.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

from tiny_agents.agent.definition.document import Value, read_json, read_yaml
from tiny_agents.agent.definition.json_form import from_json
from tiny_agents.agent.definition.markdown import split_markdown
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.agent.definition.yaml_form import from_yaml
from tiny_agents.errors import ConfigError

Format = Literal["yaml", "json", "markdown"]


def parse_definition(text: str, *, path: str | Path | None = None, format: Format = "yaml") -> AgentDefinition:
    """The agent that `text` describes.

    Args:
        text: Content of the file; a byte order mark at its start is skipped.
        path: Where the text came from: named in errors, and the source of the default name (its folder's).
        format: "yaml" is read strictly; "markdown" is the same between two lines `---`, with the prompt below; "json" is
            read as leniently as by the runtimes that agent.json was made for.
    Raises:
        ConfigError: With path, key, line and column of what can't be used, and in `others` what else can't. Nothing else
            is ever raised.
    """
    text = text.removeprefix("\ufeff")
    root, fields = _READERS[format](text, str(path) if path is not None else None)
    fields.setdefault("name", _default_name(path))
    places = {value.key: (value.line, value.column) for value in root.walk()}
    return AgentDefinition(**fields, path=Path(path) if path is not None else None, places=places)


def _read_yaml(text: str, path: str | None) -> tuple[Value, dict[str, Any]]:
    root = _mapping(read_yaml(text, path))
    return root, from_yaml(root)


def _read_json(text: str, path: str | None) -> tuple[Value, dict[str, Any]]:
    root = _mapping(read_json(text, path))
    return root, from_json(root)


def _read_markdown(text: str, path: str | None) -> tuple[Value, dict[str, Any]]:
    front, body = split_markdown(text, path)
    says_nothing = all(not line.strip() or line.lstrip().startswith("#") for line in front.splitlines())
    root = Value({}, "", "", path, 1, 1) if says_nothing else _mapping(read_yaml(front, path))
    fields = from_yaml(root)
    if body:
        if root.mapping().get("prompt") is not None:
            raise root.mapping()["prompt"].error("the prompt is the text below the front matter; keep one of the two")
        if "\0" in body:
            raise ConfigError("the prompt contains a NUL character", path=path)
        fields["prompt"] = body
    return root, fields


def _mapping(root: Value) -> Value:
    if not isinstance(root.data, dict):
        raise root.error(f"a definition is a mapping of keys such as model and servers; this is {root.kind}")
    return root


_READERS: Mapping[Format, Callable[[str, str | None], tuple[Value, dict[str, Any]]]] = {
    "yaml": _read_yaml,
    "json": _read_json,
    "markdown": _read_markdown,
}


def _default_name(path: str | Path | None) -> str:
    """The folder's name for agent.yaml and the like, else the file's own."""
    if path is None:
        return "agent"
    path = Path(path)
    if path.stem == "agent":
        return path.absolute().parent.name or "agent"
    return path.stem
