"""Nouns to plain JSON values and back, by their dataclass annotations."""

from __future__ import annotations

import dataclasses
import types
import typing
from collections.abc import Mapping
from enum import Enum
from functools import cache
from typing import Any, Literal, TypeVar, Union, cast, get_args, get_origin

from sekisho.model.errors import Malformed

T = TypeVar("T")


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


def from_plain(kind: type[T], value: Any, path: str = "") -> T:
    """Build a noun from plain values.

    Raises Malformed, naming the path, when a value is missing, unknown or of the wrong type.
    """
    return cast("T", _build(kind, value, path or kind.__name__))


@cache
def _hints(kind: type) -> dict[str, Any]:
    return typing.get_type_hints(kind)


def _build(kind: Any, value: Any, path: str) -> Any:
    origin = get_origin(kind)
    if origin is Literal:
        return _one_of(get_args(kind), value, path)
    if origin in (Union, types.UnionType):
        return _union(get_args(kind), value, path)
    if origin is tuple:
        if not isinstance(value, (list, tuple)):
            raise _wrong(path, "a list", value)
        return tuple(_build(get_args(kind)[0], v, f"{path}[{i}]") for i, v in enumerate(value))
    if origin is Mapping or origin is dict:
        return _mapping(get_args(kind)[1], value, path)
    if dataclasses.is_dataclass(kind):
        return _dataclass(cast("type", kind), value, path)
    if isinstance(kind, type) and issubclass(kind, Enum):
        return kind(_one_of(tuple(m.value for m in kind), value, path))
    return _scalar(kind, value, path)


def _dataclass(kind: type, value: Any, path: str) -> Any:
    if not isinstance(value, Mapping):
        raise _wrong(path, "an object", value)
    hints = _hints(kind)
    unknown = sorted(set(value) - set(hints))
    if unknown:
        raise Malformed(f"{path}.{unknown[0]}: unknown name; known are {', '.join(hints)}.")
    try:
        return kind(**{k: _build(hints[k], v, f"{path}.{k}") for k, v in value.items()})
    except TypeError as error:
        raise Malformed(f"{path}: {error}.") from error


def _mapping(kind: Any, value: Any, path: str) -> Any:
    if not isinstance(value, Mapping):
        raise _wrong(path, "an object", value)
    return {str(k): _build(kind, v, f"{path}.{k}") for k, v in value.items()}


def _union(kinds: tuple[Any, ...], value: Any, path: str) -> Any:
    if value is None and type(None) in kinds:
        return None
    choices = [k for k in kinds if k is not type(None)]
    if len(choices) == 1:
        return _build(choices[0], value, path)
    tags = {get_args(_hints(k)["kind"])[0]: k for k in choices}
    tag = value.get("kind") if isinstance(value, Mapping) else None
    if tag not in tags:
        raise Malformed(f"{path}.kind: expected one of {', '.join(tags)}, found {tag!r}.")
    return _build(tags[tag], value, path)


def _one_of(choices: tuple[Any, ...], value: Any, path: str) -> Any:
    if value not in choices:
        raise Malformed(f"{path}: expected one of {', '.join(map(str, choices))}, found {value!r}.")
    return value


def _scalar(kind: Any, value: Any, path: str) -> Any:
    if kind is Any:
        return value
    if kind is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if not isinstance(value, kind) or (kind is not bool and isinstance(value, bool)):
        raise _wrong(path, f"a {kind.__name__}", value)
    return value


def _wrong(path: str, expected: str, value: Any) -> Malformed:
    return Malformed(f"{path}: expected {expected}, found {type(value).__name__} {value!r:.60}.")
