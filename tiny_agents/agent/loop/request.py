"""One request while it is worked on: what it has used, what its next turn is like, and how it ends.

The loop in `agent.py` asks; what is decided here is decided by the rules.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from pathlib import PurePath
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec
from msgspec.structs import replace

from tiny_agents.agent.loop.abort import until_aborted
from tiny_agents.agent.loop.exit_tools import EXIT_TOOL_NAMES
from tiny_agents.agent.loop.limits import DEFAULT_MODEL_CALLS, LimitName, LimitReached, Limits
from tiny_agents.agent.loop.result import AgentResult, Message
from tiny_agents.agent.loop.rules import LoopState, StopReason, Turn, after_turn, asked_again, close_turn, room_beside
from tiny_agents.agent.loop.usage import Usage, is_counted, usage_of_call
from tiny_agents.errors import InvalidResponseError
from tiny_agents.inference.types.chat import ChatCompletionInputMessage
from tiny_agents.mcp_client.asking.turns import Asked, TurnOptions, View
from tiny_agents.mcp_client.calls.planning import CUT_REASONS, PlannedCall
from tiny_agents.mcp_client.observing.observing import CANCELLED, AgentRun

if TYPE_CHECKING:
    from tiny_agents.agent.loop.output import Output
    from tiny_agents.agent.loop.prices import Price
    from tiny_agents.mcp_client.events import AtHand

T = TypeVar("T")

UserInput = str | Sequence[Mapping[str, Any]]
"""What a user says: text, or parts of a message such as `{"type": "image_url", "image_url": {"url": ...}}`."""


class Request:
    """A request that has been added to `messages`.

    Args:
        messages: The conversation; grows by the request, and is closed by `end`.
        said: What the user says: text, or parts.
        price: What the model that is asked costs at the moment.
        params: Further arguments of each chat call.
        output: What the final answer has to be; None for any text.
        has_tools: Whether there are tools that do something.
        run: The same for those who observe; it begins and ends with the request.
        view: What is sent of the conversation.
        heard: Told of each answer; returns an estimate of what the model read for it.
        outer: The request of another agent that this one is a part of: what is left of its limits holds here too, and what
            is used here is used there.

    Attributes:
        stop: Why the run ends; None while it goes on.
        time_is_up: Set when `limits.seconds` have passed; None where there is no such limit.
    """

    def __init__(
        self,
        messages: list[Message],
        said: UserInput,
        limits: Limits,
        *,
        price: Callable[[], Price | None],
        params: Mapping[str, Any],
        output: Output | None = None,
        has_tools: Callable[[], bool] = lambda: True,
        run: AgentRun,
        view: View | None = None,
        heard: Callable[[Asked], int | None] = lambda _: None,
        outer: Request | None = None,
    ) -> None:
        self.message = ChatCompletionInputMessage(
            role="user", content=said if isinstance(said, str) else [dict(part) for part in said]
        )
        self.time_is_up: asyncio.Event | None = None
        self._messages = messages
        self._limits = limits
        self._price = price
        self._params = params
        self._output = output
        self._has_tools = has_tools
        self._view = view
        self._heard = heard
        self._found: Any = None  # the final answer as it has to be
        self._problem = ""  # why the last answer isn't that
        self._asked_again = 0
        self._start = self._before = len(messages)
        self._state = LoopState()
        self._usage: Usage | None = None  # of the turn that is going on, once there is an answer
        self._calls: list[Usage] = []  # of the turns before
        self._carried_out = self._refused = 0  # tool calls of that turn
        self._model: str | None = None
        self._finish_reason: str | None = None  # of the latest answer
        self._outer = outer
        self._inner: list[Usage] = []  # of model calls that agents made as tools of that turn
        self._held = 0  # model calls that they are about to make
        self._holds = False  # whether one is held for this request at the outer one
        self._began = time.monotonic()
        self._timer: asyncio.TimerHandle | None = None
        if (seconds := self._limits_now().seconds) is not None:
            self.time_is_up = asyncio.Event()
            self._timer = asyncio.get_running_loop().call_later(seconds, self.time_is_up.set)
        self._hold(True)
        messages.append(self.message)
        self.run = run
        run.begin()

    @property
    def stop(self) -> StopReason | None:
        return self._state.stop

    def bounded(self, items: AsyncGenerator[T, None], abort_event: asyncio.Event | None) -> AsyncGenerator[T, None]:
        """`items`, until the event is set or the time is up."""
        events = [event for event in (abort_event, self.time_is_up) if event is not None]
        return until_aborted(items, *events) if events else items

    # ---- requests that are a part of this one

    def left(self) -> dict[LimitName, float]:
        """What is left of the limits, also of those of the request that this one is a part of; less than 1 model call
        means that there is none: one is kept for the answer."""
        limits = self._limits_now()
        used = self._used()
        kept = {"model_calls": 1}
        left = {
            name: most - used.get(name, 0) - kept.get(name, 0)
            for name in _SHARED
            if (most := getattr(limits, name)) is not None
        }
        if limits.model_calls is None:
            left["model_calls"] = DEFAULT_MODEL_CALLS - used["model_calls"] - 1
        if limits.seconds is not None:
            left["seconds"] = limits.seconds - (time.monotonic() - self._began)
        return left

    def has_room(self) -> bool:
        """Whether one more model call beside its own is within what is left."""
        left = self.left()
        return left["model_calls"] >= 1 and all(left.get(name, 1) > 0 for name in _SPENT)

    def share(self, usage: Usage) -> None:
        """An agent or a task that is a tool has used something."""
        self._inner.append(usage)
        if self._outer is not None:
            self._outer.share(usage)

    def hold(self, calls: int) -> None:
        """So many more model calls are about to be made by agents that are tools, or (below 0) were made or given up: of
        those that work at the same time, none takes another's."""
        self._held += calls
        if self._outer is not None:
            self._outer.hold(calls)

    def _hold(self, holds: bool) -> None:
        """Have the next model call of this request held at the outer one, or not any more."""
        if self._outer is not None and holds is not self._holds:
            self._outer.hold(1 if holds else -1)
        self._holds = holds

    def share_call(self) -> None:
        """An agent that is a tool makes a tool call."""
        self._carried_out += 1
        if self._outer is not None:
            self._outer.share_call()

    def _used(self) -> dict[LimitName, float]:
        """What was used up to now, also in the turn that is going on."""
        usage = sum(self._inner, self._state.usage + (self._usage or Usage()))
        return {
            "model_calls": self._state.turns
            + sum(inner.model_calls for inner in self._inner)
            + self._held
            + (self._usage is not None),
            "tool_calls": self._state.tool_calls + self._carried_out,
            "tokens": usage.total_tokens,
            "cost_usd": usage.cost_usd or 0.0,
        }

    def _limits_now(self) -> Limits:
        return self._limits if self._outer is None else self._limits.within(self._outer.left(), self._used())

    # ---- turns

    def next_turn(self, at_hand: AtHand | None = None) -> TurnOptions:
        """A turn begins: how it is to be done, and who is told what is at hand."""
        self._before = len(self._messages)
        self._usage, self._carried_out, self._refused = None, 0, 0
        reached = self._state.reached
        note = reached.note if reached is not None else None
        options = TurnOptions(
            params=self._params,
            tools="auto" if reached is None else "none",
            note=note,
            refuse=self._refuse,
            asked=self._asked,
            within=self.run,
            view=self._view,
            request=self,
            at_hand=at_hand,
        )
        if self._output is not None and (self._problem or not self._has_tools()):
            options = replace(options, params={**self._params, "response_format": self._output.response_format})
            options = replace(options, tools="absent", note=self._question(note))
        return options

    def _question(self, note: str | None) -> str | None:
        """What the model is told about its last answer: in a message of its own, or where it gave none, in a note."""
        if not self._problem or self._output is None:
            return note
        question = self._output.question(self._problem)
        if self._messages[-1].get("role") != "assistant":
            return question
        self._messages.append(ChatCompletionInputMessage(role="user", content=question))
        self._before = len(self._messages)
        return note

    def _refuse(self, call: PlannedCall) -> str | None:
        most, made = self._limits_now().tool_calls, self._state.tool_calls + self._carried_out
        if most is not None and made >= most:
            self._refused += 1
            return LimitReached("tool_calls", most, made).refusal
        self.share_call()
        return None

    def _asked(self, asked: Asked) -> None:
        fold = asked.fold
        self._finish_reason = fold.finish_reason
        estimate = self._heard(asked)
        price = self._price()
        answer = None if is_counted(fold.usage) else fold.message()
        self._usage = usage_of_call(fold.usage, asked.messages, asked.tools, answer, price, estimate=estimate)
        if isinstance(fold.model, str) and fold.model:
            self._model = PurePath(fold.model).name if fold.model.endswith(".gguf") else fold.model
        if self._outer is not None:
            self._outer.share(self._usage)
        self._hold(False)

    def affords(self, tokens: int) -> bool:
        """Whether a call for a summary, of about so many tokens, leaves the limits room for what comes after it."""
        price = self._price()
        cost_usd = None if price is None else price.cost_usd(tokens, 0)
        return room_beside(self._state, self._limits_now(), tokens, cost_usd)

    def spend(self, usage: Usage) -> None:
        """The model was called for a summary."""
        self._state = replace(self._state, turns=self._state.turns + 1, usage=self._state.usage + usage)
        if usage.model_calls:
            self._calls.append(usage)
        if self._outer is not None:
            self._outer.share(usage)

    def turned(self) -> None:
        """The turn is over."""
        usage = self._usage or Usage(model_calls=1)
        limits = self._limits_now()
        inner = sum(self._inner, Usage())
        turn = Turn(self._messages[self._before :], usage, self._carried_out, self._refused, inner)
        self._calls += [usage, *_of_models(self._inner)]
        self._usage, self._inner, self._carried_out = None, [], 0
        self._state = after_turn(self._state, turn, limits=limits, exit_tools=EXIT_TOOL_NAMES)
        if self._output is not None and self._state.stop is not None:
            self._check(self._output, turn, limits)
        self._hold(self._state.stop is None)

    def _check(self, output: Output, turn: Turn, limits: Limits) -> None:
        """See whether the final answer is what was asked for; else ask again, if that may still be done."""
        text, _ = _last_text(turn.added)
        try:
            self._found, self._problem = output.read(text) if text else None, "" if text else "there is none."
        except InvalidResponseError as error:
            self._problem = str(error)
        if not self._problem or self._state.stop not in ("done", "exit_tool"):
            return
        if self._asked_again >= output.retries:
            self._state = replace(self._state, stop="bad_output")
            return
        self._asked_again += 1
        self._state = asked_again(self._state, turn, limits)

    # ---- the end

    def failed(self, error: Exception) -> None:
        """An error ends the run."""
        self.run.fail(error)

    def end(self, stop: StopReason, model: str | None) -> AgentResult:
        """The run is over for this reason: close the history, and say what came of it.

        Args:
            model: Who was asked, where the server gave no name.
        """
        self._hold(False)
        if self._timer is not None:
            self._timer.cancel()
        duration_s = time.monotonic() - self._began
        text, whole = _last_text(self._messages[self._start + 1 :])
        close_turn(self._messages, self._start, stop)
        limit = self._state.reached
        if stop == "time_limit" and self._limits.seconds is not None:
            limit = LimitReached("seconds", self._limits.seconds, round(duration_s, 3))
        result = AgentResult(
            text=text,
            output=self._found,
            problem=self._problem if self._output is not None else "",
            stop_reason=stop,
            limit=limit if stop not in ("aborted", "failed") else None,
            has_answer=self._finish_reason not in CUT_REASONS
            and (stop in ("done", "exit_tool") or (whole and stop not in _WITHOUT_ANSWER)),
            finish_reason=self._finish_reason,
            messages=tuple(self._messages[self._start :]),
            usage=sum(self._inner, self._state.usage + (self._usage or Usage())),
            calls=(*self._calls, *([self._usage] if self._usage is not None else []), *_of_models(self._inner)),
            tool_calls=self._state.tool_calls + self._carried_out,
            duration_s=duration_s,
            model=self._model or model,
        )
        end_run(self.run, result)
        return result


