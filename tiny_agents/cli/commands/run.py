"""`tiny-agents run`: from a name and flags to a conversation, or to one answer.

Everything that can be found wrong without starting anything is found first (`prepare`); then the event loop runs, and
whatever happens in it, the servers are ended before the program is.
"""

from __future__ import annotations

import asyncio
import io
import json
import os
import sys
from argparse import Namespace
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import TextIO

from tiny_agents.agent.agent import Agent
from tiny_agents.agent.definition.input_values import Keyring, owner_of
from tiny_agents.agent.definition.inputs import resolve_inputs
from tiny_agents.agent.definition.requirements import missing_requirements
from tiny_agents.agent.definition.trust import TrustStore
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.agent.locking import Locked, load_as_locked
from tiny_agents.agent.loop.rules import LIMIT_STOPS
from tiny_agents.agent.model_choice import ModelSettings, without_overridden
from tiny_agents.agent.permissions.answers import PermissionAnswers
from tiny_agents.agent.permissions.gate import PermissionGate
from tiny_agents.agent.permissions.rules import Decision, permissions_of
from tiny_agents.agent.run_log import RunLog
from tiny_agents.agent.sessions.about import definition_hash
from tiny_agents.agent.sessions.session import Session
from tiny_agents.cli.asking.asking import TerminalHost, read_terminal_line
from tiny_agents.cli.asking.consent import require_trust
from tiny_agents.cli.asking.permission import TerminalApprover
from tiny_agents.cli.config import read_config
from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.flags.model import chosen_model, settings_of_flags
from tiny_agents.cli.flags.output import limits_given
from tiny_agents.cli.interrupts import Interrupts, leave_by_exception, undisturbed
from tiny_agents.cli.machine.machine import Machine
from tiny_agents.cli.machine.output_schema import read_schema
from tiny_agents.cli.prompt.input_values import ask_for_input, given_values
from tiny_agents.cli.prompt.prompts import (
    STDIN,
    compose_prompt,
    is_terminal,
    prompt_file,
    read_prompt_file,
    read_stdin,
)
from tiny_agents.cli.report import LOADING, STARTING, Reporter, outcome, set_up_diagnostics, terminal_is_gone
from tiny_agents.cli.saving import (
    Saving,
    agent_of,
    how_to_come_back,
    is_wanted,
    last_of_agent,
    model_flags,
    open_session,
    past_session,
    plan_saving,
    say_what_changed,
    say_what_was_left,
    show_recap,
)
from tiny_agents.cli.screen.banner import is_embedded, model_words, show_banner
from tiny_agents.cli.screen.safe_text import one_line
from tiny_agents.cli.screen.terminal import Style, abilities
from tiny_agents.cli.screen.turns import show_turn, stop_notice
from tiny_agents.cli.screen.views import screen_and_answer
from tiny_agents.data_dir import data_dir
from tiny_agents.errors import ServerConnectionError, TinyAgentsError, UsageError
from tiny_agents.inference.base import check
from tiny_agents.inference.credentials import find_token
from tiny_agents.mcp_client.bounds import Pinning
from tiny_agents.mcp_client.host.host import Host
from tiny_agents.mcp_client.host.hosts import HeadlessHost
from tiny_agents.mcp_client.tools.known_servers import KnownServers, file_of

SLOW_START_S = 2.0
"""Seconds of silence before we say that servers are still starting."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be done, decided.

    Attributes:
        prompt: For one-shot use; None is a conversation.
        pinning: What the command line says about tools that change.
        accept_tools: Take those that changed as they are now.
        permission: What it says about calls that would be asked about.
        someone_is_there: Somebody can be asked.
        checksum: Of the definition as it stands in its file.
        log: File to which what happens is written; with what is said, if `log_content`.
        quiet: Show the answer and errors alone.
        tools: Whether the model gets any, those of the loop included.
        locked: What the agent's tools have to be like, once they are known; None without a lock.
        shows_usage: Say at the end what was used.
        roots: Folders that all servers are told they may work in, but those with `roots` of their own.
        saving: How the conversation is saved; None if it isn't.
        again: Prepares all of this anew.
    """

    definition: AgentDefinition
    model: ModelSettings
    prompt: str | None
    pinning: Pinning | None = None
    accept_tools: bool = False
    locked: Locked | None = None
    shows_usage: bool = False
    roots: tuple[Path, ...] = ()
    saving: Saving | None = None
    permission: Decision | None = None
    someone_is_there: bool = False
    checksum: str = ""
    log: Path | None = None
    log_content: bool = False
    quiet: bool = False
    tools: bool = True
    again: Callable[[], Plan] | None = None


