"""What MCP servers say when they are met, list their tools and answer calls: one of them misbehaves, the others serve on."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from tests.faults.serving import ALL, ServerScenario, cases, served
from tests.support.leftovers import Leftovers
from tiny_agents.mcp_client.host.host import FormRequest, Host, Reply, SamplingRequest, UrlRequest

pytestmark = pytest.mark.anyio


@pytest.fixture(autouse=True)
def _floods_are_shorter(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tiny_agents.mcp_client.transports.stdio.MAX_NOISE_BYTES", 20_000_000)


TWO = ("stdio", "http")  # for what is mended at one place, whatever brought it
LINES = ("stdio", "sse")  # transports on which messages come by themselves
SOON = {"startup_timeout": 0.6}
SHORT = {"tool_timeout": 0.4}
LATE = r"^Error: MCP server 'bad': the tool 'ping' did not finish within 0\.4 s"
PARTLY = r"left out: it isn't valid MCP"


class Busy(Host):
    """Answers whatever is asked: the limits are the package's own."""

    async def elicit(self, request: FormRequest | UrlRequest) -> Reply:
        assert len(request.message) < 5_000
        return Reply("accept", {"a": "x"})

    async def allow_sampling(self, request: SamplingRequest) -> bool:
        return False

    async def roots(self) -> Sequence[Path]:
        return ()


@cases(
    *(
        ServerScenario(f"is {who}", ("no loss",), "greets", who, TWO, tools=("bad__ping", "bad__leave"))
        for who in ("nobody", "a list", "no capabilities", "flags", "numbers", "a book")
    ),
    ServerScenario(
        "speaks no version we know", ("no hang",), "greets", "old", TWO, refused="Unsupported protocol version"
    ),
    ServerScenario(
        "speaks a version that is a number", ("no hang",), "greets", "number", ALL[:1], refused="Unsupported protocol"
    ),
    ServerScenario("refuses in a megabyte", ("bounded",), "refuses_at_length", refused="could not be used: bad bad"),
    ServerScenario("never answers at all", ("no hang",), "never_answers", refused="not ready within", server=SOON),
    ServerScenario("never lists its tools", ("no hang",), "never_lists", refused="not ready within", server=SOON),
    ServerScenario("can't list its tools", ("valid",), "refuses_to_list", refused="the database is locked"),
    ServerScenario("lists nonsense", ("valid",), "lists_nonsense", refused="its list of tools is not valid MCP"),
    ServerScenario(
        "says its key and leaves",
        ("no leak",),
        "says_its_key_and_leaves",
        kinds=["stdio"],
        refused=r"exited with status 4 .*\n.*\n  can't log in with \*\*\*$",
    ),
    ServerScenario(
        "writes to its output without end",
        ("bounded", "no hang"),
        "floods_its_output",
        kinds=["stdio"],
        refused=r"floods its standard output .* it begins with: 'y'",
    ),
)
async def test_a_greeting(
    scenario: ServerScenario, kind: str, model: Any, leftovers: Leftovers, caplog: pytest.LogCaptureFixture
) -> None:
    await served(scenario, kind, model, leftovers, caplog)


@cases(
    ServerScenario(
        "lists 12,000 tools on one page",
        ("bounded",),
        "lists_too_much",
        kinds=["stdio"],
        tool="t9999",
        warned="has 12,000 entries, of which the first 10,000",
        most=200_000_000,
    ),
    ServerScenario(
        "has a tool that is nested too deeply",
        ("no loss", "bounded"),
        "lists_the_deep",
        kinds=["stdio", "json", "sse"],
        tools=("bad__ping", "bad__leave"),
        warned="'deep' is nested too deeply, and is left out",
    ),
    ServerScenario("has numbers without end in a schema", ("no loss",), "lists_long_numbers", kinds=["stdio", "sse"]),
    *(
        ServerScenario(
            f"has {cursor} for a cursor",
            ("no loss",),
            "has_an_odd_cursor",
            cursor,
            TWO,
            tools=("bad__ping", "bad__leave"),
        )
        for cursor in ("5", "{}")
    ),
    ServerScenario("repeats its cursor", ("no hang",), "repeats_a_cursor", warned="does not end; the first 4 are used"),
    ServerScenario("hides words in its schema", ("no surprise",), "hides_in_its_schema", tools=("bad__ping",)),
    ServerScenario("announces changes without end", ("bounded",), "announces_without_end", kinds=["stdio", "sse"]),
)
async def test_a_list(
    scenario: ServerScenario, kind: str, model: Any, leftovers: Leftovers, caplog: pytest.LogCaptureFixture
) -> None:
    await served(scenario, kind, model, leftovers, caplog)


