"""Settings: TOML files validated at the edge into the rooms' plain dataclasses.

``/etc/sekisho/sekisho.toml``, then ``conf.d/*.toml`` beside it in the order of their names; later
files add to or replace earlier ones, key by key. Unknown names are refused and every mistake is
reported with its path.
"""

from __future__ import annotations

import dataclasses
import difflib
import socket
import tomllib
import typing
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar, cast

from pydantic import TypeAdapter, ValidationError

from sekisho.api.console.settings import ConsoleSettings
from sekisho.api.settings import ApiSettings
from sekisho.app.archive_settings import ArchiveSettings, KeeperArchiveSettings
from sekisho.app.balancers_settings import BalancersSettings
from sekisho.app.cloud import CloudSettings
from sekisho.app.identity import KeystoneSettings
from sekisho.app.switches_settings import SwitchesSettings
from sekisho.detect.guard import GuardSettings
from sekisho.metering.settings import MeteringSettings
from sekisho.model.errors import Malformed
from sekisho.notify.settings import NotifySettings

if TYPE_CHECKING:
    from collections.abc import Iterator

T = TypeVar("T")

DEFAULT = Path("/etc/sekisho/sekisho.toml")


@dataclass(frozen=True, slots=True)
class ClientSettings:
    """How collector and agent reach the keeper; `token_file` holds their bearer token."""

    url: str = "http://127.0.0.1:8790"
    token_file: str = "/etc/sekisho/token"  # noqa: S105 - a path
    ca_file: str = ""
    timeout: float = 10.0


@dataclass(frozen=True, slots=True)
class KeeperSettings:
    """The keeper. `state` is the folder of the ledger, `policies` the folder of the policy files.

    `lift_grace` is how many seconds an automatic policy leaves a subject alone after a person lifted
    or rejected its restriction; `forget_host` how long a silent host's subjects stay in the inventory,
    and a silent collector is known; `proposal_life` how long a proposal waits for a yes.
    """

    state: str = "/var/lib/sekisho"
    policies: str = "/etc/sekisho/policies"
    exact_ports: tuple[int, ...] = ()
    lift_grace: float = 3600.0
    forget_host: float = 86400.0
    proposal_life: float = 86400.0
    guard: GuardSettings = field(default_factory=GuardSettings)
    cloud: CloudSettings = field(default_factory=CloudSettings)
    api: ApiSettings = field(default_factory=ApiSettings)
    console: ConsoleSettings = field(default_factory=ConsoleSettings)
    metering: MeteringSettings = field(default_factory=MeteringSettings)
    keystone: KeystoneSettings = field(default_factory=KeystoneSettings)
    switches: SwitchesSettings = field(default_factory=SwitchesSettings)
    balancers: BalancersSettings = field(default_factory=BalancersSettings)
    notices: NotifySettings = field(default_factory=NotifySettings)
    archive: KeeperArchiveSettings = field(default_factory=KeeperArchiveSettings)


def load(path: Path | None = None) -> dict[str, Any]:
    """Read and join the files; a missing default file is empty. Raises Malformed with file and place."""
    main = path or DEFAULT
    if path is not None and not path.exists():
        raise Malformed(f"{path}: there is no such settings file.")
    joined: dict[str, Any] = {}
    for file in (main, *sorted((main.parent / "conf.d").glob("*.toml"))):
        if file.exists():
            try:
                joined = _join(joined, tomllib.loads(file.read_text()))
            except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
                raise Malformed(f"{file}: {error}.") from error
    return joined


def keeper(raw: Mapping[str, Any]) -> KeeperSettings:
    """Validate ``[keeper]``."""
    return validate(KeeperSettings, raw.get("keeper", {}), "keeper")


def archive(raw: Mapping[str, Any]) -> ArchiveSettings:
    """Validate ``[archive]``."""
    return validate(ArchiveSettings, raw.get("archive", {}), "archive")


def client(raw: Mapping[str, Any]) -> ClientSettings:
    """Validate ``[client]``."""
    return validate(ClientSettings, raw.get("client", {}), "client")


def sections() -> dict[str, type]:
    """Name every section and the dataclass it becomes; imports the rooms of all processes."""
    from sekisho.app.collector import CollectorSettings
    from sekisho.app.director import DirectorSettings
    from sekisho.host.agent import AgentSettings

    return {
        "client": ClientSettings,
        "keeper": KeeperSettings,
        "collector": CollectorSettings,
        "agent": AgentSettings,
        "director": DirectorSettings,
        "archive": ArchiveSettings,
    }


def check(raw: Mapping[str, Any]) -> tuple[dict[str, Any], tuple[str, ...]]:
    """Validate everything: the settings in force by section, and every problem found."""
    known = sections()
    found: dict[str, Any] = {}
    problems: list[str] = []
    problems.extend(_unknown(name, name, tuple(known)) for name in raw if name not in known)
    for name, kind in known.items():
        try:
            found[name] = validate(kind, raw.get(name, {}), name)
        except Malformed as error:
            problems.extend(error.problems)
    return found, tuple(problems)


def validate(kind: type[T], raw: Any, path: str) -> T:
    """Build a settings dataclass from plain values; raises Malformed listing every problem by its path."""
    problems = list(_unknown_names(kind, raw, path))
    try:
        settings = TypeAdapter(kind).validate_python(raw)
    except ValidationError as error:
        for e in error.errors():
            place = ".".join([path, *map(str, e["loc"])])
            problems.append(f"{place}: {e['msg']}, found {e['input']!r:.80}")
        settings = None
    except Malformed as error:  # what a dataclass finds by itself
        problems += [f"{path}: {problem}" for problem in error.problems or (error.asker,)]
        settings = None
    if problems:
        raise Malformed(f"The settings have {len(problems)} mistakes.", "; ".join(problems), tuple(problems))
    return cast("T", settings)


def host_name() -> str:
    """Tell this machine's name, the default for what reports under a name."""
    return socket.gethostname()


def _join(under: dict[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    joined = dict(under)
    for key, value in over.items():
        old = joined.get(key)
        joined[key] = _join(old, value) if isinstance(old, dict) and isinstance(value, dict) else value
    return joined


def _unknown_names(kind: Any, raw: Any, path: str) -> Iterator[str]:
    if not isinstance(raw, Mapping):
        return
    if typing.get_origin(kind) is Mapping:
        for name, value in raw.items():
            yield from _unknown_names(typing.get_args(kind)[1], value, f"{path}.{name}")
    if not dataclasses.is_dataclass(kind):
        return
    hints = typing.get_type_hints(kind)
    for name, value in raw.items():
        place = f"{path}.{name}"
        if name in hints:
            yield from _unknown_names(hints[name], value, place)
        else:
            yield _unknown(place, str(name), tuple(hints))


def _unknown(place: str, name: str, known: tuple[str, ...]) -> str:
    near = difflib.get_close_matches(name, known, 1)
    hint = f"did you mean {near[0]!r}?" if near else f"known are {', '.join(known)}"
    return f"{place}: unknown name; {hint}"