def command(arguments: Namespace, reporter: Reporter) -> int:
    """Do `tiny-agents run`."""
    set_up_diagnostics(reporter)
    leave_by_exception()
    reporter.only_errors = arguments.quiet
    if arguments.output == "text":
        return asyncio.run(_run(prepare(arguments, reporter), reporter))
    machine = Machine(arguments.output)
    reporter.listener = machine.told
    code = outcome(reporter, lambda: asyncio.run(_run(prepare(arguments, reporter), reporter, machine)))
    reporter.listener = None
    machine.end(code)
    return code


# ---- before anything is started


def prepare(arguments: Namespace, reporter: Reporter) -> Plan:
    """Read and check everything, ask what has to be asked.

    Raises:
        TinyAgentsError: Something is missing or wrong; nothing has been started.
    """
    config = read_config(os.environ)
    someone_is_there = is_terminal(sys.stdin) and is_terminal(sys.stderr)
    past = past_session(arguments)
    ref = agent_of(arguments, past)
    with reporter.notice_if_slow(LOADING):
        written, locked = load_as_locked(ref, arguments.lock, allow_paths=arguments.allow_path, warn=reporter.warning)
    if (system := getattr(arguments, "system", None)) is not None:
        written = replace(written, prompt=system)
    if arguments.last and past is None:
        past = last_of_agent(ref, written)
    flags = model_flags(settings_of_flags(arguments), os.environ, past)
    definition = _startable(with_output_and_limits(written, arguments), reporter)
    passwords = {wanted.id for wanted in definition.inputs if wanted.password}
    given = given_values(arguments.input)
    reporter.secrets += [value for id, value in given.items() if id in passwords]
    prompt = _one_shot_prompt(arguments.prompt, reporter)
    if prompt is None and (arguments.output != "text" or arguments.quiet):
        flag = "--quiet" if arguments.output == "text" else f"--output {arguments.output}"
        raise UsageError(f"{flag} is for a single prompt: add --prompt TEXT, or pipe one in")
    if not arguments.trust:
        # All of it, also what can't be started here yet: the answer will hold when it can.
        require_trust(written, TrustStore.of_user(), can_ask=someone_is_there, warn=reporter.warning)
    definition = resolve_inputs(
        without_overridden(definition, flags, os.environ),
        values=given,
        ask=ask_for_input if someone_is_there else None,
        warn=reporter.warning,
        keeper=Keyring(owner_of(definition), reporter.warning),
        remember=arguments.remember,
    )
    reporter.secrets += definition.secrets
    log = None if arguments.log is None else Path(arguments.log).expanduser()
    if log is not None:
        RunLog(log).close()
    token = find_token()
    roots = tuple(_folder(text) for text in arguments.root)
    model = chosen_model(flags, os.environ, definition, config)
    reporter.secrets += [key for key in (model.api_key, token) if key]
    check(Agent.from_definition(definition, model).client)
    plan = Plan(_startable(definition, reporter), model, prompt, arguments.pinning, arguments.accept_tools, locked)
    saving = (
        plan_saving(ref, written, model, past, reporter.secrets)
        if is_wanted(arguments, written, config=config)
        else None
    )
    return replace(
        plan,
        shows_usage=arguments.usage or bool(config.usage),
        roots=roots,
        saving=saving,
        permission=arguments.permission or config.permission,
        someone_is_there=someone_is_there,
        checksum=definition_hash(written),
        log=log,
        log_content=arguments.log_content,
        quiet=arguments.quiet,
        tools=arguments.command != "chat",
        again=partial(prepare, arguments, reporter),
    )


