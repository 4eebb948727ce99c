"""`tiny-agents test`: the tests that a definition names, each run, with a line for each."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

from tiny_agents.agent.definition.input_values import Keyring, owner_of
from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.requirements import missing_requirements
from tiny_agents.agent.definition.trust import TrustStore
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.agent.locking import load_as_locked
from tiny_agents.agent.model_choice import ModelSettings, without_overridden
from tiny_agents.agent.testing.case import Case
from tiny_agents.agent.testing.loading import cases_of
from tiny_agents.agent.testing.recording import read_recording, write_recording
from tiny_agents.agent.testing.running import SCRIPTED_MODEL, CaseResult, Plan, answers_for, run_cases
from tiny_agents.cli.asking.consent import require_trust
from tiny_agents.cli.config import read_config
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.flags.model import chosen_model, settings_of_flags
from tiny_agents.cli.flags.output import limits_given
from tiny_agents.cli.interrupts import Interrupts, leave_by_exception
from tiny_agents.cli.machine.event_records import plain
from tiny_agents.cli.prompt.input_values import ask_for_input, given_values
from tiny_agents.cli.prompt.prompts import is_terminal
from tiny_agents.cli.report import LOADING, Reporter, set_up_diagnostics
from tiny_agents.cli.screen.safe_text import neutralise, one_line
from tiny_agents.cli.screen.terminal import Screen, Style
from tiny_agents.errors import ConfigError, ServerConnectionError, UsageError, redact
from tiny_agents.inference.credentials import find_token
from tiny_agents.mcp_client.text import without_secrets
from tiny_agents.mcp_client.tools.known_servers import KnownServers, file_of

VERSION = 1
"""Of what `--output json` prints; it grows with changes that programs can't overlook."""


def command(arguments: Namespace, reporter: Reporter) -> int:
    """Do `tiny-agents test`."""
    set_up_diagnostics(reporter)
    leave_by_exception()
    with reporter.notice_if_slow(LOADING):
        definition, locked = load_as_locked(
            arguments.agent, "check", allow_paths=arguments.allow_path, warn=reporter.warning
        )
    cases = _wanted(definition, arguments.only)
    if arguments.list:
        return _list(cases, arguments)
    plan = replace(_plan(definition, cases, arguments, reporter), locked=locked)
    results = asyncio.run(_run(cases, plan, arguments, reporter))
    if arguments.record is not None:
        _keep(results, Path(arguments.record).expanduser(), reporter)
    return _say_at_the_end(definition, results, len(cases), arguments, reporter)


def _wanted(definition: AgentDefinition, only: Sequence[str]) -> list[Case]:
    """The tests to run.

    Raises:
        ConfigError: The definition has none, or one can't be used.
        UsageError: None has such a name.
    """
    cases = cases_of(definition)
    if not cases:
        raise ConfigError("has no tests: add `tests` to it (docs/testing.md)", path=definition.path)
    wanted = [case for case in cases if not only or any(text.lower() in case.name.lower() for text in only)]
    if not wanted:
        raise UsageError(f"-k: none of the {len(cases)} tests has {' or '.join(map(repr, only))} in its name")
    return wanted


def _list(cases: Sequence[Case], arguments: Namespace) -> int:
    if arguments.output == "json":
        listed = [{"name": case.name, "file": _file(case), "line": case.line} for case in cases]
        sys.stdout.write(json.dumps(listed, indent=2) + "\n")
    else:
        screen = Screen(sys.stdout, sys.stdout)
        for case in cases:
            screen.line(one_line(case.name))
    return ExitCode.DONE


def _plan(definition: AgentDefinition, cases: Sequence[Case], arguments: Namespace, reporter: Reporter) -> Plan:
    """How the tests are run. Nothing is started.

    Raises:
        TinyAgentsError: Something is missing or wrong.
    """
    recording = read_recording(Path(arguments.replay).expanduser()) if arguments.replay is not None else None
    live = arguments.live or arguments.record is not None
    may_ask = not (arguments.offline or recording is not None)
    asks = may_ask and any(answers_for(case, None, live=live)[0] == "model" for case in cases)
    flags = settings_of_flags(arguments)
    someone_is_there = is_terminal(sys.stdin) and is_terminal(sys.stderr)
    if not arguments.trust:
        require_trust(definition, TrustStore.of_user(), can_ask=someone_is_there, warn=reporter.warning)
    if problems := missing_requirements(definition):
        raise ServerConnectionError(problems[0], server=definition.servers[0].name)
    limits = {**definition.limit_values, **limits_given(arguments)}
    resolved = resolve_inputs(
        without_overridden(replace(definition, limit_values=limits), flags if asks else SCRIPTED_MODEL, os.environ),
        values=given_values(arguments.input),
        ask=ask_for_input if someone_is_there else None,
        warn=reporter.warning,
        keeper=Keyring(owner_of(definition), reporter.warning),
    )
    reporter.secrets += resolved.secrets
    model: ModelSettings | None = None
    if asks:
        model = chosen_model(flags, os.environ, resolved, read_config(os.environ))
        reporter.secrets += [key for key in (model.api_key, find_token()) if key]
    return Plan(
        resolved,
        model,
        recording,
        live,
        arguments.permission,
        KnownServers(file_of(os.environ)),
    )


