"""Nouns to plain JSON values and back, by their dataclass annotations."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Callable, Mapping
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeAlias, TypeVar, Union, cast, get_args, get_origin

from sekisho.model.errors import Malformed

T = TypeVar("T")
C = TypeVar("C", bound=type)
Build: TypeAlias = Callable[[Any], Any]


def to_plain(value: Any) -> Any:
    """Turn a noun into dicts, lists, strings, numbers, booleans and None."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: to_plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Enum):
        return value.value
    if isinstance(value, Mapping):
        return {str(k): to_plain(v) for k, v in value.items()}
    if isinstance(value, (tuple, list, set, frozenset)):
        return [to_plain(v) for v in value]
    return value


def from_plain(kind: type[T], value: Any, path: str = "", *, strict: bool = True) -> T:
    """Build a noun from plain values.

    Raises Malformed, naming the path, when a value is missing, unknown or of the wrong type. Not strict is
    how the words of a newer version are read: names we do not know are passed over, and what would then
    say something else (`whole`) is left out of the list it stands in.
    """
    try:
        return cast("T", _builder(cast("Any", kind), strict)(value))
    except _Misfit as misfit:
        raise Malformed(f"{path or kind.__name__}{misfit.path}: {misfit.says}.") from misfit.__cause__


def whole(kind: C) -> C:
    """Mark a noun whose meaning changes when a part of it is passed over (a scope that would widen)."""
    _WHOLE.add(kind)
    return kind


_WHOLE: set[type] = set()


class _Misfit(Exception):
    """A value that does not fit; whoever holds it puts its own step before the path on the way out.

    It becomes a Malformed where the way ends.
    """

    def __init__(self, says: str, path: str = "") -> None:
        super().__init__(says)
        self.says = says
        self.path = path


class _News(_Misfit):
    """What a newer version says and ours does not understand."""


@cache
def _builder(kind: Any, strict: bool) -> Build:  # noqa: FBT001 - the key of a cache
    """Say how a value of this kind is built: found out once, for ledgers hold it ten thousand times."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Literal:
        return _one_of(arguments)
    if origin in (Union, types.UnionType):
        return _union(arguments, strict)
    if origin is tuple:
        return _row(_builder(arguments[0], strict), strict)
    if origin is Mapping or origin is dict:
        return _mapping(_builder(arguments[1], strict))
    if dataclasses.is_dataclass(kind):
        return _dataclass(cast("type", kind), strict)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return _enum(kind)
    return _scalar(kind)


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


@cache
def _fields(kind: type, strict: bool) -> dict[str, Build]:  # noqa: FBT001 - the key of a cache
    return {name: _builder(hint, strict) for name, hint in _hints(kind).items()}


def _known(kind: type, value: Mapping[Any, Any], fields: Mapping[str, Build], *, strict: bool) -> Any:
    """Give what of a value is ours to read; what is not may be passed over where that changes nothing."""
    if value.keys() <= fields.keys():
        return value
    unknown = [name for name in value if name not in fields]
    if strict or (kind in _WHOLE and any(value[name] for name in unknown)):
        raise _News(f"unknown name; known are {', '.join(fields)}", f".{min(map(str, unknown))}")
    return {name: given for name, given in value.items() if name in fields}


def _dataclass(kind: type, strict: bool) -> Build:  # noqa: FBT001 - as `_builder`
    def build(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _wrong("an object", value)
        fields = _fields(kind, strict)  # not before: a noun may hold nouns of its own kind
        value = _known(kind, value, fields, strict=strict)
        built = {}
        for name, given in value.items():
            try:
                built[name] = fields[name](given)
            except _Misfit as misfit:
                misfit.path = f".{name}{misfit.path}"
                raise
        try:
            return kind(**built)
        except TypeError as error:
            raise _Misfit(str(error)) from error

    return build


def _row(item: Build, strict: bool) -> Build:  # noqa: FBT001 - as `_builder`
    def build(value: Any) -> Any:
        if not isinstance(value, (list, tuple)):
            raise _wrong("a list", value)
        built = []
        for i, given in enumerate(value):
            try:
                built.append(item(given))
            except _News as news:
                if strict:
                    news.path = f"[{i}]{news.path}"
                    raise
            except _Misfit as misfit:
                misfit.path = f"[{i}]{misfit.path}"
                raise
        return tuple(built)

    return build


def _mapping(item: Build) -> Build:
    def build(value: Any) -> Any:
        if not isinstance(value, Mapping):
            raise _wrong("an object", value)
        built = {}
        for name, given in value.items():
            try:
                built[str(name)] = item(given)
            except _Misfit as misfit:
                misfit.path = f".{name}{misfit.path}"
                raise
        return built

    return build


def _union(kinds: tuple[Any, ...], strict: bool) -> Build:  # noqa: FBT001 - as `_builder`
    choices = [k for k in kinds if k is not type(None)]
    build = _builder(choices[0], strict) if len(choices) == 1 else _tagged(choices, strict)
    if len(choices) == len(kinds):
        return build
    return lambda value: None if value is None else build(value)


def _tagged(choices: list[Any], strict: bool) -> Build:  # noqa: FBT001 - as `_builder`
    """Tell nouns apart by their `kind`."""
    tags = {get_args(_hints(k)["kind"])[0]: _builder(k, strict) for k in choices}

    def build(value: Any) -> Any:
        tag = value.get("kind") if isinstance(value, Mapping) else None
        if not isinstance(tag, str) or tag not in tags:
            unfit = _News if isinstance(tag, str) else _Misfit
            raise unfit(f"expected one of {', '.join(tags)}, found {tag!r}", ".kind")
        return tags[tag](value)

    return build


def _enum(kind: type[Enum]) -> Build:
    one_of = _one_of(tuple(m.value for m in kind))
    return lambda value: kind(one_of(value))


def _one_of(choices: tuple[Any, ...]) -> Build:
    def build(value: Any) -> Any:
        if value not in choices:
            unfit = _News if isinstance(value, str) else _Misfit
            raise unfit(f"expected one of {', '.join(map(str, choices))}, found {value!r}")
        return value

    return build


def _scalar(kind: Any) -> Build:
    if kind is Any:
        return lambda value: value

    def build(value: Any) -> Any:
        if type(value) is kind:
            return value
        if kind is float and isinstance(value, int) and not isinstance(value, bool):
            return float(value)
        if not isinstance(value, kind) or isinstance(value, bool):
            raise _wrong(f"a {kind.__name__}", value)
        return value

    return build


def _wrong(expected: str, value: Any) -> _Misfit:
    return _Misfit(f"expected {expected}, found {type(value).__name__} {value!r:.60}")
