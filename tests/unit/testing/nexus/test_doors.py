"""The doors: what goes wrong on command, HTTPS, SSH, and many boxes in one process."""

import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from sekisho.testing.nexus import serve
from support_emulator import Caller, below, configured, mo

LOST = (http.client.HTTPException, OSError)


def test_a_configuration_that_fails_in_its_middle_is_left_half_done() -> None:
    box = configured("")
    box.faults.config_line = 2
    with serve(box, ssh_port=0) as door:
        status, _ = Caller(door).rpc("vlan 10", "vlan 20", "vlan 30")
    assert status == 500
    assert "vlan 1,10\n" in box.running_config()


def test_a_tree_that_fails_in_its_middle_is_left_half_done() -> None:
    box = configured("")
    with serve(box, ssh_port=0) as door:
        caller = Caller(door)
        caller.login()
        box.faults.dme_object = 4  # the system, the entity, one VLAN, and the next
        tree = below(mo("bdEntity", *(mo("l2BD", fabEncap=f"vlan-{vlan}") for vlan in (10, 20))))
        assert caller.post(tree)[0] == 400
    assert "vlan 1,10\n" in box.running_config()


@pytest.mark.parametrize(("undone", "left"), [(False, "vlan 1,10\n"), (True, "vlan 1\n")])
def test_a_connection_that_is_lost_leaves_the_asker_in_doubt(*, undone: bool, left: str) -> None:
    box = configured("")
    box.faults.drop_after, box.faults.drop_undone = 2, undone
    with serve(box, ssh_port=0) as door:
        caller = Caller(door)
        assert caller.rpc("show hostname")[0] == 200
        with pytest.raises(LOST):
            caller.rpc("vlan 10")
        assert caller.rpc("show hostname")[0] == 200
    assert left in box.running_config()


def test_a_box_out_of_reach_answers_nobody() -> None:
    box = configured("")
    with serve(box, ssh_port=0) as door:
        box.faults.unreachable = True
        with pytest.raises(LOST):
            Caller(door).rpc("show hostname")
        box.faults.unreachable = False
        assert Caller(door).rpc("show hostname")[0] == 200


def test_a_box_that_was_ordered_out_of_reach_can_be_ordered_back() -> None:
    box = configured("")
    with serve(box, ssh_port=0) as door:
        for out in (True, False):
            status, state = Caller(door).call("POST", "/emulator/faults", {"unreachable": out})
            assert (status, state["faults"]["unreachable"]) == (200, out)
        assert Caller(door).rpc("show hostname")[0] == 200


def test_a_box_that_restarts_in_the_middle_forgets() -> None:
    box = configured("")
    box.faults.reboot_at_line = 2
    with serve(box, ssh_port=0) as door:
        caller = Caller(door)
        with pytest.raises(LOST):
            caller.rpc("vlan 10", "vlan 20")
    assert box.boots == 1
    assert "vlan 1\n" in box.running_config()


def test_an_answer_waits_while_it_is_held() -> None:
    box = configured("")
    box.faults.hold = threading.Event()
    with serve(box, ssh_port=0) as door:
        caller = Caller(door)
        done: list[int] = []
        asking = threading.Thread(target=lambda: done.append(caller.rpc("show hostname")[0]))
        asking.start()
        assert not done
        box.faults.hold.set()
        asking.join(10)
    assert done == [200]


def test_somebody_else_may_hold_the_configuration() -> None:
    box = configured("")
    box.faults.locked_by = "eve on pts/1"
    with serve(box, ssh_port=0) as door:
        caller = Caller(door)
        status, reply = caller.rpc("vlan 10")
        assert (status, "eve on pts/1" in reply["error"]["data"]["msg"]) == (500, True)
        caller.login()
        status, text = caller.post(below(mo("bdEntity", mo("l2BD", fabEncap="vlan-10"))))
        assert (status, "eve on pts/1" in text) == (400, True)
        assert caller.rpc("show hostname")[0] == 200


def test_faults_are_ordered_at_the_emulators_own_door() -> None:
    box = configured("")
    with serve(box, ssh_port=0) as door:
        caller = Caller(door)
        status, state = caller.call("POST", "/emulator/faults", {"rollback_fails": "ERROR: no"})
        assert (status, state["faults"]["rollback_fails"]) == (200, "ERROR: no")
        caller.login()
        caller.call("POST", "/emulator/expire")
        assert caller.call("GET", "/api/mo/sys.json")[0] == 403
        caller.call("POST", "/emulator/neighbours", {"eth1/1": {"system": "host-1", "remote_port": "ens1"}})
        assert caller.call("POST", "/emulator/reboot")[1]["boots"] == 1
    assert box.neighbours["eth1/1"].system == "host-1"


def test_neighbours_are_in_the_command_and_in_the_model() -> None:
    box = configured("feature lldp")
    with serve(box, ssh_port=0) as door:
        caller = Caller(door)
        caller.call("POST", "/emulator/neighbours", {"eth1/1": {"system": "host-1", "remote_port": "ens1"}})
        row = caller.rpc("show lldp neighbors")[1]["result"]["body"]["TABLE_nbor"]["ROW_nbor"]
        assert (row["l_port_id"], row["chassis_id"], row["port_id"]) == ("Eth1/1", "host-1", "ens1")
        caller.login()
        ((_, heard),) = caller.get("/api/class/lldpAdjEp.json")
    assert (heard["dn"], heard["sysName"]) == ("sys/lldp/inst/if-[eth1/1]/adj-1", "host-1")


def test_https_shows_a_certificate_that_can_be_trusted_or_not(tmp_path: Path) -> None:
    certificates = pytest.importorskip("sekisho.testing.nexus.certificates")
    box = configured("")
    with serve(box, ssh_port=0, tls=certificates.make(tmp_path, box.clock())) as door:
        trusting = ssl.create_default_context(cafile=door.certificate)
        connection = http.client.HTTPSConnection("127.0.0.1", door.port, context=trusting, timeout=10)
        connection.request("GET", "/emulator")
        assert connection.getresponse().status == 200
        connection.close()
        careful = http.client.HTTPSConnection("127.0.0.1", door.port, timeout=10)
        with pytest.raises(ssl.SSLCertVerificationError):
            careful.request("GET", "/emulator")
        careful.close()


def test_two_hundred_switches_fit_into_one_small_process() -> None:
    command = [sys.executable, "-m", "sekisho.testing.nexus", "--count", "200"]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=env) as process:
        assert process.stdout is not None
        told = [json.loads(process.stdout.readline()) for _ in range(201)]
        assert told[-1] == {"ready": True}
        status = Path(f"/proc/{process.pid}/status").read_text()
        process.send_signal(signal.SIGTERM)
        assert process.wait(10) == 0
    assert len({switch["port"] for switch in told[:-1]}) == 200
    resident = int(status.partition("VmRSS:")[2].split()[0])
    assert resident < 200_000, f"{resident} kB"
