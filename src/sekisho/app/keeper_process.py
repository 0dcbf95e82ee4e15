"""Starts the keeper: ledger, clock, API, and the thread that lets restrictions end."""

from __future__ import annotations

import gc
import json
import logging
import threading
from contextlib import suppress
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from sekisho.api import create_app, serve
from sekisho.api.console.settings import Console
from sekisho.app import archive_reach, balancers_start, cloud, notices_start, publish, rules
from sekisho.app.all_in_one import first_token, open_ledger
from sekisho.app.attachments_follow import follow
from sekisho.app.charts import Charts
from sekisho.app.identity import Identity
from sekisho.app.keeper import Keeper
from sekisho.app.keystone import Keystone
from sekisho.app.named import unmeasured
from sekisho.app.process import stop_on_signal
from sekisho.app.switches import Switches
from sekisho.host.clock import Clock, Mark
from sekisho.host.tasks import Troubles, spawn
from sekisho.metering.door import reach
from sekisho.metering.publish import Publisher
from sekisho.model.errors import Malformed, SekishoError
from sekisho.model.plain import from_plain

if TYPE_CHECKING:
    import socket
    from collections.abc import Sequence

    from sekisho.api.settings import ApiSettings
    from sekisho.app.identity import KeystoneSettings
    from sekisho.app.metering import Metering
    from sekisho.app.settings import KeeperSettings
    from sekisho.ledger.ledger import Ledger
    from sekisho.metering.settings import MeteringSettings

log = logging.getLogger("sekisho.keeper")

# How often what has ended is let go.
TICK = 0.25
# Seconds that whoever still waits for an answer has when the keeper stops.
PATIENCE = 5.0
# When the garbage collector looks at the young, the older and all: a request makes hundreds of objects that
# are gone with its answer, and a look at all goes through every subject.
LOOKS = (20_000, 20, 20)


def run(settings: KeeperSettings, sockets: Sequence[socket.socket] = ()) -> None:
    """Serve until a signal ends it."""
    state = Path(settings.state)
    ledger = open_ledger(state)
    clock = resumed(ledger, Clock())
    _tell_first_token(ledger, state, settings.api, clock.now())
    keeper = Keeper(
        settings, ledger, clock, rules.folder(settings.policies), identity(settings.keystone, clock)
    )
    stop = threading.Event()
    # The server raises a signal again once it has stopped; what comes after it still has to be done.
    stop_on_signal(stop)
    troubles = Troubles(log)
    keeper.troubles = troubles

    def tick() -> None:
        keeper.tick()
        stop.wait(TICK)

    _load_openstack(settings)
    threads = [spawn(stop, troubles, "letting restrictions end", tick)]
    threads += _with_openstack(settings, keeper, clock, stop, troubles)
    metering = metered(settings, keeper)
    if metering is not None:
        threads.append(spawn(stop, troubles, "metering", lambda: metering.look(clock.now(), stop)))
    switches = switched(settings, keeper, ledger, clock)
    following = follow(switches, keeper, ledger, clock.passed, stop)
    switches.recover()
    spawn(stop, troubles, "following the cloud's VLANs", following.look)
    looking = spawn(stop, troubles, "looking at switches", lambda: switches.run(stop))
    balancing = balancers_start.start(settings.balancers, ledger, clock, stop, troubles)
    keeper.notices.append(balancing.balancers.notices)
    keeper.numbers.append(balancing.balancers.metrics)
    telling = notices_start.start(settings.notices, ledger, keeper, clock, stop, troubles)
    flows = archive_reach.reach(settings, keeper)
    if flows is not None:
        archive_reach.watch(flows, keeper, stop, troubles)
    app = create_app(
        keeper,
        settings.api,
        switches,
        following.attachments,
        balancing.balancers,
        notices=telling.notices if telling else None,
        flows=flows,
        console=Console(settings.console, Charts(keeper.recent, flows, clock.now)),
    )
    gc.freeze()  # what is there now stays
    gc.set_threshold(*LOOKS)
    try:
        serve(app, settings.api, sockets, stop)
    finally:
        stop.set()
        until = clock.passed() + PATIENCE
        told = (telling.close,) if telling is not None else ()
        joined = [thread.join for thread in (*threads, looking)]
        for close in (*joined, switches.close, balancing.close, *told):
            close(max(0.0, until - clock.passed()))
        if metering is not None and not threads[-1].is_alive():
            metering.close(clock.now())
        _write_last(keeper)
        ledger.close()


