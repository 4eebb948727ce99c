"""A host for tests: answers as it is told, and keeps what it was asked."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tiny_agents.mcp_client.host.host import FormRequest, Host, Reply, SamplingRequest, UrlRequest


class RecordingHost(Host):
    """Accepts everything, unless told otherwise.

    Attributes:
        asked: What servers asked, in order.
    """

    def __init__(
        self, *, content: Mapping[str, Any] | None = None, allow: bool = True, folders: Sequence[Path] = ()
    ) -> None:
        self.asked: list[Any] = []
        self.content = content
        self.allow = allow
        self.folders = folders

    async def elicit(self, request: FormRequest | UrlRequest) -> Reply:
        self.asked.append(request)
        return Reply("accept" if self.allow else "decline", self.content)

    async def allow_sampling(self, request: SamplingRequest) -> bool:
        self.asked.append(request)
        return self.allow

    async def roots(self) -> Sequence[Path]:
        self.asked.append("roots")
        return self.folders
