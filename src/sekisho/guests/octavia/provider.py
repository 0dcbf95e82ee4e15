"""The providers ``sekisho-lvs`` and ``sekisho-adx`` in Octavia's API process: check, tell the keeper, return.

Whatever is raised makes Octavia take its change back, so nothing is left pending; all else is in the keeper's
ledger, and our agent says how it ended.
"""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar, Final

from octavia_lib.api.drivers import provider_base
from oslo_config import cfg

from sekisho.devices.balancer.adx.provider import FLAVOR as ADX_FLAVOR
from sekisho.devices.balancer.adx.provider import PREDICTORS, Adx
from sekisho.devices.balancer.lvs_dsr.provider import LvsProvider
from sekisho.guests.octavia import config, refused, words
from sekisho.guests.octavia.faults import told, unsupported
from sekisho.model.balancer import Balancer, Kind, Member
from sekisho.model.errors import Conflict, NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from sekisho.client import Client
    from sekisho.client.balancers import Balancers
    from sekisho.devices.balancer.driver import Provider
    from sekisho.model.balancer import Object, PairView

_PAIR: Final = "The name of the pair of devices that carries it, as in the keeper's settings."
_ZONE: Final = {"zone": "The zone's name in `zones` of the keeper's pairs."}


class _Driver(provider_base.ProviderDriver):
    """What both providers do; thread-safe. Octavia calls these methods by their names."""

    kind: ClassVar[str]
    flavor: ClassVar[Mapping[str, str]] = {"pair": _PAIR}

    def __init__(self) -> None:
        super().__init__()
        self._options = config.register(cfg.CONF)
        self._made: tuple[int, Client] | None = None
        self._lock = threading.Lock()

    def _room(self) -> Provider:
        raise NotImplementedError

    def _links(self) -> tuple[str, ...]:
        return ()

    @property
    def _keeper(self) -> Balancers:
        """Give this process's client: connections are not shared with the one that it was forked from."""
        with self._lock:
            if self._made is None or self._made[0] != os.getpid():
                self._made = os.getpid(), config.client(self._options)
            return self._made[1].balancers

    # --- load balancers ---------------------------------------------------------------------------

    def create_vip_port(
        self, loadbalancer_id: str, project_id: str, vip_dictionary: Any, additional_vip_dicts: Any
    ) -> Any:
        """Refuse what nobody here does with a VIP's port, and leave it to Octavia to make it."""
        _refuse(refused.balancer({**vip_dictionary, "additional_vips": additional_vip_dicts}))
        return super().create_vip_port(loadbalancer_id, project_id, vip_dictionary, additional_vip_dicts)

    def loadbalancer_create(self, loadbalancer: Any) -> None:
        """Make a load balancer with all it names."""
        said = words.fields(loadbalancer)
        _refuse(refused.balancer(said))
        for listener in said.get("listeners", ()):
            self._need_listener(words.fields(listener))
        for pool in said.get("pools", ()):
            _need_pool(words.fields(pool))
        balancer = words.balancer(said, self.kind)
        self._need_able(balancer)
        with told():
            self._keeper.put(balancer)

    def loadbalancer_update(self, old_loadbalancer: Any, new_loadbalancer: Any) -> None:
        """Change its name, or whether it is on; nothing else of it can change."""
        said = words.laid_over(old_loadbalancer, new_loadbalancer)
        _refuse(refused.balancer(words.fields(new_loadbalancer)))
        with told():
            had = self._balancer(said["loadbalancer_id"])
            enabled = bool(said.get("admin_state_up", True))
            self._keeper.put(replace(had, name=said.get("name", ""), enabled=enabled))

    def loadbalancer_delete(self, loadbalancer: Any, cascade: bool = False) -> None:  # noqa: FBT001, FBT002 - Octavia's
        """Take it away; what a keeper that never knew it would not tell of its children is told too."""
        said = words.fields(loadbalancer)
        with told():
            try:
                self._keeper.show(said["loadbalancer_id"])
            except NotFound:
                for kind, thing in _children(words.balancer(said, self.kind)):
                    self._keeper.delete_object(thing, kind)
            self._keeper.delete(said["loadbalancer_id"], cascade=cascade)

    def loadbalancer_failover(self, loadbalancer_id: str) -> None:
        """Let the other device of its pair take over."""
        with told():
            self._keeper.failover(loadbalancer_id)

    # --- listeners and pools ----------------------------------------------------------------------

    def listener_create(self, listener: Any) -> None:
        """Put a listener into its load balancer."""
        self._put_listener(words.fields(listener))

    def listener_update(self, old_listener: Any, new_listener: Any) -> None:
        """Change a listener."""
        self._put_listener(words.laid_over(old_listener, new_listener))

    def _put_listener(self, said: dict[str, Any]) -> None:
        self._need_listener(said)
        self._put(said["loadbalancer_id"], words.listener(said))

    def listener_delete(self, listener: Any) -> None:
        """Take a listener away."""
        self._delete(Kind.LISTENER, listener.listener_id, listener.loadbalancer_id)

    def pool_create(self, pool: Any) -> None:
        """Put a pool into its load balancer, and behind its listener if it has one."""
        said = words.fields(pool)
        _need_pool(said)
        self._put(said.get("listener_id") or said["loadbalancer_id"], words.pool(said))

    def pool_update(self, old_pool: Any, new_pool: Any) -> None:
        """Change a pool; its members and its monitor stay."""
        said = words.laid_over(old_pool, new_pool)
        _need_pool(said)
        bare = {k: v for k, v in said.items() if k not in ("members", "healthmonitor")}
        self._put(said["loadbalancer_id"], words.pool(bare))

    def pool_delete(self, pool: Any) -> None:
        """Take a pool away with all in it."""
        self._delete(Kind.POOL, pool.pool_id, pool.loadbalancer_id)

    # --- members and monitors ---------------------------------------------------------------------

    def member_create(self, member: Any) -> None:
        """Put a member into its pool."""
        self._put_member(words.fields(member))

    def member_update(self, old_member: Any, new_member: Any) -> None:
        """Change a member."""
        self._put_member(words.laid_over(old_member, new_member))

    def _put_member(self, said: dict[str, Any]) -> None:
        _refuse(refused.member(said))
        self._put(said["pool_id"], words.member(said))

    def member_delete(self, member: Any) -> None:
        """Take a member away; what it has is let go on for a while."""
        self._delete(Kind.MEMBER, member.member_id, member.pool_id)

    def member_batch_update(self, pool_id: str, members: Sequence[Any]) -> None:
        """Make these the members of a pool, and no others; Octavia passes those that stay along."""
        said = [words.fields(each) for each in members]
        for each in said:
            _refuse(refused.member(each))
        made: tuple[Member, ...] = tuple(words.member(each) for each in said)
        with told():
            had = self._balancer(pool_id)
            self._need_able(words.with_members(had, pool_id, made))
            self._keeper.put_members(pool_id, made)

    def health_monitor_create(self, healthmonitor: Any) -> None:
        """Put a monitor into its pool."""
        said = words.fields(healthmonitor)
        self._put(said["pool_id"], words.monitor(said))

    def health_monitor_update(self, old_healthmonitor: Any, new_healthmonitor: Any) -> None:
        """Change a monitor."""
        said = words.laid_over(old_healthmonitor, new_healthmonitor)
        self._put(said["pool_id"], words.monitor(said))

    def health_monitor_delete(self, healthmonitor: Any) -> None:
        """Take a monitor away."""
        self._delete(Kind.MONITOR, healthmonitor.healthmonitor_id, healthmonitor.pool_id)

    # --- what is never done -----------------------------------------------------------------------

    def l7policy_create(self, l7policy: Any) -> None:  # noqa: ARG002 - Octavia's
        """Refuse: packets are not read."""
        raise unsupported(refused.L7)

    def l7rule_create(self, l7rule: Any) -> None:  # noqa: ARG002 - Octavia's
        """Refuse: packets are not read."""
        raise unsupported(refused.L7)

    # --- flavors and zones ------------------------------------------------------------------------

    def get_supported_flavor_metadata(self) -> dict[str, str]:
        """Say what a flavor may choose."""
        return dict(self.flavor)

    def validate_flavor(self, flavor_metadata: Mapping[str, Any]) -> None:
        """Refuse a flavor that says what means nothing here, or names a pair that is not there."""
        _refuse(refused.options(flavor_metadata, self.flavor, "A flavor of this provider"))
        if "pair" in flavor_metadata:
            _refuse(refused.unknown("pair", flavor_metadata["pair"], (p.name for p in self._pairs())))

    def get_supported_availability_zone_metadata(self) -> dict[str, str]:
        """Say what an availability zone has to name."""
        return dict(_ZONE)

    def validate_availability_zone(self, availability_zone_metadata: Mapping[str, Any]) -> None:
        """Refuse a zone that names none of the keeper's, or says what means nothing here."""
        what = "An availability zone of this provider"
        asked = {"zone": "", **availability_zone_metadata}
        _refuse(refused.options(asked, _ZONE, what))
        zones = (zone for pair in self._pairs() for zone in pair.zones)
        _refuse(refused.unknown("zone", asked["zone"], zones))

    # --- inside -----------------------------------------------------------------------------------

    def _need_listener(self, said: dict[str, Any]) -> None:
        _refuse(refused.listener(said, config.timeouts(cfg.CONF)))

    def _need_able(self, balancer: Balancer) -> None:
        sentence = self._room().unsupported(balancer)
        _refuse([sentence] if sentence else refused.off_link(balancer, self._links()))

    def _pairs(self) -> tuple[PairView, ...]:
        """List the keeper's pairs of this kind."""
        with told():
            return tuple(pair for pair in self._keeper.pairs() if pair.provider == self.kind)

    def _balancer(self, thing: str) -> Balancer:
        """Give the balancer that a thing is in, as the keeper has it."""
        try:
            return self._keeper.show(thing).balancer
        except NotFound as error:
            raise Conflict(
                "The load balancer that this belongs to is not known to those that carry it. "
                "Delete it with all in it (cascade) and make it anew.",
                f"The keeper has nothing of {thing!r}, which Octavia has: is it the right keeper and ledger?",
            ) from error

    def _put(self, parent: str, thing: Object) -> None:
        with told():
            self._need_able(words.with_object(self._balancer(parent), parent, thing))
            self._keeper.put_object(parent, thing)

    def _delete(self, kind: Kind, thing: str, parent: str) -> None:
        with told():
            self._balancer(parent)  # else only the object would be told, and its parents stay pending
            self._keeper.delete_object(thing, kind, parent)


