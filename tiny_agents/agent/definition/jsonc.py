"""JSON with comments and commas after last entries, as VS Code reads it -> plain JSON with the same places. Pure."""

from __future__ import annotations

import re

_STRING = r'"(?:[^"\\\n]|\\.)*"?'  # in which nothing is a comment; also one that doesn't end
_COMMENT = r"//[^\n]*|/\*.*?(?:\*/|\Z)"

# Nothing here can fail late and be tried again: a file from somewhere else may be made to take forever. (Possessive patterns
# would say so, but Python before 3.11.5 gets them wrong.)
_COMMENTS = re.compile(rf"{_STRING}|{_COMMENT}", re.DOTALL)
_COMMAS = re.compile(rf"{_STRING}|,(?=\s*[}}\]])", re.DOTALL)


def plain_json(text: str) -> str:
    """`text` with comments and superfluous commas replaced by spaces; line ends stay where they are."""
    return _COMMAS.sub(_blank, _COMMENTS.sub(_blank, text))


def _blank(found: re.Match[str]) -> str:
    return found[0] if found[0].startswith('"') else re.sub(r"[^\n]", " ", found[0])
