"""Weights of the embedded model that are kept in the cache."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tiny_agents.errors import LocalModelError
from tiny_agents.inference.cache import cache_root, locked
from tiny_agents.inference.local.catalog import SMOLLM2

_HUB_PREFIX = "models--"


@dataclass(frozen=True, slots=True)
class Kept:
    """A GGUF file in the cache, or the one that would be there.

    Attributes:
        name: As `model=` takes it.
        path: Where it is.
        size: Bytes.
        licence: Empty where that is not known.
        is_there: False for the default model, before it was fetched.
    """

    name: str
    path: Path
    size: int
    licence: str = ""
    is_there: bool = True


def kept_weights(env: Mapping[str, str]) -> list[Kept]:
    """The default model, and all others that were fetched."""
    root = cache_root(env)
    default = root / "models" / SMOLLM2.sha256 / SMOLLM2.filename
    there = default.is_file() and default.stat().st_size == SMOLLM2.size
    return [Kept(SMOLLM2.name, default, SMOLLM2.size, SMOLLM2.licence, there), *_from_hub(root / "hub")]


def _from_hub(folder: Path) -> Iterator[Kept]:
    for repository in sorted(folder.glob(f"{_HUB_PREFIX}*")):
        owner, _, name = repository.name.removeprefix(_HUB_PREFIX).partition("@")[0].partition("--")
        for path in sorted(repository.glob("*/**/*.gguf")):
            inside = path.relative_to(repository)
            if inside.parts[0].startswith(".") or not path.is_file():
                continue
            file = "/".join(inside.parts[1:])
            yield Kept(f"{owner}/{name}:{file}", path, path.stat().st_size)


def delete(weights: Kept) -> None:
    """Delete a file of the cache. A program that runs it at the moment goes on with it, but on Windows it can't be deleted.

    Raises:
        LocalModelError: It can't be deleted.
    """
    try:
        with locked(weights.path.parent / ".lock"):
            weights.path.unlink()
    except OSError as error:
        raise LocalModelError(
            f"{weights.path} can't be deleted: {error.strerror or error}", model=weights.name
        ) from error
