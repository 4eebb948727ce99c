"""Running the tests of an agent: each with an agent of its own, whose servers are started for it and ended after it."""

from __future__ import annotations

import os
import time
from collections.abc import AsyncGenerator, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import msgspec

from tiny_agents.agent.agent import Agent
from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.agent.loaded import require_trust_in
from tiny_agents.agent.locking import Locked, load_as_locked
from tiny_agents.agent.loop.result import AgentResult
from tiny_agents.agent.loop.usage import Usage
from tiny_agents.agent.model_choice import COMMAND_LINE, ModelSettings, choose_model, without_overridden
from tiny_agents.agent.permissions.gate import PermissionGate
from tiny_agents.agent.permissions.rules import Permissions, Ruling, permissions_of
from tiny_agents.agent.testing.case import Amount, Case, StandIn
from tiny_agents.agent.testing.checking import Happened, MadeCall, problems, stand_in_for
from tiny_agents.agent.testing.loading import cases_of
from tiny_agents.agent.testing.recording import Recorder, Recording
from tiny_agents.errors import TinyAgentsError, redact
from tiny_agents.inference import local
from tiny_agents.inference.credentials import find_token
from tiny_agents.inference.script import SCRIPTED, Script, ScriptedAnswer
from tiny_agents.inference.scripted import SCRIPTED_URL, ScriptedClient
from tiny_agents.mcp_client.calls.gate import CallRequest, Verdict
from tiny_agents.mcp_client.host.hosts import HeadlessHost
from tiny_agents.mcp_client.observing.observing import AgentRun, Observer, Operation, ToolCall
from tiny_agents.mcp_client.results.results import read_result
from tiny_agents.mcp_client.tools.known_servers import KnownServers

AnsweredBy = Literal["script", "recording", "model"]
"""Who answers in place of the model: the answers of the test, or a recording; or nobody does."""

SCRIPTED_MODEL = ModelSettings(SCRIPTED, base_url=SCRIPTED_URL, source=COMMAND_LINE)
"""What runs in place of a model; agents that are tools use it, too."""


@dataclass(frozen=True, slots=True)
class CaseResult:
    """What came of a test.

    Attributes:
        problems: What isn't as expected, a line each; none if it passed.
        error: What went wrong before there was anything to compare; "" if nothing did.
        by: Who answered.
        text: The last answer.
        calls: The tool calls that were made, those of agents that are tools among them.
        used: By the names of `limits`; `cost_usd` is None where a price isn't known.
        heard: What the model said, as a script.
    """

    case: Case
    by: AnsweredBy
    problems: Sequence[str] = ()
    error: str = ""
    text: str = ""
    stop_reason: str = ""
    calls: Sequence[MadeCall] = ()
    used: Mapping[Amount, float | None] = field(default_factory=dict)
    duration_s: float = 0.0
    heard: Sequence[ScriptedAnswer] = ()

    @property
    def passed(self) -> bool:
        return not self.problems and not self.error


@dataclass(frozen=True, slots=True)
class Plan:
    """How tests are run.

    Attributes:
        definition: With its inputs filled in.
        model: Who is asked by tests without answers; None where none may be.
        recording: Answers by the names of tests, which come before those of the tests; None for none.
        live: Ask the model, whatever answers there are.
        permission: What becomes of calls that would be asked about, where a test doesn't say it.
        known_servers: How tools were when they were first used.
        locked: What the tools have to be like.
    """

    definition: AgentDefinition
    model: ModelSettings | None = None
    recording: Recording | None = None
    live: bool = False
    permission: Literal["allow", "deny"] | None = None
    known_servers: KnownServers | None = None
    locked: Locked | None = None


def answers_for(case: Case, recording: Recording | None, *, live: bool) -> tuple[AnsweredBy, Sequence[ScriptedAnswer]]:
    """Who answers a test, and what, where that is known."""
    if not live and recording is not None and case.name in recording:
        return "recording", recording[case.name]
    if not live and case.answers is not None:
        return "script", case.answers
    return "model", ()


async def run_cases(cases: Iterable[Case], plan: Plan) -> AsyncGenerator[CaseResult, None]:
    """Run tests one after the other. What goes wrong in one is in its result."""
    for case in cases:
        yield await run_case(case, plan)


async def run_tests(
    ref: str | Path,
    *,
    live: bool = False,
    only: str = "",
    inputs: Mapping[str, str] | None = None,
    trust: bool = False,
    allow_paths: Iterable[str | Path] = (),
) -> AsyncGenerator[CaseResult, None]:
    """Run the tests of an agent, as `tiny-agents test` does: `async for result in run_tests("./my-agent")`.

    Args:
        ref: As `Agent.load` takes it.
        live: Ask the agent's model in all tests, whatever answers they have.
        only: Run only tests that have this in their name.
        inputs, trust, allow_paths: As of `Agent.load`.

    Raises:
        ConfigError: The definition or a test can't be used, or no model is known for a test without answers.
        UsageError: It comes from the Hub and `trust` is not set.
    """
    definition, locked = load_as_locked(ref, allow_paths=allow_paths)
    require_trust_in(definition, trust)
    cases = [case for case in cases_of(definition) if only.lower() in case.name.lower()]
    asks = any(answers_for(case, None, live=live)[0] == "model" for case in cases)
    flags = ModelSettings() if asks else SCRIPTED_MODEL
    resolved = resolve_inputs(without_overridden(definition, flags, os.environ), values=inputs)
    model: ModelSettings | None = None
    if asks:
        has_token = bool(find_token(os.environ))
        model = choose_model(flags, os.environ, resolved, has_hf_token=has_token, has_local=local.is_available())
    async with aclosing(run_cases(cases, Plan(resolved, model, live=live, locked=locked))) as running:
        async for result in running:
            yield result


