"""The command line: flags, their help, and what is wrong with them. Imports nothing but argparse."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from tiny_agents.cli.flags.init import add_init
from tiny_agents.cli.flags.output import add_limits, add_output
from tiny_agents.cli.flags.sessions import add_sessions
from tiny_agents.cli.flags.setup import add_setup
from tiny_agents.cli.flags.test import add_test
from tiny_agents.cli.flags.tools import add_tools

RUN_EXAMPLES = """\
examples:
  tiny-agents run clock
      talk to a bundled agent
  tiny-agents run clock -p "What time is it in Tokyo?"
      one question, one answer
  git diff | tiny-agents run ./reviewer -p "Review this:"
      the prompt, a blank line, then what was piped in
  tiny-agents run clock -p @question.txt --output jsonl
      a prompt from a file; each event as a line of JSON
  tiny-agents run clock -p "Now?" --output-schema time.schema.json --max-turns 5
      an answer that is JSON of a given form, with at most 5 calls of the model
  tiny-agents run ./my-agent/ --model Qwen/Qwen3-32B
      a folder with agent.yaml or agent.json, another model than it names
  tiny-agents run files --base-url http://localhost:11434/v1 --model qwen3
      a model on this machine

  tiny-agents run clock --continue -p "And in Kyoto?"
      go on with the last conversation, here with one more question

which model answers:
  these flags; else TINY_AGENTS_MODEL, TINY_AGENTS_PROVIDER and
  TINY_AGENTS_BASE_URL; else the definition; else Hugging Face, if a token is
  saved; else the embedded model, if tiny-agents[local] is installed

The answer goes to standard output, everything else to standard error.
Exit status: 0 done, 1 failed, 2 the command or the definition is wrong,
3 a limit was reached, 130 interrupted with Ctrl+C, 143 terminated.
"""

MAIN_EXAMPLES = """\
examples:
  tiny-agents list                                  agents that are included
  tiny-agents run clock                             talk to one of them
  tiny-agents run ./agent.yaml -p "Tidy my notes"   one prompt for your own
  tiny-agents sessions                              saved conversations
