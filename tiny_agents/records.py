"""`Discreet`: records that don't show all of what they hold.

Small records are msgspec structs: a class of theirs is made in a tenth of the time that a dataclass takes, which executes
generated source, and there are more than a hundred when an agent starts.

Those that are made for each turn or request have `gc=False`: nothing that they hold leads back to them, so Python's garbage
collector, which takes longer the more there is to look through, needn't look at them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tiny_agents.errors import public_url, redact


class Discreet:
    """A struct whose `repr` leaves some fields out, because they may be secret or very long: `class X(Discreet, Struct)`."""

    __slots__ = ()

    not_shown: ClassVar[frozenset[str]] = frozenset()

    def __repr__(self) -> str:
        return f"{type(self).__qualname__}({', '.join(f'{name}={value!r}' for name, value in self.__rich_repr__())})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, getattr(self, name)) for name in shown_names(self)]


class NoSecretsShown(Discreet):
    """As `Discreet`; also leaves out what may be secret in the addresses of other fields. Dataclasses need `repr=False`."""

    __slots__ = ()

    def __repr__(self) -> str:
        return redact(super().__repr__())

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(name, _shown(value)) for name, value in super().__rich_repr__()]


def _shown(value: Any) -> Any:
    if not isinstance(value, str) or "://" not in value:
        return value
    try:
        return public_url(value)
    except ValueError:  # no address, but perhaps with a key in what should have been one
        return "***"


def shown_names(value: Any) -> list[str]:
    """Names of the fields that a record, struct or dataclass, shows in its `repr`; none for what is no record."""
    if isinstance(value, type):
        return []
    if (fields := getattr(value, "__dataclass_fields__", None)) is not None:
        return [each.name for each in fields.values() if each.repr]
    hidden = value.not_shown if isinstance(value, Discreet) else ()
    return [name for name in getattr(value, "__struct_fields__", ()) if name not in hidden]
