"""Base of all typed payloads: a msgspec struct that also reads like the dictionary it came from.

Three ways to the same value, because users bring code written for each: `message.content`, `message["content"]`,
`message.get("content")`. Fields that we don't declare are not lost: a decoded record keeps a reference to the bytes it
came from and looks an undeclared name up there, when asked and not before (a stream of thousands of chunks should not
pay for what nobody reads).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Any, ClassVar, Self, TypeVar, get_args, get_origin, get_type_hints

import msgspec

Path = tuple[str | int, ...]


class _Extras(dict[str, Any]):
    """Undeclared fields, once they are known."""


class Record(msgspec.Struct, kw_only=True, omit_defaults=True, gc=False, eq=False):
    """A payload of the API. Declared fields are attributes; undeclared ones that the server sent are reachable too.

    It behaves like a read-write mapping (`["key"]`, `.get`, `in`, `.keys()`, `dict(record)`), and `to_dict()` gives
    plain Python data without the fields that are None.
    """

    # None, (bytes, path from the root), bytes alone for the class's usual path, or _Extras. The name has a space so that no
    # server's field meets it by accident; what JSON can hold is none of them, so one that tries has no effect.
    _source: Any = msgspec.field(default=None, name=" source")
    _usual_path: ClassVar[Path] = ()

    # ---- undeclared fields

    def _extras(self) -> dict[str, Any]:
        source = self._source
        if isinstance(source, bytes):
            source = (source, self._usual_path)
        if type(source) is tuple:
            raw, path = source
            try:
                found = decode_json(raw)
                for step in path:
                    found = found[step]
            except (KeyError, IndexError, TypeError):  # the server left this record out: it is ours, and empty
                found = {}
            except msgspec.DecodeError:  # what we know of it could be read, what we don't can't: a number of a mile
                found = {}
            names = type(self).__struct_encode_fields__
            source = self._source = _Extras((k, v) for k, v in found.items() if k not in names)
        return source if type(source) is _Extras else {}

    def __getattr__(self, name: str) -> Any:
        # Only called where no declared field has this name.
        if not name.startswith("_"):
            extras = self._extras()
            if name in extras:
                return extras[name]
        raise AttributeError(f"{type(self).__name__} has no field {name!r}")

    def _is_plain(self) -> bool:
        """Whether msgspec writes this record as it has to be sent: nothing undeclared, no default that is more than None."""
        return False

    def _is_text(self) -> bool:
        """Whether it is plain, and holds nothing but text: then what msgspec makes of it says all there is to say."""
        return False

    # ---- the dictionary view

    def __getitem__(self, key: str) -> Any:
        if key in type(self).__struct_fields__ and key[0] != "_":
            return getattr(self, key)
        return self._extras()[key]

    def __setitem__(self, key: str, value: Any) -> None:
        if key in type(self).__struct_fields__ and key[0] != "_":
            setattr(self, key, value)
        else:
            self._source = _Extras(self._extras(), **{key: value})

    def get(self, key: str, default: Any = None) -> Any:
        if key in type(self).__struct_fields__ and key[0] != "_":
            return getattr(self, key)
        return default if self._source is None else self._extras().get(key, default)

    def keys(self) -> list[str]:
        """Declared fields (also those that are None), then what else the server sent."""
        return [name for name in type(self).__struct_fields__ if name[0] != "_"] + list(self._extras())

    def values(self) -> list[Any]:
        return [self[key] for key in self.keys()]

    def items(self) -> list[tuple[str, Any]]:
        return [(key, self[key]) for key in self.keys()]

    def __contains__(self, key: object) -> bool:
        return key in self.keys()

    def __iter__(self) -> Iterator[str]:
        return iter(self.keys())

    def __len__(self) -> int:
        return len(self.keys())

    # ---- whole values

    def to_dict(self) -> dict[str, Any]:
        """Plain data, undeclared fields included, without the fields that are None."""
        return {key: to_builtins(value) for key, value in present(self).items()}

    def __eq__(self, other: object) -> bool:
        if isinstance(other, Record):
            return type(self) is type(other) and self.to_dict() == other.to_dict()
        if isinstance(other, dict):
            return self.to_dict() == {key: to_builtins(value) for key, value in other.items() if value is not None}
        return NotImplemented

    __hash__ = None  # type: ignore[assignment]  # mutable, like the dictionary it stands for

    def __repr__(self) -> str:
        shown = ", ".join(f"{key}={value!r}" for key, value in self.items() if value is not None)
        return f"{type(self).__name__}({shown})"

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return [(key, value) for key, value in self.items() if value is not None]

    # ---- from outside

    @classmethod
    def parse_obj_as_instance(cls, data: bytes | str | dict[str, Any]) -> Self:
        """One record from JSON text or plain data. Fields of an unexpected type are kept as they are, never refused."""
        return parse(cls, data)

    @classmethod
    def parse_obj_as_list(cls, data: bytes | str | list[Any]) -> list[Self]:
        """A list of records from JSON text or plain data."""
        items = decode_json(data) if isinstance(data, (bytes, str)) else data
        return [parse(cls, item) for item in items]

    @classmethod
    def parse_obj(cls, data: bytes | str | list[Any] | dict[str, Any]) -> Self | list[Self]:
        """`parse_obj_as_list` for a list, `parse_obj_as_instance` for anything else."""
        plain = decode_json(data) if isinstance(data, (bytes, str)) else data
        return cls.parse_obj_as_list(plain) if isinstance(plain, list) else cls.parse_obj_as_instance(plain)


R = TypeVar("R", bound=Record)


def present(record: Record) -> dict[str, Any]:
    """The fields that aren't None, undeclared ones included. For conversations of many messages, so it is fast."""
    if record._source is None:
        return {name: value for name, value in msgspec.structs.asdict(record).items() if value is not None}
    found = {name: value for name in _declared(type(record)) if (value := getattr(record, name)) is not None}
    found.update((name, value) for name, value in record._extras().items() if value is not None)
    return found


