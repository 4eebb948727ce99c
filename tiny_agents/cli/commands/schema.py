"""`tiny-agents schema`: what agent.yaml, a file of tests, or a line of `--output jsonl` may say, as JSON Schema."""

from __future__ import annotations

import json
import sys
from argparse import Namespace

from tiny_agents.agent.definition.schema import definition_schema, schema_of_tests
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.machine.record_schema import record_schema
from tiny_agents.cli.report import Reporter

SCHEMAS = {"agent": definition_schema, "tests": schema_of_tests, "events": record_schema}


def command(arguments: Namespace, _reporter: Reporter) -> int:
    """Print the schema."""
    sys.stdout.write(json.dumps(SCHEMAS[arguments.of](), indent=2, ensure_ascii=False) + "\n")
    return ExitCode.DONE
