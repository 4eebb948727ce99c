"""What an agent is made of, as its file says it: `agent.yaml` read strictly, `agent.json` as leniently as ever.

Nothing is filled in here: `${...}` stays as written (see inputs.py), prompt files stay unread (see loading.py), and what
the file leaves out is None, so that defaults live where they are used.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from tiny_agents.agent.definition.document import read_json, read_yaml
from tiny_agents.agent.definition.json_form import from_json
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.agent.definition.yaml_form import from_yaml


def parse_definition(
    text: str, *, path: str | Path | None = None, format: Literal["yaml", "json"] = "yaml"
) -> AgentDefinition:
    """The agent that `text` describes.

    Args:
        text: Content of the file; a byte order mark at its start is skipped.
        path: Where the text came from: named in errors, and the source of the default name (its folder's).
        format: "yaml" is read strictly; "json" as leniently as the runtimes that agent.json was made for.
    Raises:
        ConfigError: With path, key, line and column of what can't be used, and in `others` what else can't. Nothing else
            is ever raised.
    """
    text = text.removeprefix("\ufeff")
    shown = str(path) if path is not None else None
    read, build = (read_yaml, from_yaml) if format == "yaml" else (read_json, from_json)
    root = read(text, shown)
    if not isinstance(root.data, dict):
        raise root.error(f"a definition is a mapping of keys such as model and servers; this is {root.kind}")
    fields = build(root)
    fields.setdefault("name", _default_name(path))
    places = {value.key: (value.line, value.column) for value in root.walk()}
    return AgentDefinition(**fields, path=Path(path) if path is not None else None, places=places)


def _default_name(path: str | Path | None) -> str:
    """The folder's name for agent.yaml and the like, else the file's own."""
    if path is None:
        return "agent"
    path = Path(path)
    if path.stem == "agent":
        return path.absolute().parent.name or "agent"
    return path.stem