def with_output_and_limits(definition: AgentDefinition, arguments: Namespace) -> AgentDefinition:
    """`definition` with what the command line says about the answer's form, and about limits.

    Raises:
        UsageError: The file of the schema can't be used.
    """
    if arguments.output_schema is not None:
        schema = read_schema(Path(arguments.output_schema).expanduser())
        definition = replace(definition, output={**definition.output, "schema": schema})
    return replace(definition, limit_values={**definition.limit_values, **limits_given(arguments)})


def _folder(text: str) -> Path:
    folder = Path(text).expanduser().absolute()
    if not folder.is_dir():
        raise UsageError(f"--root: there is no folder {text}")
    return folder


def _startable(definition: AgentDefinition, reporter: Reporter) -> AgentDefinition:
    """`definition` without the servers that can't be started on this machine, which are told.

    Raises:
        ServerConnectionError: None of them can, or a required one can't.
    """
    missing = {
        server.name: problem
        for server in definition.servers
        for problem in missing_requirements(replace(definition, servers=(server,)))
    }
    required = [server.name for server in definition.servers if server.required and server.name in missing]
    if required or (missing and len(missing) == len(definition.servers)):
        first, *others = sorted(missing, key=lambda name: name not in required)
        for name in others:
            reporter.warning(missing[name])
        raise ServerConnectionError(missing[first], server=first)
    for problem in missing.values():
        reporter.warning(problem)
    return replace(definition, servers=tuple(s for s in definition.servers if s.name not in missing))


def _one_shot_prompt(flag: str | None, reporter: Reporter) -> str | None:
    """The prompt, or None for a conversation."""
    if flag == STDIN:
        return compose_prompt(None, read_stdin(sys.stdin, reporter.notice))
    if flag is not None:
        path = prompt_file(flag)
        flag = read_prompt_file(path) if path is not None else flag.removeprefix("@") if flag[:2] == "@@" else flag
    if is_terminal(sys.stdin):
        if flag is None and is_terminal(sys.stdout):
            return None
        return compose_prompt(flag, None)
    return compose_prompt(flag, read_stdin(sys.stdin, reporter.notice, optional=flag is not None))


# ---- from here on servers and models are at work


async def _run(plan: Plan, reporter: Reporter, machine: Machine | None = None) -> int:
    """Start the agent, work, end its servers. Errors are told here: they no longer mean that nothing was started."""
    interrupts = Interrupts()
    try:
        with interrupts.leaving():
            turn = asyncio.Lock()
            make = partial(
                _agent,
                host=_host(plan, reporter, turn),
                known=KnownServers(file_of(os.environ)),
                gate=partial(_gate, reporter=reporter, turn=turn, machine=machine),
            )
            session = await open_session(plan.saving)
            agent = make(plan, session)
            try:
                if machine is not None:
                    machine.begin(plan.definition, plan.model, session)
                return await _work(agent, session, plan, make, interrupts, reporter, machine)
            finally:
                await undisturbed(agent.cleanup())
    except Exception as error:
        if isinstance(error, BrokenPipeError) or terminal_is_gone(error):
            raise
        reporter.error(error)
        return ExitCode.FAILED


Make = Callable[[Plan, Session | None], Agent]
"""Makes the agent that a plan is about; nothing of it is started."""


def _agent(
    plan: Plan, session: Session | None, *, host: Host, known: KnownServers, gate: Callable[[Plan], PermissionGate]
) -> Agent:
    agent = Agent.from_definition(
        plan.definition,
        plan.model,
        host=host,
        pinning=plan.pinning,
        known_servers=known,
        gate=gate(plan),
        session=session,
        locked=plan.locked,
        checksum=plan.checksum,
        run_log=plan.log,
        capture_content=True if plan.log_content else None,
    )
    if not plan.tools:
        agent.exit_loop_tools = ()
    return agent


