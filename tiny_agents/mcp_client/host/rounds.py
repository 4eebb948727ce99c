"""A tool call that waits for somebody: what its server asks before it goes on, kept as plain data until that is answered.

A server of the protocol of 2026-07-28 may answer a call with questions and a state of its own; the call goes on when it is
made again with the answers and that state, by whom and in which process doesn't matter. `MCPClient.call_tool(...,
on_input="return")` hands such a step out, `MCPClient.resume_tool` goes on from it. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

import msgspec

from tiny_agents.errors import UsageError
from tiny_agents.mcp_client.host.forms import form_problems
from tiny_agents.mcp_client.host.host import FormRequest, Reply, UrlRequest, with_defaults
from tiny_agents.mcp_client.text import readable

OnInput = Literal["ask", "return"]
"""Who answers what a server asks during a call: the client's host, or the caller, later."""


class Round(msgspec.Struct, frozen=True):
    """What a call is made again with; the first one has neither."""

    answers: Mapping[str, Any] = msgspec.field(default_factory=dict)
    state: str | None = None


class PendingRounds(msgspec.Struct, frozen=True):
    """A tool call in the middle, as plain data: `as_dict()` is JSON, `PendingRounds.from_dict` the way back.

    What the server's `state` holds is its own business; keep it as safe as the conversation it belongs to.

    Attributes:
        server: The server's name.
        identity: What it is (see `known_servers.identity_of`): the answers go to no other.
        tool: As the server spells it.
        arguments: What it was called with.
        requests: What is asked, by the ids with which it has to be answered: `method` and `params` as the protocol has
            them. Empty where the server only wants the call to be made again later.
        state: The server's own, to be sent back as it is.
    """

    server: str
    identity: str
    tool: str
    arguments: dict[str, Any]
    requests: dict[str, dict[str, Any]] = msgspec.field(default_factory=dict)
    state: str | None = None

    @property
    def questions(self) -> dict[str, FormRequest | UrlRequest]:
        """Of the requests, those that are for a person, in the form a `Host` gets them."""
        return {
            id: self._question(request["params"])
            for id, request in self.requests.items()
            if request["method"] == "elicitation/create"
        }

    def _question(self, params: Mapping[str, Any]) -> FormRequest | UrlRequest:
        message = readable(str(params.get("message", "")))
        if params.get("mode") == "url":
            return UrlRequest(self.server, message, str(params.get("url", "")))
        return FormRequest(self.server, message, params.get("requestedSchema") or {})

    def as_dict(self) -> dict[str, Any]:
        """This as JSON data."""
        data: dict[str, Any] = msgspec.to_builtins(self)
        return data

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> PendingRounds:
        """What `as_dict` gave.

        Raises:
            UsageError: The data is something else.
        """
        try:
            return msgspec.convert(data, cls)
        except msgspec.ValidationError as error:
            raise UsageError(f"this is no tool call that waits for an answer: {error}") from error

    def resumed(self, answers: Mapping[str, Reply | Mapping[str, Any]]) -> Round:
        """What the call is made again with.

        Raises:
            UsageError: An answer is missing, is to nothing that was asked, or doesn't fit the form.
        """
        missing = [id for id in self.requests if id not in answers]
        strange = [id for id in answers if id not in self.requests]
        if missing or strange:
            asked = ", ".join(repr(id) for id in self.requests) or "nothing"
            raise UsageError(
                f"the call of '{self.tool}' waits for answers to {asked}; "
                + (f"{missing[0]!r} has none" if missing else f"{strange[0]!r} was not asked")
            )
        return Round({id: self._wire(id, answer) for id, answer in answers.items()}, self.state)

    def _wire(self, id: str, answer: Reply | Mapping[str, Any]) -> dict[str, Any]:
        if not isinstance(answer, Reply):
            return dict(answer)
        if answer.action != "accept":
            return {"action": answer.action}
        question = self.questions.get(id)
        if not isinstance(question, FormRequest):
            return {"action": "accept", **({} if answer.content is None else {"content": dict(answer.content)})}
        content = with_defaults(question.schema, answer.content or {})
        if problems := form_problems(question.schema, content):
            raise UsageError(f"the answer to {id!r} doesn't fit the form: {'; '.join(problems)}")
        return {"action": "accept", "content": content}
