"""Our guest in Octavia, imported among stand-ins for octavia-lib and oslo.config."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace
from typing import Any

from support_modules import imported, stand_ins

GUEST = "sekisho.guests.octavia"
MODULES = ("config", "faults", "refused", "words", "tell", "agree", "audit", "agent", "provider")


class Unset:
    """What nobody said."""

    def __bool__(self) -> bool:
        return False


UNSET = Unset()


class Thing:
    """One of Octavia's objects, with whatever it says."""

    def __init__(self, **said: Any) -> None:
        vars(self).update(said)


class Fault(Exception):
    """One of octavia-lib's exceptions, which takes its sentences by name."""

    def __init__(self, **said: Any) -> None:
        super().__init__(*said.values())
        self.fault_string = self.status_object_id = None
        vars(self).update(said)


class UnsupportedOptionError(Fault):
    """What a provider cannot do."""


class DriverError(Fault):
    """What went wrong in a provider, or in the driver agent."""


class DriverAgentTimeout(Fault):
    """The driver agent does not answer."""


class UpdateStatusError(Fault):
    """A status was not taken."""


class UpdateStatisticsError(Fault):
    """Totals were not taken."""


class NoSuchOptError(Exception):
    """An option that is not registered."""


class Conf:
    """A configuration in which only ours is set."""

    def __init__(self) -> None:
        self.sekisho = SimpleNamespace(
            keeper_url="", token_file="", ca_file="", timeout=5.0, audit=15.0, links=[]
        )

    def register_opts(self, options: Any, group: str) -> None:
        pass

    def __getattr__(self, name: str) -> Any:
        raise NoSuchOptError(name)


def _option(name: str, **_: Any) -> str:
    return name


@contextmanager
def guest() -> Iterator[dict[str, Any]]:
    """Import all modules of the guest, by name."""
    cfg = {
        "CONF": Conf(),
        "StrOpt": _option,
        "FloatOpt": _option,
        "ListOpt": _option,
        "NoSuchOptError": NoSuchOptError,
    }
    faults = (
        UnsupportedOptionError,
        DriverError,
        DriverAgentTimeout,
        UpdateStatusError,
        UpdateStatisticsError,
    )
    made = stand_ins(
        {
            "oslo_config": {},
            "oslo_config.cfg": cfg,
            "octavia_lib": {},
            "octavia_lib.api": {},
            "octavia_lib.api.drivers": {},
            "octavia_lib.api.drivers.exceptions": {each.__name__: each for each in faults},
            "octavia_lib.api.drivers.data_models": {"UnsetType": Unset},
            "octavia_lib.api.drivers.provider_base": {"ProviderDriver": object},
            "octavia_lib.api.drivers.driver_lib": {"DriverLibrary": object},
        }
    )
    with imported(GUEST, MODULES, made) as modules:
        yield modules
