"""Which of the calls that a model wants to make are made, which are asked about, and which are refused. Pure.

What counts, in this order:

1. A rule that denies. Nothing wins over it.
2. The most specific rule that allows or asks: the one with more letters that are no pattern. Of two alike, the one that
   asks.
3. The server's own `approval`: `never` asks, `always` does, `destructive` as below.
4. The `default`: `allow`, `ask`, `deny`, or `destructive`: ask about calls that may destroy something.

Calls of an agent that is a tool of this one are `agent/server.tool`. Denying and asking rules also fit them without the
path; allowing ones don't, since another agent's server only has the name in common.

A pattern is `server.tool`, each part with `*`, `?` and `[...]`: the server's name in the agent, and the tool's name as its
server spells it. `*` alone is every call. A rule may also say what arguments have to look like.

What may destroy something is what its server says: a tool that is read-only, or not destructive by its own account, is
not asked about, any other is; so a server that is silent is asked about. Nobody checks what a server says of its tools. So
these hints count only where a person (or the default below) chose `destructive`, and never against a rule, `ask` or `deny`.

Python functions (their server is called `function`) are the program's own: they are allowed where no rule names them. Not so
where a definition was downloaded, or its `default` or the command line says `ask` or `deny`: that is about Python files,
agents and tasks too. Tools of this package that only read what the agent has anyway are always allowed.
"""

from __future__ import annotations

import fnmatch
import json
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from msgspec.structs import replace

from tiny_agents.errors import UsageError
from tiny_agents.mcp_client.tools.table import FUNCTIONS, LOAD_SKILL, READ_LINK

if TYPE_CHECKING:
    from tiny_agents.agent.definition.types import AgentDefinition
    from tiny_agents.mcp_client.calls.gate import CallRequest

Decision = Literal["allow", "ask", "deny"]
Default = Literal["allow", "ask", "deny", "destructive"]
ApprovalWord = Literal["never", "destructive", "always"]

DEFAULTS: tuple[Default, ...] = ("allow", "ask", "deny", "destructive")
_READING = frozenset({LOAD_SKILL, READ_LINK})
APPROVALS: Mapping[ApprovalWord, Default] = {"never": "allow", "destructive": "destructive", "always": "ask"}


class Rule(msgspec.Struct, frozen=True):
    """Which calls are meant: a pattern, and patterns that arguments have to fit, all of them, and have to be there."""

    pattern: str
    arguments: tuple[tuple[str, str], ...] = ()

    def fits(self, request: CallRequest, *, anywhere: bool = False) -> bool:
        """Whether the call is meant.

        Args:
            anywhere: Calls of agents that are tools are also meant by their server's name alone, without the path.
        """
        place = request.place if request.path else request.server
        if not _fits(self.pattern, place, request.tool) and not (
            anywhere and request.path and _fits(self.pattern, request.server, request.tool)
        ):
            return False
        return not self.arguments or all(
            name in request.arguments and fnmatch.fnmatchcase(_text(request.arguments[name]), pattern)
            for name, pattern in self.arguments
        )

    @property
    def specificity(self) -> int:
        """How many letters it names; an argument that is named at all counts for more than any pattern of a tool."""
        return _letters(self.pattern) + sum(1_000 + _letters(pattern) for _, pattern in self.arguments)

    def __str__(self) -> str:
        said = ", ".join(f"{name}={pattern}" for name, pattern in self.arguments)
        return f"{self.pattern} ({said})" if said else self.pattern


def rule_of(pattern: str, arguments: Mapping[str, str] | None = None) -> Rule:
    """A rule for calls that fit.

    Raises:
        ValueError: The pattern names no server, or no tool.
    """
    server, dot, tool = pattern.partition(".")
    if pattern != "*" and not (dot and server and tool):
        every = f"'{pattern}.*' or '*.{pattern}'" if pattern and not dot else "'files.*' or '*.delete_*'"
        raise ValueError(f"must be SERVER.TOOL, such as {every}, but is {pattern!r}")
    return Rule(pattern, tuple((arguments or {}).items()))


