"""What is allowed, asked about and refused: the rules as a table, and what becomes of an answer."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from tiny_agents.agent.composition.inner_gate import inner_gate
from tiny_agents.agent.definition.parse import parse_definition
from tiny_agents.agent.definition.types import AgentDefinition
from tiny_agents.agent.permissions.answers import PermissionAnswers
from tiny_agents.agent.permissions.gate import Approval, PermissionGate
from tiny_agents.agent.permissions.rules import Permissions, Rule, in_words, permissions_of, rule_of
from tiny_agents.errors import ConfigError, UsageError
from tiny_agents.mcp_client.calls.gate import CallRequest, Gate, Verdict, verdict_of


def call(name: str = "files.write", *, hints: str = "", version: str = "1", **arguments: Any) -> CallRequest:
    """`hints`: "reads", "destroys", "adds" (not destructive), or nothing."""
    server, _, tool = name.partition(".")
    destructive = {"destroys": True, "adds": False}.get(hints)
    return CallRequest(server, tool, arguments, hints == "reads", destructive, version=version)


# ---------------------------------------------------------------- patterns


@pytest.mark.parametrize(
    ("pattern", "server", "tool", "fits"),
    [
        ("*", "any", "thing", True),
        ("*.*", "any", "th.ing", True),
        ("files.read", "files", "read", True),
        ("files.read", "files", "Read", False),
        ("files.read", "files", "read_all", False),
        ("files.read_*", "files", "read_all", True),
        ("files.*", "files2", "read", False),
        ("files.*", "files", "", True),
        ("file?.[rw]*", "files", "write", True),
        ("*.rm_*", "shell", "rm_rf", True),
        ("*.rm_*", "shell", "mkdir", False),
        ("a.b.c", "a.b", "c", True),
        ("a.b.c", "a", "b.c", True),
        ("a.b.c", "a.b.c", "", False),
        ("fi*.read", "fish", "x.read", False),  # a star ends where the server's name does
        ("*.read", "fish", "x.read", False),
        ("*.read", "fish.x", "read", True),
    ],
)
def test_a_pattern_is_a_server_and_a_tool(pattern: str, server: str, tool: str, fits: bool) -> None:
    assert rule_of(pattern).fits(CallRequest(server, tool, {})) is fits


@pytest.mark.parametrize(
    ("rules", "decision"),
    [
        ({"deny": ["files.rm"]}, "deny"),
        ({"deny": ["helper/files.rm"]}, "deny"),
        ({"deny": ["*.rm"]}, "deny"),
        ({"deny": ["other/files.rm"]}, "allow"),
        ({"ask": ["files.rm"]}, "ask"),
        ({"default": "deny", "allow": ["files.rm"]}, "deny"),  # another agent's server only has the name in common
        ({"default": "deny", "allow": ["helper/files.rm"]}, "allow"),
        ({"default": "deny", "allow": ["helper/*.rm"]}, "allow"),
        ({"default": "deny", "approval": {"files": "never"}}, "deny"),
    ],
)
def test_calls_of_an_agent_that_is_a_tool_are_known_by_the_way_to_them(rules: dict[str, Any], decision: str) -> None:
    request = CallRequest("files", "rm", {}, path=("helper",))
    assert request.name == "helper/files.rm"
    assert Permissions.of(**{"default": "allow", **rules}).decide(request).decision == decision


@pytest.mark.anyio
@pytest.mark.parametrize(
    ("own", "outer", "asked", "allowed"),
    [
        ({"default": "allow"}, {"default": "allow"}, False, True),
        ({"default": "allow"}, {"default": "ask"}, True, True),
        ({"default": "ask"}, {"default": "allow"}, True, True),
        ({"default": "deny"}, {"default": "allow"}, False, False),
        ({"default": "allow", "allow": ["s.t"]}, {"default": "allow", "deny": ["s.t"]}, False, False),
    ],
)
async def test_of_the_rules_of_agents_in_agents_the_strictest_counts_and_the_outermost_asks(
    own: dict[str, Any], outer: dict[str, Any], asked: bool, allowed: bool
) -> None:
    names = []

    async def approve(request: CallRequest) -> bool:
        names.append(request.name)
        return True

    outermost = PermissionGate(Permissions.of(**outer), approve)
    middle = inner_gate("middle", None, outermost)
    gate = inner_gate("inner", PermissionGate(Permissions.of(**own)), middle)
    assert gate is not None
    verdict = await verdict_of(gate, CallRequest("s", "t", {}))
    assert (names, verdict.allowed) == (["middle/inner/s.t"] if asked else [], allowed)


@pytest.mark.anyio
async def test_gates_of_ones_own_are_asked_from_the_inside_out() -> None:
    seen: list[str] = []

    def gate(name: str, answer: bool) -> Gate:
        async def decide(request: CallRequest) -> bool:
            seen.append(f"{name}: {request.name}")
            return answer

        return decide

    allowed = inner_gate("a", gate("own", True), gate("outer", True))
    refused = inner_gate("a", gate("own", False), gate("outer", True))
    assert allowed is not None
    assert refused is not None
    assert (await verdict_of(allowed, CallRequest("s", "t", {}))).allowed
    assert not (await verdict_of(refused, CallRequest("s", "t", {}))).allowed
    assert seen == ["own: s.t", "outer: a/s.t", "own: s.t"]
    assert inner_gate("a", None, None) is None


@pytest.mark.parametrize("pattern", ["", "files", "files.", ".read", "read_*", "."])
def test_a_pattern_without_a_server_or_a_tool_is_refused(pattern: str) -> None:
    with pytest.raises(ValueError, match=r"must be SERVER\.TOOL"):
        rule_of(pattern)
    with pytest.raises(UsageError, match=r"permissions: a pattern must be SERVER\.TOOL"):
        Permissions.of(deny=[pattern])


@pytest.mark.parametrize(
    ("arguments", "fits"),
    [
        ({"command": "git status"}, True),
        ({"command": "git push", "cwd": "/"}, True),
        ({"command": "rm -rf git "}, False),
        ({"command": ["git", "push"]}, False),
        ({"cmd": "git status"}, False),
        ({}, False),
    ],
)
def test_a_rule_may_say_what_arguments_look_like(arguments: dict[str, Any], fits: bool) -> None:
    assert rule_of("shell.run", {"command": "git *"}).fits(call("shell.run", **arguments)) is fits


def test_an_argument_that_is_no_text_is_compared_as_json() -> None:
    rule = rule_of("a.b", {"force": "true", "paths": '["/etc*'})
    assert rule.fits(call("a.b", force=True, paths=["/etc/passwd"]))
    assert not rule.fits(call("a.b", force="yes", paths=["/etc/passwd"]))


# ---------------------------------------------------------------- rules

READS = call("files.read", hints="reads")
WRITES = call("files.write", hints="destroys")
SILENT = call("files.touch")
ADDS = call("files.add", hints="adds")
FUNCTION = call("function.add")


@pytest.mark.parametrize(
    ("rules", "request_", "decision"),
    [
        # the default
        ({"default": "allow"}, WRITES, "allow"),
        ({"default": "ask"}, WRITES, "ask"),
        ({"default": "deny"}, WRITES, "deny"),
        ({}, READS, "allow"),
        ({}, ADDS, "allow"),
        ({}, WRITES, "ask"),
        ({}, SILENT, "ask"),
        # what a server says of its tools never wins over what the user says
        ({"default": "ask"}, READS, "ask"),
        ({"default": "deny"}, READS, "deny"),
        ({"ask": ["files.*"]}, READS, "ask"),
        ({"deny": ["files.*"]}, READS, "deny"),
        # a server's approval, before the default and after the rules
        ({"default": "deny", "approval": {"files": "never"}}, WRITES, "allow"),
        ({"default": "allow", "approval": {"files": "always"}}, READS, "ask"),
        ({"default": "allow", "approval": {"files": "destructive"}}, READS, "allow"),
        ({"default": "allow", "approval": {"files": "destructive"}}, SILENT, "ask"),
        ({"default": "ask", "approval": {"other": "never"}}, READS, "ask"),
        ({"allow": ["files.read"], "approval": {"files": "always"}}, READS, "allow"),
        # deny wins
        ({"allow": ["files.write"], "deny": ["*"]}, WRITES, "deny"),
        ({"allow": ["files.write"], "ask": ["files.write"], "deny": ["*.w*"]}, WRITES, "deny"),
        # the most specific rule, and of two alike the one that asks
        ({"allow": ["files.write"], "ask": ["files.*"]}, WRITES, "allow"),
        ({"allow": ["files.*"], "ask": ["files.write"]}, WRITES, "ask"),
        ({"allow": ["*"], "ask": ["*.write"]}, WRITES, "ask"),
        ({"allow": ["files.write"], "ask": ["files.write"]}, WRITES, "ask"),
        ({"allow": ["*"], "ask": ["*"]}, WRITES, "ask"),
        ({"allow": [rule_of("*", {"path": "/tmp/*"})], "ask": ["files.write"]}, call(path="/tmp/x"), "allow"),
        ({"allow": [rule_of("*", {"path": "/tmp/*"})], "ask": ["files.write"]}, call(path="/etc/x"), "ask"),
        ({"default": "deny", "allow": ["files.read"]}, WRITES, "deny"),
        # the program's own functions
        ({"default": "ask"}, FUNCTION, "allow"),
        ({"default": "deny"}, FUNCTION, "allow"),
        ({"ask": ["function.*"]}, FUNCTION, "ask"),
        ({"deny": ["*.add"]}, FUNCTION, "deny"),
    ],
)
def test_what_the_rules_say_of_a_call(rules: dict[str, Any], request_: CallRequest, decision: str) -> None:
    assert Permissions.of(**rules).decide(request_).decision == decision


@pytest.mark.parametrize(
    ("rules", "problem"),
    [
        ({"default": "maybe"}, "default must be one of allow, ask, deny, destructive, not 'maybe'"),
        ({"approval": {"files": "ask"}}, "approval of 'files' must be one of never, destructive, always, not 'ask'"),
    ],
)
def test_words_that_make_no_sense_are_refused(rules: dict[str, Any], problem: str) -> None:
    with pytest.raises(UsageError, match=problem):
        Permissions.of(**rules)


@pytest.mark.parametrize(
    ("mode", "request_", "decision", "unattended"),
    [
        ("allow", WRITES, "ask", "allow"),
        ("deny", WRITES, "ask", "deny"),
        ("ask", READS, "ask", "deny"),
        ("ask", call("files.free"), "allow", "deny"),
        ("allow", call("files.forbidden"), "deny", "deny"),
    ],
)
def test_the_user_may_say_it_once_for_all(mode: Any, request_: CallRequest, decision: str, unattended: str) -> None:
    rules = Permissions.of(allow=["files.free"], deny=["files.forbidden"], approval={"files": "destructive"})
    ruling = rules.with_mode(mode).decide(request_)
    assert (ruling.decision, ruling.unattended) == (decision, unattended)


def test_a_rule_that_fits_no_tool_is_told() -> None:
    rules = Permissions.of(
        allow=["*", "files.read", "files.r*"], ask=["flies.*", "function.x"], deny=["files.wirte", "*.rm_*", "f*.x"]
    )
    assert rules.idle([("files", "read"), ("files", "write")]) == ["'flies.*' (ask)", "'files.wirte' (deny)"]


# ---------------------------------------------------------------- definitions

HEAD = "servers: {files: {command: x}, web: {command: y, approval: always}}\n"


def definition(text: str, **more: Any) -> AgentDefinition:
    import dataclasses

    return dataclasses.replace(parse_definition(HEAD + text), **more)


@pytest.mark.parametrize(
    ("text", "downloaded", "request_", "decision", "unattended"),
    [
        # one's own that says nothing: asks about what may destroy something, and works where nobody is there
        ("", False, WRITES, "ask", "allow"),
        ("", False, READS, "allow", ""),
        # what it says, it means: without a person it is refused
        ("", False, call("web.get", hints="reads"), "ask", "deny"),
        ("permissions: {default: ask}", False, WRITES, "ask", "deny"),
        ("permissions: {ask: [files.write]}", False, WRITES, "ask", "deny"),
        ("permissions: {ask: [files.other]}", False, WRITES, "ask", "allow"),
        ("permissions: {default: ask, unattended: allow}", False, WRITES, "ask", "allow"),
        ("permissions: {unattended: deny}", False, WRITES, "ask", "deny"),
        ("permissions: {default: allow}", False, WRITES, "allow", ""),
        ("permissions: {allow: [files.*]}", False, WRITES, "allow", ""),
        # Python functions, agents and tasks: where somebody chose `ask` or `deny`, or it was downloaded
        ("", False, FUNCTION, "allow", ""),
        ("permissions: {default: destructive}", False, FUNCTION, "allow", ""),
        ("permissions: {default: ask}", False, FUNCTION, "ask", "deny"),
        ("permissions: {default: deny}", False, FUNCTION, "deny", ""),
        ("permissions: {default: deny, allow: [function.add]}", False, FUNCTION, "allow", ""),
        ("permissions: {default: deny}", False, call("function.load_skill"), "allow", ""),
        ("", True, FUNCTION, "ask", "allow"),
        ("permissions: {default: deny}", True, FUNCTION, "deny", ""),
        # one that was downloaded can't allow anything
        ("", True, READS, "ask", "allow"),
        ("permissions: {default: allow}", True, READS, "ask", "allow"),
        ("permissions: {allow: ['*'], unattended: allow}", True, WRITES, "ask", "allow"),
        ("permissions: {default: ask, unattended: allow}", True, WRITES, "ask", "deny"),
        ("permissions: {default: deny}", True, READS, "deny", ""),
        ("permissions: {deny: [files.write]}", True, WRITES, "deny", ""),
        ("permissions: {ask: [files.write], allow: [files.write]}", True, WRITES, "ask", "deny"),
    ],
)
def test_a_definition_s_permissions_depend_on_where_it_comes_from(
    text: str, downloaded: bool, request_: CallRequest, decision: str, unattended: str
) -> None:
    ruling = permissions_of(definition(text, downloaded=downloaded)).decide(request_)
    assert ruling.decision == decision
    if decision == "ask":
        assert ruling.unattended == unattended


@pytest.mark.parametrize(
    ("text", "downloaded", "words"),
    [
        (
            "",
            False,
            [
                "calls of web: asked about",
                "other calls: asked about if they may destroy something; where nobody is there, made",
            ],
        ),
        (
            "permissions: {default: deny, allow: [files.*, {tool: web.get, arguments: {url: 'https://*'}}]}",
            False,
            ["calls of web: asked about", "calls made: files.*, web.get (url=https://*)", "other calls: refused"],
        ),
        ("permissions: {default: allow}", True, ["calls of tools: asked about; where nobody is there, made"]),
        (
            "permissions: {default: ask, deny: ['*.rm']}",
            True,
            ["calls refused: *.rm", "other calls: asked about; where nobody is there, refused"],
        ),
    ],
)
def test_what_the_rules_mean_can_be_said(text: str, downloaded: bool, words: list[str]) -> None:
    assert in_words(permissions_of(definition(text, downloaded=downloaded))) == words


@pytest.mark.parametrize(
    ("text", "downloaded", "pinning"),
    [
        ("", False, "warn"),
        ("pinning: off", False, "off"),
        ("pinning: off", True, "warn"),
        ("pinning: strict", True, "strict"),
    ],
)
def test_a_downloaded_definition_can_not_hush_up_that_a_tool_changed(text: str, downloaded: bool, pinning: str) -> None:
    assert definition(text, downloaded=downloaded).pinning_wanted == pinning


def test_a_definition_may_name_arguments() -> None:
    text = """permissions:
  deny:
    - {tool: files.write, arguments: {path: /etc/*, mode: 7}}
"""
    assert definition(text).permissions["deny"] == (Rule("files.write", (("path", "/etc/*"), ("mode", "7"))),)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("permissions: {deny: [rm_*]}", "permissions.deny[0]: must be SERVER.TOOL, such as 'rm_*.*' or '*.rm_*'"),
        ("permissions: {deny: files.rm}", "permissions.deny: must be a list, but is text"),
        (
            "permissions: {deny: [{arguments: {a: b}}]}",
            "permissions.deny[0].tool: missing; it says which tools are meant",
        ),
        ("permissions: {deny: [{tool: a.b, argument: {}}]}", "unknown key; did you mean 'arguments'"),
        ("permissions: {default: never}", "permissions.default: must be one of allow, ask, deny, destructive"),
        ("permissions: {unattended: ask}", "permissions.unattended: must be one of allow, deny"),
        ("permissions: {alow: []}", "permissions.alow: unknown key"),
    ],
)
def test_what_is_wrong_in_a_definition_is_named(text: str, problem: str) -> None:
    with pytest.raises(ConfigError) as caught:
        definition(text)
    assert problem.replace("; did", " (did").split(" (did")[0] in str(caught.value)


# ---------------------------------------------------------------- answers


class Person:
    """Answers what was agreed, in this order, and notes what it was asked."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []

    async def __call__(self, request: CallRequest) -> Any:
        self.asked.append(request.name)
        await asyncio.sleep(0)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return Approval(*answer) if isinstance(answer, tuple) else answer


ASK = Permissions.of(default="ask")
NO = Verdict(False, "the user said no")


@pytest.mark.anyio
async def test_an_answer_holds_as_long_as_it_was_meant_to() -> None:
    person = Person(("once",), ("session",), ("no",))
    gate = PermissionGate(ASK, person)
    assert [await gate(WRITES) for _ in range(3)] == [Verdict(True)] * 3
    assert person.asked == ["files.write", "files.write"]
    assert await gate(READS) == NO
    assert person.asked[2:] == ["files.read"]


@pytest.mark.anyio
async def test_a_tool_that_is_another_now_is_asked_about_again() -> None:
    person = Person(("session",), ("no", "it changed"))
    gate = PermissionGate(ASK, person)
    assert await gate(call(version="1")) == Verdict(True)
    assert await gate(call(version="2")) == Verdict(False, "the user said no: it changed")


@pytest.mark.anyio
async def test_calls_at_the_same_time_are_asked_about_one_by_one_and_not_twice() -> None:
    person = Person(("session",), True, False)
    gate = PermissionGate(ASK, person)
    verdicts = await asyncio.gather(*(gate(request) for request in (WRITES, WRITES, READS, SILENT)))
    assert verdicts == [Verdict(True), Verdict(True), Verdict(True), NO]
    assert person.asked == ["files.write", "files.read", "files.touch"]


@pytest.mark.anyio
async def test_where_nobody_can_be_asked_the_model_is_told_so() -> None:
    verdict = await PermissionGate(ASK)(WRITES)
    assert not verdict.allowed
    assert "can't be asked for here" in verdict.reason
    assert (await PermissionGate(Permissions(chosen=False))(WRITES)).allowed
    assert not (await PermissionGate(Permissions.of(deny=["*"]), Person())(WRITES)).allowed


@pytest.mark.anyio
async def test_a_person_who_can_not_be_asked_after_all_has_not_agreed(caplog: pytest.LogCaptureFixture) -> None:
    gate = PermissionGate(ASK, Person(OSError("the terminal is gone"), ("session",)))
    assert await verdict_of(gate, WRITES) == Verdict(False, "whether it is allowed could not be decided")
    assert "the terminal is gone" in caplog.text
    assert await gate(WRITES) == Verdict(True), "the next call is asked about"


@pytest.mark.anyio
async def test_a_turn_that_ends_during_the_question_frees_the_next() -> None:
    waiting = asyncio.Event()

    async def never(request: CallRequest) -> bool:
        waiting.set()
        await asyncio.Event().wait()
        return True

    gate = PermissionGate(ASK, never)
    task = asyncio.create_task(gate(WRITES))
    await waiting.wait()
    task.cancel()
    await asyncio.wait({task})
    assert task.cancelled()
    gate._approve = Person(True)
    async with asyncio.timeout(30):
        assert await gate(WRITES) == Verdict(True)


@pytest.mark.anyio
async def test_always_is_kept_for_this_agent_and_this_tool_and_can_be_taken_back(tmp_path: Path) -> None:
    path = tmp_path / "permissions.json"

    def gate(agent: str, *answers: Any) -> PermissionGate:
        return PermissionGate(ASK, Person(*answers), PermissionAnswers(path, agent, agent.upper()))

    assert (await gate("a", ("always",))(WRITES)).allowed
    assert path.stat().st_mode & 0o777 == 0o600
    assert (await gate("a")(WRITES)).allowed, "not asked again"
    assert not (await gate("b", False)(WRITES)).allowed
    assert not (await gate("a", False)(READS)).allowed
    assert not (await gate("a", False)(call(version="2"))).allowed
    denying = PermissionGate(Permissions.of(deny=["*"]), None, PermissionAnswers(path, "a"))
    assert not (await denying(WRITES)).allowed, "a rule wins over an answer"

    answers = PermissionAnswers(path, "a")
    assert {name: list(agent.tools) for name, agent in answers.all().items()} == {"a": ["files.write"]}
    answers.forget({"a"})
    assert not (await gate("a", False)(WRITES)).allowed


@pytest.mark.anyio
async def test_an_answer_for_the_session_is_not_kept(tmp_path: Path) -> None:
    path = tmp_path / "permissions.json"
    assert (await PermissionGate(ASK, Person(("session",)), PermissionAnswers(path, "a"))(WRITES)).allowed
    assert not path.exists()
