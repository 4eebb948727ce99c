"""`Unsaved`: in place of a session, where a conversation isn't saved."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, MutableSequence

    from tiny_agents.agent.loop.rules import StopReason


class Unsaved:
    """In place of a session, where nothing is saved."""

    async def begin(self, messages: MutableSequence[Any], *, tools: Iterable[str] = ()) -> None: ...

    async def changed(self) -> None: ...

    async def turned(self) -> None: ...

    async def end(self, stop: StopReason) -> None: ...

    async def rests(self, messages: MutableSequence[Any]) -> None: ...

    def cut(self, messages: MutableSequence[Any]) -> None: ...

    async def close(self) -> None: ...
