"""`Context`: keeps what is sent of a conversation below what its model takes.

What is to be left out is decided by `cuts.py`, what is sent instead by `view.py`; here is what has to be remembered from one
turn to the next, and the one call of the model that writes a summary.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from tiny_agents.agent.context.cuts import carried, cut_at, groups, lead_of
from tiny_agents.agent.context.summary import (
    MAX_SUMMARY_CHARS,
    SUMMARY_SHARE,
    params_for_summary,
    question,
    without_model,
)
from tiny_agents.agent.context.tally import Tally, ToolTally, corrected
from tiny_agents.agent.context.view import (
    Compaction,
    composed,
    has_media,
    head_of,
    shortened_result,
    without_media,
)
from tiny_agents.agent.context.windows import excess_in, known_window
from tiny_agents.agent.loop.usage import BYTES_PER_TOKEN, Usage, estimated_tokens, usage_of_call
from tiny_agents.errors import InferenceError, ProviderError, UsageError
from tiny_agents.inference.settings import is_url
from tiny_agents.mcp_client.asking.deferral import MAX_TOOL_TOKENS
from tiny_agents.mcp_client.events import CompactedBy, ContextCompacted, ServerEvent
from tiny_agents.mcp_client.text import shortened

if TYPE_CHECKING:
    from tiny_agents.agent.context.settings import ContextSettings
    from tiny_agents.agent.loop.prices import Price
    from tiny_agents.inference.streams import AsyncChatStream
    from tiny_agents.mcp_client.asking.asking import Seat, Seats
    from tiny_agents.mcp_client.asking.turns import Asked
    from tiny_agents.mcp_client.observing.observing import ModelCall

logger = logging.getLogger("tiny_agents.agent")

AFTER = 0.5
"""How full the window is afterwards, as a share of what is allowed: else it would soon be done again."""

ENOUGH = 0.75
"""Leaving out images is enough if what remains is this share of what is allowed."""

WORTHWHILE = 0.1
"""Less than this share of what is allowed isn't summed up: where the rest is too long, it would be done every turn."""

QUESTION_SHARE = 0.7
"""Most of the window that the question for a summary may take."""

TOOL_SHARE = 4
"""Tools may take this part of the window before they are found by a search."""

MAX_QUESTION_CHARS = 400_000
MAX_THOUGHT_CHARS = 40_000
LEAST_RESULT_CHARS = 400
MOST_RESULT_SHARE = 0.25
MAX_TRIES = 2
"""How often a turn is asked again because a server says that it is too long."""

CALIBRATED_FROM = 200
"""Tokens below which what the server counted says more about its template than about our estimate."""

_THOUGHTS = re.compile(r"(?s)<think>.*?(?:</think>|\Z)")


class Purse(Protocol):
    """What pays for a summary."""

    def affords(self, tokens: int) -> bool:
        """Whether another call of about so many tokens leaves room for what comes after it."""

    def spend(self, usage: Usage) -> None:
        """It was made."""


class Account:
    """Pays for what is asked outside of requests."""

    def __init__(self) -> None:
        self.spent = Usage()

    def affords(self, tokens: int) -> bool:
        return True

    def spend(self, usage: Usage) -> None:
        self.spent += usage


