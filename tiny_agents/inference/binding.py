"""Bind one typed task builder to both clients.

A task is a function that returns a `Call`: its signature and its docstring exist once. `sync_method(builder)` is a method
that builds the call and runs it; `async_method(builder)` the coroutine of the same. ParamSpec carries the argument names,
defaults and the result type through, so editors and strict type checkers see the real signature on both clients.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Coroutine
from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar

if TYPE_CHECKING:
    from tiny_agents.inference.call import Call

P = ParamSpec("P")
T = TypeVar("T")


class SyncRunner(Protocol):
    def run(self, call: Call[T], /) -> T: ...


class AsyncRunner(Protocol):
    async def run(self, call: Call[T], /) -> T: ...


def sync_method(builder: Callable[P, Call[T]]) -> Callable[Concatenate[SyncRunner, P], T]:
    """The method of `InferenceClient` that runs what `builder` describes."""

    @functools.wraps(builder)
    def method(self: SyncRunner, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return self.run(builder(*args, **kwargs))

    return _documented(method)


def async_method(builder: Callable[P, Call[T]]) -> Callable[Concatenate[AsyncRunner, P], Coroutine[Any, Any, T]]:
    """The method of `AsyncInferenceClient` that runs what `builder` describes."""

    @functools.wraps(builder)
    async def method(self: AsyncRunner, /, *args: P.args, **kwargs: P.kwargs) -> T:
        return await self.run(builder(*args, **kwargs))

    return _documented(method)


M = TypeVar("M", bound=Callable[..., Any])


def _documented(method: M) -> M:
    """Let `inspect.signature` show `self` and the result, not the builder's own `Call`."""
    signature = inspect.signature(method)
    self_parameter = inspect.Parameter("self", inspect.Parameter.POSITIONAL_ONLY)
    method.__signature__ = signature.replace(  # type: ignore[attr-defined]
        parameters=[self_parameter, *signature.parameters.values()]
    )
    return method


def documented_by(builder: Callable[..., Any]) -> Callable[[M], M]:
    """For the methods written by hand because they are overloaded: signature and docstring of the builder."""

    def decorate(method: M) -> M:
        method.__doc__ = builder.__doc__
        parameters = inspect.signature(builder).parameters.values()
        self_parameter = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
        method.__signature__ = inspect.Signature([self_parameter, *parameters])  # type: ignore[attr-defined]
        return method

    return decorate
