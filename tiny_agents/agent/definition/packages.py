"""Which package a server's command fetches and runs, and whether the command says exactly which version. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from tiny_agents.agent.definition.types import AgentDefinition, ServerDefinition

_NPM_EXACT = re.compile(r"v?\d+\.\d+\.\d+(?:[-+][\w.+-]+)?")
_PYTHON_EXACT = re.compile(r"\d+(?:\.\d+)*(?:[a-z.+-][\w.+-]*)?")
_COMMIT = re.compile(r"@[0-9a-f]{40}(?:#|$)")


@dataclass(frozen=True, slots=True)
class Package:
    """What a command fetches.

    Attributes:
        kind: npm, pypi or image.
        spec: The package as the command names it, with its version.
        pinned: It is the same package every time.
    """

    server: str
    kind: str
    spec: str
    pinned: bool

    def __str__(self) -> str:
        return f"{self.kind}:{self.spec}"


def packages_of(definition: AgentDefinition) -> tuple[Package, ...]:
    """The packages that the definition's servers fetch, in their order; servers that fetch none are left out."""
    return tuple(package for server in definition.servers if (package := _package(server)) is not None)


def unpinned_warnings(definition: AgentDefinition) -> list[str]:
    """A sentence for each server that may run another version tomorrow."""
    return [
        f"the server {package.server!r} runs whatever version {package.spec!r} stands for when it starts; "
        f"{_ADVICE[package.kind]} fixes it"
        for package in packages_of(definition)
        if not package.pinned
    ]


_ADVICE = {"npm": "package@1.2.3", "pypi": "package==1.2.3", "image": "image@sha256:..."}


def _package(server: ServerDefinition) -> Package | None:
    if server.type != "stdio":
        return None
    command = re.split(r"[\\/]", server.params["command"])[-1].lower()
    runner = re.sub(r"\.(exe|cmd|bat)$", "", command)
    found = _RUNNERS[runner](list(server.params.get("args", ()))) if runner in _RUNNERS else None
    if found is None:
        return None
    kind, spec = found
    return Package(server.name, kind, spec, "${" not in spec and _EXACT[kind](spec))


# ---- what each runner takes for the package

Found = tuple[str, str] | None


def _positional(args: Sequence[str], with_value: frozenset[str], wanted: frozenset[str] = frozenset()) -> Iterator[str]:
    """Values of the options in `wanted`, then the first argument that is no option, then nothing."""
    rest = iter(args)
    for arg in rest:
        name, equals, value = arg.partition("=")
        if name in wanted:
            yield value if equals else next(rest, "")
        elif arg in with_value:
            next(rest, None)
        elif not arg.startswith("-"):
            yield arg
            return


def _first(kind: str, words: Iterator[str]) -> Found:
    spec = next(words, "")
    return (kind, spec) if spec else None


def _npx(args: Sequence[str]) -> Found:
    takes = frozenset({"-c", "--call", "-w", "--workspace", "--registry", "--cache"})
    return _first("npm", _positional(args, takes, frozenset({"-p", "--package"})))


def _npm(args: Sequence[str]) -> Found:
    return _npx(args[1:]) if args and args[0] in ("exec", "x", "dlx") else None


def _uvx(args: Sequence[str]) -> Found:
    takes = frozenset(
        {"--with", "-p", "--python", "--index", "--index-url", "--directory", "--env-file", "--with-editable"}
    )
    return _first("pypi", _positional(args, takes, frozenset({"--from"})))


def _uv(args: Sequence[str]) -> Found:
    return _uvx(args[2:]) if list(args[:2]) == ["tool", "run"] else None


def _pipx(args: Sequence[str]) -> Found:
    if not args or args[0] != "run":
        return None
    return _first(
        "pypi", _positional(args[1:], frozenset({"--python", "--index-url", "--pip-args"}), frozenset({"--spec"}))
    )


_DOCKER_VALUES = frozenset(
    [
        "-e",
        "--env",
        "-v",
        "--volume",
        "--mount",
        "--name",
        "-p",
        "--publish",
        "--network",
        "--net",
        "-w",
        "--workdir",
        "-u",
        "--user",
        "--entrypoint",
        "--env-file",
        "-l",
        "--label",
        "--platform",
        "--add-host",
        "-m",
        "--memory",
        "--cpus",
        "--cap-add",
        "--cap-drop",
        "--security-opt",
        "--tmpfs",
        "--device",
        "--dns",
        "--pull",
        "--runtime",
        "--gpus",
        "-h",
        "--hostname",
        "--restart",
        "--log-driver",
        "--log-opt",
        "--ulimit",
        "--shm-size",
        "--userns",
        "--pid",
        "--ipc",
    ]
)


def _docker(args: Sequence[str]) -> Found:
    return _first("image", _positional(args[1:], _DOCKER_VALUES)) if args and args[0] == "run" else None


def _deno(args: Sequence[str]) -> Found:
    found = next((arg for arg in args[1:] if arg.startswith(("npm:", "jsr:"))), None)
    return ("npm", found.partition(":")[2].lstrip("/")) if found and args[0] == "run" else None


_RUNNERS: Mapping[str, Callable[[Sequence[str]], Found]] = {
    "npx": _npx,
    "bunx": _npx,
    "pnpx": _npx,
    "npm": _npm,
    "pnpm": _npm,
    "yarn": _npm,
    "uvx": _uvx,
    "uv": _uv,
    "pipx": _pipx,
    "docker": _docker,
    "podman": _docker,
    "deno": _deno,
}


# ---- which versions are exact


def _npm_exact(spec: str) -> bool:
    name, at, version = spec.rpartition("@")
    return bool(at and name and _NPM_EXACT.fullmatch(version)) or bool(re.search(r"#[0-9a-f]{40}$", spec))


def _pypi_exact(spec: str) -> bool:
    if "+" in spec and "://" in spec:
        return bool(_COMMIT.search(spec))
    name, sign, version = spec.partition("==")
    if not sign:
        name, sign, version = spec.partition("@")
    return bool(sign and name and _PYTHON_EXACT.fullmatch(version.strip()))


_EXACT: Mapping[str, Callable[[str], bool]] = {
    "npm": _npm_exact,
    "pypi": _pypi_exact,
    "image": lambda spec: bool(re.search(r"@sha256:[0-9a-f]{64}$", spec)),
}
