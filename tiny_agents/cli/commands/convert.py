"""`tiny-agents convert`: an agent.json as agent.yaml, or the other way round."""

from __future__ import annotations

import sys
from argparse import Namespace

from tiny_agents.agent.definition.inputs import placeholder_problems
from tiny_agents.agent.definition.loading import load_definition
from tiny_agents.agent.definition.table import raise_together
from tiny_agents.agent.definition.writing import as_json, as_yaml
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.report import Reporter, set_up_diagnostics


def command(arguments: Namespace, reporter: Reporter) -> int:
    """Print the other form; what it can't say goes to standard error."""
    set_up_diagnostics(reporter)
    definition = load_definition(arguments.agent, allow_paths=arguments.allow_path)
    raise_together(placeholder_problems(definition))
    text, notes = (as_json if definition.strict else as_yaml)(definition)
    sys.stdout.write(text)
    for note in notes:
        reporter.warning(note)
    return ExitCode.DONE
