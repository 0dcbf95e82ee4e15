"""A real database is read and watched: ports come, change and go, both daemons restart."""

from __future__ import annotations

import queue
import time
from typing import TYPE_CHECKING

import pytest

from sekisho.devices.vswitch.ovsdb import Database, Happening
from sekisho.model.errors import NotFound, Refused, Unavailable
from support_ovs import plug

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from sekisho.lab.ovs import PrivateSwitch
    from sekisho.model.inventory import Subject

pytestmark = pytest.mark.ovs


class Watch:
    """A database and what it told, in order."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.told: queue.SimpleQueue[tuple[float, Happening]] = queue.SimpleQueue()
        database.listen(lambda happening: self.told.put((time.monotonic(), happening)))

    def until(self, happening: Happening, what: Callable[[], bool] = lambda: True) -> float:
        """Wait for a happening after which `what` holds; give the moment it was told."""
        while True:
            moment, heard = self.told.get(timeout=5)
            if heard == happening and what():
                return moment

    def subject(self, id_: str) -> Subject | None:
        return next((s for s in self.database.subjects() if s.id == id_), None)


@pytest.fixture
def watch(switch: PrivateSwitch, bridge: str) -> Iterator[Watch]:
    with Database(f"{switch.folder}/db.sock", "host7") as database:
        database.subjects()
        assert bridge in switch.vsctl("list-br")
        yield Watch(database)


def test_a_plugged_vm_is_told_as_a_subject(switch: PrivateSwitch, watch: Watch) -> None:
    vm = plug(switch, 1, vlan=12)
    watch.until(Happening.PORTS, lambda: bool((s := watch.subject("port-1")) and s.ofport and s.ifindex))
    subject = watch.subject("port-1")
    assert subject is not None
    assert (subject.host, subject.project, subject.server) == ("host7", "p1", "server-1")
    assert (subject.network, subject.tags, subject.mac) == ("net1", ("new",), "02:00:00:00:00:01")
    assert subject.addresses == ("10.0.0.1", "fd00::1")
    assert (subject.interface, subject.bridge, subject.vlan) == (vm.interface, "br0", 12)
    assert subject.ofport == switch.ofport("vm1")
    assert subject.ifindex == int(switch.vsctl("get", "Interface", vm.interface, "ifindex"))


def test_an_uplink_is_no_subject_unless_its_bridge_is_bare(switch: PrivateSwitch, watch: Watch) -> None:
    plug(switch, 1, subject=False)
    assert watch.database.subjects() == ()
    with Database(f"{switch.folder}/db.sock", "host7", bare=("br0",)) as bare:
        assert [s.id for s in bare.subjects()] == ["host7/tap-vm1"]
        switch.vsctl("set", "Interface", "tap-vm1", "external_ids:sekisho-uplink=true")
    with Database(f"{switch.folder}/db.sock", "host7", bare=("br0",)) as bare:
        assert bare.subjects() == ()


def test_a_port_in_a_vlan_is_told_whosever_it_is(switch: PrivateSwitch, watch: Watch) -> None:
    vm = plug(switch, 1, subject=False, vlan=12)
    watch.until(Happening.PORTS, lambda: bool(watch.database.access("br0")))
    assert watch.database.access("br0") == {switch.ofport("vm1"): 12}
    switch.vsctl("clear", "Port", vm.interface, "tag")
    watch.until(Happening.PORTS, lambda: not watch.database.access("br0"))


def test_a_port_created_again_is_told_with_its_new_ofport(switch: PrivateSwitch, watch: Watch) -> None:
    plug(switch, 1)
    before = switch.ofport("vm1")
    switch.detach("vm1")
    watch.until(Happening.PORTS, lambda: watch.subject("port-1") is None)
    # Somebody else takes the number the port had.
    plug(switch, 2)
    switch.vsctl("set", "Interface", "tap-vm2", f"ofport_request={before}")
    started = time.monotonic()
    after = switch.attach("vm1")
    told = watch.until(Happening.PORTS, lambda: bool((s := watch.subject("port-1")) and s.ofport))
    subject = watch.subject("port-1")
    assert subject is not None
    assert subject.ofport == after != before
    assert told - started < 0.5


def test_a_change_of_identity_is_told_at_once(switch: PrivateSwitch, watch: Watch) -> None:
    plug(switch, 1)
    switch.vsctl("set", "Interface", "tap-vm1", "external_ids:sekisho-tags=gold,old")
    watch.until(Happening.PORTS, lambda: bool((s := watch.subject("port-1")) and s.tags == ("gold", "old")))


def test_a_restarted_switch_is_told_though_its_database_says_nothing(
    switch: PrivateSwitch, watch: Watch
) -> None:
    plug(switch, 1)
    watch.until(Happening.PORTS, lambda: bool((s := watch.subject("port-1")) and s.ofport))
    switch.stop_vswitchd()
    switch.start_vswitchd()
    back = time.monotonic()
    assert watch.until(Happening.TABLES) - back < 0.5


@pytest.mark.usefixtures("bridge")
def test_a_quiet_switch_is_not_told_as_restarted(switch: PrivateSwitch, watch: Watch) -> None:
    plug(switch, 1)
    watch.until(Happening.PORTS, lambda: bool((s := watch.subject("port-1")) and s.ofport))
    switch.vsctl("set", "Interface", "tap-vm1", "external_ids:sekisho-tags=last")
    watch.until(Happening.PORTS, lambda: watch.subject("port-1").tags == ("last",))  # type: ignore[union-attr]
    heard = []
    while not watch.told.empty():
        heard.append(watch.told.get()[1])
    assert Happening.TABLES not in heard


def test_a_controller_set_is_told_as_tables_gone(switch: PrivateSwitch, watch: Watch) -> None:
    switch.vsctl("set-controller", "br0", "tcp:127.0.0.1:1")
    watch.until(Happening.TABLES)
    switch.vsctl("del-controller", "br0")
    watch.until(Happening.TABLES)


def test_a_database_away_keeps_what_was_read_and_comes_back_by_itself(
    switch: PrivateSwitch, watch: Watch
) -> None:
    plug(switch, 1)
    watch.until(Happening.PORTS, lambda: bool((s := watch.subject("port-1")) and s.ifindex))
    before = watch.subject("port-1")
    switch.stop_ovsdb()
    with pytest.raises(Unavailable):
        watch.database.write(lambda _: None, timeout=0.3)
    assert not watch.database.connected
    assert watch.subject("port-1") == before
    switch.start_ovsdb()
    back = time.monotonic()
    assert watch.until(Happening.CONNECTED) - back < 1.0
    assert watch.subject("port-1") == before
    assert watch.database.write(lambda _: None) is False


def test_a_database_that_never_answered_is_unavailable(tmp_path: Path) -> None:
    with Database(str(tmp_path / "none.sock"), "host7") as database, pytest.raises(Unavailable):
        database.subjects(timeout=0.1)


def test_what_the_database_refuses_is_refused_and_the_watch_goes_on(watch: Watch) -> None:
    def wrong(idl: object) -> None:
        row = idl.txn.insert(idl.tables["Flow_Sample_Collector_Set"])  # type: ignore[attr-defined]
        row.id = -5

    def failing(_: object) -> None:
        raise NotFound("nothing here")

    with pytest.raises(Refused):
        watch.database.write(wrong)
    with pytest.raises(NotFound):
        watch.database.write(failing)
    assert watch.database.write(lambda _: None) is False


def test_a_failing_listener_silences_nobody(switch: PrivateSwitch, watch: Watch) -> None:
    later = Watch(watch.database)
    watch.database._listeners.insert(0, lambda _: 1 / 0)  # type: ignore[arg-type]
    plug(switch, 1)
    later.until(Happening.PORTS)
