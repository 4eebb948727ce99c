"""When another model is asked in place of one that can't be had. Pure.

Only for what another model may do better, and only before the first one has said anything. What the user got wrong (a key,
a parameter, too long a conversation) stays an error: with another model it would be wrong too, and nobody would know.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tiny_agents.errors import (
    InferenceConnectionError,
    InferenceError,
    InferenceTimeoutError,
    InvalidResponseError,
    LocalModelError,
    MissingCredentialsError,
    ProviderError,
    UnsupportedTaskError,
)

if TYPE_CHECKING:
    from tiny_agents.inference.types.chat import ChatCompletionStreamOutput

_NOT_TO_BE_HAD = frozenset({404, 408, 409, 410, 425, 429})
_OF_THE_ACCOUNT = frozenset({401, 402, 403})
"""About the key or the money: another place may have another one, the same place hasn't."""

_NO_SUCH_MODEL = re.compile(
    r"(?i)model_not_supported|model_not_found|no such model|unknown model|model [^.]{0,120}"
    r"(?:not found|does not exist|doesn't exist|not available|no longer|not supported by any provider|deprecated"
    r"|decommissioned)"
)
_OVERLOADED = re.compile(
    r"(?i)overload|unavailable|rate.?limit|capacity|too many requests|time.?out|internal (?:server )?error"
)


def may_fall_back(error: InferenceError, *, other_place: bool) -> bool:
    """Whether another model may be asked after this error.

    Args:
        other_place: It is somewhere else, or has another key.
    """
    match error:
        case MissingCredentialsError():
            return other_place
        case ProviderError():
            return _provider_may(error, other_place)
        case (
            InferenceTimeoutError()
            | InferenceConnectionError()
            | UnsupportedTaskError()
            | LocalModelError()
            | InvalidResponseError()
        ):
            return True
        case _:
            return False


def _provider_may(error: ProviderError, other_place: bool) -> bool:
    if error.status in _OF_THE_ACCOUNT:
        return other_place
    said = f"{error} {error.body}"
    if error.status == 200:  # an error in place of an answer
        return bool(_OVERLOADED.search(said) or _NO_SUCH_MODEL.search(said))
    return error.status in _NOT_TO_BE_HAD or error.status >= 500 or bool(_NO_SUCH_MODEL.search(said))


def says_something(chunk: ChatCompletionStreamOutput) -> bool:
    """Whether a chunk holds anything of an answer, after which no other model is asked."""
    for choice in chunk.choices:
        delta = choice.delta
        if choice.finish_reason or delta.content or delta.tool_calls or delta.reasoning or delta.reasoning_content:
            return True
    return False
