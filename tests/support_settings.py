"""What the reference must say of each setting, read from the settings' own dataclasses."""

from __future__ import annotations

import dataclasses
import json
import typing
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from sekisho.app.balancers_settings import PairSettings
from sekisho.app.settings import sections
from sekisho.model.notice import NoticeKind
from sekisho.notify.settings import ChannelSettings

if TYPE_CHECKING:
    from collections.abc import Iterator

TYPES: dict[object, str] = {
    str: "text",
    int: "whole number",
    float: "number",
    bool: "true or false",
    tuple[str, ...]: "list of texts",
    tuple[int, ...]: "list of whole numbers",
    tuple[NoticeKind, ...]: "list of texts",
    Mapping[str, PairSettings]: "tables by name",
    Mapping[str, ChannelSettings]: "tables by name",
    Mapping[str, Any]: "table",
}
# Their defaults are no constants.
MADE = {
    "collector.name": "from the machine",
    "agent.host": "from the machine",
    "director.name": "from the machine",
    "collector.detect.seed": "random",
}


def rows() -> dict[str, tuple[str, str]]:
    """Give type and default of each setting by its full name, in the order of the files."""
    return {name: found for section, kind in sections().items() for name, found in _walk(section, kind)}


def _walk(path: str, kind: type[Any]) -> Iterator[tuple[str, tuple[str, str]]]:
    hints, default = typing.get_type_hints(kind), kind()
    inner = []
    for each in dataclasses.fields(kind):
        name, hint = f"{path}.{each.name}", hints[each.name]
        if dataclasses.is_dataclass(hint):
            inner.append((name, hint))
        else:
            kind_name = "text" if typing.get_origin(hint) is typing.Literal else TYPES[hint]
            if typing.get_origin(hint) is Mapping and dataclasses.is_dataclass(typing.get_args(hint)[1]):
                inner.append((f"{name}.NAME", typing.get_args(hint)[1]))
            yield name, (kind_name, MADE.get(name) or f"`{json.dumps(getattr(default, each.name))}`")
    for name, hint in inner:
        yield from _walk(name, typing.cast("type[Any]", hint))
