"""Hosts that are ready to use: where nobody is there, and for tests. The one for a terminal is `cli.asking.TerminalHost`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from tiny_agents.mcp_client.host.host import (
    FormRequest,
    Host,
    Reply,
    RootsRequest,
    SamplingRequest,
    Service,
    UrlRequest,
)

NOBODY = "nobody is there to be asked: this runs without a person"


class HeadlessHost(Host):
    """Nobody is there: what a server asks of a person is declined at once, with a reason.

    The server gets it in the `_meta` of its answer, and the model after the result of the tool that asked.

    Args:
        reason: Why, as the end of "not answered: ".
        sampling: Whether servers may ask the model, at your cost and within the limits of `Host`.
        roots: Folders that servers may work in.
    """

    def __init__(self, *, reason: str = NOBODY, sampling: bool = False, roots: Iterable[str | Path] = ()) -> None:
        self.reason = reason
        self._sampling = sampling
        self._roots = tuple(Path(folder) for folder in roots)

    @property
    def serves(self) -> frozenset[Service]:
        return _served(sampling=self._sampling, roots=bool(self._roots))

    async def elicit(self, request: FormRequest | UrlRequest) -> Reply:
        return Reply("decline", reason=self.reason)

    async def allow_sampling(self, request: SamplingRequest) -> bool:
        return self._sampling

    async def roots(self) -> Sequence[Path]:
        return self._roots


class ScriptedHost(Host):
    """For tests: answers as it was told, in order, and keeps what it was asked.

        host = ScriptedHost([{"color": "red"}, Reply("decline")], sampling=[True])

    Args:
        replies: To forms and pages: a mapping fills in a form, `Reply` is taken as it is. After the last one, requests are
            cancelled, with a reason that says so.
        sampling: Whether each request for a text of the model is allowed; after the last one none is. With none at all,
            servers aren't offered sampling.
        roots: Folders that servers may work in.

    Attributes:
        asked: What servers asked, in order.
    """

    def __init__(
        self,
        replies: Iterable[Reply | Mapping[str, Any]] = (),
        *,
        sampling: Iterable[bool] = (),
        roots: Iterable[str | Path] = (),
    ) -> None:
        self.asked: list[FormRequest | UrlRequest | SamplingRequest | RootsRequest] = []
        self._replies = [reply if isinstance(reply, Reply) else Reply("accept", reply) for reply in replies]
        self._sampling = list(sampling)
        self._roots = tuple(Path(folder) for folder in roots)
        self._serves = _served(sampling=bool(self._sampling), roots=bool(self._roots))

    @property
    def serves(self) -> frozenset[Service]:
        return self._serves

    async def elicit(self, request: FormRequest | UrlRequest) -> Reply:
        self.asked.append(request)
        return self._replies.pop(0) if self._replies else Reply("cancel", reason="the script has no answer left")

    async def allow_sampling(self, request: SamplingRequest) -> bool:
        self.asked.append(request)
        return self._sampling.pop(0) if self._sampling else False

    async def roots(self) -> Sequence[Path]:
        self.asked.append(RootsRequest(""))
        return self._roots


def _served(*, sampling: bool, roots: bool) -> frozenset[Service]:
    chosen: dict[Service, bool] = {"elicitation": True, "sampling": sampling, "roots": roots}
    return frozenset(service for service, served in chosen.items() if served)
