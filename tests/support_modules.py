"""Stand-ins for other people's modules, among which a guest is imported; no trace of either is left."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any


def stand_ins(contents: Mapping[str, Mapping[str, Any]]) -> dict[str, ModuleType]:
    """Make modules of what stands in each, packages before what is in them."""
    made: dict[str, ModuleType] = {}
    for name, content in contents.items():
        made[name] = ModuleType(name)
        vars(made[name]).update(content)
        parent, _, last = name.rpartition(".")
        if parent:
            setattr(made[parent], last, made[name])
    return made


@contextmanager
def imported(guest: str, modules: Sequence[str], made: Mapping[str, ModuleType]) -> Iterator[dict[str, Any]]:
    """Import the guest's modules among the stand-ins, by name."""
    ours = [f"{guest}.{name}" for name in modules]
    before = {name: sys.modules.pop(name, None) for name in (*made, *ours)}
    sys.modules.update(made)
    try:
        yield {name: importlib.import_module(f"{guest}.{name}") for name in modules}
    finally:
        for name, module in before.items():
            sys.modules.pop(name, None)
            if module is not None:
                sys.modules[name] = module