@lru_cache(maxsize=4_096)  # each call asks all rules, mostly about the same few tools
def _fits(pattern: str, server: str, tool: str) -> bool:
    if pattern == "*":
        return True
    # Either name may have dots in it, so each may be the one in between. A `*` never reaches from one name into the other.
    parts = pattern.split(".")
    return any(
        fnmatch.fnmatchcase(server, ".".join(parts[:n])) and fnmatch.fnmatchcase(tool, ".".join(parts[n:]))
        for n in range(1, len(parts))
    )


@lru_cache(maxsize=1_024)
def _letters(pattern: str) -> int:
    return sum(1 for letter in pattern if letter not in "*?[]")


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, separators=(",", ":"))


# ---------------------------------------------------------------- rules -> a decision


class Ruling(msgspec.Struct, frozen=True):
    """What the rules say of a call.

    Attributes:
        decision: "ask" leaves it to a person.
        why: For the model, where the call is refused.
        unattended: What "ask" becomes where nobody can be asked.
    """

    decision: Decision
    why: str = ""
    unattended: Literal["allow", "deny"] = "deny"


class Permissions(msgspec.Struct, frozen=True):
    """Rules about calls. `Permissions.of(...)` makes them from patterns.

    Attributes:
        default: For calls that fit no rule, of servers that have no `approval`.
        allow, ask, deny: The rules.
        approval: By the names of servers.
        unattended: What becomes of a call that somebody would have to be asked about, where nobody can be; None: it is
            refused, unless only a default that nobody chose (`chosen`) wants it asked about.
        chosen: Whether a person chose `default`.
        functions: Whether `default` is about Python functions, too.
    """

    default: Default = "destructive"
    allow: tuple[Rule, ...] = ()
    ask: tuple[Rule, ...] = ()
    deny: tuple[Rule, ...] = ()
    approval: Mapping[str, Default] = msgspec.field(default_factory=dict)
    unattended: Literal["allow", "deny"] | None = None
    chosen: bool = True
    functions: bool = False

    @classmethod
    def of(
        cls,
        *,
        default: Default = "destructive",
        allow: Iterable[str | Rule] = (),
        ask: Iterable[str | Rule] = (),
        deny: Iterable[str | Rule] = (),
        approval: Mapping[str, ApprovalWord] | None = None,
        unattended: Literal["allow", "deny"] | None = None,
    ) -> Permissions:
        """Rules from patterns: `Permissions.of(default="ask", allow=["files.read_*"], deny=["*.rm_*"])`.

        Raises:
            UsageError: A pattern or a word that makes no sense.
        """
        if default not in DEFAULTS:
            raise UsageError(f"permissions: default must be one of {', '.join(DEFAULTS)}, not {default!r}")
        for server, word in (approval or {}).items():
            if word not in APPROVALS:
                raise UsageError(
                    f"permissions: approval of '{server}' must be one of {', '.join(APPROVALS)}, not {word!r}"
                )
        chosen = {server: APPROVALS[word] for server, word in (approval or {}).items()}
        return cls(default, _rules(allow), _rules(ask), _rules(deny), chosen, unattended)

    def decide(self, request: CallRequest) -> Ruling:
        """What is to be done about a call."""
        for rule in self.deny:
            if rule.fits(request, anywhere=True):
                return Ruling("deny", f"the user's rules forbid it (deny: {rule})")
        allowing = max((rule.specificity for rule in self.allow if rule.fits(request)), default=-1)
        asking = max((rule.specificity for rule in self.ask if rule.fits(request, anywhere=True)), default=-1)
        if max(allowing, asking) >= 0:
            return Ruling("allow") if allowing > asking else Ruling("ask", unattended=self.unattended or "deny")
        if request.server == FUNCTIONS and (not self.functions or request.tool in _READING):
            return Ruling("allow")
        approval = self.approval.get(request.server) if not request.path else None
        implied = approval is None and not self.chosen
        return self._by_default(approval or self.default, request, implied)

    def _by_default(self, default: Default, request: CallRequest, implied: bool) -> Ruling:
        if default == "deny":
            return Ruling("deny", "it is not among the calls that the user's rules allow")
        harmless = request.read_only or request.destructive is False
        if default == "allow" or (default == "destructive" and harmless):
            return Ruling("allow")
        return Ruling("ask", unattended=self.unattended or ("allow" if implied else "deny"))

    def idle(self, tools: Iterable[tuple[str, str]]) -> list[str]:
        """Rules that name a server outright and fit none of its tools, as a message may show them: slips, as a rule.

        Args:
            tools: Server and name of each tool there is.
        """
        known = list(tools)
        kinds = (("allow", self.allow), ("ask", self.ask), ("deny", self.deny))
        return [
            f"{rule.pattern!r} ({kind})"
            for kind, rules in kinds
            for rule in rules
            if not any(letter in rule.pattern.rpartition(".")[0] for letter in "*?[")
            and rule.pattern != "*"
            and not rule.pattern.startswith(f"{FUNCTIONS}.")
            and not any(_fits(rule.pattern, server, tool) for server, tool in known)
        ]

    def with_mode(self, mode: Decision) -> Permissions:
        """The same where the user says it once for all: "ask" about every call that no rule allows; "allow" or "deny" what
        would be asked about."""
        if mode == "ask":
            return replace(self, default="ask", approval={}, chosen=True, unattended=None, functions=True)
        return replace(self, unattended=mode)


