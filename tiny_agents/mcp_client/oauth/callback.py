"""What the browser brings back at the end of a login, and what it shows then. Pure."""

from __future__ import annotations

import hmac
import html
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

from tiny_agents.mcp_client.text import readable

SHOWN_CHARS = 300


@dataclass(frozen=True, slots=True)
class Granted:
    """A code that can be exchanged for tokens; `issuer` is who says so, where that is said."""

    code: str = field(repr=False)
    issuer: str | None = None


@dataclass(frozen=True, slots=True)
class Denied:
    """The authorization server says no: its short name for the reason, and its words."""

    error: str
    description: str = ""

    def __str__(self) -> str:
        return f"{self.error}: {self.description}" if self.description else self.error


@dataclass(frozen=True, slots=True)
class Foreign:
    """An address that answers nothing we asked; `problem` says why, for the person."""

    problem: str


def read_callback(address: str, state: str) -> Granted | Denied | Foreign:
    """What an address says that the browser was sent to.

    Args:
        address: Whole, or from its path on, or only its query.
        state: What our question was marked with. An answer without it is somebody else's, or a trick.
    """
    try:
        query = urlsplit(address.strip()).query if "?" in address else address.strip()
        given = parse_qs(query, keep_blank_values=True, max_num_fields=50)
    except ValueError:
        given = {}
    values = {key: items[0] for key, items in given.items() if len(items) == 1}
    if "code" not in values and "error" not in values:
        return Foreign("it holds no answer (neither `code` nor `error`)")
    if not hmac.compare_digest(values.get("state", "").encode(), state.encode()):
        return Foreign("it belongs to another login (its `state` is not the one that was sent)")
    if "error" in values:
        return Denied(_shown(values["error"]), _shown(values.get("error_description", "")))
    if not values["code"]:
        return Foreign("its `code` is empty")
    return Granted(values["code"], values.get("iss"))


def _shown(text: str) -> str:
    return " ".join(readable(text).split())[:SHOWN_CHARS]


def page(answer: Granted | Denied | Foreign, server: str) -> tuple[int, str]:
    """HTTP status and HTML of what the person sees in the browser."""
    name = html.escape(server)
    if isinstance(answer, Granted):
        return 200, _PAGE.format(
            title="You are logged in",
            text=f"tiny-agents can use <b>{name}</b> now. You can close this page and go back to where you came from.",
        )
    if isinstance(answer, Denied):
        return 200, _PAGE.format(
            title="You are not logged in",
            text=f"<b>{name}</b> can't be used: the login ended with <code>{html.escape(str(answer))}</code>. "
            "You can close this page.",
        )
    return 400, _PAGE.format(
        title="This is not the answer",
        text=f"Nothing was accepted from this address: {html.escape(answer.problem)}. "
        "If you are logging in, go on in the page that was opened for it.",
    )


_PAGE = """\
<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<title>{title}</title>
<style>
  body {{ font: 1.1rem/1.5 system-ui, sans-serif; max-width: 34rem; margin: 18vh auto 0; padding: 0 1.5rem }}
  @media (prefers-color-scheme: dark) {{ body {{ background: #161616; color: #eee }} }}
</style>
<h1>{title}</h1>
<p>{text}</p>
</html>
"""
