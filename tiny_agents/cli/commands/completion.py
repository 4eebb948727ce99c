"""`tiny-agents completion`: a script that completes the command line in a shell."""

from __future__ import annotations

import sys
from argparse import Namespace

from tiny_agents.agent.definition.loading import bundled_names
from tiny_agents.cli.arguments import build_parser
from tiny_agents.cli.completion import SHELLS
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.report import Reporter


def command(arguments: Namespace, _reporter: Reporter) -> int:
    """Print the script."""
    sys.stdout.write(SHELLS[arguments.shell](build_parser(), bundled_names()))
    return ExitCode.DONE