class Context:
    """What of a conversation is sent. `agent.context`.

    Args:
        messages: The conversation, which is never changed.
        seats: The models, and which of them is asked at the moment.
        ask: Asks it.
        emit: Told when something is left out.
        params: Of the agent's calls.
        price: What the model costs.

    Attributes:
        settings: What the user wants.
        compaction: What is left out at the moment, and what stands in its place; None while all is sent.
        tokens: About how many tokens were sent with the last turn, tools included; 0 before the first.
        purse: What pays for summaries: the request that is being worked on.
        changed: Called when `compaction` or what is pinned has changed.
    """

    def __init__(
        self,
        settings: ContextSettings,
        *,
        messages: Callable[[], Sequence[Any]],
        seats: Seats,
        ask: Callable[[list[Any], Mapping[str, Any]], Awaitable[tuple[AsyncChatStream, ModelCall]]],
        emit: Callable[[ServerEvent], None],
        params: Mapping[str, Any],
        price: Callable[[], Price | None],
    ) -> None:
        self.settings = settings
        self.compaction: Compaction | None = None
        self.tokens = 0
        self.changed: Callable[[], None] = lambda: None
        self._messages = messages
        self._seats = seats
        self._ask = ask
        self._emit = emit
        self._params = params
        self._price = price
        self._tally = Tally()
        self._tools = ToolTally()
        self._factor = 1.0
        self._learnt: dict[str, int] = {}  # model -> what its server said that it takes
        self._pinned: dict[int, Any] = {}
        self._anchor: Any = None  # the last message that is left out: while it is in its place, the summary is right
        self._earlier: list[tuple[Compaction | None, Any]] = []  # those before, for a request that is taken back
        self._head: list[Any] | None = None
        self._head_of: list[Any] = []  # the messages of the system that it was made with
        self._head_tokens = 0
        self._stand_ins: dict[int, Any] = {}
        self._saved_by_stand_ins = 0
        self._raw = 0  # the estimate of what was sent last, before it is corrected
        self._tries = 0
        self.purse: Purse | None = None

    # ---- for users

    @property
    def max_tokens(self) -> int | None:
        """The window of the model that is asked at the moment, in tokens; None as long as nobody knows."""
        seat = self._seats.now
        learnt = self._learnt.get(seat.name)
        told = self.settings.max_tokens or (_window_of(seat) if learnt is None else None)
        return min((size for size in (told, learnt) if size is not None), default=None)

    @property
    def summary(self) -> str | None:
        """What stands in the place of what is left out."""
        return self.compaction.summary if self.compaction is not None else None

    @property
    def pinned(self) -> list[Any]:
        """Messages that are always sent word for word."""
        self._find_pinned(self._messages())
        return [self._pinned[position] for position in sorted(self._pinned)]

    def pin(self, *messages: Any) -> None:
        """Always send these messages of the conversation word for word, with what belongs to them (tool calls, results).

        Args:
            messages: Messages as they are in `agent.messages`, or their positions.

        Raises:
            UsageError: One of them isn't in the conversation.
        """
        for position in [self._position(message) for message in messages]:
            self._pinned[position] = self._messages()[position]
        self._head = None
        self.changed()

    def unpin(self, *messages: Any) -> None:
        """The end of `pin`; what isn't pinned doesn't matter."""
        for position in [self._position(message) for message in messages]:
            self._pinned.pop(position, None)
        self._head = None
        self.changed()

    def _position(self, message: Any) -> int:
        there = self._messages()
        if isinstance(message, int) and -len(there) <= message < len(there):
            return message % len(there)
        found = next((index for index, each in enumerate(there) if each is message), None)
        if found is None:
            raise UsageError(
                f"pin: this is none of agent.messages, and no position among them: {shortened(repr(message), 200)}"
            )
        return found

    # ---- for the agent

    def begin(self, purse: Purse) -> None:
        """A request begins, which pays for summaries."""
        self.purse = purse

    def tool_room(self) -> int | None:
        """How many tokens of tools are all sent; None for any number.

        A model that chooses its tools in another way gets them one by one, so for it only their number matters.
        """
        settings = self._seats.now.client.settings
        if settings.embedded or settings.tool_emulation:
            return None
        window = self.max_tokens
        return MAX_TOOL_TOKENS if window is None else min(MAX_TOOL_TOKENS, window // TOOL_SHARE)

    async def of(self, messages: Sequence[Any], tools: Sequence[Any], instructions: str | None) -> Sequence[Any]:
        """What is sent of `messages` in a turn, beside the tools and what is added to the system prompt."""
        self._tries = 0
        self._follow(messages)
        fixed = self._fixed(tools, instructions)
        limit = self._limit()
        if limit is not None and self.settings.compact and self._size(messages, fixed) > limit:
            await self._make_room(messages, fixed, limit)
        return self._view(messages, fixed)

    async def shorter(
        self, messages: Sequence[Any], tools: Sequence[Any], instructions: str | None, error: ProviderError
    ) -> Sequence[Any] | None:
        """What to send after the server's complaint that it was too much; None where that isn't what it complains about, or
        where nothing can be left out."""
        excess = excess_in(error)
        if excess is None or not self.settings.compact or self._tries >= MAX_TRIES:
            return None
        self._tries += 1
        fixed, raw = self._fixed(tools, instructions), max(self._raw, 1)
        if excess.sent:
            self._factor = corrected(excess.sent / raw)
        elif excess.window and raw * self._factor < excess.window:
            self._factor = corrected(1.1 * excess.window / raw)
        window = excess.window or int(0.9 * raw * self._factor)
        seat = self._seats.now
        self._learnt[seat.name] = window
        logger.info("the model '%s' takes about %d tokens (%s)", seat.name, window, error)
        limit = self._limit() or window
        if not await self._make_room(messages, fixed, limit / self._tries, forced=True):
            return None
        return self._view(messages, fixed)

    def heard(self, asked: Asked) -> int:
        """The model has answered: learn from what its server counted. Returns the estimate of what it read."""
        estimate = self.tokens
        settings = self._seats.now.client.settings
        counted = getattr(asked.fold.usage, "prompt_tokens", None)
        if (
            isinstance(counted, int)
            and self._raw >= CALIBRATED_FROM
            and not (settings.embedded or settings.tool_emulation)
        ):
            self._factor = corrected(counted / self._raw)
        return estimate

    async def compact(self, purse: Purse) -> ContextCompacted | None:
        """Sum up now what is older than the last requests; None where there is nothing to sum up."""
        self.purse = purse
        messages = self._messages()
        self._follow(messages)
        before = self._size(messages, 0)
        return await self._make_room(messages, 0, before, on_demand=True)

    def saved(self) -> dict[str, Any] | None:
        """What a session keeps of this, as JSON data; positions count from the first message that isn't the system's."""
        if self.compaction is None and not self._pinned:
            return None
        lead = lead_of(self._messages())
        saved: dict[str, Any] = {"pinned": [position - lead for position in sorted(self._pinned)]}
        if (compaction := self.compaction) is not None:
            places = [position - lead for position in compaction.carried]
            saved |= {"summary": compaction.summary, "upto": compaction.upto - lead, "carried": places}
            saved["by"] = compaction.by
        return saved

    def restore(self, saved: Mapping[str, Any] | None) -> None:
        """Go on as `saved` says; what doesn't fit the conversation is forgotten."""
        messages = self._messages()
        lead = lead_of(messages)
        told = saved or {}
        places = _positions(told.get("pinned"), lead, len(messages))
        self._pinned = {position: messages[position] for position in places}
        summary, upto = told.get("summary"), told.get("upto")
        if not isinstance(summary, str) or not isinstance(upto, int) or not 0 < upto <= len(messages) - lead:
            return
        kept = tuple(_positions(told.get("carried"), lead, lead + upto))
        self._take(messages, Compaction(summary, lead + upto, kept, str(told.get("by", "model"))))

    # ---- bookkeeping

    def _follow(self, messages: Sequence[Any]) -> None:
        """Notice what the owner of the messages did to them."""
        while (compaction := self.compaction) is not None and (
            compaction.upto > len(messages) or messages[compaction.upto - 1] is not self._anchor
        ):
            self.compaction, self._anchor = self._earlier.pop() if self._earlier else (None, None)
            self._head = None
            self.changed()
        self._find_pinned(messages)
        self._tally.follow(messages, self._upto)
        for position in [place for place in self._stand_ins if place >= len(messages) or place < self._upto]:
            del self._stand_ins[position]
        self._count_stand_ins(messages)
        if self.compaction is not None:
            lead = lead_of(messages)
            system = list(messages[:lead])
            if (
                self._head is None
                or len(system) != len(self._head_of)
                or any(one is not other for one, other in zip(system, self._head_of, strict=True))
            ):
                self._head, self._head_of = (
                    head_of(messages, lead, self._with_pinned(messages, self.compaction)),
                    system,
                )
                self._head_tokens = estimated_tokens(self._head)

    def _with_pinned(self, messages: Sequence[Any], compaction: Compaction) -> Compaction:
        lead = lead_of(messages)
        places = carried(messages, compaction.upto, self._pinned, lead)
        self.compaction = Compaction(compaction.summary, compaction.upto, places, compaction.by)
        return self.compaction

    def _find_pinned(self, messages: Sequence[Any]) -> None:
        astray = [at for at, message in self._pinned.items() if at >= len(messages) or messages[at] is not message]
        if astray:
            wanted = {id(message) for message in self._pinned.values()}
            self._pinned = {at: message for at, message in enumerate(messages) if id(message) in wanted}
            self._head = None

    @property
    def _upto(self) -> int:
        return self.compaction.upto if self.compaction is not None else 0

    def _count_stand_ins(self, messages: Sequence[Any]) -> None:
        self._saved_by_stand_ins = sum(
            self._tally.between(at, at + 1) - estimated_tokens((message,)) for at, message in self._stand_ins.items()
        )

    def _fixed(self, tools: Sequence[Any], instructions: str | None) -> int:
        return self._tools.of(tools) + len(instructions or "") // BYTES_PER_TOKEN

    def _estimate(self, messages: Sequence[Any], fixed: int) -> int:
        head = self._head_tokens if self.compaction is not None else 0
        return fixed + head + self._tally.between(self._upto, len(messages)) - self._saved_by_stand_ins

    def _size(self, messages: Sequence[Any], fixed: int) -> int:
        return int(self._estimate(messages, fixed) * self._factor)

    def _limit(self) -> int | None:
        window = self.max_tokens
        if window is None:
            return None
        asked = self._params.get("max_completion_tokens") or self._params.get("max_tokens") or 0
        answer = min(asked if isinstance(asked, int) else 0, window // 2)
        return min(int(window * self.settings.at), window - answer)

    def _view(self, messages: Sequence[Any], fixed: int) -> Sequence[Any]:
        self._raw = self._estimate(messages, fixed)
        self.tokens = int(self._raw * self._factor)
        head = self._head if self.compaction is not None else None
        return composed(messages, head, self._upto, self._stand_ins)

    # ---- making room

    async def _make_room(
        self, messages: Sequence[Any], fixed: int, limit: float, *, on_demand: bool = False, forced: bool = False
    ) -> ContextCompacted | None:
        """Leave out what has to be, so that less than `limit` tokens are sent; None where nothing can be left out."""
        before, start = self._size(messages, fixed), self._upto
        earlier = self.compaction, self._anchor, dict(self._stand_ins)
        by: CompactedBy | None = None
        if self._leave_out_media(messages):
            by = "images"
        if on_demand or self._size(messages, fixed) > limit * ENOUGH:
            least = 0.0 if forced or on_demand else WORTHWHILE
            by = await self._sum_up(messages, fixed, limit, least=least, on_demand=on_demand) or by
        if not on_demand and self._size(messages, fixed) > limit and self._shorten_results(messages, fixed, limit):
            by = by or "results"
        after = self._size(messages, fixed)
        if by is None or after >= before:
            self.compaction, self._anchor, self._stand_ins = earlier
            self._head = None
            self._follow(messages)
            return None
        if earlier[0] is not None and self.compaction is not earlier[0]:
            self._earlier.append(earlier[:2])
        self.changed()
        event = ContextCompacted(before, after, self.max_tokens, by, self._upto - max(start, lead_of(messages)))
        self._emit(event)
        return event

    def _leave_out_media(self, messages: Sequence[Any]) -> bool:
        """Put words in place of images and sounds, but the last ones."""
        found = [at for at in range(self._upto, len(messages)) if at not in self._stand_ins and has_media(messages[at])]
        dropped = [at for at in found[:-1] if at not in self._pinned]
        self._stand_ins |= {at: without_media(messages[at]) for at in dropped}
        self._count_stand_ins(messages)
        return bool(dropped)

    async def _sum_up(
        self, messages: Sequence[Any], fixed: int, limit: float, *, least: float, on_demand: bool
    ) -> CompactedBy | None:
        lead = lead_of(messages)
        start = max(self._upto, lead)
        chars = self._summary_chars(limit)
        own = fixed + self._tally.between(0, lead) + chars // BYTES_PER_TOKEN
        room = int(limit * AFTER / self._factor) - own
        cut = cut_at(messages, start, room, self._tally.between, self.settings.keep, whole=on_demand)
        if cut <= start or self._tally.between(start, cut) * self._factor < limit * least:
            return None
        older = messages[start:cut]
        before = self.summary or ""
        text = await self._written(older, before, chars)
        by: CompactedBy = "summary" if text else "cut"
        text = text or without_model(older, before, chars)
        self._take(messages, Compaction(text, cut, (), "model" if by == "summary" else "us"))
        self._follow(messages)
        return by

    def _summary_chars(self, limit: float) -> int:
        return max(200, min(MAX_SUMMARY_CHARS, int(limit * SUMMARY_SHARE) * BYTES_PER_TOKEN))

    def _take(self, messages: Sequence[Any], compaction: Compaction) -> None:
        self.compaction, self._anchor, self._head = compaction, messages[compaction.upto - 1], None

    async def _written(self, older: Sequence[Any], before: str, chars: int) -> str:
        """A summary by the model; empty where it can't be asked, or writes none."""
        window = self.max_tokens
        most = MAX_QUESTION_CHARS
        if window is not None:
            most = min(most, int(window * QUESTION_SHARE / self._factor) * BYTES_PER_TOKEN)
        asked = question(older, before, most, chars)
        while (tokens := int(estimated_tokens(asked) * self._factor)) > most // BYTES_PER_TOKEN * 1.2 and most > 1_000:
            most //= 2  # letters of several bytes
            asked = question(older, before, most, chars)
        if self.purse is None or not self.purse.affords(tokens + chars // BYTES_PER_TOKEN):
            logger.info("the limits of the request leave no room to have its conversation summed up")
            return ""
        try:
            return await self._answer(asked, chars)
        except InferenceError as error:
            logger.warning("the conversation could not be summed up (%s); its oldest part is left out instead", error)
            return ""

    async def _answer(self, asked: list[Any], chars: int) -> str:
        usage = Usage()
        written = thought = 0
        try:
            stream, call = await self._ask(asked, params_for_summary(self._params))
            fold = call.fold
            try:
                while (chunks := await stream.arrived()) and written < 2 * chars and thought < MAX_THOUGHT_CHARS:
                    call.heard()
                    for chunk in chunks:
                        fold.add(chunk)
                        delta = chunk.choices[0].delta if chunk.choices else None
                        written += len(delta.content or "") if delta is not None else 0
                        thought += len(delta.reasoning or delta.reasoning_content or "") if delta is not None else 0
            except BaseException as error:
                call.end(error)
                raise
            finally:
                call.end()
                await stream.aclose()
                usage = usage_of_call(fold.usage, asked, (), fold.message(), self._price())
        finally:
            if self.purse is not None:
                self.purse.spend(usage)
        message = fold.message(with_tool_calls=False)
        text = _THOUGHTS.sub("", str(message.content or "")).strip() if message is not None else ""
        return text if len(text) <= chars else f"{text[:chars]} [...]"

    def _shorten_results(self, messages: Sequence[Any], fixed: int, limit: float) -> bool:
        """Cut long tool results of what is still sent, the older ones first."""
        done = False
        last = group_end_of_last(messages, self._upto)
        sizes = (int(limit * MOST_RESULT_SHARE / self._factor) * BYTES_PER_TOKEN // 4, LEAST_RESULT_CHARS)
        for chars, stop in ((sizes[1], last), (sizes[0], len(messages)), (sizes[1], len(messages))):
            for at in range(self._upto, stop):
                if self._size(messages, fixed) <= limit:
                    return done
                message = self._stand_ins.get(at, messages[at])
                content = message.get("content")
                if message.get("role") == "tool" and isinstance(content, str) and len(content) > max(chars, 1) * 1.5:
                    self._stand_ins[at] = shortened_result(messages[at], max(chars, LEAST_RESULT_CHARS))
                    self._count_stand_ins(messages)
                    done = True
        return done


def group_end_of_last(messages: Sequence[Any], start: int) -> int:
    """Where the last thing begins that can't be split."""
    return max((first for first, _ in groups(messages, start, len(messages))), default=start)


def _positions(given: Any, lead: int, end: int) -> list[int]:
    found = (
        [lead + place for place in given or () if isinstance(place, int)] if isinstance(given, (list, tuple)) else []
    )
    return [position for position in found if lead <= position < end]


def _window_of(seat: Seat) -> int | None:
    settings = seat.client.settings
    if settings.embedded:
        from tiny_agents.inference.local.engine import N_CTX  # what else is in there takes time to load

        return N_CTX
    return known_window(seat.model or (None if is_url(settings.model) else settings.model))
