"""The command line of `tiny-agents tools` and `call`. Imports nothing but argparse."""

from __future__ import annotations

from typing import Any

from tiny_agents.cli.flags.output import amount

TOOLS_EXAMPLES = """\
examples:
  tiny-agents tools clock
  tiny-agents tools ./my-agent --json
  tiny-agents tools "uvx mcp-server-time"        a server, without any agent
  tiny-agents tools https://mcp.example.com/mcp

No model is needed. Exit status: 1 if a server can't be started.
"""

CALL_EXAMPLES = """\
examples:
  tiny-agents call clock get_current_time timezone=Asia/Tokyo
  tiny-agents call clock time.get_current_time '{"timezone": "Asia/Tokyo"}'
      of the server `time`, which alone is started
  tiny-agents call "uvx mcp-server-time" get_current_time timezone=UTC
      a server, without any agent
  echo '{"path": "."}' | tiny-agents call files list_directory - --json
      arguments from standard input, the whole result as JSON

arguments:
  {...}         a JSON object
  NAME=TEXT     read as what the tool wants: a text, a number, true ...
  NAME=@FILE    the text of a file; a text that begins with @ is written @@
  NAME:=JSON    as it stands
  -             a JSON object from standard input

The result goes to standard output: text as it is; images, sound and files
are saved, and their paths are written. No model is needed, and nobody is asked
whether the tool may be called. Exit status: 0 done, 1 the tool or its server
failed, 2 there is no such tool, or the arguments make no sense.
"""

TARGET = 'an agent as for `run`, the command of a server in quotes ("uvx mcp-server-time"), or its URL'


def add_tools(commands: Any, input_value: Any, add_shared: Any) -> None:
    """Add the commands `tools` and `call`.

    Args:
        input_value: Reads NAME=VALUE.
        add_shared: Adds the flags that all commands have which start servers.
    """
    tools = commands.add_parser(
        "tools",
        help="what the servers of an agent offer",
        description="Start the servers of an agent, or a single server, and show their tools.",
        epilog=TOOLS_EXAMPLES,
    )
    call = commands.add_parser(
        "call",
        help="call a tool, without any model",
        description="Call a tool of an agent's servers, or of a single server, without any model.",
        epilog=CALL_EXAMPLES,
    )
    for parser in (tools, call):
        parser.add_argument("target", metavar="TARGET", help=TARGET)
    call.add_argument("tool", metavar="TOOL", help="its name, or SERVER.NAME")
    call.add_argument("arguments", metavar="ARGUMENT", nargs="*", default=[], help="see below")
    tools.add_argument("--json", action="store_true", help="as JSON, with the whole schemas")
    call.add_argument("--json", action="store_true", help="the whole result as JSON")
    call.add_argument(
        "--save", metavar="DIR", default=".", help="where images, sound and files are saved (default: this folder)"
    )
    call.add_argument("--timeout", metavar="S", type=amount, help="seconds that the tool may take")
    for parser in (tools, call):
        parser.add_argument(
            "--env",
            metavar="NAME=VALUE",
            action="append",
            default=[],
            type=input_value,
            help="variable for a command; NAME=@FILE keeps a secret from the command line; repeatable",
        )
        parser.add_argument(
            "--header",
            metavar="NAME=VALUE",
            action="append",
            default=[],
            type=input_value,
            help="header for a URL, also as NAME=@FILE; repeatable",
        )
        add_shared(parser)
