"""`tiny-agents chat`: a conversation with a model alone. It is `run` with an agent that has nothing but a prompt."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from tiny_agents.cli.commands import run
from tiny_agents.cli.report import Reporter

AGENT = Path(__file__).parents[1] / "chat.yaml"


def command(arguments: Namespace, reporter: Reporter) -> int:
    """Do `tiny-agents chat`."""
    if not arguments.resume:
        arguments.agent = str(AGENT)
    return run.command(arguments, reporter)