def _host(plan: Plan, reporter: Reporter, turn: asyncio.Lock) -> Host:
    """With a single prompt servers can't ask anybody."""
    if plan.prompt is not None:
        return HeadlessHost(reason="this answers a single prompt, so nobody can be asked", roots=plan.roots)
    return TerminalHost(
        lambda: reporter.before_line(), read_line=partial(_typed, reporter, sys.stdout), roots=plan.roots, turn=turn
    )


async def _typed(reporter: Reporter, stream: TextIO, question: str) -> str | None:
    """A line from the terminal; nothing else is written while it is typed."""
    with reporter.holding_back(), reporter.quiet():
        return await read_terminal_line(question, stream)


async def _work(
    agent: Agent,
    session: Session | None,
    plan: Plan,
    make: Make,
    interrupts: Interrupts,
    reporter: Reporter,
    machine: Machine | None,
) -> ExitCode:
    """Load the tools, then answer the one prompt or talk until the user leaves."""
    with agent.events() as events:
        try:
            await _load_tools(agent, reporter)
        finally:
            if machine is not None:
                machine.servers(agent, events.taken())
    one_shot = plan.prompt is not None
    nothing_works = bool(agent.failed_servers) and not agent.connections
    _say_what_loaded(agent, plan, reporter, reporter.error if one_shot and nothing_works else reporter.warning)
    say_what_changed(plan.saving, [tool.function.name for tool in agent.available_tools], reporter)
    if plan.prompt is None:
        return await _converse(agent, session, plan, make, interrupts, reporter)
    if nothing_works:
        return ExitCode.FAILED
    say_what_was_left(session, reporter)
    if machine is None:
        return await _answer(agent, session, plan, plan.prompt, reporter)
    await machine.answer(agent, plan.prompt)
    if (notice := stop_notice(agent)) is not None:
        reporter.notice(notice)
    return _exit_code(agent)


def _say_what_loaded(agent: Agent, plan: Plan, reporter: Reporter, failed: Callable[[BaseException], None]) -> None:
    """What there is to say once servers were started; those that could not be go to `failed`."""
    if plan.accept_tools:
        for server, names in agent.accept_tools().items():
            reporter.notice(f"Accepted as they are now, of {one_line(server)}: {', '.join(map(one_line, names))}.")
    if not agent.failed_servers and not plan.definition.tools.agents:  # whose servers start with their first task
        tools = [(name, tool.name) for name, connection in agent.connections.items() for tool in connection.tools]
        for rule in permissions_of(plan.definition).idle(tools):
            reporter.warning(f"permissions: {one_line(rule)} fits no tool of this agent's servers")
    for error in agent.failed_servers.values():
        failed(error)


def _exit_code(agent: Agent) -> ExitCode:
    """The status for a prompt that was worked on to its end."""
    if stop_notice(agent) is None:
        return ExitCode.DONE
    return ExitCode.LIMIT if agent.stop_reason in LIMIT_STOPS.values() else ExitCode.FAILED


def _gate(plan: Plan, reporter: Reporter, turn: asyncio.Lock, machine: Machine | None) -> PermissionGate:
    """The definition's rules and the command line's; a person is asked where one is there and wants to be."""
    permissions = permissions_of(plan.definition)
    if plan.permission is not None:
        permissions = permissions.with_mode(plan.permission)
    answers = PermissionAnswers.of_user(owner_of(plan.definition), plan.definition.name)
    if plan.permission in ("allow", "deny") or not plan.someone_is_there:
        return PermissionGate(permissions, None, answers)
    stream = sys.stdout if plan.prompt is None else sys.stderr

    def say(text: str) -> None:
        reporter.before_line()
        stream.write(f"{text}\n")
        stream.flush()

    columns = abilities(stream, os.environ).columns
    approver = TerminalApprover(say, partial(_typed, reporter, stream), turn, columns=columns)
    return PermissionGate(permissions, approver if machine is None else machine.approving(approver), answers)