def end_run(run: AgentRun, result: AgentResult) -> None:
    """Tell those who observe a run what came of it."""
    run.stop_reason, run.text, run.has_answer = result.stop_reason, result.text, result.has_answer
    run.limit = str(result.limit or "")
    run.usage = {**msgspec.structs.asdict(result.usage), "tool_calls": result.tool_calls}
    if not run.error and result.stop_reason in _ERRORS:
        run.error, run.message = _ERRORS[result.stop_reason], result.problem
    run.end()


_ERRORS: Mapping[StopReason, str] = {"aborted": CANCELLED, "failed": "failed", "bad_output": "bad_output"}
"""Reasons to stop that are errors, where no exception was one."""


def _of_models(usages: Sequence[Usage]) -> list[Usage]:
    """Those of model calls, without those of other tasks."""
    return [usage for usage in usages if usage.model_calls]


_SPENT: tuple[LimitName, ...] = ("tokens", "cost_usd", "seconds")
_SHARED: tuple[LimitName, ...] = ("model_calls", "tool_calls", "tokens", "cost_usd")
_WITHOUT_ANSWER = frozenset({"aborted", "failed", "time_limit", "empty", "bad_output"})


def _last_text(added: Sequence[Any]) -> tuple[str, bool]:
    """What the model wrote last, and whether nothing came after it."""
    for message in reversed(added):
        content = message.get("content")
        if message.get("role") == "assistant" and isinstance(content, str) and content:
            return content, message is added[-1]
    return "", False
