"""`tiny-agents schema`: what agent.yaml may say, as JSON Schema for editors."""

from __future__ import annotations

import json
import sys
from argparse import Namespace

from tiny_agents.agent.definition.schema import definition_schema
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.report import Reporter


def command(_arguments: Namespace, _reporter: Reporter) -> int:
    """Print the schema."""
    sys.stdout.write(json.dumps(definition_schema(), indent=2, ensure_ascii=False) + "\n")
    return ExitCode.DONE
