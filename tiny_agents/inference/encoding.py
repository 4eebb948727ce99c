"""JSON as it is sent: of plain data and records, and of conversations that are sent again and again as they grow.

A conversation isn't written anew with each turn. But nothing is taken on trust either: messages and tools may be changed in
place by whoever has them. So all of it is encoded by msgspec as it stands (some 60 ns a message) and compared with what that
came to the last time; what is the same so far was written before, and the rest is written now. It may be megabytes: memory
for it is used again, and it is copied once, into the body of a request. Pure.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import msgspec

from tiny_agents.errors import UsageError
from tiny_agents.inference.types.record import Record, present


def encode_json(value: Any) -> bytes:
    """JSON of plain data and records, undeclared fields included, fields that are None left out of records.

    Raises UsageError for what JSON has no form for.
    """
    try:
        try:
            return _body(value) if type(value) is dict else _encoder.encode(_plain(value))
        except UnicodeEncodeError:
            # A lone surrogate (from a tool that sent broken text): replace it rather than lose the message.
            return _encoder.encode(_plain(value, mended=True))
    except TypeError as error:
        raise UsageError(f"The arguments can't be sent as JSON: {error}") from error


def without_nulls(value: Any) -> Any:
    """Plain data without the fields that are None: some servers refuse them. JSON Schemas, where null can be a value of
    its own, don't go through here."""
    if isinstance(value, (str, Record)):
        return value
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    return value


class Written:
    """What a list of messages or tools came to the last time that it was written.

    Args:
        form: What is done to each item before it is written; None is nothing.
        check: Called with all items where those that were known aren't there any more.

    Attributes:
        count: How many of the first items are known.
    """

    def __init__(
        self, form: Callable[[Any], Any] | None = None, check: Callable[[Sequence[Any]], object] = lambda items: None
    ) -> None:
        self.form = form
        self.count = 0
        self._check = check
        self._seen = bytearray(b"[]")  # the first items as msgspec encodes them
        self._json = self._seen  # the same as they were sent: mostly the very same bytes

    def json(self, items: Sequence[Any]) -> bytes | bytearray:
        """`items` as a JSON array, until the next one; what hasn't changed since the last time isn't written anew.

        Raises:
            TypeError, UnicodeEncodeError: As msgspec.
        """
        source = items.source if type(items) is Remembered else None
        if source is not None and self.form is None:
            if not source.json:
                source.json = b"[%b]" % b",".join(map(self._written, source))
            return source.json
        if len(self._seen) < SMALL_BYTES:
            self._compare(items, _encoder.encode(items))
        else:
            with _Scratch() as scratch:
                _encoder.encode_into(items, scratch)
                self._compare(items, scratch)
        if self.count == len(items):
            return self._json
        json = self._json.copy()
        _extend(json, map(self._written, items[self.count :]))
        return json

    def _compare(self, items: Sequence[Any], seen: bytes | bytearray) -> None:
        """Forget what `items`, which came to `seen`, don't begin with any more, and take in what is new."""
        if not (len(items) >= self.count and seen.startswith(memoryview(self._seen)[:-1])):
            self._check(items)
            self.count, self._seen = 0, bytearray(b"[]")
            self._json = self._seen
        if self.count < len(items):
            self._take(items, seen)

    def _take(self, items: Sequence[Any], seen: bytes | bytearray) -> None:
        """Keep what is new and settled of `items`."""
        leaves_out = self.form is without_nulls
        settled = list(_settled_first(items[self.count :], leaves_out))
        if not settled:
            return
        known = self.form is None or (leaves_out and not any(map(_leaves_out, settled)))
        if self._json is self._seen and not known:
            self._json = self._seen.copy()
        if self._json is not self._seen:
            _extend(self._json, map(self._written, settled))
        self.count += len(settled)
        if self.count == len(items):
            del self._seen[-1]
            self._seen += memoryview(seen)[len(self._seen) :]
        else:
            self._seen[:] = _encoder.encode(items[: self.count])

    def _written(self, item: Any) -> bytes:
        return _encoder.encode(_plain(self.formed(item)))

    def formed(self, item: Any) -> Any:
        return item if self.form is None else self.form(item)


class Settled(list[Any]):
    """A list that nobody changes any more, nor anything in it: what was found out about it is kept.

    Attributes:
        json: What it comes to; empty until it is needed.
        tokens: About how many that are; None until it is needed.
    """

    __slots__ = ("json", "tokens")

    def __init__(self, items: Iterable[Any]) -> None:
        super().__init__(items)
        self.json = b""
        self.tokens: int | None = None


class Remembered(list[Any]):
    """A list to be sent, with the memory of what was written of it before."""

    __slots__ = ("source", "written")

    def __init__(self, items: Iterable[Any], written: Written) -> None:
        super().__init__(items)
        self.written = written
        self.source = items if type(items) is Settled else None


