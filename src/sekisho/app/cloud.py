"""What Neutron, Keystone and Nova say, as one snapshot: asked every few minutes, had whole or not at all.

What is pushed port by port meanwhile is quicker; this mends whatever a push has lost.
"""

from __future__ import annotations

import importlib
import math
import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias
from urllib.parse import urlencode

from sekisho.model.cloud import Cloud, Plan, Project, is_infrastructure, read_port
from sekisho.model.errors import NotFound, SekishoError, Unavailable, Unsupported

if TYPE_CHECKING:
    import threading

    from sekisho.host.tasks import Troubles

NAME: Final = "asking the cloud"
# Of its own: a thread's trouble ends with the thread's next turn, this one only with an answer.
THREAD: Final = "the thread that asks the cloud"
# Pauses after failures: the first one, doubled each time up to `every`.
RETRY: Final = 5.0
# How often one question is asked again over a new connection.
RETRIES: Final = 3
_PORT: Final = (
    "id", "project_id", "network_id", "device_id", "device_owner", "mac_address", "fixed_ips", "tags",
    "qos_policy_id", "binding:host_id", "binding:profile",
)  # fmt: skip
# From here on Nova says the name of a server's flavor.
_COMPUTE: Final = {"OpenStack-API-Version": "compute 2.47"}


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """Which cloud to ask, and how often.

    `name` is that of an entry of clouds.yaml, empty to ask nobody; `file` another clouds.yaml than the one
    OpenStack's clients find. `jitter` is the share of `every` by which pauses differ. `created` names the
    project's attribute, or tag ``NAME=VALUE``, in which a sign-up writes when it made it.
    """

    name: str = ""
    file: str = ""
    every: float = 300.0
    jitter: float = 0.1
    timeout: float = 60.0
    page: int = 1000
    compute: bool = True
    created: str = "created_at"


class Service(Protocol):
    """One service of the cloud."""

    def get(self, path: str, headers: Mapping[str, str]) -> Any:
        """Give the JSON of an answer; raises NotFound, or Unavailable."""
        ...


class Listener(Protocol):
    """Who wants to know; `Keeper` is the one that does."""

    def begin_list(self) -> None:
        """Hear that a list is being read."""
        ...

    def take_cloud(self, cloud: Cloud) -> int:
        """Take a list; how many ports changed."""
        ...


Services: TypeAlias = Mapping[str, Service]


# --- reading ---------------------------------------------------------------------------------------


def read(services: Services, settings: CloudSettings) -> Cloud:
    """Read everything; raises when any part of it cannot be had."""
    network, page = services["network"], settings.page
    plans = tuple(_plans(network, page))
    networks = {n["id"]: n.get("qos_policy_id") or "" for n in _networks(network, page)}
    ports = _pages(network, "/ports", "ports", page, [("fields", f) for f in _PORT])
    projects = _pages(services["identity"], "/projects", "projects", page)
    return Cloud(
        tuple(
            read_port(p, networks.get(p.get("network_id") or "", ""))
            for p in ports
            if not is_infrastructure(p)
        ),
        tuple(_project(p, settings.created) for p in projects if not p.get("is_domain")),
        plans,
        dict(_flavors(services["compute"], page)) if "compute" in services else {},
    )


def _plans(network: Service, page: int) -> Iterator[Plan]:
    with suppress(NotFound):  # a Neutron without QoS
        for p in _pages(network, "/qos/policies", "policies", page):
            yield Plan(p["id"], p.get("name") or "", tuple(p.get("tags") or ()))


def _networks(network: Service, page: int) -> Iterator[dict[str, Any]]:
    return _pages(network, "/networks", "networks", page, [("fields", "id"), ("fields", "qos_policy_id")])


def _flavors(compute: Service, page: int) -> Iterator[tuple[str, str]]:
    for s in _pages(compute, "/servers/detail", "servers", page, [("all_tenants", "true")], _COMPUTE):
        flavor = s.get("flavor") or {}
        yield s["id"], str(flavor.get("original_name") or flavor.get("id") or "")


def _project(p: Mapping[str, Any], attribute: str) -> Project:
    tagged = (t.partition("=")[2] for t in p.get("tags") or () if t.startswith(f"{attribute}="))
    told = (moment(v) for v in (p.get(attribute), *tagged))
    return Project(p["id"], p.get("name") or "", next((t for t in told if t), 0.0))


