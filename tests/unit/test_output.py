"""What a final answer has to be, and whether one is."""

from __future__ import annotations

import dataclasses
import json
from typing import Any, TypedDict

import msgspec
import pydantic
import pytest

from tiny_agents.agent.loop.output import output_of
from tiny_agents.errors import InvalidResponseError, UsageError


@dataclasses.dataclass
class City:
    name: str
    people: int


class Typed(TypedDict):
    name: str
    people: int


class Struct(msgspec.Struct):
    name: str
    people: int


class Model(pydantic.BaseModel):
    name: str
    people: int = pydantic.Field(ge=0)


SCHEMA = {
    "title": "A city!",
    "type": "object",
    "properties": {"name": {"type": "string"}, "people": {"type": "integer", "minimum": 0}},
    "required": ["name", "people"],
}
GOOD = '{"name": "Oslo", "people": 700000}'


@pytest.mark.parametrize("wanted", [City, Typed, Struct, Model, SCHEMA])
def test_an_answer_that_fits_is_an_instance(wanted: Any) -> None:
    output = output_of(wanted)
    assert output is not None
    for text in (GOOD, f"```json\n{GOOD}\n```"):
        found = output.read(text)
        if isinstance(found, dict):
            assert found == json.loads(GOOD)
        else:
            assert isinstance(found, wanted)
            assert (found.name, found.people) == ("Oslo", 700000)
    assert output.response_format["type"] == "json_schema"
    assert '"people"' in output.prompt


@pytest.mark.parametrize("wanted", [City, Typed, Struct, Model, SCHEMA])
@pytest.mark.parametrize(
    "text", ["Oslo has 700,000 people.", '{"name": "Oslo"}', "[]", "", "NaN", '{"name": "Oslo", "people": "many"}']
)
def test_an_answer_that_does_not_fit_says_why(wanted: Any, text: str) -> None:
    output = output_of(wanted)
    assert output is not None
    with pytest.raises(InvalidResponseError) as caught:
        output.read(text)
    question = output.question(str(caught.value))
    assert str(caught.value) in question
    assert '"people"' in question


def test_the_place_of_each_problem_is_named() -> None:
    output = output_of(SCHEMA)
    assert output is not None
    with pytest.raises(InvalidResponseError, match=r"\$\.people: -1 is less than the minimum of 0"):
        output.read('{"name": "x", "people": -1}')
    assert output.response_format["json_schema"]["name"] == "A_city_"


@pytest.mark.parametrize(
    ("wanted", "words"),
    [
        (
            {"type": "objekt"},
            "output.type is no JSON Schema: 'objekt' is no type; there are array, boolean, integer, null",
        ),
        ({"properties": []}, "output.properties is no JSON Schema"),
        ({"properties": {"a": {"type": 1}}}, "output.properties.a.type is no JSON Schema"),
        ({"$ref": "https://example.com/schema.json"}, "refers to 'https://example.com/schema.json'"),
        ({"default": {1, 2}}, "no JSON Schema"),
        ("schema.json", "a class or a JSON Schema as a dictionary; got str"),
        (int, "no JSON objects"),
        (object, "no JSON Schema can be made"),
    ],
)
def test_what_is_no_schema_is_refused(wanted: Any, words: str) -> None:
    with pytest.raises(UsageError, match=words.replace("$", r"\$").replace(".", r"\.")):
        output_of(wanted)


def test_a_reference_that_leads_nowhere_fits_nothing_and_fetches_nothing() -> None:
    output = output_of({"$ref": "#/$defs/gone"})
    assert output is not None
    with pytest.raises(InvalidResponseError, match="isn't there"):
        output.read("{}")


def test_nothing_is_asked_for_where_nothing_is_wanted() -> None:
    assert output_of(None) is None


@pytest.mark.parametrize("retries", [-1, 1.5, True])
def test_retries_are_counted(retries: Any) -> None:
    with pytest.raises(UsageError, match="output_retries"):
        output_of(SCHEMA, retries)