# ---- from here on servers and models are at work


async def _run(cases: Sequence[Case], plan: Plan, arguments: Namespace, reporter: Reporter) -> list[CaseResult]:
    """What came of the tests, those that were run. Raises Left if the program was asked to leave."""
    results: list[CaseResult] = []
    screen = Screen(sys.stdout, sys.stdout)
    with Interrupts().leaving():
        async with aclosing(run_cases(cases, plan)) as running:
            async for result in running:
                results.append(result)
                if arguments.output == "text":
                    _show(result, screen, reporter)
                if arguments.fail_fast and not result.passed:
                    break
    return results


def _say_at_the_end(
    definition: AgentDefinition, results: Sequence[CaseResult], number: int, arguments: Namespace, reporter: Reporter
) -> int:
    failed = sum(not result.passed for result in results)
    if arguments.output == "json":
        whole = without_secrets(plain(_as_data(definition, results, number)), reporter.secrets)
        sys.stdout.write(json.dumps(whole, indent=2) + "\n")
    else:
        words = _summary(len(results) - failed, failed, number - len(results))
        Screen(sys.stdout, sys.stdout).line(words, Style.ERROR if failed else Style.BOLD)
    return ExitCode.FAILED if failed else ExitCode.DONE


def _keep(results: Sequence[CaseResult], path: Path, reporter: Reporter) -> None:
    """Write what the model said, beside what the file has of tests that were not run."""
    try:
        before = dict(read_recording(path)) if path.exists() else {}
    except ConfigError as error:
        reporter.warning(error)
        before = {}
    write_recording(path, before | {result.case.name: tuple(result.heard) for result in results if not result.error})
    reporter.notice(f"Recorded in {path}.")


def _show(result: CaseResult, screen: Screen, reporter: Reporter) -> None:
    name = one_line(result.case.name)
    about = f"({', '.join(_about(result))})"
    if result.passed:
        screen.line(f"ok    {name} {about}")
        return
    screen.line(f"FAIL  {name} {about}", Style.ERROR)
    place = f"{_file(result.case)}:{result.case.line}" if result.case.path is not None else ""
    lines = [*([f"error: {result.error}"] if result.error else []), *result.problems]
    for line in [*([place] if place else []), *lines]:
        screen.line(f"      {one_line(neutralise(redact(line, reporter.secrets)), 2_000)}")


def _about(result: CaseResult) -> list[str]:
    """Who answered, and what was used, in a few words."""
    counts = ((result.used.get("model_calls"), "model call"), (result.used.get("tool_calls"), "tool call"))
    used = [f"{int(count)} {what}{'' if count == 1 else 's'}" for count, what in counts if count]
    by = {"script": "", "recording": "recorded", "model": "live"}[result.by]
    return [*([by] if by else []), *used, f"{result.duration_s:.1f} s"]


def _summary(passed: int, failed: int, left: int) -> str:
    parts = [f"{passed} passed"] if passed or not failed else []
    parts += [f"{failed} failed"] if failed else []
    parts += [f"{left} not run"] if left else []
    return ", ".join(parts)


def _as_data(definition: AgentDefinition, results: Sequence[CaseResult], number: int) -> dict[str, Any]:
    passed = sum(result.passed for result in results)
    return {
        "type": "tests",
        "version": VERSION,
        "agent": definition.name,
        "passed": passed,
        "failed": len(results) - passed,
        "not_run": number - len(results),
        "tests": [_case_data(result) for result in results],
    }


def _case_data(result: CaseResult) -> dict[str, Any]:
    return {
        "name": result.case.name,
        "file": _file(result.case),
        "line": result.case.line,
        "passed": result.passed,
        "problems": list(result.problems),
        "error": result.error or None,
        "answered_by": result.by,
        "text": result.text,
        "stop_reason": result.stop_reason or None,
        "calls": [
            {
                "name": call.name,
                "server": call.place or None,
                "tool": call.tool or None,
                "arguments": dict(call.arguments),
                "outcome": call.outcome,
            }
            for call in result.calls
        ],
        "used": dict(result.used),
        "duration_s": round(result.duration_s, 3),
    }


def _file(case: Case) -> str | None:
    if case.path is None:
        return None
    try:
        return os.path.relpath(case.path)
    except ValueError:  # on Windows, another drive
        return str(case.path)
