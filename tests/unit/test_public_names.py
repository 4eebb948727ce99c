"""The public names are one list, load when they are used, and the layers know each other in one direction only."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterable, Iterator
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

import tiny_agents

PACKAGE = Path(tiny_agents.__file__).parent
LAYERS = ["inference", "mcp_client", "agent", "cli"]
"""From the bottom: each may import those before it."""


def test_every_public_name_can_be_had_and_is_declared_for_type_checkers() -> None:
    tree = ast.parse((PACKAGE / "__init__.py").read_text())
    block = next(node for node in tree.body if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING")
    declared = {
        alias.name: f"{node.module}" for node in block.body if isinstance(node, ast.ImportFrom) for alias in node.names
    }
    assert set(declared) | {"__version__"} == set(tiny_agents.__all__)
    for name, module in declared.items():
        value = getattr(tiny_agents, name)
        if hasattr(value, "__module__") and isinstance(value, type):
            assert value.__module__ == module


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Agnet'"):
        _ = tiny_agents.Agnet


@cache
def all_modules_loaded_by(statement: str) -> frozenset[str]:
    code = f"import sys; {statement}; print(' '.join(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return frozenset(done.stdout.split())


def modules_loaded_by(statement: str) -> set[str]:
    return {name.partition(".")[0] for name in all_modules_loaded_by(statement)}


def test_importing_the_package_loads_nothing_of_weight() -> None:
    heavy = {"mcp", "httpx2", "msgspec", "yaml", "rich", "prompt_toolkit", "xllamacpp", "anyio", "asyncio"}
    assert modules_loaded_by("import tiny_agents") & heavy == set()


HEAVY = {
    "mcp", "mcp_types", "pydantic", "yaml", "rich", "prompt_toolkit", "xllamacpp", "httpx2", "httptools", "anyio", "asyncio",
    "ssl", "socket", "urllib", "http", "email", "logging", "json", "hashlib", "difflib", "pathlib", "dataclasses",
}  # fmt: skip


def test_importing_agent_and_client_loads_what_their_classes_are_made_of_and_no_more() -> None:
    statement = "from tiny_agents import MCPClient, Agent"
    assert modules_loaded_by(statement) & HEAVY == set()
    own = {name for name in all_modules_loaded_by(statement) if name.startswith("tiny_agents.")}
    assert len(own) < 45, "import in the function that needs it, or for type checkers only"


def test_making_an_agent_loads_nothing_that_only_requests_servers_or_saved_conversations_need() -> None:
    made = "from tiny_agents import Agent; Agent(model='m', base_url='http://127.0.0.1:9/v1')"
    assert (
        modules_loaded_by(made)
        & {"mcp", "httpx2", "httptools", "pydantic", "yaml", "rich", "prompt_toolkit", "sqlite3"}
        == set()
    )


@cache
def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text())


def imports_of(path: Path) -> set[str]:
    """The layers of this package that a file imports, also inside functions."""
    found = set()
    for node in ast.walk(tree_of(path)):
        names = []
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "tiny_agents" and len(parts) > 1 and parts[1] in LAYERS:
                found.add(parts[1])
    return found


@pytest.mark.parametrize("layer", LAYERS)
def test_imports_point_one_way(layer: str) -> None:
    allowed = set(LAYERS[: LAYERS.index(layer) + 1])
    files = sorted((PACKAGE / layer).rglob("*.py"))
    assert files
    for path in files:
        assert imports_of(path) <= allowed, path


def imported_when_run(nodes: Iterable[ast.AST]) -> Iterator[str]:
    """What is imported, also inside functions, but not what only type checkers see."""
    for node in nodes:
        if isinstance(node, ast.If) and ast.unparse(node.test) == "TYPE_CHECKING":
            yield from imported_when_run(node.orelse)
        elif isinstance(node, ast.ImportFrom):
            yield from (name for alias in node.names for name in (f"{node.module}.{alias.name}", f"{node.module}"))
        elif isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        else:
            yield from imported_when_run(ast.iter_child_nodes(node))


def test_no_module_imports_itself_by_way_of_others_not_even_inside_functions() -> None:
    files = {
        ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts): path
        for path in PACKAGE.rglob("*.py")
        if path.name != "__init__.py"
    }
    known = {name: files.keys() & set(imported_when_run(tree_of(path).body)) for name, path in files.items()}
    assert len(known) > 300
    TopologicalSorter(known).prepare()  # raises CycleError, which shows the way round


def test_nothing_imports_the_notebook_and_it_does_not_know_the_command_line() -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.is_relative_to(PACKAGE / "notebook")
        modules = [node.module or "" for node in ast.walk(tree_of(path)) if isinstance(node, ast.ImportFrom)]
        assert inside or not any(module.startswith("tiny_agents.notebook") for module in modules), path
        if inside:
            assert "cli" not in imports_of(path), path
    assert modules_loaded_by("import tiny_agents.notebook") & {"IPython", "markdown_it", "rich", "mcp"} == set()


@pytest.mark.parametrize(
    ("package", "only_in"),
    [
        ("httptools", ["inference/http/http1"]),
        ("httpx2", ["inference/http", "mcp_client/transports", "mcp_client/oauth"]),
        ("mcp", ["mcp_client/transports", "mcp_client/oauth"]),
        ("mcp_types", ["mcp_client/transports"]),
        ("xllamacpp", ["inference/local"]),
        ("prompt_toolkit", ["cli"]),
        ("rich", ["cli", "inference/local"]),
    ],
)
def test_a_library_is_imported_in_its_place_only(package: str, only_in: list[str]) -> None:
    for path in sorted(PACKAGE.rglob("*.py")):
        place = path.relative_to(PACKAGE).as_posix()
        if any(place == allowed or place.startswith(allowed + "/") for allowed in only_in):
            continue
        for node in ast.walk(tree_of(path)):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom):
                names = [node.module or ""]
            assert not any(name.partition(".")[0] == package for name in names), f"{place} imports {package}"
