"""Which credential goes to which host. Pure, but for `find_token`, which reads the environment and one file.

A credential that the user hands over (`api_key=`, `token=`) goes where the user sends the call. One that was merely found
(`HF_TOKEN`, the saved login) is a Hugging Face token and goes to Hugging Face hosts and no other.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from urllib.parse import urlsplit

HUGGING_FACE_DOMAINS = ("huggingface.co", "hf.co", "endpoints.huggingface.cloud")
"""Hugging Face's own; hosts below them count, hosts that merely look like them don't. Not `hf.space`: anybody's code
answers there."""


@lru_cache(maxsize=128)
def is_hugging_face(url: str, *, endpoint: str | None = None) -> bool:
    """Whether `url` is one of Hugging Face's hosts, reached over TLS, or the Hub that `HF_ENDPOINT` names."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower().rstrip(".")
    if endpoint and (parts.scheme, parts.netloc) == (urlsplit(endpoint).scheme, urlsplit(endpoint).netloc):
        return True
    if parts.scheme != "https":
        return False
    return any(host == domain or host.endswith("." + domain) for domain in HUGGING_FACE_DOMAINS)


def is_hugging_face_token(key: str) -> bool:
    """Calls with such a token are routed and billed through Hugging Face; other keys go to the provider directly."""
    return key.startswith("hf_")


def find_token(env: Mapping[str, str] = os.environ) -> str | None:
    """The Hugging Face token of this user, as huggingface_hub finds it.

    `HF_TOKEN`, then `HUGGING_FACE_HUB_TOKEN`, then the file that `hf auth login` writes: `HF_TOKEN_PATH`, else `token` in
    `HF_HOME`, else in `~/.cache/huggingface` (`XDG_CACHE_HOME` honoured). None if there is none, or the file can't be read.
    """
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"):
        if token := _clean(env.get(name)):
            return token
    try:
        return _clean(token_path(env).read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError):
        return None


def token_path(env: Mapping[str, str] = os.environ) -> Path:
    if named := env.get("HF_TOKEN_PATH"):
        return Path(named).expanduser()
    cache = env.get("XDG_CACHE_HOME") or "~/.cache"
    home = env.get("HF_HOME") or os.path.join(cache, "huggingface")
    return Path(home).expanduser() / "token"


def without_keys(env: Mapping[str, str]) -> dict[str, str]:
    """`env` for a program that we start for ourselves and that has no use for our keys, by their names.

    What begins with `PIP_` or `UV_` stays: those who fetch packages may need it.
    """
    return {
        name: value for name, value in env.items() if not _KEY_NAME.search(name) or name.startswith(("PIP_", "UV_"))
    }


_KEY_NAME = re.compile(r"(?i)(?:^|_)(?:api_?key|key|token|secret|password|passwd|credentials?)s?$")


def _clean(token: str | None) -> str | None:
    # A pasted token often brings a line end with it.
    return (token or "").replace("\r", "").replace("\n", "").strip() or None
