"""`Session`: a conversation that is saved while it goes on.

The agent tells it what happens; it finds out which messages are new or different, and hands them to a store as one change.
Saving never stops a conversation: where it fails, that is said once, and with the next request it is tried again.
"""

from __future__ import annotations

import asyncio
import logging
import operator
import time
from collections.abc import Awaitable, Callable, Iterable, MutableSequence, Sequence
from typing import TYPE_CHECKING, Any, Self

import msgspec
from msgspec.structs import replace

from tiny_agents.agent.sessions.history import recover
from tiny_agents.agent.sessions.redacting import redacted, redacted_start
from tiny_agents.agent.sessions.requests import first_request, is_request, text_of, title_of
from tiny_agents.agent.sessions.types import About, Change, Plain, SavedMessage, SessionInfo, StoredSession, new_id
from tiny_agents.errors import SessionError, SessionNotFoundError, SessionStoreError, UsageError, redact
from tiny_agents.inference.types.chat import ChatCompletionInputMessage, ChatCompletionStreamOutput
from tiny_agents.inference.types.record import to_builtins

if TYPE_CHECKING:
    from tiny_agents.agent.loop.rules import StopReason
    from tiny_agents.agent.sessions.store import SessionStore

logger = logging.getLogger("tiny_agents.agent.sessions")

PARTIAL_EVERY_S = 1.0
"""How often the text of an answer is saved while it is being written."""


class _Known(msgspec.Struct):
    """What the store has: the message objects in their order, and what those that may still change looked like."""

    objects: list[Any] = msgspec.field(default_factory=list)
    looks: dict[int, Plain] = msgspec.field(default_factory=dict)


