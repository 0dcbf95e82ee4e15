"""Our own figures in, measures in Gnocchi out: where the cloud's dashboards look for numbers."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from sekisho.metering.door import iso
from sekisho.model.errors import Conflict, SekishoError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from sekisho.metering.door import Door
    from sekisho.metering.settings import PublishSettings

PORT: Final = "sekisho_port"
PROJECT: Final = "sekisho_project"
_TEXT: Final = {"type": "string", "required": False, "min_length": 0, "max_length": 255}
_TYPES: Final[dict[str, dict[str, Any]]] = {PORT: {"port": _TEXT, "server": _TEXT}, PROJECT: {}}
_UNITS: Final = {
    "sekisho.restrictions": "restriction",
    "sekisho.dropped.packets": "packet",
    "sekisho.dropped.bytes": "B",
}


@dataclass(frozen=True, slots=True)
class Figures:
    """What is told of one port, or of a whole project where `port` is empty.

    `active` restrictions are in force now; `packets` and `octets` were dropped by all there ever were.
    """

    project: str
    port: str = ""
    server: str = ""
    active: int = 0
    packets: int = 0
    octets: int = 0

    @property
    def type(self) -> str:
        """Of which of Gnocchi's resource types it is."""
        return PORT if self.port else PROJECT

    @property
    def id(self) -> str:
        """Its resource, as Gnocchi's `original_resource_id` shows it."""
        return f"sekisho-port-{self.port}" if self.port else f"sekisho-project-{self.project}"

    @property
    def resource(self) -> dict[str, str]:
        """The resource, which the project itself may read."""
        told = {"id": self.id, "project_id": self.project}
        return told | {"port": self.port, "server": self.server} if self.port else told

    def measures(self, moment: str, policy: str) -> dict[str, Any]:
        """Its metrics with a measure each."""
        chosen = {"archive_policy_name": policy} if policy else {}
        values = zip(_UNITS.items(), (self.active, self.packets, self.octets), strict=True)
        return {
            name: {**chosen, "unit": unit, "measures": [{"timestamp": moment, "value": value}]}
            for (name, unit), value in values
        }


class Publisher:
    """Writes figures through a door; used from one thread."""

    def __init__(self, settings: PublishSettings, door: Door) -> None:
        self._settings = settings
        self._door = door
        self._typed = False
        self._made: dict[str, str] = {}  # resources, with the server that each is said to be of

    def publish(self, figures: Sequence[Figures], now: float) -> int:
        """Write a measure of each figure; gives how many, raises what Gnocchi says."""
        moment, policy, size = iso(now), self._settings.archive_policy, self._settings.chunk
        try:
            self._prepare(figures)
            for i in range(0, len(figures), size):
                batch = {f.id: f.measures(moment, policy) for f in figures[i : i + size]}
                self._door.ask(
                    "POST", "/v1/batch/resources/metrics/measures", {"create_metrics": "true"}, batch
                )
        except SekishoError:
            # Somebody may have removed what was made.
            self._typed, self._made = False, {}
            raise
        return len(figures) * len(_UNITS)

    def _prepare(self, figures: Sequence[Figures]) -> None:
        """Make the types, and the resources that are new to us."""
        if figures and not self._typed:
            for name, attributes in _TYPES.items():
                self._make("/v1/resource_type", {"name": name, "attributes": attributes})
            self._typed = True
        for each in figures:
            if each.id not in self._made:
                new = self._make(f"/v1/resource/{each.type}", each.resource)
                self._made[each.id] = each.server if new else ""
            if each.server not in ("", self._made[each.id]):
                # Made before anybody knew it, or by a keeper that did not.
                path = f"/v1/resource/{each.type}/{each.id}"
                self._door.ask("PATCH", path, {}, {"server": each.server})
                self._made[each.id] = each.server

    def _make(self, path: str, body: Any) -> bool:
        """Make something; False where it is there already."""
        try:
            self._door.ask("POST", path, {}, body)
        except Conflict:
            return False
        return True
