"""The command line of `tiny-agents init`. Imports nothing but argparse."""

from __future__ import annotations

from typing import Any

EXAMPLES = """\
examples:
  tiny-agents init my-agent
      asks a few questions, then writes ./my-agent/agent.yaml
  tiny-agents init my-agent --yes --description "Tidies up notes." \\
      --server files --base-url http://localhost:11434/v1 --model qwen3
      asks nothing
  tiny-agents init . --server "uvx mcp-server-time" --prompt-file

servers by name:
  files, web, browser, git, memory, time
or the command of one in quotes, or its URL. Nothing is ever overwritten.
"""


def add_init(commands: Any) -> None:
    """Add the command `init`."""
    init = commands.add_parser(
        "init",
        help="write a new agent",
        description="Write a new agent: a commented agent.yaml that works as it is.",
        epilog=EXAMPLES,
    )
    init.add_argument("folder", metavar="FOLDER", nargs="?", default=".", help="where to; by default here")
    init.add_argument("--name", metavar="NAME", help="what it is called; by default as its folder")
    init.add_argument("--description", metavar="TEXT", help="what it is for, in a line")
    init.add_argument("--prompt", metavar="TEXT", help="the system prompt; by default what it is for")
    init.add_argument("--prompt-file", action="store_true", help="write the prompt to PROMPT.md, beside agent.yaml")
    init.add_argument("--model", metavar="M", help="model id; by default decided when it runs")
    init.add_argument("--provider", metavar="P", help="inference provider")
    init.add_argument("--base-url", metavar="URL", help="an OpenAI-compatible endpoint")
    init.add_argument("--server", metavar="SERVER", action="append", default=[], help="see below; repeatable")
    init.add_argument("-y", "--yes", action="store_true", help="ask nothing: flags and defaults")
