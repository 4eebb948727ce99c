"""The command line of `tiny-agents sessions`. Imports nothing but argparse."""

from __future__ import annotations

import argparse
import re
from typing import Any

EXAMPLES = """\
examples:
  tiny-agents sessions                         what was saved, the last first
  tiny-agents sessions list --agent clock
  tiny-agents sessions search "train to Kyoto"
  tiny-agents sessions show 3f2a               the start of an id is enough
  tiny-agents sessions fork 3f2a --at 5        another way on from message 5
  tiny-agents sessions rewind 3f2a             forget the last request
  tiny-agents sessions export last --format markdown -o trip.md
  tiny-agents sessions delete --older-than 30d

go on with one:
  tiny-agents run --continue                   the last one
  tiny-agents run --resume 3f2a

Conversations are kept in one file that only you can read, until you delete
them. To save none: tiny-agents run --no-session, TINY_AGENTS_SESSIONS=off, or
sessions: false in agent.yaml.
"""

ID_HELP = "id of a session, the start of one, or 'last'"

_UNITS_S = {"h": 3600.0, "d": 86400.0, "w": 7 * 86400.0}


def age(text: str) -> float:
    """`30d`, `12h`, `2w` in seconds."""
    found = re.fullmatch(r"(\d{1,6})([hdw])", text.strip())
    if not found:
        raise argparse.ArgumentTypeError("write it as a number and h, d or w: 12h, 30d, 2w")
    return int(found[1]) * _UNITS_S[found[2]]


def count(text: str) -> int:
    """A number from 1."""
    if not re.fullmatch(r"\d{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError("must be a number, at least 1")
    return int(text)


def add_sessions(commands: Any) -> None:
    """Add the command `sessions` to a parser's commands; the action is `action` in its result."""
    sessions = commands.add_parser(
        "sessions",
        help="look through saved conversations, export or delete them",
        description="Look through saved conversations, branch off from them, export or delete them.",
        epilog=EXAMPLES,
    )
    sessions.set_defaults(action=None, agent=None, limit=20, json=False)
    actions = sessions.add_subparsers(metavar="ACTION", title="actions (list, if none is given)")

    def add(name: str, text: str) -> Any:
        parser = actions.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        parser.set_defaults(action=name)
        return parser

    shown = add("list", "list saved conversations, the last first")
    shown.add_argument("--agent", metavar="NAME", help="only those of this agent")
    shown.add_argument("--limit", metavar="N", type=count, default=20, help="at most so many (default 20)")
    shown.add_argument("--json", action="store_true", help="as JSON, one object per line")
    search = add("search", "find conversations in which something was said")
    search.add_argument("text", metavar="TEXT", nargs="+", help="words; all of them have to be in one message")
    search.add_argument("--limit", metavar="N", type=count, default=20, help="at most so many (default 20)")
    show = add("show", "show what was said, message by message")
    show.add_argument("id", metavar="ID", help=ID_HELP)
    show.add_argument("--full", action="store_true", help="long messages and tool results whole")
    export = add("export", "write a conversation as JSON or Markdown")
    export.add_argument("id", metavar="ID", help=ID_HELP)
    export.add_argument("--format", choices=("json", "markdown"), default="json", help="default: json")
    export.add_argument("--all", action="store_true", help="JSON: also what was rewound, cut off or replaced")
    export.add_argument("-o", "--output", metavar="FILE", help="write to a new file; by default to standard output")
    take = add("import", "read a conversation that was exported as JSON")
    take.add_argument("file", metavar="FILE", help="the file, or - for standard input")
    fork = add("fork", "start another conversation from what one holds, which stays as it is")
    fork.add_argument("id", metavar="ID", help=ID_HELP)
    fork.add_argument(
        "--at", metavar="N", type=count, help="with the messages up to number N (see 'show'); default: all"
    )
    rewind = add("rewind", "drop the last requests of a conversation, and what came of them")
    rewind.add_argument("id", metavar="ID", help=ID_HELP)
    rewind.add_argument("count", metavar="N", type=count, nargs="?", default=1, help="how many requests (default 1)")
    delete = add("delete", "remove conversations for good")
    delete.add_argument("ids", metavar="ID", nargs="*", help=ID_HELP)
    delete.add_argument("--older-than", metavar="AGE", type=age, help="all that were not touched for 12h, 30d, 2w ...")
    delete.add_argument("--all", action="store_true", help="all")
    delete.add_argument("-y", "--yes", action="store_true", help="don't ask")
