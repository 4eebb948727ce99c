"""agent.yaml, strictly: what isn't known is an error, and everything that is wrong is said at once."""

from __future__ import annotations

from typing import Any

from tiny_agents.agent.definition.document import Value
from tiny_agents.agent.definition.keys import AGENT, FIELDS, SPREAD


def from_yaml(root: Value) -> dict[str, Any]:
    """The attributes of the definition that `root` is. Raises ConfigError, with all that is wrong in its `others`."""
    found = AGENT.read(root)
    fields = {FIELDS.get(name, name): value for name, value in found.items() if name not in SPREAD}
    for name in SPREAD:
        fields.update(found.get(name, {}))
    return fields | {"strict": True}
