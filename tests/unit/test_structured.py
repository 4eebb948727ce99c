"""Classes as `response_format`: the schema that is sent, and the instance that is made of the answer."""

from __future__ import annotations

import enum
import json
from dataclasses import dataclass, field
from typing import Any, Literal, TypedDict

import msgspec
import pydantic
import pytest

from tiny_agents import InvalidResponseError, UsageError
from tiny_agents.inference.encoding import encode_json
from tiny_agents.inference.structured import as_response_format, parse_text
from tiny_agents.inference.tasks.chat import chat_completion
from tiny_agents.inference.types.chat import ChatCompletionOutput, decode_output


class Size(enum.Enum):
    small = "s"
    large = "l"


class Toy(msgspec.Struct):
    """Something to play with."""

    name: str
    size: Size = Size.small
    parts: list[Toy] = []
    price: float | None = None


@dataclass
class Point:
    x: int
    y: int = 0


@dataclass
class Loose:
    counts: dict[str, int] = field(default_factory=dict)


class Named(TypedDict):
    name: str


class Inner(pydantic.BaseModel):
    kind: Literal["a", "b"] = "a"


class Model(pydantic.BaseModel):
    default: str | None = None
    inner: Inner = Inner()
    many: list[Inner] = []


def sent(cls: type) -> dict[str, Any]:
    """The schema's object as a server sees it."""
    call = chat_completion([{"role": "user", "content": "x"}], response_format=cls)
    wanted = json.loads(encode_json(call.parameters))["response_format"]
    assert wanted["type"] == "json_schema"
    found: dict[str, Any] = wanted["json_schema"]
    return found


def test_a_dataclass_is_sent_strictly() -> None:
    assert sent(Point) == {
        "name": "Point",
        "strict": True,
        "schema": {
            "title": "Point",
            "type": "object",
            "properties": {"x": {"type": "integer"}, "y": {"type": "integer", "default": 0}},
            "required": ["x", "y"],
            "additionalProperties": False,
        },
    }


def test_a_class_that_refers_to_itself_keeps_its_definition() -> None:
    schema = sent(Toy)["schema"]
    assert schema["type"] == "object"
    assert schema["description"] == "Something to play with."
    assert schema["properties"]["parts"]["items"] == {"$ref": "#/$defs/Toy"}
    # Nothing stands beside a reference: what it names is written out there.
    assert schema["properties"]["size"] == {"title": "Size", "enum": ["l", "s"], "default": "s"}
    assert schema["properties"]["price"] == {"anyOf": [{"type": "number"}, {"type": "null"}]}
    assert schema["$defs"]["Toy"]["required"] == ["name", "size", "parts", "price"]


def test_what_has_keys_of_its_own_can_not_be_strict() -> None:
    found = sent(Loose)
    assert found["strict"] is False
    assert found["schema"]["properties"]["counts"]["additionalProperties"] == {"type": "integer"}


def test_a_property_may_be_called_like_a_keyword_of_schemas() -> None:
    schema = sent(Model)["schema"]
    assert schema["properties"]["default"] == {"anyOf": [{"type": "string"}, {"type": "null"}], "title": "Default"}
    assert schema["required"] == ["default", "inner", "many"]
    assert schema["$defs"]["Inner"]["additionalProperties"] is False


@pytest.mark.parametrize("cls", [Point, Toy, Model, Named, Inner])
def test_no_object_in_a_strict_schema_allows_more_than_it_says(cls: type) -> None:
    def objects(value: Any) -> list[dict[str, Any]]:
        if isinstance(value, list):
            return [found for item in value for found in objects(item)]
        if not isinstance(value, dict):
            return []
        own = [value] if value.get("type") == "object" else []
        return own + [found for item in value.values() for found in objects(item)]

    found = sent(cls)
    assert found["strict"] is True
    assert found["schema"]["type"] == "object"
    for schema in objects(found["schema"]):
        assert schema["additionalProperties"] is False
        assert sorted(schema["required"]) == sorted(schema["properties"])


@pytest.mark.parametrize("cls", [int, list, Size])
def test_what_is_no_object_is_refused_before_anything_is_sent(cls: type) -> None:
    with pytest.raises(UsageError, match="no JSON objects"):
        as_response_format(cls)


def test_what_no_schema_can_be_made_of_is_refused() -> None:
    class Plain:
        def __init__(self, x: int) -> None:
            self.x = x

    with pytest.raises(UsageError, match="no JSON Schema can be made of .*Plain"):
        as_response_format(Plain)


def test_other_formats_stay_as_they_are() -> None:
    given = {"type": "json_object"}
    assert as_response_format(given) is given
    assert as_response_format(None) is None


@pytest.mark.parametrize(
    ("cls", "text", "instance"),
    [
        (Point, '{"x": 1, "y": 2}', Point(1, 2)),
        (Point, '{"x": "1"}', Point(1, 0)),
        (Toy, '{"name": "ball", "size": "l", "parts": [], "price": null}', Toy("ball", Size.large)),
        (Named, '{"name": "x"}', {"name": "x"}),
        (Inner, '{"kind": "b"}', Inner(kind="b")),
        (Point, '```json\n{"x": 1}\n```', Point(1)),
        (Inner, ' ```\n{"kind": "b"}\n``` \n', Inner(kind="b")),
    ],
)
def test_what_a_model_wrote_becomes_an_instance(cls: type, text: str, instance: Any) -> None:
    assert parse_text(text, cls) == instance


@pytest.mark.parametrize("cls", [Point, Inner])
@pytest.mark.parametrize("text", ["", "Sure! Here it is.", '{"x": "many", "kind": "c"}', "[1]", '{"x": 1'])
def test_what_does_not_fit_is_an_error_that_shows_it(cls: type, text: str) -> None:
    with pytest.raises(InvalidResponseError, match=f"does not fit {cls.__name__}") as caught:
        parse_text(text, cls)
    assert caught.value.body == text


def output(**message: Any) -> ChatCompletionOutput:
    finish = message.pop("finish_reason", "stop")
    choice = {"index": 0, "finish_reason": finish, "message": {"role": "assistant", **message}}
    return decode_output(json.dumps({"model": "m", "choices": [choice]}).encode())


def test_an_answer_is_parsed_where_it_is() -> None:
    assert output(content='{"x": 3}').parse(Point) == Point(3)


@pytest.mark.parametrize(
    ("message", "says"),
    [
        ({"content": None, "refusal": "I would rather not."}, "refused: I would rather not"),
        ({"content": None, "tool_calls": []}, "wrote nothing"),
        ({"content": None, "tool_calls": [{"id": "1", "function": {"name": "f"}}]}, "called a tool"),
        ({"content": '{"x": 1', "finish_reason": "length"}, "cut off before it was finished.*max_tokens"),
    ],
)
def test_an_answer_that_is_none_says_why(message: dict[str, Any], says: str) -> None:
    with pytest.raises(InvalidResponseError, match=says) as caught:
        output(**message).parse(Point)
    assert caught.value.model == "m"
    with pytest.raises(InvalidResponseError, match="no choice 1"):
        output(content="{}").parse(Point, choice=1)


def test_what_was_parsed_is_no_part_of_the_message() -> None:
    """So the message can be sent back as it is."""
    message = output(content='{"x": 3}').choices[0].message
    assert message is not None
    message.parsed = Point(3)
    assert message.parsed == Point(3)
    assert "parsed" not in message
    assert message.to_dict() == {"role": "assistant", "content": '{"x": 3}'}
    assert json.loads(encode_json(message)) == message.to_dict()
