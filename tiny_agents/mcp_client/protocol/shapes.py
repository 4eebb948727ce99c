"""What the parts of the protocol look like that hold more than a call and its answer: lists, contents, prompts, questions.

What comes from a server is held against these, and comes out with the fields that are declared here. Imported only when a
server has such things.
"""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal, TypeVar

import msgspec

from tiny_agents.mcp_client.protocol.messages import NotValid

S = TypeVar("S", bound=msgspec.Struct)
Data = dict[str, Any]
Role = Literal["user", "assistant"]


class _Shape(msgspec.Struct, rename="camel", omit_defaults=True, kw_only=True):
    meta: Data | None = msgspec.field(name="_meta", default=None)


class _Annotations(msgspec.Struct, rename="camel", omit_defaults=True):
    audience: list[Role] | None = None
    priority: Annotated[float, msgspec.Meta(ge=0, le=1)] | None = None
    last_modified: str | None = None


class _Icon(msgspec.Struct, rename="camel", omit_defaults=True):
    src: str
    mime_type: str | None = None
    sizes: list[str] | None = None
    theme: str | None = None


class _Named(_Shape, kw_only=True):
    name: str
    title: str | None = None
    description: str | None = None
    icons: list[_Icon] | None = None


class _Argument(msgspec.Struct, omit_defaults=True):
    name: str
    title: str | None = None
    description: str | None = None
    required: bool | None = None


class _Prompt(_Named, kw_only=True):
    arguments: list[_Argument] | None = None


class _Resource(_Named, kw_only=True):
    uri: str
    mime_type: str | None = None
    size: int | None = None
    annotations: _Annotations | None = None


class _Template(_Named, kw_only=True):
    uri_template: str
    mime_type: str | None = None
    annotations: _Annotations | None = None


class Prompts(msgspec.Struct):
    prompts: list[_Prompt]


class Resources(msgspec.Struct):
    resources: list[_Resource]


class Templates(msgspec.Struct, rename="camel"):
    resource_templates: list[_Template]


class _Content(_Shape, kw_only=True):
    uri: str
    mime_type: str | None = None
    text: str | None = None
    blob: str | None = None

    def __post_init__(self) -> None:
        if self.text is None and self.blob is None:
            raise ValueError("has neither text nor blob")


class Contents(msgspec.Struct):
    contents: list[_Content]


class _Part(_Shape, kw_only=True, tag_field="type"):
    annotations: _Annotations | None = None


class _Text(_Part, kw_only=True, tag="text"):
    text: str


class _Image(_Part, kw_only=True, tag="image"):
    data: str
    mime_type: str


class _Audio(_Part, kw_only=True, tag="audio"):
    data: str
    mime_type: str


class _Embedded(_Part, kw_only=True, tag="resource"):
    resource: _Content


class _Link(_Part, kw_only=True, tag="resource_link"):
    uri: str
    name: str
    title: str | None = None
    description: str | None = None
    mime_type: str | None = None
    size: int | None = None
    icons: list[_Icon] | None = None


class _PromptMessage(msgspec.Struct):
    role: Role
    content: _Text | _Image | _Audio | _Embedded | _Link


class Prompt(_Shape, kw_only=True):
    """A prompt that is filled in."""

    messages: list[_PromptMessage]
    description: str | None = None


class Completion(msgspec.Struct, rename="camel", omit_defaults=True):
    values: list[str]
    total: int | None = None
    has_more: bool | None = None


class Completed(msgspec.Struct):
    completion: Completion


# ---------------------------------------------------------------- what servers ask


class Form(msgspec.Struct, rename="camel"):
    """A question to the person: a form, or a page to open."""

    message: str
    mode: Literal["form", "url"] = "form"
    requested_schema: Data | None = None
    url: str | None = None

    def __post_init__(self) -> None:
        if self.mode == "url" and self.url is None:
            raise ValueError("url is missing")
        if self.mode == "form" and self.requested_schema is None:
            raise ValueError("requestedSchema is missing")
        if self.requested_schema is not None and self.requested_schema.get("type", "object") != "object":
            raise ValueError("requestedSchema is not that of an object")


class _Hint(msgspec.Struct):
    name: str | None = None


class Preferences(msgspec.Struct, rename="camel"):
    hints: list[_Hint] | None = None
    cost_priority: float | None = None
    speed_priority: float | None = None
    intelligence_priority: float | None = None


class _SampledMessage(msgspec.Struct):
    role: Role
    content: Data | list[Data]


class _SampledTool(msgspec.Struct, rename="camel"):
    name: str
    input_schema: Data
    description: str | None = None


class _Choice(msgspec.Struct):
    mode: Literal["auto", "required", "none"] | None = None


class Sampling(msgspec.Struct, rename="camel"):
    """A question to our model."""

    messages: list[_SampledMessage]
    max_tokens: int
    system_prompt: str | None = None
    temperature: float | None = None
    stop_sequences: list[str] | None = None
    model_preferences: Preferences | None = None
    tools: list[_SampledTool] | None = None
    tool_choice: _Choice | None = None


class Roots(msgspec.Struct):
    """A question about folders."""


QUESTIONS: dict[str, type[msgspec.Struct]] = {
    "elicitation/create": Form,
    "sampling/createMessage": Sampling,
    "roots/list": Roots,
}
"""What a server may ask, by method."""


def check_question(method: Any, params: Any) -> None:
    """Raises NotValid where the protocol knows no such question."""
    shape = QUESTIONS.get(method) if isinstance(method, str) else None
    if shape is None:
        raise NotValid("method: is none that a server may ask by")
    read({} if params is None else params, shape)


# ---------------------------------------------------------------- reading


def read(value: Any, shape: type[S]) -> S:
    """Data as a shape has it; numbers may be written as text, and what isn't declared is left out.

    Raises:
        NotValid: It is something else; says where.
    """
    try:
        return msgspec.convert(value, shape, strict=False)
    except (msgspec.ValidationError, RecursionError, OverflowError) as error:
        raise NotValid(in_words(str(error))) from error


def plain(value: Any) -> Any:
    """A shape as the wire's own JSON, without what wasn't said."""
    return msgspec.to_builtins(value)


_PLACE = re.compile(r" - at `\$\.?(.*)`\Z")
_MISSING = re.compile(r"Object missing required field `(\w+)`")


def in_words(problem: str) -> str:
    """msgspec's words for what is wrong, beginning with the place."""
    found = _PLACE.search(problem)
    place = found[1] if found else ""
    said = problem[: found.start()] if found else problem
    if (missing := _MISSING.fullmatch(said)) is not None:
        place, said = f"{place}.{missing[1]}".lstrip("."), "is missing"
    return f"{place}: {said[:1].lower()}{said[1:]}" if place else said