def answers(argument: str, told: str, promise: str = "no loss", **more: Any) -> ServerScenario:
    return ServerScenario(f"answers with {argument}", (promise,), "answers", argument, TWO, told=told, **more)


@cases(
    answers("an unknown part", r"^good\n\[A part of the answer, of the type 'novel', was left out"),
    answers("naked parts", rf"^good\nnaked\n.*{PARTLY}"),
    answers("half an image", rf"^good\n.*'image', was {PARTLY}"),
    answers("odd annotations", "^good$"),
    answers("null flag", "^good$"),
    answers("a list of data", "^good$"),
    answers("only data", r'^\{"a":1\}$'),
    answers("the oldest kind", "^good$"),
    answers("nothing", "^Error: the server's answer is not valid MCP: content", "valid"),
    answers("no list", "^Error: the server's answer is not valid MCP: content", "valid"),
    answers("an error without words", "^Error: the tool failed and didn't say why", "valid"),
    answers("many parts", r"^x\nx\n.*first 10,000 of 20,000 parts", "bounded"),
    answers("escapes", "^good", "no surprise"),
    answers("file links", r"^\[Resource link 'good' \(file:///etc/passwd\)\]", "no surprise"),
    ServerScenario("answers deeply nested", ("no hang",), "answers_deeply", told="^Error: the (server's )?answer"),
    ServerScenario(
        "answers in numbers without end",
        ("no hang",),
        "answers_in_long_numbers",
        kinds=["stdio", "json"],
        told="e.?308",
    ),
    ServerScenario(
        "answers in millions of values",
        ("bounded",),
        "answers_in_many_values",
        kinds=["stdio", "json", "sse"],
        told="^Error: the answer holds more than 500,000 values",
    ),
)
async def test_an_answer(
    scenario: ServerScenario, kind: str, model: Any, leftovers: Leftovers, caplog: pytest.LogCaptureFixture
) -> None:
    await served(scenario, kind, model, leftovers, caplog)


def fails(error: str, told: str, **more: Any) -> ServerScenario:
    return ServerScenario(f"fails with {error}", ("valid",), "fails_oddly", error, told=f"^Error: {told}", **more)


