"""Events as records of `--output jsonl`, and the pages that are made from them."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from typing import Any, get_args

import jsonschema
import msgspec
import pytest

from tiny_agents.cli.exit_codes import ExitCode
from tiny_agents.cli.machine.event_records import (
    STATUSES,
    RecordReader,
    as_line,
    as_object,
    asked_record,
    end_record,
    event_record,
    plain,
)
from tiny_agents.cli.machine.machine import records
from tiny_agents.cli.machine.record_schema import record_schema
from tiny_agents.cli.prompt.prompts import prompt_file
from tiny_agents.inference.types.chat import decode_chunk
from tiny_agents.mcp_client.events import InnerEvent, ServerAsked, ServerEvent, ServerLog, ToolProgress
from tiny_agents.mcp_client.host.host import Asked, AuthorizationRequest

ROOT = Path(__file__).parents[2]
VALIDATOR = jsonschema.Draft202012Validator(record_schema())
EVENTS = [each for each in get_args(ServerEvent) if each is not ServerAsked]
DEEP = "[" * 9999
SAMPLES: dict[str, Any] = {"int": 1, "float": 1.5, "bool": True, "str": "s", "Any": {"a": 1}}


def sample(cls: type[msgspec.Struct]) -> Any:
    """An event or request with a value in each field."""
    values = {}
    for name in cls.__struct_fields__:
        kind = str(cls.__annotations__[name]).partition(" | ")[0]
        values[name] = SAMPLES.get(kind, {} if "Mapping" in kind else () if "uple" in kind or "Seq" in kind else "s")
    return cls(**values)


@pytest.mark.parametrize(
    "cls", [each for each in get_args(ServerEvent) if each is not ServerAsked], ids=lambda c: c.__name__
)
def test_every_event_has_a_record_that_fits_the_schema(cls):
    VALIDATOR.validate(json.loads(as_line(event_record(sample(cls)))))


@pytest.mark.parametrize("cls", get_args(Asked), ids=lambda c: c.__name__)
def test_every_question_of_a_server_has_a_record_of_its_own(cls):
    record = asked_record(sample(cls))
    assert isinstance(record, records.Ask)
    VALIDATOR.validate(json.loads(as_line(record)))


def test_the_page_of_a_login_is_in_no_record():
    request = AuthorizationRequest(
        "s", url="https://x/?state=1", host="x", scopes=(), redirect_uri="http://127.0.0.1:1"
    )
    assert "state" not in as_line(asked_record(request))


def test_an_event_of_a_new_kind_is_told_by_its_name_and_fields():
    @dataclasses.dataclass
    class Unheard:
        a: int
        secret: str = dataclasses.field(default="x", repr=False)

    assert event_record(Unheard(1)) == records.Event(name="Unheard", data={"a": 1})


def test_whatever_a_server_sends_becomes_a_line_of_ascii():
    line = as_line(event_record(ServerLog("s", "info", {"a": [float("nan"), "\x1b]0;x\x07\n\u2028\ud800", object()]})))
    assert line.isascii()
    assert line.count("\n") == 1
    assert "\x1b" not in line
    assert json.loads(line)["data"] == {"a": [None, "\x1b]0;x\x07\n\u2028\ud800", "object"]}
    assert json.loads(as_line(event_record(ToolProgress("s", "t", 1.0))))["total"] is None


def test_data_that_is_too_deep_is_cut():
    deep: Any = []
    for _ in range(10_000):
        deep = [deep]
    assert "…" in json.dumps(plain(deep), ensure_ascii=False)


@pytest.mark.parametrize(
    ("text", "value"), [('{"a": 1}', {"a": 1}), ("", {}), ("[1]", "[1]"), ("{", "{"), (DEEP, DEEP)]
)
def test_arguments_are_an_object_or_the_text_that_is_none(text, value):
    assert as_object(text) == value


def test_every_status_has_a_word_but_that_of_a_reader_who_left():
    assert {code for code in ExitCode if code not in STATUSES} == {ExitCode.BROKEN_PIPE}
    assert end_record(ExitCode.USAGE, None, session=None, error=None).status == "usage"


@pytest.mark.parametrize(
    ("flag", "file"),
    [("@a.txt", "a.txt"), ("a", None), ("@-", None), ("@@a", None), ("@ada said", None), ("@with space", "with space")],
)
def test_what_a_prompt_that_begins_with_an_at_sign_means(tmp_path, monkeypatch, flag, file):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "with space").touch()
    assert prompt_file(flag) == (None if file is None else Path(file))


def test_the_pages_about_the_command_line_are_fresh():
    script = ROOT / "scripts" / "write_cli_docs.py"
    done = subprocess.run([sys.executable, script, "--check"], cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout.strip(), done.stderr) == (0, "", ""), "run: python scripts/write_cli_docs.py"


def test_what_happens_in_an_agent_that_is_a_tool_is_told_with_the_way_to_it():
    reader = RecordReader(lambda name: None)
    chunk = decode_chunk(b'{"choices": [{"delta": {"content": "Hi"}, "index": 0}]}')
    deeper = InnerEvent("helper", "c1", InnerEvent("clock", None, chunk))
    (record,) = reader.read(deeper)
    line = json.loads(as_line(record))
    VALIDATOR.validate(line)
    assert (line["tool"], line["call"], line["record"]["type"]) == ("helper", "c1", "inner")
    assert line["record"]["record"] == {"type": "text", "text": "Hi"}
