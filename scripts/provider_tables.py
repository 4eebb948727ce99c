"""Write the tables of docs/inference/tasks.md and providers.md from the code.

python -m scripts.provider_tables            writes them
python -m scripts.provider_tables --check    says whether they are up to date (status 1 if not)
"""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from tiny_agents.inference.providers import AUTO, LOCAL, NAMES, get_provider
from tiny_agents.inference.providers.provider import Provider
from tiny_agents.inference.tasks import audio, chat, tabular, text, vision

FOLDER = Path(__file__).parent.parent / "docs" / "inference"
KINDS = {"Text": (chat, text), "Images and video": (vision,), "Audio": (audio,), "Tables": (tabular,)}
BEGIN, END = "<!-- table {name}: made by scripts/provider_tables.py -->\n", "<!-- end of table -->\n"


def builders(modules: tuple[Any, ...]) -> Iterator[Callable[..., Any]]:
    """The public functions of the modules that build a call."""
    for module in modules:
        for name, value in sorted(vars(module).items()):
            own = inspect.isfunction(value) and value.__module__ == module.__name__ and name[0] != "_"
            if own and value.__annotations__["return"].startswith("Call["):
                yield value


def hub_name(builder: Callable[..., Any]) -> str:
    return "conversational" if builder is chat.chat_completion else builder.__name__.replace("_", "-")


def providers() -> list[Provider]:
    return [get_provider(name) for name in NAMES if name not in (AUTO, LOCAL)]


def returns(builder: Callable[..., Any]) -> str:
    annotation = str(inspect.signature(builder).return_annotation)
    inner = annotation.removeprefix("Call[").removesuffix("]") if annotation.startswith("Call[") else annotation
    return {"Image": "PIL.Image", "Any": "see its docstring"}.get(inner, inner)


def tasks_table() -> str:
    lines = []
    for kind, modules in KINDS.items():
        lines += [f"### {kind}\n", "| method | what it does | returns | who does it |", "|---|---|---|---|"]
        for builder in builders(modules):
            task = hub_name(builder)
            does = (builder.__doc__ or "").partition("\n")[0].rstrip(".")
            names = [provider.name for provider in providers() if task in provider.tasks]
            where = f"{len(names)} providers" if len(names) > 10 else ", ".join(names)
            cells = [f"`{builder.__name__}`", does, f"`{returns(builder)}`".replace("|", "\\|"), where]
            lines.append(f"| {' | '.join(cells)} |")
        lines.append("")
    return "\n".join(lines)


def providers_table() -> str:
    methods = {hub_name(builder): builder.__name__ for modules in KINDS.values() for builder in builders(modules)}
    lines = ["| provider | key in the environment | with a Hugging Face token | tasks |", "|---|---|---|---|"]
    for provider in providers():
        key = f"`{provider.key_env}`" if provider.key_env else "a Hugging Face token"
        if len(provider.tasks) > 12:
            tasks = (
                f"{len(provider.tasks)}: all but {', '.join(_code(methods.keys() - provider.tasks.keys(), methods))}"
            )
        else:
            tasks = ", ".join(_code(provider.tasks.keys(), methods))
        lines.append(f"| `{provider.name}` | {key} | {'yes' if provider.routed else 'no'} | {tasks} |")
    return "\n".join(lines) + "\n"


def _code(tasks: Any, methods: dict[str, str]) -> list[str]:
    return [f"`{methods[task]}`" for task in sorted(tasks, key=lambda task: (task != "conversational", task))]


TABLES = {"tasks": ("tasks.md", tasks_table), "providers": ("providers.md", providers_table)}


def updated(page: str, name: str, table: str) -> str:
    begin = BEGIN.format(name=name)
    before, found, rest = page.partition(begin)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise SystemExit(f"the marks of table {name!r} are missing")
    return f"{before}{begin}\n{table}\n{END}{after}"


def main(check: bool) -> int:
    stale = []
    for name, (file, table) in TABLES.items():
        path = FOLDER / file
        page = path.read_text(encoding="utf-8")
        new = updated(page, name, table())
        if new != page:
            stale.append(file)
            if not check:
                path.write_text(new, encoding="utf-8")
    if check and stale:
        print(f"out of date: {', '.join(stale)}. Run: python -m scripts.provider_tables", file=sys.stderr)
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main("--check" in sys.argv[1:]))
