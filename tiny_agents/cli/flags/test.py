"""The command line of `tiny-agents test`. Imports nothing but argparse."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

TEST_EXAMPLES = """\
examples:
  tiny-agents test                       the agent in this folder
  tiny-agents test ./my-agent -k tokyo   the tests with 'tokyo' in their name
  tiny-agents test ./my-agent --live     ask the model in all of them
  tiny-agents test ./my-agent --record answers.json
      ask the model, and keep what it says
  tiny-agents test ./my-agent --replay answers.json
      play that, without any model
  tiny-agents test ./my-agent --output json

A test with `answers` is played with these; one without asks the agent's model.
Servers are real, and started anew for each test.

Exit status: 0 all tests passed, 1 one did not, 2 the definition or a test
can't be used, or there is none.
"""


def add_test(commands: Any, agent_help: str, add_shared: Iterable[Callable[[Any], None]]) -> None:
    """Add the command `test`.

    Args:
        agent_help: What can be said for AGENT.
        add_shared: Add the flags that it shares with other commands.
    """
    test = commands.add_parser(
        "test",
        help="run the tests of an agent",
        description="Run the tests that an agent's definition names in `tests`.",
        epilog=TEST_EXAMPLES,
    )
    test.add_argument(
        "agent", metavar="AGENT", nargs="?", default=".", help=f"{agent_help}; by default the agent in this folder"
    )
    test.add_argument(
        "-k",
        "--only",
        metavar="TEXT",
        action="append",
        default=[],
        help="only tests with TEXT in their name; repeatable",
    )
    test.add_argument("--list", action="store_true", help="list the tests, run none")
    test.add_argument("-x", "--fail-fast", action="store_true", help="stop after the first test that fails")
    test.add_argument(
        "--output",
        choices=("text", "json"),
        default="text",
        help="a line for each test (the default), or one JSON object",
    )
    answers = test.add_argument_group("who answers").add_mutually_exclusive_group()
    answers.add_argument("--live", action="store_true", help="the model, also where a test has answers")
    answers.add_argument("--record", metavar="FILE", help="the model; what it says is kept in FILE")
    answers.add_argument("--replay", metavar="FILE", help="what was recorded in FILE; no model is asked")
    answers.add_argument("--offline", action="store_true", help="ask no model: a test without answers fails")
    mode = test.add_mutually_exclusive_group()
    mode.add_argument(
        "--permission",
        choices=("allow", "deny"),
        help="allow or refuse the calls that would be asked about, where a test doesn't say it; nobody is asked",
    )
    mode.add_argument(
        "-y", "--yes", dest="permission", action="store_const", const="allow", help="as --permission allow"
    )
    for add in add_shared:
        add(test)