UNFIT = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What decoding JSON raises: it is none, is not of the wanted type, has broken characters, is nested without end."""

_LONE_HALVES = re.compile(
    rb"""(\\u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|\\[^u]|\\u[^dD])|\\u([dD][89a-fA-F][0-9a-fA-F]{2})"""
)


def decode_json(raw: bytes | str, kind: Any = Any) -> Any:
    """Plain data from JSON. Characters that are none (no UTF-8, half of a pair) cost themselves, not the whole.

    Raises `msgspec.DecodeError` for what is no JSON, or not of `kind`, or nested too deeply.
    """
    try:
        return msgspec.json.decode(raw, type=kind)
    except UnicodeDecodeError:
        text = raw if isinstance(raw, str) else raw.decode("utf-8", "replace")
        return decode_json(text, kind)
    except RecursionError as error:
        raise msgspec.DecodeError("the JSON is nested too deeply") from error
    except msgspec.ValidationError:
        raise
    except msgspec.DecodeError:
        data = raw.encode("utf-8", "replace") if isinstance(raw, str) else raw
        whole = _LONE_HALVES.sub(lambda found: found[1] or b"\\ufffd", data)
        if whole == data:
            raise
        return msgspec.json.decode(whole, type=kind)


def to_builtins(value: Any) -> Any:
    """`value` with every record in it turned into plain data."""
    if isinstance(value, Record):
        return value.to_dict()
    if isinstance(value, dict):
        return {key: to_builtins(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [to_builtins(item) for item in value]
    return value


def decoder(cls: type[R]) -> Callable[[bytes], R]:
    """A function from JSON bytes to `cls`, for payloads that arrive by the thousand.

    The usual shape is decoded by msgspec straight from the bytes. A payload that doesn't fit the declared types (some
    server sends a number where others send text) is read field by field instead: what fits is typed, the rest is kept as
    it came; so is one with broken characters. Raises `msgspec.DecodeError` where the bytes are no JSON object.
    """
    strict = msgspec.json.Decoder(cls)

    def decode(raw: bytes) -> R:
        try:
            record = strict.decode(raw)
        except UNFIT:
            return parse(cls, raw)
        link(record, raw)
        return record

    return decode


def link(record: Record, raw: bytes, path: Path = ()) -> None:
    """Tell `record`, and the records in it, where in `raw` they came from, so that undeclared fields can be found."""
    record._source = (raw, path)
    for name in _nested_fields(type(record)):
        value = getattr(record, name)
        if isinstance(value, list):
            _link_items(value, raw, (*path, name))
        elif isinstance(value, Record):
            link(value, raw, (*path, name))


def _link_items(items: list[Any], raw: bytes, path: Path) -> None:
    for index, item in enumerate(items):
        if isinstance(item, Record):
            link(item, raw, (*path, index))
        elif isinstance(item, list):
            _link_items(item, raw, (*path, index))


def parse(cls: type[R], data: bytes | str | dict[str, Any]) -> R:
    """`cls` from JSON text or plain data, field by field: tolerant, and slower than `decoder`."""
    plain = decode_json(data) if isinstance(data, (bytes, str)) else data
    if not isinstance(plain, dict):
        raise msgspec.ValidationError(f"Expected an object for {cls.__name__}, got {type(plain).__name__}")
    known: dict[str, Any] = {}
    extras = _Extras()
    for key, value in plain.items():
        field_type = _field_types(cls).get(key)
        if field_type is None:
            extras[key] = value
        else:
            known[key] = _tolerant(field_type, value)
    for name in _required(cls):
        known.setdefault(name, None)
    record = cls(**known)
    if extras:
        record._source = extras
    return record


def _tolerant(field_type: Any, value: Any) -> Any:
    record_type, is_list = _record_in(field_type)
    if record_type is not None and is_list and isinstance(value, list):
        return [_tolerant_item(record_type, item) for item in value]
    if record_type is not None and not is_list and isinstance(value, dict):
        return parse(record_type, value)
    if record_type is not None and isinstance(value, Record):
        return value
    if field_type is record_type:
        return record_type()  # never None where a record is declared; what came in its place is no record
    try:
        return msgspec.convert(value, field_type, strict=False)
    except (msgspec.ValidationError, TypeError):
        return value


def _tolerant_item(record_type: type[Record], item: Any) -> Any:
    if isinstance(item, list):
        return [_tolerant_item(record_type, inner) for inner in item]
    return parse(record_type, item) if isinstance(item, dict) else item


# What a record class looks like, worked out once per class.
_TYPES: dict[type, dict[str, Any]] = {}
_NESTED: dict[type, tuple[str, ...]] = {}
_REQUIRED: dict[type, tuple[str, ...]] = {}
_DECLARED: dict[type, tuple[str, ...]] = {}


def _declared(cls: type[Record]) -> tuple[str, ...]:
    names = _DECLARED.get(cls)
    if names is None:
        names = _DECLARED[cls] = tuple(name for name in cls.__struct_fields__ if name[0] != "_")
    return names


def _field_types(cls: type[Record]) -> dict[str, Any]:
    if cls not in _TYPES:
        hints = get_type_hints(cls)
        _TYPES[cls] = {name: hints[name] for name in cls.__struct_fields__ if not name.startswith("_")}
    return _TYPES[cls]


def _required(cls: type[Record]) -> tuple[str, ...]:
    if cls not in _REQUIRED:
        _REQUIRED[cls] = tuple(f.name for f in msgspec.structs.fields(cls) if f.required)
    return _REQUIRED[cls]


def _nested_fields(cls: type[Record]) -> tuple[str, ...]:
    if cls not in _NESTED:
        _NESTED[cls] = tuple(name for name, hint in _field_types(cls).items() if _record_in(hint)[0] is not None)
    return _NESTED[cls]


def _record_in(hint: Any) -> tuple[type[Record] | None, bool]:
    """The record class a field's type mentions, and whether it is in a list: `list[X] | str | None` -> (X, True)."""
    if isinstance(hint, type) and get_origin(hint) is None and issubclass(hint, Record):
        return hint, False
    if get_origin(hint) is list:
        found, _ = _record_in(get_args(hint)[0])
        return found, True
    for option in get_args(hint):
        found, is_list = _record_in(option)
        if found is not None:
            return found, is_list
    return None, False
