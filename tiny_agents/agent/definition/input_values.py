"""Where the value of an input comes from: whoever runs the agent, the environment, the keyring, the definition itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from tiny_agents.agent.definition.types import AgentDefinition, InputDefinition

SERVICE = "tiny-agents"
"""What our entries in the keyring are filed under."""


class Keeper(Protocol):
    """Something that remembers values from one run to the next, such as `Keyring`."""

    def get(self, item: InputDefinition) -> str | None: ...

    def put(self, item: InputDefinition, value: str) -> None: ...


@dataclass
class Sources:
    """Everybody who may know a value, in the order in which they are asked.

    Attributes:
        values: What the command line or the caller gave, by id.
        ask: Asks the person for one input; None where nobody can be asked.
        keeper: Remembers values; None to remember nothing.
        remember: Keep what was given or typed, also where the definition doesn't say `store`.
    """

    definition: AgentDefinition
    values: Mapping[str, str] = field(repr=False)
    env: Mapping[str, str] = field(repr=False)
    ask: Callable[[InputDefinition], str] | None = None
    keeper: Keeper | None = None
    remember: bool = False

    def value_of(self, item: InputDefinition, *, may_ask: bool = True) -> str | None:
        """The first value that isn't blank, without white space around it; None where there is none.

        Raises:
            ConfigError: It is none of the input's options.
        """
        for source, value in (("as given", self.values.get(item.id)), (item.variable, self.env.get(item.variable))):
            if value and value.strip():
                return self._kept(
                    item, _picked(self.definition, item, value.strip(), source), given=source == "as given"
                )
        if self.keeper is not None and (item.password or item.store):
            kept = self.keeper.get(item)
            if kept and (not item.options or kept in item.choices):
                return kept
        if self.ask is not None and may_ask and (answer := self.ask(item).strip()):
            return self._kept(item, _picked(self.definition, item, answer, "as typed"), given=True)
        return "" if item.default is None and item.required is False else item.default

    def _kept(self, item: InputDefinition, value: str, *, given: bool) -> str:
        if self.keeper is not None and given and (item.store or self.remember):
            self.keeper.put(item, value)
        return value


def _picked(definition: AgentDefinition, item: InputDefinition, value: str, source: str) -> str:
    if item.options and value not in item.choices:
        shown = "the value" if item.password else repr(value)
        raise definition.error(
            item.key, f"the input {item.id!r} must be one of {', '.join(item.choices)}; {shown} ({source}) is none"
        )
    return value


class Keyring:
    """Values of one agent's inputs in the keyring of the operating system, through the package `keyring`.

    Entries belong to the definition's file: another agent that has an input of the same name doesn't see them.

    Args:
        owner: Which agent, see `owner_of`.
        warn: Told, once, why nothing can be remembered.
    """

    def __init__(self, owner: str, warn: Callable[[str], None]) -> None:
        self._owner = owner
        self._warn = warn
        self._complained = False

    def get(self, item: InputDefinition) -> str | None:
        """The value that was kept; None where there is none, or no keyring, which only those who want one are told."""
        found = self._tried(
            "read", lambda keyring: keyring.get_password(SERVICE, self._entry(item)), item.store is not None
        )
        return found if isinstance(found, str) else None

    def put(self, item: InputDefinition, value: str) -> None:
        """Keep a value, in place of the one before."""
        self._tried("written", lambda keyring: keyring.set_password(SERVICE, self._entry(item), value), True)

    def _entry(self, item: InputDefinition) -> str:
        return f"{self._owner}#{item.id}"

    def _tried(self, done: str, use: Callable[[Any], Any], wanted: bool) -> Any:
        try:
            import keyring
            from keyring.errors import KeyringError
        except ImportError:
            self._complain("the keyring needs pip install 'tiny-agents[keyring]'", wanted)
            return None
        try:
            return use(keyring)
        except (KeyringError, OSError) as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            self._complain(f"the keyring can't be {done}: {reason}", wanted)
            return None

    def _complain(self, problem: str, wanted: bool) -> None:
        if wanted and not self._complained:
            self._complained = True
            self._warn(f"nothing is remembered: {problem}")


def owner_of(definition: AgentDefinition) -> str:
    """Which agent values in the keyring belong to: its place on the Hub, else its file, else its name."""
    if definition.origin is not None:
        return definition.origin.address
    return str(definition.path.resolve()) if definition.path is not None else definition.name