class LvsDriver(_Driver):
    """``sekisho-lvs``: directors of Linux, direct return."""

    kind = "lvs"

    def _links(self) -> tuple[str, ...]:
        return tuple(self._options.links)

    def _room(self) -> Provider:
        return LvsProvider(self._links())


class AdxDriver(_Driver):
    """``sekisho-adx``: Brocade ServerIron ADX, direct return."""

    kind = "adx"
    flavor: ClassVar[Mapping[str, str]] = {"pair": _PAIR, **ADX_FLAVOR}

    def _room(self) -> Provider:
        return Adx()

    def validate_flavor(self, flavor_metadata: Mapping[str, Any]) -> None:
        """Refuse a flavor that says what means nothing here, or a predictor that no ADX has."""
        super().validate_flavor(flavor_metadata)
        predictor = flavor_metadata.get("predictor", PREDICTORS[0])
        if predictor not in PREDICTORS:
            raise unsupported(f"An ADX has no predictor {predictor!r}. Choose {', '.join(PREDICTORS)}.")


def _refuse(sentences: Iterable[str]) -> None:
    refused.first(sentences, unsupported)


def _need_pool(said: dict[str, Any]) -> None:
    _refuse(refused.pool(said))
    for each in said.get("members", ()):
        _refuse(refused.member(words.fields(each)))


def _children(balancer: Balancer) -> Iterable[tuple[Kind, str]]:
    """Name all in a balancer, what is inside before what it is in."""
    for pool in balancer.pools:
        yield from ((Kind.MEMBER, m.id) for m in pool.members)
        if pool.monitor is not None:
            yield Kind.MONITOR, pool.monitor.id
        yield Kind.POOL, pool.id
    yield from ((Kind.LISTENER, each.id) for each in balancer.listeners)