def _rules(given: Iterable[str | Rule]) -> tuple[Rule, ...]:
    try:
        return tuple(rule if isinstance(rule, Rule) else rule_of(rule) for rule in given)
    except ValueError as problem:
        raise UsageError(f"permissions: a pattern {problem}") from None


_WORDS: Mapping[Default, str] = {
    "allow": "made",
    "ask": "asked about",
    "deny": "refused",
    "destructive": "asked about if they may destroy something",
}


def in_words(permissions: Permissions) -> list[str]:
    """What the rules mean, a line each, for people who want to know before."""
    lines = [f"calls of {server}: {_WORDS[word]}" for server, word in permissions.approval.items()]
    kinds = (("made", permissions.allow), ("asked about", permissions.ask), ("refused", permissions.deny))
    lines += [f"calls {word}: {', '.join(map(str, rules))}" for word, rules in kinds if rules]
    other = "other calls" if lines else "calls of tools"
    alone = permissions.unattended or ("allow" if not permissions.chosen else "deny")
    asks = permissions.default in ("ask", "destructive")
    nobody = f"; where nobody is there, {'made' if alone == 'allow' else 'refused'}" if asks else ""
    return [*lines, f"{other}: {_WORDS[permissions.default]}{nobody}"]


def permissions_of(definition: AgentDefinition) -> Permissions:
    """What a definition says, and where it says nothing what is safe for where it comes from.

    The user's own and the bundled ones may say what they like; where they say nothing, calls that may destroy something are
    asked about if somebody is there, and made if not, as a program that is started without a person is expected to work.
    A definition that was downloaded can't give its author's servers leave: what it denies and wants asked about counts, what
    it allows doesn't, and all other calls are asked about if somebody is there.
    """
    said = definition.permissions
    asks, denies = tuple(said.get("ask", ())), tuple(said.get("deny", ()))
    if definition.downloaded:
        default: Default = "deny" if said.get("default") == "deny" else "ask"
        chosen = said.get("default") in ("ask", "deny")
        return Permissions(default, (), asks, denies, chosen=chosen, functions=True)
    approval = {server.name: APPROVALS[server.approval] for server in definition.servers if server.approval}
    return Permissions(
        said.get("default", "destructive"),
        tuple(said.get("allow", ())),
        asks,
        denies,
        approval,
        said.get("unattended"),
        chosen="default" in said,
        functions=said.get("default") in ("ask", "deny"),
    )
