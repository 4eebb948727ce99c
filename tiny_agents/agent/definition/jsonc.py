"""JSON with comments and commas after last entries, as VS Code reads it -> plain JSON with the same places. Pure."""

from __future__ import annotations

import re

_COMMENT = r"//[^\n]*+|/\*(?>(?:[^*]++|\*(?!/))*+)(?:\*/|\Z)"
# Nothing is tried twice: a file from somewhere else may be made to take forever.
_TOKEN = re.compile(
    r'"(?:[^"\\\n]|\\.)*+"?'  # a string, in which nothing is a comment
    rf"|{_COMMENT}"
    rf"|,(?=(?>\s++|{_COMMENT})*+[}}\]])",
    re.DOTALL,
)


def plain_json(text: str) -> str:
    """`text` with comments and superfluous commas replaced by spaces; line ends stay where they are."""
    return _TOKEN.sub(lambda found: found[0] if found[0].startswith('"') else re.sub(r"[^\n]", " ", found[0]), text)
