"""How an ADX, or a pair of them, is reached: a device's options in the settings in, a Connection out."""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any, Final

from sekisho.model.errors import Malformed
from sekisho.model.units import did_you_mean

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_MOST: Final = 2  # boxes in a pair


@dataclass(frozen=True, slots=True)
class Connection:
    """The addresses of one box or of the two of a pair, alike in all else.

    An address without ``http://`` means HTTPS. The file is of the authorities that sign their certificates,
    "" for the system's; `old_tls` also takes what boxes of 2010 speak. `timeout` is seconds for one answer,
    `context` the box's tenant, and with `save` what is carried outlives a restart of the box.
    """

    addresses: tuple[str, ...]
    username: str = ""
    ca_file: str = ""
    verify: bool = True
    old_tls: bool = False
    timeout: float = 10.0
    context: str = "default"
    save: bool = True


def read(options: Mapping[str, Any]) -> Connection:
    """Read a device's options. Raises Malformed with every mistake."""
    problems = tuple(_problems(options))
    if problems:
        raise Malformed("The options of the ADX are not right.", "\n".join(problems), problems)
    return Connection(**{**options, "addresses": tuple(options["addresses"])})


def _problems(options: Mapping[str, Any]) -> Iterator[str]:
    kinds = {f.name: f.type for f in fields(Connection)}
    for name, value in options.items():
        if name not in kinds:
            yield f"options.{name}: there is no such option; {did_you_mean(name, kinds)}"
        elif name == "timeout":
            if isinstance(value, bool) or not isinstance(value, int | float) or value <= 0:
                yield "options.timeout: must be seconds, more than 0."
        elif name != "addresses" and type(value).__name__ != kinds[name]:
            yield f"options.{name}: must be {'true or false' if kinds[name] == 'bool' else 'a text'}."
    addresses = options.get("addresses")
    if not isinstance(addresses, list | tuple) or not all(isinstance(a, str) and a for a in addresses):
        yield "options.addresses: must be a list of addresses, one or the two of a pair."
    elif not 1 <= len(set(addresses)) == len(addresses) <= _MOST:
        yield "options.addresses: must be one address or two different ones."