@cases(
    ServerScenario("a tool fails", ("valid", "no leak"), "tool_fails", told="^Error: no disk"),
    ServerScenario("refuses a call", ("valid",), "uses_our_numbers", told="^Error: no such record$"),
    fails('{"code": "x", "message": "m"}', "m$", kinds=LINES),
    fails('{"message": "m"}', "m$", kinds=LINES),
    fails('"just text"', "just text$", kinds=LINES),
    fails('{"code": 1}', "an error without words", kinds=LINES),
    fails("[]", "an error without words", kinds=LINES),
    ServerScenario("hangs in a call", ("no hang",), "hangs", told=LATE, server=SHORT),
    ServerScenario(
        "says half of an answer", ("no hang",), "half_an_answer_and_no_more", kinds=["stdio"], told=LATE, server=SHORT
    ),
    ServerScenario(
        "reports for ever", ("no hang",), "reports_for_ever", kinds=["stdio"], told="did not finish", server=SHORT
    ),
    ServerScenario("cancels our call", ("no hang",), "cancels_our_call", kinds=LINES, told=LATE, server=SHORT),
    ServerScenario("answers with its id as text", ("no loss",), "answers_by_id", "text"),
    ServerScenario("answers twice", ("valid",), "answers_by_id", "twice"),
    ServerScenario("answers and fails at once", ("valid",), "answers_by_id", "both", kinds=LINES, told="^Error: both$"),
    ServerScenario(
        "answers somebody else", ("no hang",), "answers_by_id", "another", kinds=LINES, told=LATE, server=SHORT
    ),
    ServerScenario("answers nobody", ("no hang",), "answers_by_id", "none", kinds=LINES, told=LATE, server=SHORT),
    ServerScenario("fails for nobody", ("no hang",), "answers_by_id", "null", kinds=LINES, told=LATE, server=SHORT),
)
async def test_a_call(
    scenario: ServerScenario,
    kind: str,
    model: Any,
    leftovers: Leftovers,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("tiny_agents.mcp_client.connection.life.MAX_CALL_S", 0.8)  # an hour, for the one that reports
    await served(scenario, kind, model, leftovers, caplog)


@cases(
    ServerScenario(
        "dies in a call",
        ("no hang", "valid"),
        "well_behaved",
        tool="bad__leave",
        told={
            "stdio": r"exited with status 5 during the call of 'leave'\. The call may have run\.",
            "http": "broke its answer off during the call of 'leave'",
            "json": "Error: the server's answer is not valid MCP",
            "sse": "closed the connection during the call of 'leave'",
        },
        state={"stdio": "lost", "http": "ready", "json": "ready", "sse": "lost"},
    ),
    ServerScenario(
        "dies in the middle of an answer",
        ("no hang",),
        "half_an_answer_and_dies",
        kinds=["stdio"],
        told="exited with status 3 during the call",
        state="lost",
    ),
    ServerScenario(
        "answers and dies", ("no loss",), "answers_and_dies", kinds=["stdio"], told="^last words$", state=None
    ),
    ServerScenario(
        "closes its output and lives on",
        ("no hang", "no leak"),
        "closes_its_output",
        kinds=["stdio"],
        told="closed its standard output during the call",
        state="lost",
    ),
    ServerScenario(
        "writes to its output without end in a call",
        ("bounded", "no hang"),
        "floods_its_output_in_a_call",
        kinds=["stdio"],
        told="floods its standard output with what is no MCP during the call",
        state="lost",
    ),
    ServerScenario("writes errors without end", ("bounded",), "floods_its_errors", kinds=["stdio"], most=10_000_000),
    ServerScenario(
        "asks and never reads",
        ("bounded",),
        "asks_and_never_reads",
        kinds=["stdio"],
        told="did not finish",
        server=SHORT,
    ),
    ServerScenario(
        "asks for everything",
        ("bounded",),
        "asks_for_everything",
        kinds=["stdio", "http", "sse"],
        told="^pong",
        host=Busy,
        most=150_000_000,
    ),
    ServerScenario("says large things", ("bounded",), "says_large_things", kinds=["stdio", "sse"], most=150_000_000),
    ServerScenario("says odd things", ("valid",), "says_odd_things", kinds=["stdio", "sse"]),
    ServerScenario(
        "has a helper in a session of its own", ("no leak",), "has_a_helper_of_its_own_session", kinds=["stdio"]
    ),
    ServerScenario("won't leave", ("no leak",), "is_stubborn", kinds=["stdio"]),
)
async def test_a_life(
    scenario: ServerScenario, kind: str, model: Any, leftovers: Leftovers, caplog: pytest.LogCaptureFixture
) -> None:
    await served(scenario, kind, model, leftovers, caplog)


ONLY = ["stdio"]


@cases(
    ServerScenario("keeps its lists strangely", ("no loss",), "keeps_strangely", kinds=ONLY),
    ServerScenario(
        "asks back for ever",
        ("no hang",),
        "asks_back_for_ever",
        kinds=ONLY,
        host=Busy,
        told=r"^Error: the server asked back more than \d+ times",
    ),
    ServerScenario(
        "asks back what nobody knows",
        ("valid",),
        "asks_back_nonsense",
        kinds=ONLY,
        told="^Error: the server's answer is not valid MCP",
    ),
    ServerScenario("ends its stream of changes", ("bounded",), "ends_its_stream_of_changes", kinds=ONLY),
    ServerScenario("floods its stream of changes", ("bounded",), "floods_its_stream_of_changes", kinds=ONLY),
)
async def test_a_server_of_the_newest_protocol(
    scenario: ServerScenario, kind: str, model: Any, leftovers: Leftovers, caplog: pytest.LogCaptureFixture
) -> None:
    await served(scenario, kind, model, leftovers, caplog)
