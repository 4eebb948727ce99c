"""The file of `--output-schema`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tiny_agents.agent.loop.output import output_of
from tiny_agents.errors import UsageError

FLAG = "--output-schema"
MAX_BYTES = 1_000_000


def read_schema(path: Path) -> dict[str, Any]:
    """The JSON Schema in a file.

    Raises:
        UsageError: It can't be read, or is no schema; the message names the place.
    """
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{FLAG}: {path} isn't text in UTF-8 (byte {error.start + 1})") from error
    except (OSError, ValueError) as error:
        reason = (getattr(error, "strerror", None) or str(error)).lower()
        raise UsageError(f"{FLAG}: {path}: {reason}") from error
    if len(data) > MAX_BYTES:
        raise UsageError(f"{FLAG}: {path} is larger than {MAX_BYTES // 1_000_000} MB, which no schema needs")
    try:
        schema = json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{FLAG}: {path}:{error.lineno}:{error.colno}: no JSON: {error.msg}") from error
    except RecursionError as error:
        raise UsageError(f"{FLAG}: {path} is nested too deeply") from error
    if not isinstance(schema, dict):
        raise UsageError(f"{FLAG}: {path} must hold an object")
    try:
        output_of(schema)
    except UsageError as error:
        raise UsageError(f"{FLAG}: {path}: {error}") from error
    return schema
