"""The public functions of a Python file, as tools. Importing the file runs it: nobody gets here before it may run."""

from __future__ import annotations

import hashlib
import importlib.machinery
import importlib.util
import inspect
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from tiny_agents.errors import ConfigError, UsageError
from tiny_agents.inference.cache import sha256_of
from tiny_agents.mcp_client.tools.functions import describe_function

_PACKAGE = "_tiny_agents_tools_"


def public_functions(path: Path, sha256: str | None = None) -> list[Callable[..., Any]]:
    """Import a file and return what it offers: what its `__all__` names, else the functions that are defined in it and whose
    names don't begin with `_`.

    Files beside it are imported with `from . import other`; nothing is added to `sys.path`, so that they hide no module.

    Args:
        sha256: What the file has to be, if it was downloaded.
    Raises:
        ConfigError: It can't be imported (with the line), isn't as it was downloaded, or offers no function, or one that
            can't be a tool.
    """
    if sha256 is not None and sha256_of(path) != sha256:
        raise ConfigError("isn't as it was downloaded, so it isn't run", path=path)
    module = _imported(path.absolute())
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


def _imported(path: Path) -> ModuleType:
    """The file as a module of a package of its own, whose other modules are the files beside it."""
    package = _PACKAGE + hashlib.sha256(str(path.parent).encode("utf-8", "surrogateescape")).hexdigest()[:16]
    if package not in sys.modules:
        spec = importlib.machinery.ModuleSpec(package, None, is_package=True)
        spec.submodule_search_locations = [str(path.parent)]
        sys.modules[package] = importlib.util.module_from_spec(spec)
    name = f"{package}.{path.stem}"
    found = importlib.util.spec_from_file_location(name, path)
    if found is None or found.loader is None:
        raise ConfigError("is no Python file", path=path)
    module = importlib.util.module_from_spec(found)
    sys.modules[name] = module
    try:
        found.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # whatever a file does when it is imported; Ctrl+C goes on its way
        del sys.modules[name]
        problem = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        raise ConfigError(f"can't be imported: {problem}", path=path, line=_line(error, path)) from error
    return module


def _line(error: BaseException, path: Path) -> int | None:
    """The innermost line of the file that the error came through."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno
    lines = [frame.lineno for frame in traceback.extract_tb(error.__traceback__) if frame.filename == str(path)]
    return lines[-1] if lines else None