def _extend(json: bytearray, items: Iterable[bytes]) -> None:
    """Put more items at the end of a JSON array."""
    added = b",".join(items)
    json[-1:] = b"%b%b]" % (b"" if json == b"[]" else b",", added)


class _Scratch:
    """`with`: memory to write into, which is used again. Threads may be at it side by side: it is whose took it out."""

    __slots__ = ("_buffer",)

    def __enter__(self) -> bytearray:
        try:
            self._buffer = _buffers.pop()
        except IndexError:
            self._buffer = bytearray()
        return self._buffer

    def __exit__(self, *_: object) -> None:
        if not _buffers and len(self._buffer) <= MAX_SCRATCH_BYTES:
            _buffers.append(self._buffer)


SMALL_BYTES = 16 * 1024
"""What is shorter isn't written into the scratch: it would be cut down to that, and be made anew for longer ones."""

MAX_SCRATCH_BYTES = 4 * 1024 * 1024
_buffers: list[bytearray] = []


def _body(fields: dict[str, Any]) -> bytes:
    """A JSON object, with what is remembered at its end."""
    remembered = {key: item for key, item in fields.items() if type(item) is Remembered}
    if not remembered:
        return _encoder.encode(_plain(fields))
    others = _encoder.encode(_plain({key: item for key, item in fields.items() if key not in remembered}))
    pieces: list[bytes | bytearray | memoryview] = [memoryview(others)[:-1]]
    for key, items in remembered.items():
        pieces += (
            b"," if len(pieces) > 1 or len(others) > 2 else b"",
            _encoder.encode(key),
            b":",
            items.written.json(items),
        )
    return b"".join((*pieces, b"}"))


def _settled_first(items: Sequence[Any], without_nulls: bool) -> Iterable[Any]:
    for item in items:
        if not (isinstance(item, Record) and item._is_text()) and (
            not _is_settled(item) or (without_nulls and _holds_null(item))
        ):
            return
        yield item


def _leaves_out(item: Any) -> bool:
    """Whether a field of a settled item is null, and left out."""
    return type(item) is dict and None in item.values()


def _is_settled(value: Any) -> bool:
    """Whether what is sent of it is what msgspec makes of it (but for a dictionary's fields that are null and left out), so
    that the same JSON means the same again.

    Not so for records with undeclared fields, or with defaults that msgspec leaves out, and for types of others.
    """
    kind = type(value)
    if kind in _ATOMS:
        return True
    if kind is dict:
        return all(type(key) is str and _is_settled(item) for key, item in value.items())
    if kind is list:
        return all(map(_is_settled, value))
    if not isinstance(value, Record) or value._source is not None:
        return False
    for item, never in zip(msgspec.structs.astuple(value), _unsettling(kind), strict=True):
        if item is never or not (type(item) in _ATOMS or _is_settled(item)):
            return False
    return True


def _holds_null(item: Any) -> bool:
    """Whether a null lies in a mapping within `item`: it is left out of a dictionary's, and sent of a record's."""
    inner = item.values() if type(item) is dict else msgspec.structs.astuple(item)
    return any(type(value) not in _ATOMS and _null_within(value) for value in inner)


def _null_within(value: Any) -> bool:
    if type(value) is dict:
        return any(item is None or _null_within(item) for item in value.values())
    return type(value) is list and any(map(_null_within, value))


_ATOMS = frozenset({str, int, float, bool, type(None)})
_UNSETTLING: dict[type, tuple[Any, ...]] = {}


def _unsettling(kind: type[Record]) -> tuple[Any, ...]:
    """For each field of a record the value with which msgspec doesn't write it as it has to be sent."""
    if kind not in _UNSETTLING:
        never = {None: msgspec.UNSET, msgspec.NODEFAULT: None}  # None is left out; what is needed is written as null
        _UNSETTLING[kind] = tuple(never.get(field.default, field.default) for field in msgspec.structs.fields(kind))
    return _UNSETTLING[kind]


def _plain(value: Any, mended: bool = False) -> Any:
    """What msgspec writes as it has to be sent. Records that it writes so stay as they are: most of a long conversation.

    Args:
        mended: Take all of it apart, and make every text in it one that can be written.
    """
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode() if mended else value
    if isinstance(value, Record):
        if not mended and value._is_plain():
            return value
        return {key: _plain(item, mended) for key, item in present(value).items()}
    if isinstance(value, dict):
        return {
            key: item if type(item) in _ATOMS and not mended else _plain(item, mended) for key, item in value.items()
        }
    if isinstance(value, Remembered):
        return [_plain(value.written.formed(item), mended) for item in value]
    if isinstance(value, (list, tuple)):
        return [_plain(item, mended) for item in value]
    return value


_encoder = msgspec.json.Encoder()
