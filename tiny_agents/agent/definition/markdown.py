"""A definition in Markdown: agent.yaml between two lines `---`, and below them the system prompt. Pure."""

from __future__ import annotations

import re

from tiny_agents.errors import ConfigError

_FENCE = re.compile(r"---[ \t]*")
_END = re.compile(r"(?:---|\.\.\.)[ \t]*")


def has_front_matter(text: str) -> bool:
    """Whether `text` begins with a line `---`."""
    return bool(_FENCE.fullmatch(text.removeprefix("\ufeff").partition("\n")[0].rstrip("\r")))


def split_markdown(text: str, path: str | None) -> tuple[str, str]:
    """The YAML, on the same lines as in the file, and the text below it.

    Raises:
        ConfigError: There is no front matter, or no end of it.
    """
    if not has_front_matter(text):
        problem = (
            "a definition in Markdown begins with a line '---', then what agent.yaml would say, then another '---'"
        )
        raise ConfigError(problem, path=path, line=1)
    lines = text.splitlines(keepends=True)
    for number, line in enumerate(lines[1:], 1):
        if _END.fullmatch(line.rstrip("\r\n")):
            return "\n" + "".join(lines[1:number]), "".join(lines[number + 1 :]).strip()
    raise ConfigError("the front matter that begins here has no end: a line '---'", path=path, line=1)
