"""Defaults of the person who uses the command line, in a TOML file: `tiny-agents config`.

They say what holds where nobody says anything: flags, the environment and the agent's definition come before them. No
keys or tokens are kept here, only the name of the variable that holds one.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import sys
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from tiny_agents.data_dir import write_private
from tiny_agents.errors import ConfigError, TinyAgentsError, UsageError

VARIABLE = "TINY_AGENTS_CONFIG"
MAX_BYTES = 100_000


@dataclass(frozen=True, slots=True)
class Config:
    """What the file says; None is what it doesn't say.

    Attributes:
        model: As `--model`; likewise `provider` and `base_url`.
        api_key_env: As `--api-key-env`; for the place that this file names, and no other.
        permission: As `--permission`.
        sessions: False: conversations aren't saved.
        usage: True: what was used is said at the end.
    """

    model: str | None = None
    provider: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    permission: Literal["allow", "ask", "deny"] | None = None
    sessions: bool | None = None
    usage: bool | None = None


def config_path(env: Mapping[str, str] = os.environ, platform: str = sys.platform, home: Path | None = None) -> Path:
    """Where the file is, if there is one; `TINY_AGENTS_CONFIG` names another."""
    home = home or Path.home()
    if own := env.get(VARIABLE):
        return Path(own).expanduser().absolute()
    if platform == "win32":
        return Path(env.get("APPDATA") or home / "AppData" / "Roaming") / "tiny-agents" / "config.toml"
    if platform == "darwin":
        return home / "Library" / "Application Support" / "tiny-agents" / "config.toml"
    named = Path(env.get("XDG_CONFIG_HOME") or "")
    return (named if named.is_absolute() else home / ".config") / "tiny-agents" / "config.toml"


# ---------------------------------------------------------------- values


def _text(value: Any) -> str:
    if isinstance(value, str) and value.strip() and value.isprintable():
        return value.strip()
    raise ValueError("must be a text in one line")


def _address(value: Any) -> str:
    text = _text(value)
    if text.startswith(("http://", "https://")):
        return text.rstrip("/")
    raise ValueError("must be an address such as http://localhost:11434/v1")


def _variable(value: Any) -> str:
    text = _text(value)
    if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", text):
        return text
    # perhaps it is a key, so it isn't repeated
    raise ValueError("must be the name of an environment variable; the key itself is never kept in this file")


def _permission(value: Any) -> str:
    if value in ("allow", "ask", "deny"):
        return str(value)
    raise ValueError("must be allow, ask or deny")


def _switch(value: Any) -> bool:
    known = {"true": True, "on": True, "yes": True, "false": False, "off": False, "no": False}
    found = value if isinstance(value, bool) else known.get(value.lower()) if isinstance(value, str) else None
    if found is None:
        raise ValueError("must be true or false")
    return found


KEYS: Mapping[str, tuple[Callable[[Any], Any], str]] = {
    "model": (_text, "which model, where nothing else names one"),
    "provider": (_text, "who serves it"),
    "base_url": (_address, "an OpenAI-compatible endpoint, in place of a provider"),
    "api_key_env": (_variable, "the environment variable that holds the key for that place"),
    "permission": (_permission, "allow, ask or deny: as --permission"),
    "sessions": (_switch, "false: conversations aren't saved"),
    "usage": (_switch, "true: say at the end what was used, as --usage"),
}
"""Key -> how its value is read, and what it is for."""


def checked(key: str, value: Any) -> Any:
    """The value of a key.

    Raises:
        ConfigError: There is no such key, or the value makes no sense.
    """
    if key not in KEYS:
        if key in ("api_key", "token", "hf_token"):
            raise ConfigError("keys aren't kept in this file: api_key_env names the variable that holds one", key=key)
        near = difflib.get_close_matches(key, KEYS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known: {', '.join(KEYS)}"
        raise ConfigError(f"unknown key ({hint})", key=key)
    try:
        return KEYS[key][0](value)
    except ValueError as error:
        raise ConfigError(str(error), key=key) from error


# ---------------------------------------------------------------- the file


def read_config(env: Mapping[str, str] = os.environ) -> Config:
    """The defaults; none where there is no file.

    Raises:
        ConfigError: The file can't be used; the message names the line or the key.
    """
    path = config_path(env)
    return Config(**_parsed(_text_of(path), path))


def _text_of(path: Path) -> str:
    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        return ""
    except OSError as error:
        raise ConfigError(f"can't be read: {error.strerror}", path=path) from error
    if len(data) > MAX_BYTES:
        raise ConfigError(f"is larger than {MAX_BYTES // 1000} kB", path=path)
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(f"isn't text in UTF-8 (byte {error.start + 1})", path=path) from error


def _parsed(text: str, path: Path) -> dict[str, Any]:
    try:
        values = tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise ConfigError(f"no TOML: {error}", path=path) from error
    read: dict[str, Any] = {}
    for key, value in values.items():
        try:
            read[key] = checked(key, value)
        except ConfigError as error:
            raise ConfigError(error.problem, path=path, key=error.key) from error
    if read.get("provider") and read.get("base_url"):
        raise ConfigError("provider and base_url name two places; keep one", path=path, key="provider")
    return read


def set_value(key: str, value: Any | None, env: Mapping[str, str] = os.environ) -> Path:
    """Set a key, or with None take it out. All other lines, comments too, stay as they are.

    Raises:
        ConfigError: The key or value makes no sense, or the file can't be used.
        UsageError: Its line can't be found, because it is written over several.
    """
    path = config_path(env)
    text = _text_of(path)
    wanted = _parsed(text, path)
    wanted.pop(key, None)
    if value is not None:
        wanted[key] = checked(key, value)
    elif key not in KEYS:
        checked(key, "")
    changed = _with_line(text, key, None if value is None else f"{key} = {json.dumps(wanted[key], ensure_ascii=False)}")
    if _parsed(changed, path) != wanted:
        raise UsageError(f"{path}: {key} is written in a way that can't be changed here: edit the file")
    try:
        write_private(path, changed.encode())
    except OSError as error:
        raise TinyAgentsError(f"{path} can't be written: {error.strerror or error}") from error
    return path


def _with_line(text: str, key: str, line: str | None) -> str:
    """`text` with `line` in place of that of `key`, or at its end; without that line where `line` is None."""
    lines = text.splitlines()
    at = next((n for n, old in enumerate(lines) if re.match(rf"\s*{re.escape(key)}\s*=", old)), None)
    if at is not None:
        lines[at : at + 1] = [] if line is None else [line]
    elif line is not None:
        lines.append(line)
    return "".join(f"{each}\n" for each in lines)