async def run_case(case: Case, plan: Plan) -> CaseResult:
    """Run a test."""
    by, answers = answers_for(case, plan.recording, live=plan.live)
    made = partial(CaseResult, case, by)
    if by == "model" and plan.model is None:
        return made(error="there are no answers for this test, and no model may be asked")
    began = time.monotonic()
    calls, recorder = _Calls(), Recorder()
    script = Script(answers) if by != "model" else None
    results: list[AgentResult] = []
    error = ""
    try:
        agent = _agent(case, plan, script, (calls, recorder))
        try:
            await agent.load_tools()
            for failure in agent.failed_servers.values():
                raise failure
            for prompt in case.prompts:
                async for _ in agent.run(prompt):
                    pass
                if agent.result is not None:
                    results.append(agent.result)
        finally:
            await agent.cleanup()
    except TinyAgentsError as problem:
        error = redact(str(problem), plan.definition.secrets)
    duration_s = time.monotonic() - began
    happened = _happened(results, calls.made)
    found = [] if error else problems(case.expected, happened)
    if script is not None and script.left and not error:
        found.append(f"answers: {len(script.left)} of {len(answers)} were not asked for")
    return made(
        problems=[redact(problem, plan.definition.secrets) for problem in found],
        error=error,
        text=happened.text,
        stop_reason=happened.stop_reason,
        calls=happened.calls,
        used=happened.used,
        duration_s=duration_s,
        heard=recorder.answers,
    )


def _agent(case: Case, plan: Plan, script: Script | None, observers: Sequence[Observer]) -> Agent:
    permissions = permissions_of(plan.definition)
    if (permission := case.permission or plan.permission) is not None:
        permissions = permissions.with_mode(permission)
    model = SCRIPTED_MODEL if script is not None else plan.model
    assert model is not None
    return Agent.from_definition(
        replace(plan.definition, fallback_models=()) if script is not None else plan.definition,
        model,
        client=ScriptedClient(script) if script is not None else None,
        host=HeadlessHost(reason="this is a test, so nobody can be asked"),
        known_servers=plan.known_servers,
        locked=plan.locked,
        gate=_TestGate(permissions, case.results),
        observers=observers,
    )


class _TestGate(PermissionGate):
    """Rules, with nobody to ask; a call that they allow comes to what the test says, if it says anything."""

    def __init__(self, permissions: Permissions, results: Sequence[StandIn]) -> None:
        super().__init__(permissions)
        self._results = results

    async def settle(self, request: CallRequest, ruling: Ruling) -> Verdict:
        verdict = await super().settle(request, ruling)
        call = MadeCall(request.tool, request.place, request.tool, request.arguments)
        stand_in = stand_in_for(call, self._results) if verdict.allowed else None
        if stand_in is None:
            return verdict
        result = read_result([{"type": "text", "text": stand_in.text}], is_error=stand_in.error)
        return msgspec.structs.replace(verdict, instead=result)


def _happened(results: Sequence[AgentResult], calls: Sequence[MadeCall]) -> Happened:
    last = results[-1] if results else AgentResult("", "failed")
    usage = sum((result.usage for result in results), Usage())
    return Happened(
        text=last.text,
        stop_reason=last.stop_reason,
        why=last.problem or str(last.limit or ""),
        calls=tuple(calls),
        used={
            "model_calls": usage.model_calls,
            "tool_calls": sum(result.tool_calls for result in results),
            "tokens": usage.total_tokens,
            "cost_usd": usage.cost_usd,
            "seconds": round(sum(result.duration_s for result in results), 3),
        },
    )


class _Calls(Observer):
    """Notes the tool calls, in the order in which they began."""

    def __init__(self) -> None:
        self._calls: list[ToolCall] = []

    def started(self, operation: Operation) -> None:
        if isinstance(operation, ToolCall):
            self._calls.append(operation)

    @property
    def made(self) -> list[MadeCall]:
        return [
            MadeCall(
                name=call.name,
                place="/".join((*_agents(call), call.server)) if call.server else "",
                tool=call.tool,
                arguments=dict(call.arguments),
                outcome=call.outcome,
                text=call.text,
            )
            for call in self._calls
        ]


def _agents(call: ToolCall) -> Iterable[str]:
    """The agents that are tools in whose work a call was made, the outermost first."""
    run = call.parent
    outer = run.parent if isinstance(run, AgentRun) else None
    return (*_agents(outer), outer.name) if isinstance(outer, ToolCall) else ()
