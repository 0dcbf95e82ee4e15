"""What a large switch has: 4,000 VLANs on every trunk, and a configuration of 20,000 lines."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from sekisho.app.switches import Switches, SwitchesSettings
from sekisho.devices.switch.document import Connection
from sekisho.devices.switch.intent import Ace, Acl, Intent, Port, PortMode, Vlan, parts
from sekisho.devices.switch.nexus import config_text
from sekisho.devices.switch.nexus.driver import Nexus, connect
from sekisho.devices.switch.plan import plan
from sekisho.host.clock import Clock
from sekisho.ledger.ledger import Ledger
from sekisho.model.access import Principal, Role
from sekisho.model.switch import Accord, ChangeState, Wanted
from sekisho.testing.nexus import Box, Door, serve

pytestmark = pytest.mark.timeout(600)

ADA = Principal("ada", Role.ADMIN)
# All ids that a Nexus leaves free: 3968 to 4094 are its own.
IDS = range(1, 3968)


@pytest.fixture
def door() -> Iterator[Door]:
    with serve(Box(hostname="leaf-1", version="9.3(10)", ports=48), ssh_port=None) as found:
        yield found


def by(door: Door) -> Nexus:
    address = f"http://{door.address}"
    return connect(
        Connection("nexus", address, door.port, "admin", transport="nxapi", timeout=120.0), "admin"
    )


def test_four_thousand_vlans_are_planned_applied_and_taken_back(door: Door, tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    (tmp_path / "state").mkdir()
    (tmp_path / "secret").write_text("admin")
    lines = [
        *("[connect]", 'driver = "nexus"', f'address = "http://{door.address}"', f"port = {door.port}"),
        *('username = "admin"', f'password_file = "{tmp_path / "secret"}"', 'transport = "nxapi"'),
        "timeout = 120.0",
        *(line for i in IDS[1:] for line in (f"[vlan.{i}]", f'name = "net-{i}"')),
    ]
    for number in range(1, 49):
        lines += [f'[port."Ethernet1/{number}"]', 'mode = "trunk"', f'allowed = "{IDS[0]}-{IDS[-1]}"']
    (tmp_path / "files" / "leaf-1.toml").write_text("\n".join(lines))
    began = door.box.running_config()
    ledger, news = Ledger(tmp_path / "ledger.db"), threading.Condition()
    settings = SwitchesSettings(folder=str(tmp_path / "files"), settle=0.0, every=0.0)
    keeper = Switches(settings, ledger, Clock(), tmp_path / "state")

    def told(_topic: str) -> None:
        with news:
            news.notify_all()

    def ended(rollout: str) -> ChangeState:
        with news:
            assert news.wait_for(lambda: keeper.rollout(rollout).ended, 300.0)
        return keeper.rollout(rollout).changes[0].state

    keeper.listen(told)
    try:
        (found,) = keeper.plan(())
        assert len(found.steps) == len(IDS[1:]) + 48
        begun = keeper.want(ADA, Wanted(("leaf-1",), "all of them", {"leaf-1": found.fingerprint}))
        assert ended(begun.id) is ChangeState.APPLIED
        assert keeper.drift((), fresh=True)[0].accord is Accord.ACCORD
        assert f"vlan {IDS[-1]}\n  name net-{IDS[-1]}\n" in door.box.startup
        assert ended(keeper.rollback(ADA, "leaf-1", "", "too many").id) is ChangeState.APPLIED
        assert door.box.running_config() == began
    finally:
        keeper.close()
        ledger.close()


def test_twenty_thousand_lines_are_read_planned_and_changed(door: Door) -> None:
    def line(list_: int, number: int) -> Ace:
        source = f"10.{list_}.{number}.0/24"
        return Ace(10 * number, permit=True, protocol="tcp", source=source, destination_port="443")

    lists = [Acl(4, f"list-{i}", tuple(line(i, n) for n in range(1, 121))) for i in range(1, 101)]
    trunks = [
        Port(f"Ethernet1/{n}", mode=PortMode.TRUNK, allowed="1-3967", acl4_in=f"list-{n}")
        for n in range(1, 49)
    ]
    intent = Intent("leaf-1", parts(*lists, *trunks, *(Vlan(i, f"net-{i}") for i in IDS[1:])))
    with closing(by(door)) as driver:
        for stage in plan(intent, driver.read(), driver.abilities()).stages:
            driver.apply(stage)
        text = driver.running()
        assert len(text.splitlines()) > 20_000

        state = driver.read()
        assert not plan(intent, state, driver.abilities())
        assert config_text.parts(text) == state.parts  # by SSH it is read from its text

        shorter = Acl(4, "list-7", tuple(line(7, n) for n in range(1, 121) if n != 60))
        changed = Intent("leaf-1", parts(shorter))
        found = plan(changed, state, driver.abilities())
        assert len(found.steps) == 1
        for stage in found.stages:
            (sent,) = driver.render(stage)
            assert len(sent.text) < 2_000  # one line of one list, not all of it
            driver.apply(stage)
        assert "600 permit tcp 10.7.60.0/24" not in driver.running()