"""

LIST_EXAMPLES = """\
Each is listed with what it does and what it needs on this machine.
Run one with: tiny-agents run NAME
"""


VALIDATE_EXAMPLES = """\
examples:
  tiny-agents validate ./my-agent/
  tiny-agents validate agents/*.yaml

Errors and warnings go to standard output, a line each. Exit status: 0 without
errors, 2 with some. Values of inputs and variables are not looked for.
"""

CONVERT_EXAMPLES = """\
examples:
  tiny-agents convert my-agent/agent.json > my-agent/agent.yaml
  tiny-agents convert my-agent/agent.yaml > my-agent/agent.json

What the other form can't say is told on standard error.
"""

SCHEMA_EXAMPLES = """\
examples:
  tiny-agents schema > agent.schema.json
  tiny-agents schema tests > tests.schema.json
  tiny-agents schema events > events.schema.json

Name the first in the first line of your agent.yaml:
  # yaml-language-server: $schema=./agent.schema.json
"""

ANY_AGENT = (
    "name of a bundled agent, folder of an agent, its agent.yaml / agent.json, or user/agent[@revision] on the Hub"
)
TRUST = "start the commands of a downloaded agent without asking"
DEBUG = "show log messages and tracebacks"
SHOW_EXAMPLES = """\
examples:
  tiny-agents show clock
  tiny-agents show user/agent@v1    an agent on the Hub, before you run it
"""
LOCK_EXAMPLES = """\
examples:
  tiny-agents lock ./my-agent            write ./my-agent/agent.lock
  tiny-agents lock user/agent            pin the newest revision of an agent
  tiny-agents lock ./my-agent --check    for a script: is it still the same?
"""
HUB_AGENT = "user/agent[@revision] or hf://datasets/owner/name/path"
TRUST_EXAMPLES = """\
examples:
  tiny-agents trust add user/agent       see what it does, and agree to it
  tiny-agents trust add user/agent@v1 --yes
      agree in a script, to what that revision is
  tiny-agents trust list                 what was agreed to
  tiny-agents trust revoke user/agent    be asked again
"""

PERMISSIONS_EXAMPLES = """\
examples:
  tiny-agents permissions list               what you answered "always" to
  tiny-agents permissions revoke ./my-agent  be asked again
"""
LOGOUT_EXAMPLES = """\
examples:
  tiny-agents logout https://mcp.example.com/mcp
  tiny-agents logout --all
"""
CHAT_EXAMPLES = """\
examples:
  tiny-agents chat                      the model that is there
  tiny-agents chat --base-url http://localhost:11434/v1 --model qwen3
  git diff | tiny-agents chat -p "Write a commit message:"
  tiny-agents chat --continue

What `run` takes about the model, output and limits, chat takes too.
"""
DOCTOR_EXAMPLES = """\
examples:
  tiny-agents doctor                      this machine, and the model
  tiny-agents doctor ./my-agent           and an agent: each server is started
  tiny-agents doctor --base-url http://localhost:11434/v1 --model qwen3
  tiny-agents doctor ./my-agent --json --no-start

Nothing that costs money is asked; keys are never shown. Exit status: 0 if
nothing has to be mended, 1 if something has.
"""
LOGIN_EXAMPLES = """\
examples:
  tiny-agents login https://mcp.example.com/mcp   log in, in a browser
  tiny-agents login ./agent.yaml                  at all servers of an agent
  tiny-agents login                               where you are logged in
"""


class Parser(argparse.ArgumentParser):
    """An ArgumentParser whose errors look like all others of this program."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(**{"formatter_class": argparse.RawDescriptionHelpFormatter, "allow_abbrev": False, **kwargs})

    def print_help(self, file: Any = None) -> None:
        """Write the help; unlike argparse's own, failing to is an error."""
        (file or sys.stdout).write(self.format_help())

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> tuple[Any, list[str]]:
        """As argparse's, but the command itself complains of flags that it doesn't know, and names the nearest."""
        found, rest = super().parse_known_args(args, namespace)
        unknown = [word for word in rest if word.startswith("-") and word != "-"]
        if unknown:
            hint = _nearest(unknown[0].partition("=")[0], self._option_string_actions)
            self.error(f"unrecognized arguments: {' '.join(unknown)}{hint}")
        return found, rest

    def _check_value(self, action: argparse.Action, value: Any) -> None:
        if action.choices is not None and value not in action.choices:
            known = [str(choice) for choice in action.choices]
            hint = _nearest(str(value), known) or f" (choose from {', '.join(known)})"
            raise argparse.ArgumentError(action, f"invalid choice: {value!r}{hint}")

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"error: {message}\nSee '{self.prog} --help'.\n")


def _nearest(wrong: str, known: Iterable[str]) -> str:
    """What was probably meant, in words that follow; empty where nothing is near."""
    from difflib import get_close_matches

    near = get_close_matches(wrong, list(known), n=1)
    return f" (did you mean {near[0]!r}?)" if near else ""


class _Version(argparse.Action):
    """`--version`: looked up only when asked."""

    def __init__(self, option_strings: Sequence[str], **_: Any) -> None:
        super().__init__(option_strings, argparse.SUPPRESS, nargs=0, help="print the version and exit")

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:
        from tiny_agents import __version__

        sys.stdout.write(f"tiny-agents {__version__}\n")
        parser.exit()


def input_value(text: str) -> tuple[str, str]:
    """`ID=VALUE` of `--input` as a pair."""
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        # What was typed may be a secret: it isn't repeated.
        raise argparse.ArgumentTypeError("write it as ID=VALUE")
    return name.strip(), value


def build_parser() -> Parser:
    """The parser of all commands; the chosen one is `command` in its result."""
    parser = Parser(
        prog="tiny-agents",
        description="Run agents that use MCP tools.",
        epilog=MAIN_EXAMPLES,
    )
    parser.add_argument("--version", action=_Version)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title="commands")
    _add_run(commands)
    commands.add_parser(
        "list",
        help="show the agents that come with the package",
        description="Show the bundled agents.",
        epilog=LIST_EXAMPLES,
    )
    _add_definition_commands(commands)
    add_test(commands, ANY_AGENT, (_add_model, add_limits, _add_starting))
    add_sessions(commands)
    _add_show(commands)
    _add_trust(commands)
    _add_login(commands)
    _add_permissions(commands)
    _add_lock(commands)
    add_tools(commands, input_value, _add_starting)
    _add_doctor(commands)
    add_init(commands)
    add_setup(commands)
    _add_chat(commands)
    return parser


def _add_doctor(commands: Any) -> None:
    doctor = commands.add_parser(
        "doctor",
        help="see what is installed, what works, and what to mend",
        description="See what is installed, what works, and what to mend. Asks no questions.",
        epilog=DOCTOR_EXAMPLES,
    )
    doctor.add_argument("agent", metavar="AGENT", nargs="?", help=ANY_AGENT)
    doctor.add_argument("--online", action="store_true", help="also try whether the Hugging Face token is valid")
    doctor.add_argument("--no-start", action="store_true", help="start none of the agent's servers")
    doctor.add_argument("--json", action="store_true", help="as JSON")
    _add_model(doctor)
    _add_starting(doctor)


def _add_starting(parser: Any) -> None:
    """What all commands take that start the servers of an agent."""
    _add_inputs(parser)
    _add_allow_path(parser)
    parser.add_argument("--trust", action="store_true", help=TRUST)
    parser.add_argument("--debug", action="store_true", help=DEBUG)


def _add_show(commands: Any) -> None:
    show = commands.add_parser(
        "show",
        help="what an agent is and would do",
        description="Show what an agent is and would do, without starting anything.",
        epilog=SHOW_EXAMPLES,
    )
    show.add_argument("agent", metavar="AGENT", help=ANY_AGENT)
    _add_allow_path(show)


def _add_definition_commands(commands: Any) -> None:
    schema = commands.add_parser(
        "schema",
        help="print the JSON Schema of agent.yaml, for editors",
        description="Print the JSON Schema of agent.yaml, of files with tests, or of the lines of\n`run --output jsonl`.",
        epilog=SCHEMA_EXAMPLES,
    )
    schema.add_argument(
        "of", choices=("agent", "tests", "events"), nargs="?", default="agent", help="of what (default: agent)"
    )
    validate = commands.add_parser(
        "validate",
        help="say everything that is wrong with a definition",
        description="Say everything that is wrong with definitions, without starting anything.",
        epilog=VALIDATE_EXAMPLES,
    )
    validate.add_argument("agent", metavar="AGENT", nargs="+", help="as for run: a folder, a file, ...")
    _add_allow_path(validate)
    convert = commands.add_parser(
        "convert",
        help="print an agent.json as agent.yaml, or the other way round",
        description="Print an agent.json as agent.yaml, or an agent.yaml as agent.json.",
        epilog=CONVERT_EXAMPLES,
    )
    convert.add_argument("agent", metavar="AGENT", help="as for run: a folder, a file, ...")
    _add_allow_path(convert)


def _add_login(commands: Any) -> None:
    login = commands.add_parser(
        "login",
        help="log in at a remote MCP server, or show where you are logged in",
        description="Log in at a remote MCP server, in a browser; or show the logins that are kept.",
        epilog=LOGIN_EXAMPLES,
    )
    login.add_argument("target", metavar="TARGET", nargs="?", help="URL of a server, or an agent as for `run`")
    login.add_argument("--account", metavar="NAME", help="any name, to tell several logins at one server apart")
    _add_inputs(login)
    _add_allow_path(login)
    login.add_argument("--debug", action="store_true", help="show log messages and tracebacks")
    logout = commands.add_parser(
        "logout",
        help="end a login at a remote MCP server",
        description="End a login: its tokens are revoked, if the server does that, and deleted.",
        epilog=LOGOUT_EXAMPLES,
    )
    which = logout.add_mutually_exclusive_group(required=True)
    which.add_argument("target", metavar="URL", nargs="?", help="the server's, as `tiny-agents login` shows it")
    which.add_argument("--all", action="store_true", help="all logins")
    logout.add_argument("--account", metavar="NAME", help="only that of this name; all of the URL if left out")


def _add_trust(commands: Any) -> None:
    trust = commands.add_parser(
        "trust",
        help="downloaded agents that may start without asking",
        description="Downloaded agents that may start without asking, as they were when you agreed.",
        epilog=TRUST_EXAMPLES,
    )
    actions = trust.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    actions.add_parser("list", help="show them, and what each does")
    add = actions.add_parser("add", help="look at an agent, and agree to it")
    add.add_argument("agent", metavar="AGENT", help=HUB_AGENT)
    add.add_argument("--yes", action="store_true", help="agree without being asked")
    _add_allow_path(add)
    _add_revoke(actions, "trust list")


def _add_permissions(commands: Any) -> None:
    permissions = commands.add_parser(
        "permissions",
        help="tools that agents may call without a question",
        description='Tools that agents may call unasked, because you answered "always".',
        epilog=PERMISSIONS_EXAMPLES,
    )
    actions = permissions.add_subparsers(dest="action", metavar="ACTION", title="actions", required=True)
    actions.add_parser("list", help="show them")
    _add_revoke(actions, "permissions list")


def _add_revoke(actions: Any, shown_by: str) -> None:
    revoke = actions.add_parser("revoke", help="be asked again")
    which = revoke.add_mutually_exclusive_group(required=True)
    which.add_argument("agent", metavar="AGENT", nargs="?", help=f"as `{shown_by}` shows it")
    which.add_argument("--all", action="store_true", help="all agents")


def _add_lock(commands: Any) -> None:
    lock = commands.add_parser(
        "lock",
        help="write down what an agent is now, so that a change is noticed",
        description="Write down what an agent is now: its revision, files, packages and tools.\n"
        "From then on another doesn't start.",
        epilog=LOCK_EXAMPLES,
    )
    lock.add_argument("agent", metavar="AGENT", help=ANY_AGENT)
    lock.add_argument("--check", action="store_true", help="write nothing; exit status 1 if it isn't as locked")
    lock.add_argument("--no-tools", action="store_true", help="start no servers: leave their tools out")
    _add_starting(lock)


def _add_run(commands: Any) -> None:
    run = commands.add_parser(
        "run",
        help="talk to an agent, or give it one prompt",
        description="Talk to an agent; or give it one prompt, with --prompt or piped in.",
        epilog=RUN_EXAMPLES,
    )
    run.add_argument(
        "agent",
        metavar="AGENT",
        nargs="?",
        help=ANY_AGENT,
    )
    _add_prompt(run)
    add_output(run)
    _add_model(run)
    _add_inputs(run)
    run.add_argument(
        "--remember", action="store_true", help="keep the values of inputs in the system's keyring for the next time"
    )
    _add_allow_path(run)
    tools = run.add_argument_group("what tools may do")
    mode = tools.add_mutually_exclusive_group()
    mode.add_argument(
        "--permission",
        choices=("allow", "ask", "deny"),
        help="allow or refuse the calls that would be asked about, or ask about all that the agent's rules don't allow",
    )
    mode.add_argument(
        "-y", "--yes", dest="permission", action="store_const", const="allow", help="as --permission allow"
    )
    tools.add_argument(
        "--pinning",
        choices=("off", "warn", "strict"),
        help="what becomes of a tool that changed since it was first used: a warning (the default), or it is refused",
    )
    tools.add_argument(
        "--accept-tools",
        action="store_true",
        help="accept tools that changed since they were first used, as they are now",
    )
    run.add_argument(
        "--root",
        metavar="DIR",
        action="append",
        default=[],
        help="tell the servers that they may work in this folder; repeatable. Servers whose definition has roots keep those",
    )
    add_limits(run)
    _add_sessions_of(run)
    run.add_argument("--trust", action="store_true", help=TRUST)
    run.add_argument(
        "--lock",
        choices=("required", "check", "warn", "off"),
        default="check",
        help="what agent.lock is for: there must be one; if there is one, the agent must be as locked (the default); "
        "differences are only warned of; it isn't looked at",
    )
    _add_telling(run)


def _add_chat(commands: Any) -> None:
    chat = commands.add_parser(
        "chat",
        help="talk to a model alone, without any agent",
        description="Talk to a model alone, without agent and tools; or give it one prompt.",
        epilog=CHAT_EXAMPLES,
    )
    chat.add_argument("--system", metavar="TEXT", help="the system prompt")
    _add_prompt(chat)
    add_output(chat)
    _add_model(chat)
    add_limits(chat)
    _add_sessions_of(chat)
    _add_telling(chat)
    chat.set_defaults(agent=None, input=[], remember=False, allow_path=[], permission=None, pinning=None)
    chat.set_defaults(accept_tools=False, root=[], trust=False, lock="off")


def _add_prompt(run: Any) -> None:
    run.add_argument(
        "-p",
        "--prompt",
        metavar="TEXT",
        help="ask this, print the answer, exit; @FILE is what is in a file, @- what comes on standard input",
    )


def _add_sessions_of(run: Any) -> None:
    session = run.add_argument_group("saved conversations").add_mutually_exclusive_group()
    session.add_argument(
        "-c", "--continue", dest="last", action="store_true", help="go on with the last conversation, of AGENT if given"
    )
    session.add_argument("--resume", metavar="ID", help="go on with this one: its id, or the start of it")
    session.add_argument("--no-session", action="store_true", help="don't save this conversation")


def _add_telling(run: Any) -> None:
    run.add_argument(
        "--usage", action="store_true", help="say at the end how many tokens were used, and what they cost"
    )
    run.add_argument(
        "--log",
        metavar="FILE",
        help="add to FILE what happens, as JSON lines: calls, times, tokens, errors; nothing said",
    )
    run.add_argument("--log-content", action="store_true", help="with --log: also what is said, arguments and results")
    run.add_argument("--debug", action="store_true", help=DEBUG)


def _add_model(parser: Any) -> None:
    model = parser.add_argument_group("which model")
    model.add_argument(
        "--model", metavar="M", help="model id, URL of an endpoint, or with --provider local a .gguf file"
    )
    model.add_argument("--provider", metavar="P", help="inference provider; 'local' is the embedded model")
    model.add_argument("--base-url", metavar="URL", help="an OpenAI-compatible endpoint")
    model.add_argument("--api-key-env", metavar="NAME", help="environment variable that holds the API key")


def _add_inputs(parser: Any) -> None:
    parser.add_argument(
        "--input",
        metavar="ID=VALUE",
        action="append",
        default=[],
        type=input_value,
        help="value of an input that the definition asks for; repeatable. Others can see command lines: give secrets as "
        "ID=@FILE, or in the environment",
    )


def _add_allow_path(parser: Any) -> None:
    parser.add_argument(
        "--allow-path",
        metavar="DIR",
        action="append",
        default=[],
        help="let the definition read files of this folder, too; repeatable",
    )


def parse(argv: Sequence[str] | None = None) -> argparse.Namespace:
    """The command line as a namespace with `command`.

    Raises:
        SystemExit: For --help and --version (0), and for what can't be understood (2).
    """
    parser = build_parser()
    arguments: argparse.Namespace
    arguments, rest = parser.parse_known_args(argv)
    if arguments.command == "call" and not any(word.startswith("-") and word != "-" for word in rest):
        arguments.arguments += rest  # argparse loses what comes after a flag
    elif rest:
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    if arguments.command is None:
        parser.error("no command: try 'tiny-agents run clock' or 'tiny-agents list'")
    if arguments.command == "run" and arguments.log_content and arguments.log is None:
        parser.error("--log-content goes with --log FILE")
    if arguments.command == "run" and arguments.agent is None and not (arguments.last or arguments.resume):
        parser.error("no AGENT: try 'tiny-agents run clock', or --continue for the last conversation")
    return arguments