async def _load_tools(agent: Agent, reporter: Reporter) -> None:
    timer = asyncio.get_running_loop().call_later(SLOW_START_S, reporter.notice, STARTING)
    before_line, reporter.before_line = reporter.before_line, timer.cancel  # nobody is told to wait who is being asked
    try:
        await agent.load_tools()
    finally:
        timer.cancel()
        reporter.before_line = before_line


async def _answer(agent: Agent, session: Session | None, plan: Plan, prompt: str, reporter: Reporter) -> ExitCode:
    """One prompt: the answer to standard output, everything else to standard error."""
    aside = io.StringIO() if plan.quiet else sys.stderr
    screen, renderer = screen_and_answer(agent, sys.stdout, aside)
    reporter.before_line, reporter.quiet = screen.fresh_line, screen.holding_back
    if is_embedded(plan.model):
        screen.line(model_words(plan.model), Style.DIM)
    try:
        await show_turn(agent, agent.run(prompt), renderer)
    except BaseException:
        renderer.abandon()
        raise
    notice = stop_notice(agent)
    answered = agent.result is not None and agent.result.has_answer
    if answered:
        output = agent.result.output if agent.result is not None else None
        renderer.hand_over(None if output is None else json.dumps(output, indent=2, ensure_ascii=False))
        renderer.say_origin()
    else:
        renderer.abandon()
    if notice is not None:
        way_back = how_to_come_back(session)
        screen.line(f"{notice} Go on with: {way_back}" if way_back else notice, Style.WARNING)
        if plan.quiet:
            reporter.error(TinyAgentsError(notice))
    if plan.shows_usage:
        screen.line(str(agent.usage), Style.DIM)
    return _exit_code(agent)


async def _converse(
    agent: Agent, session: Session | None, plan: Plan, make: Make, interrupts: Interrupts, reporter: Reporter
) -> ExitCode:
    from tiny_agents.cli.live.shelf import Shelf
    from tiny_agents.cli.prompt.line_editor import LineEditor, open_history
    from tiny_agents.cli.prompt.prompt_completion import PromptCompleter
    from tiny_agents.cli.reloading import Watch, reload
    from tiny_agents.cli.repl import Conversation
    from tiny_agents.cli.screen.status import prompt_words
    from tiny_agents.cli.screen.views import screen_and_views
    from tiny_agents.cli.slash.talk import Talk

    screen, view = screen_and_views(sys.stdout)
    reporter.before_line = screen.fresh_line
    tool_counts = {name: len(connection.tools) for name, connection in agent.connections.items()}
    show_banner(screen, plan.definition, plan.model, tool_counts)
    show_recap(session, screen)
    talk = Talk(
        agent, plan.definition, screen, Shelf(), lambda: view(talk), saving=plan.saving, secrets=reporter.secrets
    )
    past_prompts = open_history(data_dir(os.environ), plan.definition.name, owner_of(plan.definition), reporter.warning)
    lines = LineEditor(past_prompts, PromptCompleter(talk), lambda: prompt_words(talk.agent))

    @contextmanager
    def quiet() -> Iterator[None]:
        with screen.holding_back(), lines.standing_back():
            yield

    reporter.quiet = quiet

    async def load(other: Agent, plan: Plan) -> None:
        await _load_tools(other, reporter)
        _say_what_loaded(other, plan, reporter, reporter.warning)

    talk.watch = Watch(plan.definition.sources)
    if plan.again is not None:
        talk.reload = partial(
            reload, talk, interrupts, prepare=plan.again, make=lambda plan: make(plan, None), load=load
        )
    try:
        code = await Conversation(talk, lines, interrupts, reporter).run()
    finally:
        if talk.agent is not agent:  # whoever made the first one ends it
            await undisturbed(talk.agent.cleanup())
    if plan.shows_usage:
        screen.line(str(talk.agent.usage), Style.DIM)
    if way_back := how_to_come_back(talk.agent.session):
        screen.line(f"Come back to this conversation with: {way_back}", Style.DIM)
    return code
