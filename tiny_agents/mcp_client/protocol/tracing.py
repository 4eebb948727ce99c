"""The span of a request in OpenTelemetry, and what its server is told of the trace, where somebody imported the API."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Any

from tiny_agents.mcp_client.protocol.messages import Id, RpcError

Traced = tuple[Mapping[str, Any], Callable[[RpcError], None]]
"""What goes into the `_meta` of a request, and who is told of the error that answers it."""


def traced(method: str, params: Mapping[str, Any], id: Id) -> AbstractContextManager[Traced]:
    """A span around a request, as far as somebody traces."""
    return _span(method, params, id) if "opentelemetry.trace" in sys.modules else _UNTRACED


_UNTRACED: AbstractContextManager[Traced] = nullcontext(({}, lambda _: None))


@contextmanager
def _span(method: str, params: Mapping[str, Any], id: Id) -> Iterator[Traced]:
    from opentelemetry.propagate import inject
    from opentelemetry.trace import SpanKind, StatusCode, get_tracer

    target = params.get("name")
    name = f"MCP send {method} {target}" if isinstance(target, str) else f"MCP send {method}"
    attributes: dict[str, Any] = {"mcp.method.name": method, "jsonrpc.request.id": str(id)}
    with get_tracer("tiny_agents").start_as_current_span(
        name, kind=SpanKind.CLIENT, attributes=attributes, record_exception=False, set_status_on_exception=False
    ) as span:

        def failed(error: RpcError) -> None:
            span.set_attributes({"error.type": str(error.code), "rpc.response.status_code": str(error.code)})
            span.set_status(StatusCode.ERROR, error.message)

        context: dict[str, Any] = {}
        inject(context)
        context.pop("baggage", None)  # the ids of a trace say nothing; baggage is the program's own
        yield context, failed
