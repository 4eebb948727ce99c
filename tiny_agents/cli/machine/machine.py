"""`--output json` and `jsonl`: a run for programs. Standard output holds records and nothing else."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from typing import Any, Literal, TextIO

from tiny_agents import __version__
from tiny_agents.agent.agent import Agent
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.agent.model_choice import ModelSettings
from tiny_agents.agent.permissions.gate import Approval, Approve
from tiny_agents.agent.sessions.session import Session
from tiny_agents.cli.exit_codes import ExitCode, root_cause
from tiny_agents.cli.machine import records
from tiny_agents.cli.machine.event_records import RecordReader, as_line, end_record, event_record, plain
from tiny_agents.cli.screen.turns import EXIT_TOOLS
from tiny_agents.errors import public_url
from tiny_agents.mcp_client.calls.gate import CallRequest
from tiny_agents.mcp_client.events import ServerEvent

MADE_NO_RECORD = frozenset({ExitCode.BROKEN_PIPE})


class Machine:
    """Writes the records of one run.

    Args:
        form: "jsonl" writes each as it comes, "json" the last one alone.
        stream: Where to; standard output if left out.

    Attributes:
        agent: Once there is one: what came of its run is in the last record.
        session: Where the conversation is saved.
    """

    def __init__(self, form: Literal["json", "jsonl"], stream: TextIO | None = None) -> None:
        self._each = form == "jsonl"
        self._stream = stream or sys.stdout
        self._error: records.Error | None = None
        self._broken = False
        self.agent: Agent | None = None
        self.session: Session | None = None

    def add(self, record: records.Record) -> None:
        """Write a record, if each is written."""
        if self._each:
            self._write(record)

    def told(self, kind: str, text: str, error: BaseException | None = None) -> None:
        """What the program says on standard error: "error", "warning" or a notice."""
        if kind == "error":
            name = "Error" if error is None else type(root_cause(error)).__name__
            self._error = records.Error(kind=name, message=text)
            self.add(self._error)
        elif kind == "warning":
            self.add(records.Warning(message=text))
        else:
            self.add(records.Notice(message=text))

    def begin(self, definition: AgentDefinition, model: ModelSettings, session: Session | None) -> None:
        """The first record."""
        self.session = session
        kind, where = model.place or ("", "")
        self.add(
            records.Start(
                version=records.VERSION,
                program=__version__,
                agent=definition.name,
                model=public_url(model.model) if model.model and "://" in model.model else model.model,
                provider=where if kind == "provider" else None,
                endpoint=public_url(where) if kind == "url" else None,
                session=session.id if session is not None else None,
            )
        )

    def servers(self, agent: Agent, events: Iterable[ServerEvent]) -> None:
        """What happened while the servers started, and what became of each."""
        self.agent = agent
        for event in events:
            self.add(event_record(event))
        for name, connection in agent.connections.items():
            self.add(records.Server(name=name, state="ready", tools=[tool.name for tool in connection.tools]))
        for name, error in agent.failed_servers.items():
            self.add(records.Server(name=name, state="failed", message=str(error)))

    async def answer(self, agent: Agent, prompt: str) -> None:
        """Run the prompt; what happens becomes records."""
        reader = RecordReader(agent.origin_of, EXIT_TOOLS)
        async for item in agent.run(prompt, events=True):
            for record in reader.read(item):
                self.add(record)

    def approving(self, approve: Approve) -> Approve:
        """`approve`, with a record of each question and of its answer."""

        async def recorded(request: CallRequest) -> Approval:
            self.add(
                records.Ask(
                    server=request.server,
                    kind="permission",
                    message=request.name,
                    detail=plain(dict(request.arguments)),
                )
            )
            said = await approve(request)
            approval = said if isinstance(said, Approval) else Approval("once" if said else "no")
            self.add(
                records.Answered(
                    server=request.server, tool=request.tool, answer=approval.answer, reason=approval.reason
                )
            )
            return approval

        return recorded

    def end(self, code: int) -> None:
        """The last record; none for a reader that has left."""
        if code in MADE_NO_RECORD or self._broken:
            return
        session = self.session
        saved = session.id if session is not None and session.is_saved else None
        result = self.agent.result if self.agent is not None else None
        self._write(end_record(code, result, session=saved, error=self._error))

    def _write(self, record: Any) -> None:
        if self._broken:
            return
        try:
            self._stream.write(as_line(record))
            self._stream.flush()
        except OSError:
            self._broken = True  # a full disk, or a reader that left: nothing more can be said here
            raise