def _tell_first_token(ledger: Ledger, state: Path, api: ApiSettings, now: float) -> None:
    token = first_token(ledger, state, address(api), now)
    if token is not None:
        log.warning("there was no token yet: the administrator's is in %s", token)


def _write_last(keeper: Keeper) -> None:
    try:
        keeper.close()
    except SekishoError as error:
        log.warning("what hosts counted last is not written: %s", error.fixer)


def _with_openstack(
    settings: KeeperSettings, keeper: Keeper, clock: Clock, stop: threading.Event, troubles: Troubles
) -> list[threading.Thread]:
    """Start what asks the cloud and what tells it, where the settings name one."""
    threads = []
    if settings.cloud.name:
        asking = cloud.Asking(settings.cloud, keeper, cloud.connect, troubles)
        threads.append(spawn(stop, troubles, cloud.THREAD, lambda: asking.run(stop)))
    if settings.metering.publish.every:
        telling = publishing(settings.metering, keeper, troubles)
        threads.append(spawn(stop, troubles, publish.THREAD, lambda: telling.look(clock.now(), stop)))
    return threads


def switched(settings: KeeperSettings, keeper: Keeper, ledger: Ledger, clock: Clock) -> Switches:
    """Make what keeps the switches; nothing is asked yet."""
    switches = Switches(settings.switches, ledger, clock, Path(settings.state))
    keeper.notices.append(switches.notices)
    keeper.numbers.append(switches.metrics)
    return switches


def _load_openstack(settings: KeeperSettings) -> None:
    """Load OpenStack's library before threads use it: two that load it at once are left with half of it."""
    if settings.cloud.name or settings.metering.source == "gnocchi" or settings.metering.publish.every:
        for module in ("keystoneauth1.exceptions", "openstack", "openstack.connection"):
            with suppress(ImportError):  # who needs it says so
                import_module(module)


def metered(settings: KeeperSettings, keeper: Keeper) -> Metering | None:
    """Make what judges by volumes, if the settings name a source of them."""
    if settings.metering.source == "none":
        keeper.notices.append(lambda: unmeasured(keeper.policies().policies))
        return None
    from sekisho.app.metering import Metering, meter
    from sekisho.metering.counters import Counters

    source = meter(settings.metering, Path(settings.state))
    if isinstance(source, Counters):
        keeper.counters = source
    return Metering(settings.metering, keeper, source)


def publishing(settings: MeteringSettings, keeper: Keeper, troubles: Troubles) -> publish.Publishing:
    """Make what writes our own figures to Gnocchi."""
    publisher = Publisher(settings.publish, reach(settings.gnocchi))
    return publish.Publishing(settings.publish, keeper, publisher, troubles)


def identity(settings: KeystoneSettings, clock: Clock) -> Identity | None:
    """Make what knows Keystone's users, where the settings name a Keystone; nothing is asked yet."""
    return Identity(settings, Keystone(settings, clock.now), clock.passed) if settings.on else None


def address(settings: ApiSettings) -> str:
    """Say how this machine's own command line reaches the keeper."""
    everywhere = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}  # noqa: S104 - read, not bound
    host = everywhere.get(settings.host, f"[{settings.host}]" if ":" in settings.host else settings.host)
    return f"{'https' if settings.certificate else 'http'}://{host}:{settings.port}"


def resumed(ledger: Ledger, clock: Clock) -> Clock:
    """Let a clock go on from where an earlier keeper of this boot was, and take it down for a later one."""
    clock.resume(_last_mark(ledger))
    ledger.remember("clock", json.dumps(asdict(clock.mark())))
    return clock


def _last_mark(ledger: Ledger) -> Mark | None:
    """Find what both clocks said when an earlier keeper last looked."""
    kept = ledger.recall("clock")
    if not kept:
        return None
    try:
        return from_plain(Mark, json.loads(kept))
    except (ValueError, Malformed):
        log.warning("the ledger's clock mark %r cannot be read: the wall clock is trusted", kept)
        return None