class Session:
    """A conversation that is saved as it goes: `Agent(session=Session(store))`.

    It is written before a tool call is carried out, after each result, and at the end of each turn; so what was lost after
    a crash is at most the answer that was just being written. A new session appears in its store with the first request.

    Args:
        store: Where it is saved, such as `SqliteSessionStore()`.
        about: With whom the conversation is had.
        secrets: Texts that must not be saved: `***` stands in their place. So it does for what looks like an API key.

    Attributes:
        id: Its name in the store.
        unanswered: Of a resumed session, the request that nothing had come of when its process ended; ask it again.
        interrupted: Of a resumed session, whether its process ended in the middle of a request.
        problem: Why nothing can be saved at the moment; None while saving works.
        context: What the agent remembers of what it leaves out for its model, as JSON data; saved with the next change.
        on_close: Called when the session is closed, for a store that is used for it alone.
    """

    def __init__(
        self,
        store: SessionStore,
        *,
        about: About | None = None,
        secrets: Iterable[str] = (),
        clock: Callable[[], float] = time.time,
    ) -> None:
        self.id = new_id()
        self.about = about or About()
        self.unanswered: str | None = None
        self.interrupted = False
        self.problem: SessionError | None = None
        self.context: Plain | None = None
        self.on_close: Callable[[], Awaitable[None]] | None = None
        self._store = store
        self._secrets = {secret for secret in secrets if secret}
        self._clock = clock
        self._title = ""
        self._resumed: StoredSession | None = None
        self._history: list[Any] = []
        self._created = self._closed = self._given_up = self._is_cut = False
        self._known = _Known()
        self._messages: MutableSequence[Any] = []
        self._run_start: int | None = None
        self._settled = self._changing_from = 0
        self._stop: StopReason | None = None
        self._text: list[str] = []
        self._text_saved_at = 0.0
        self._usage: Plain | None = None
        self._written: object = None  # all of the last change but its messages
        self._writing: asyncio.Task[None] | None = None

    @classmethod
    async def resume(cls, store: SessionStore, session_id: str = "last", *, secrets: Iterable[str] = ()) -> Self:
        """A saved conversation, to go on with it; until `close` nobody else can.

        Args:
            session_id: Its id, the unique start of one, or "last".

        Raises:
            SessionNotFoundError: There is no such session, or more than one.
            SessionInUseError: It is open elsewhere.
            SessionStoreError: It can't be read.
        """
        found = find_session(await store.list(), session_id)
        stored = await store.open(found.id)
        session = cls(store, about=stored.info.about, secrets=secrets)
        session._take_up(stored)
        return session

    def _take_up(self, stored: StoredSession) -> None:
        self.id = stored.info.id
        self._title = stored.info.title
        self._created = True
        self._resumed = stored
        objects: list[Any] = [
            ChatCompletionInputMessage.parse_obj_as_instance(saved.message) for saved in stored.messages
        ]
        recovered = recover(objects, stored.run_start, stored.partial)
        self.unanswered, self.interrupted = recovered.unanswered, recovered.interrupted
        self._known.objects = objects
        self._history = recovered.messages
        self.context = stored.context

    @property
    def stored(self) -> StoredSession | None:
        """What was read when the session was resumed; None for a new one."""
        return self._resumed

    @property
    def info(self) -> SessionInfo:
        """What a list shows of it, as far as it is known here."""
        before = self._resumed.info if self._resumed is not None else SessionInfo(id=self.id)
        count = len(self._messages or self._history)
        return replace(before, title=self._title, about=self.about, messages=count, stop=self._stop)

    @property
    def is_saved(self) -> bool:
        """Whether the store has anything of it."""
        return self._created

    @property
    def has_requests(self) -> bool:
        """Whether something was said in it."""
        return bool(first_request(self._messages or self._history))

    def last_exchange(self) -> tuple[str, str]:
        """Of a resumed session, the words of the last request and of the last answer to it."""
        start = next((index for index in reversed(range(len(self._history))) if is_request(self._history[index])), None)
        if start is None:
            return "", ""
        answers = [text_of(each) for each in self._history[start:] if each.get("role") == "assistant"]
        return text_of(self._history[start]), next((text for text in reversed(answers) if text), "")

    def describe(self, about: About, secrets: Iterable[str] = ()) -> None:
        """From now on the conversation is had with this agent and model."""
        self.about = replace(about, tools=about.tools or self.about.tools)
        self._secrets.update(secret for secret in secrets if secret)

    def history(self, system: Sequence[Any]) -> list[Any]:
        """The messages to start an agent with: those saved, behind the system prompt that the agent has now, if any."""
        if not self._history:
            return list(system)
        first = self._history[0]
        is_system = first.get("role") == "system"
        if not system or (is_system and len(system) == 1 and to_builtins(first) == to_builtins(system[0])):
            return list(self._history)
        return [*system, *self._history[1 if is_system else 0 :]]

    # ---- what the agent tells

    async def begin(self, messages: MutableSequence[Any], *, tools: Iterable[str] = ()) -> None:
        """A request was added to the end of `messages`, and is going to be worked on."""
        if self._closed:
            raise UsageError("This session is closed: resume it to go on with it.")
        if self._run_start is not None:
            raise UsageError("Another agent is working in this session: give each agent one of its own.")
        self._messages = messages
        self._run_start = self._settled = self._changing_from = len(messages) - 1
        self._stop = self._usage = None
        self._text.clear()
        self._text_saved_at = self._clock()
        self.about = replace(self.about, tools=tuple(tools))
        self._title = self._title or title_of(redact(first_request(messages), self._secrets))
        recovering = self.problem is not None and not self._given_up
        if recovering:
            self.problem = None
        await self._save(look_at_all=True, quiet=recovering)
        if recovering and self.problem is None:
            logger.warning("The conversation is saved again, and nothing of it is missing.")

    async def heard(self, item: ChatCompletionStreamOutput | ChatCompletionInputMessage) -> None:
        """A piece of the model's answer, or the result of a tool call, has come."""
        if isinstance(item, ChatCompletionInputMessage):
            await self._save()
            return
        if item.usage is not None:
            self._usage = item.usage.to_dict()
        delta = item.choices[0].delta if item.choices else None
        if delta is not None and delta.content and self.problem is None:
            self._text.append(delta.content)
            now = self._clock()
            if now - self._text_saved_at >= PARTIAL_EVERY_S and (self._writing is None or self._writing.done()):
                self._text_saved_at = now
                written = replace(self._change({}), length=len(self._known.objects))
                self._start_writing(written)  # not waited for: the next piece is on its way

    async def changed(self) -> None:
        """Messages were added that are complete: a turn's, or tool calls that are about to be carried out."""
        await self._save()

    async def turned(self) -> None:
        """A turn is over; its messages don't change any more."""
        await self._save()
        self._settle()

    async def end(self, stop: StopReason) -> None:
        """The request is done with; `messages` are as they stay."""
        self._stop = stop
        self._run_start = None
        self._text.clear()
        await self._save(look_at_all=True)
        self._settle()

    async def rests(self, messages: MutableSequence[Any]) -> None:
        """Between requests: save what has changed beside the messages, such as `context`."""
        self.cut(messages)
        if self._is_cut:
            await self._save(look_at_all=True)

    def cut(self, messages: MutableSequence[Any]) -> None:
        """Between requests: `messages` have become fewer. That is saved with the next change, or with `close`."""
        self._is_cut = self._created and self._run_start is None and not self._closed
        if self._is_cut:
            self._messages = messages
            self._settle()
            self._settled = len(self._known.objects)  # what was taken back is kept aside

    async def close(self) -> None:
        """The conversation is over for now; others may resume it. As often as you like."""
        if self._closed:
            return
        # without a request nobody has told us any messages
        if (self._written is not None or self._is_cut) and self._run_start is None:
            await self._save(look_at_all=True)  # what was cut off since the last request, or taken back
        self._closed = True
        if self._writing is not None:
            await self._writing
        try:
            if self._created:
                await self._store.release(self.id)
            if self.on_close is not None:
                await self.on_close()
        except SessionError as error:
            if self.problem is None:
                logger.warning("%s", error)

    # ---- what has to be saved

    async def _save(self, *, look_at_all: bool = False, quiet: bool = False) -> None:
        if self.problem is not None or self._closed:
            return
        if self._writing is not None:
            await asyncio.shield(self._writing)
        puts = self._different(0 if look_at_all else self._changing_from)
        if any(saved.message.get("role") == "assistant" for saved in puts.values()):
            self._usage = None
            self._text.clear()
        change = self._change(puts)
        if puts or _state(change) != self._written:
            await asyncio.shield(self._start_writing(change, quiet=quiet))

    def _different(self, start: int) -> dict[int, SavedMessage]:
        """The messages from `start` on that the store doesn't have as they are.

        A message that is settled is told by being the same object; one that may still change by what is in it.
        """
        known, messages = self._known, self._messages
        if start == 0:
            end = min(self._changing_from, len(messages))
            same = sum(map(operator.is_, known.objects[:end], messages[:end]))
            start = end if same == end else 0  # the usual case by far: nothing old was touched
        puts = {}
        now = self._clock()
        for index in range(start, len(messages)):
            message = messages[index]
            if index < self._changing_from and index < len(known.objects) and known.objects[index] is message:
                continue
            look = to_builtins(message)
            if index >= len(known.objects) or known.looks.get(index) != look:
                usage = self._usage if look.get("role") == "assistant" else None
                puts[index] = SavedMessage(look, now, usage)
        return puts

    def _change(self, puts: dict[int, SavedMessage]) -> Change:
        running = self._run_start is not None
        return Change(
            puts=puts,
            length=len(self._messages),
            settled=self._settled,
            run_start=self._run_start,
            partial=redacted_start("".join(self._text), self._secrets) if running else "",
            stop=self._stop,
            title=self._title,
            context=redacted(self.context, self._secrets) if self.context is not None else None,
            about=self.about,
            at=self._clock(),
        )

    def _settle(self) -> None:
        self._changing_from = len(self._messages)
        self._known.looks.clear()

    # ---- writing

    def _start_writing(self, change: Change, *, quiet: bool = False) -> asyncio.Task[None]:
        """A task of its own, so that a request that is cancelled doesn't leave us wondering what was saved."""
        objects = list(self._messages) if change.puts or change.length != len(self._known.objects) else None
        self._writing = asyncio.create_task(self._write(change, objects, quiet))
        return self._writing

    async def _write(self, change: Change, objects: list[Any] | None, quiet: bool) -> None:
        try:
            if not self._created:
                await self._store.create(SessionInfo(id=self.id, created=change.at, about=change.about))
                self._created = True
            puts = {
                index: replace(saved, message=redacted(saved.message, self._secrets))
                for index, saved in change.puts.items()
            }
            await self._store.write(self.id, replace(change, puts=puts))
        except SessionError as error:
            self.problem = error
            self._given_up = not isinstance(error, SessionStoreError)
            del self._known.objects[min(change.puts, default=len(self._known.objects)) :]
            if not quiet:
                logger.warning("%s. The conversation goes on, but it is not being saved.", str(error).rstrip("."))
            return
        self._written = _state(change)
        if objects is not None:
            self._known.objects = objects
            self._known.looks.update((index, saved.message) for index, saved in change.puts.items())


def _state(change: Change) -> object:
    return change.length, change.run_start, change.partial, change.context, change.stop, change.title, change.about


def find_session(sessions: Sequence[SessionInfo], wanted: str) -> SessionInfo:
    """The session of that id, or whose id alone starts like that, or the "last" one. `sessions` start with the latest.

    Raises:
        SessionNotFoundError: There is none, or there are several.
    """
    if wanted == "last":
        if not sessions:
            raise SessionNotFoundError("no conversation has been saved yet")
        return sessions[0]
    found = [info for info in sessions if info.id.startswith(wanted.lower())] if wanted else []
    exact = [info for info in found if info.id == wanted.lower()]
    if len(found) == 1 or exact:
        return (exact or found)[0]
    if found:
        some = ", ".join(info.id for info in found[:5])
        raise SessionNotFoundError(
            f"{len(found)} sessions start with {wanted!r}: {some}{', …' if len(found) > 5 else ''}"
        )
    raise SessionNotFoundError(f"there is no session {wanted!r}: 'tiny-agents sessions list' shows those there are")
