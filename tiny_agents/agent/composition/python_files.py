"""The public functions of a Python file, as tools. Importing the file runs it: nobody gets here before it may run."""

from __future__ import annotations

import hashlib
import importlib.abc
import importlib.machinery
import importlib.util
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from tiny_agents.errors import ConfigError, UsageError
from tiny_agents.mcp_client.tools.functions import describe_function

_PACKAGE = "_tiny_agents_tools_"


def public_functions(path: Path, pinned: Mapping[Path, str] | None = None) -> list[Callable[..., Any]]:
    """Import a file and return what it offers: what its `__all__` names, else the functions that are defined in it and whose
    names don't begin with `_`.

    Files beside it are imported with `from . import other`; nothing is added to `sys.path`, so that they hide no module.

    Args:
        pinned: If it was downloaded: the SHA-256 of each file that was. It, and the files that it imports from beside it,
            are run only if they are these, and no bytecode is read or written.
    Raises:
        ConfigError: It can't be imported (with the line), isn't as it was downloaded, or offers no function, or one that
            can't be a tool.
    """
    module = _imported(Path(os.path.abspath(path)), pinned)
    functions = _chosen(module, path)
    if not functions:
        raise ConfigError(
            "has no public function: define one, or name it in __all__ (names that begin with '_' are private)",
            path=path,
        )
    for function in functions:
        try:
            describe_function(function)
        except UsageError as error:
            line = getattr(getattr(inspect.unwrap(function), "__code__", None), "co_firstlineno", None)
            raise ConfigError(str(error).removeprefix("add_tool: "), path=path, line=line) from error
    return functions


def _chosen(module: ModuleType, path: Path) -> list[Callable[..., Any]]:
    names = getattr(module, "__all__", None)
    if names is None:
        return [
            value
            for name, value in vars(module).items()
            if inspect.isfunction(value) and value.__module__ == module.__name__ and not name.startswith("_")
        ]
    chosen = []
    for name in names:
        value = getattr(module, name, None)
        if not callable(value) or inspect.isclass(value):
            what = "is not there" if value is None else f"is no function but {type(value).__name__}"
            raise ConfigError(f"__all__ names {name!r}, which {what}", path=path)
        chosen.append(value)
    return chosen


def _imported(path: Path, pinned: Mapping[Path, str] | None) -> ModuleType:
    """The file as a module of a package of its own, whose other modules are the files beside it."""
    package = _PACKAGE + hashlib.sha256(str(path.parent).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    if package not in sys.modules:
        spec = importlib.machinery.ModuleSpec(package, None, is_package=True)
        spec.submodule_search_locations = [str(path.parent)] if pinned is None else []
        sys.modules[package] = importlib.util.module_from_spec(spec)
    if pinned is not None:
        _DOWNLOADED.add(package, path.parent, pinned)
    name = f"{package}.{path.stem}"
    loader = None if pinned is None else _PinnedLoader(name, path, pinned.get(path, ""))
    found = importlib.util.spec_from_file_location(name, path, loader=loader)
    if found is None or found.loader is None:
        raise ConfigError("is no Python file", path=path)
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except ConfigError:
        del sys.modules[name]
        raise
    except (Exception, SystemExit) as error:  # whatever a file does when it is imported; Ctrl+C goes on its way
        del sys.modules[name]
        problem = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise ConfigError(f"can't be imported: {problem}", path=path, line=_line(error, path)) from error
    return module


class _PinnedLoader(importlib.machinery.SourceFileLoader):
    """Runs a file if its content is what was downloaded: the content that is checked is the one that is run."""

    def __init__(self, name: str, path: Path, sha256: str) -> None:
        super().__init__(name, str(path))
        self._sha256 = sha256

    def get_data(self, path: Any) -> bytes:
        data = super().get_data(path)
        if hashlib.sha256(data).hexdigest() != self._sha256:
            raise ConfigError("isn't as it was downloaded, so it isn't run", path=path)
        return data

    def path_stats(self, path: Any) -> Mapping[str, Any]:
        raise OSError("bytecode is neither read nor written")  # as the import system wants to hear it


class _Downloaded(importlib.abc.MetaPathFinder):
    """Finds what downloaded files import from beside them: files that were downloaded, too, and no others."""

    def __init__(self) -> None:
        self._packages: dict[str, tuple[Path, Mapping[Path, str]]] = {}

    def add(self, package: str, folder: Path, pinned: Mapping[Path, str]) -> None:
        self._packages[package] = folder, pinned
        if self not in sys.meta_path:
            sys.meta_path.insert(0, self)

    def find_spec(
        self, fullname: str, path: object = None, target: object = None
    ) -> importlib.machinery.ModuleSpec | None:
        package, *names = fullname.split(".")
        if package not in self._packages or not names:
            return None
        folder, pinned = self._packages[package]
        base = folder.joinpath(*names)
        for file in (base / "__init__.py", base.with_name(f"{base.name}.py")):
            if file in pinned:
                loader = _PinnedLoader(fullname, file, pinned[file])
                inside: list[str] | None = [] if file.name == "__init__.py" else None
                return importlib.util.spec_from_file_location(
                    fullname, file, loader=loader, submodule_search_locations=inside
                )
        if any(base in file.parents for file in pinned):
            return importlib.machinery.ModuleSpec(fullname, None, is_package=True)
        return None


_DOWNLOADED = _Downloaded()


def _line(error: BaseException, path: Path) -> int | None:
    """The innermost line of the file that the error came through."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] if lines else None