def moment(value: object) -> float:
    """Read a moment as a sign-up may write it, an ISO date or unix seconds; 0 for what is neither."""
    with suppress(ValueError):
        seconds = float(str(value))
        return seconds if 0 < seconds < math.inf else 0.0
    try:
        read_ = datetime.fromisoformat(str(value).strip())
    except ValueError:
        return 0.0
    return (read_ if read_.tzinfo else read_.replace(tzinfo=UTC)).timestamp()


def _pages(
    service: Service,
    path: str,
    key: str,
    limit: int,
    query: list[tuple[str, str]] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Iterator[dict[str, Any]]:
    """Go through a list page by page, by the id of the last one: a link may name a host out of reach."""
    marker: list[tuple[str, str]] = []
    while True:
        asked = urlencode([*(query or ()), ("limit", str(limit)), *marker])
        answer = service.get(f"{path}?{asked}", headers or {})
        try:
            items = answer[key]
            yield from items
            more = bool(items) and _goes_on(answer, key)
            marker = [("marker", items[-1]["id"])] if more else []
        except (KeyError, TypeError) as error:
            raise Unavailable(
                "The cloud's answer is not what was asked for.",
                f"{path}: no {key!r} in the answer: {error!r}",
            ) from error
        if not more:
            return


def _goes_on(answer: Mapping[str, Any], key: str) -> bool:
    links = answer.get(f"{key}_links") or ()
    return any(link.get("rel") == "next" for link in links) or bool((answer.get("links") or {}).get("next"))


# --- asking again and again ------------------------------------------------------------------------


@dataclass(slots=True)
class Asking:
    """Asks, tells, and pauses; what was known stays while the cloud does not answer."""

    settings: CloudSettings
    keeper: Listener
    connect: Callable[[CloudSettings], Services]
    troubles: Troubles
    _services: Services | None = None
    _failures: int = 0
    _random: random.Random = field(default_factory=random.Random)

    def look(self) -> float:
        """Read a list and hand it over, once; how long to pause then."""
        try:
            self._services = self._services or self.connect(self.settings)
            self.keeper.begin_list()
            self.keeper.take_cloud(read(self._services, self.settings))
        except SekishoError as error:
            self._services = None
            self._failures += 1
            self.troubles.begin(NAME, error.fixer)
            longer: float = 2.0 ** min(self._failures - 1, 10)
            return min(self.settings.every, RETRY * longer)
        self._failures = 0
        self.troubles.end(NAME)
        share = self.settings.jitter
        return self.settings.every * self._random.uniform(1 - share, 1 + share)

    def run(self, stop: threading.Event) -> None:
        """Look, pause, and look again until `stop`."""
        stop.wait(self.look())


# --- OpenStack's own library -----------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Adapter:
    """A service through openstacksdk."""

    proxy: Any
    errors: tuple[type[Exception], ...]

    def get(self, path: str, headers: Mapping[str, str]) -> Any:
        """Ask; raises what the answer stands for."""
        try:
            # A server that closes each connection after its answer may do so just as it is asked again.
            more = {"raise_exc": False, "connect_retries": RETRIES}
            answer = self.proxy.get(path, headers={"Accept": "application/json", **headers}, **more)
            if answer.status_code < 400:
                return answer.json()
        except self.errors as error:
            raise Unavailable("The cloud does not answer.", f"{path}: {error}") from error
        said = f"{path}: {answer.status_code}: {answer.text[:300]}"
        if answer.status_code == 404:
            raise NotFound("The cloud does not know that.", said)
        raise Unavailable("The cloud refuses to answer.", said)


def connect(settings: CloudSettings) -> Services:
    """Find the services of a cloud of clouds.yaml through openstacksdk."""
    try:
        sdk = importlib.import_module("openstack")
        faults = importlib.import_module("keystoneauth1.exceptions")
    except ImportError as error:
        fixer = f'install "sekisho[openstack]": {error}.'
        raise Unsupported("The cloud cannot be asked.", fixer) from error
    errors = (faults.ClientException, sdk.exceptions.SDKException, ValueError)
    try:
        config = sdk.config.OpenStackConfig(config_files=[settings.file] if settings.file else None)
        cloud = sdk.connection.Connection(config=config.get_one(settings.name, api_timeout=settings.timeout))
        names = ["network", "identity"]
        if settings.compute and cloud.has_service("compute"):
            names.append("compute")
        return {name: _Adapter(getattr(cloud, name), errors) for name in names}
    except errors as error:
        fixer = f"keeper.cloud: {settings.name}: {error}"
        raise Unavailable("The cloud does not answer.", fixer) from error
