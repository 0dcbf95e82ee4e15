"""The box over time: startup and running, checkpoints, rollback, replacement, records, restarts, pairs."""

import pytest

from sekisho.testing.nexus import Box, pair
from sekisho.testing.nexus.refusal import Refusal
from support_emulator import Clock, configure, configured, section, shown


def test_a_box_that_restarts_forgets_what_was_not_saved() -> None:
    box = configured("vlan 10")
    shown(box, "copy running-config startup-config")
    configure(box, "vlan 20\nhostname other")
    box.reboot()
    assert "vlan 1,10\n" in box.running_config()
    assert box.hostname == "leaf-1"


def test_an_erased_box_starts_as_from_the_factory() -> None:
    box = configured("vlan 10")
    shown(box, "copy running-config startup-config")
    shown(box, "checkpoint one")
    shown(box, "write erase")
    shown(box, "reload")
    assert "vlan 1\n" in box.running_config()
    assert box.checkpoints == {}
    assert box.hostname == "switch"
    assert box.knows("admin", "admin")


def test_ten_checkpoints_with_names_that_are_used_once() -> None:
    box = configured("")
    for number in range(10):
        shown(box, f"checkpoint c{number}")
    with pytest.raises(Refusal, match="Maximum of 10"):
        shown(box, "checkpoint c10")
    shown(box, "no checkpoint c3")
    with pytest.raises(Refusal, match="already exists"):
        shown(box, "checkpoint c4")
    shown(box, "checkpoint c3")
    assert "10) c3:\nCreated by admin\n" in shown(box, "show checkpoint summary")


def test_a_rollback_gives_the_configuration_of_the_checkpoint() -> None:
    box = configured("vlan 10\ninterface Ethernet1/1\ndescription one")
    before = box.running_config()
    shown(box, "checkpoint sekisho-1")
    configure(box, "no vlan 10\nhostname other\ninterface Ethernet1/1\ndescription two")
    assert "Rollback completed successfully" in shown(
        box, "rollback running-config checkpoint sekisho-1 atomic"
    )
    assert box.running_config() == before
    with pytest.raises(Refusal, match="does not exist"):
        shown(box, "rollback running-config checkpoint sekisho-2")


def test_a_rollback_to_a_file() -> None:
    box = configured("vlan 10")
    shown(box, "checkpoint file before.txt")
    configure(box, "vlan 20")
    shown(box, "rollback running-config file before.txt")
    assert "vlan 1,10\n" in box.running_config()


def test_a_replaced_configuration_goes_back_unless_it_is_committed_in_time() -> None:
    clock = Clock()
    box = configured("vlan 10", clock=clock)
    box.files["wanted"] = box.running_config().replace("vlan 1,10", "vlan 1,20")
    shown(box, "configure replace bootflash:wanted commit-timeout 60")
    clock.time += 59
    box.tick()
    assert "vlan 1,20\n" in box.running_config()
    shown(box, "configure replace commit")
    clock.time += 60
    box.tick()
    assert "vlan 1,20\n" in box.running_config()
    shown(box, "copy running-config bootflash:other")
    box.files["other"] = box.files["other"].replace("vlan 1,20", "vlan 1,30")
    shown(box, "configure replace bootflash:other commit-timeout 60")
    assert "vlan 1,30\n" in box.running_config()
    clock.time += 60
    box.tick()
    assert "vlan 1,20\n" in box.running_config()


def test_a_replacement_with_a_mistake_changes_nothing() -> None:
    box = configured("vlan 10")
    before = box.running_config()
    box.files["wanted"] = before + "frobnicate\n"
    with pytest.raises(Refusal, match="frobnicate"):
        shown(box, "configure replace bootflash:wanted")
    assert box.running_config() == before


def test_a_configuration_session_is_committed_as_one_and_only_where_the_version_has_it() -> None:
    with pytest.raises(Refusal):
        configured("", version="10.2(5)").session("admin").line("configure candidate")
    box = configured("", version="10.6(3)")
    session = box.session("admin")
    for line in ("configure candidate name x", "vlan 10", "name web"):
        session.line(line)
    assert "vlan 10" not in box.running_config()
    assert "+  name web" in session.line("show candidate-config diff").text
    session.line("commit")
    assert "vlan 10\n  name web\n" in box.running_config()


def test_the_accounting_log_tells_who_did_what_where_and_when() -> None:
    clock = Clock()
    box = configured("", clock=clock)
    session = box.session("admin", "192.0.2.7")
    for line in ("configure terminal", "interface Ethernet1/1", "shutdown"):
        session.line(line)
    assert shown(box, "show accounting log").splitlines()[-1] == (
        "Tue Nov 14 22:13:20 2023:type=update:id=192.0.2.7:user=admin:"
        "cmd=configure terminal ; interface Ethernet1/1 ; shutdown (SUCCESS)"
    )


def paired() -> tuple[Box, Box]:
    lines = (
        "feature vpc\nfeature lacp\nvpc domain 10\npeer-keepalive destination 10.0.0.{}\n"
        "interface port-channel1\nswitchport mode trunk\nvpc peer-link\ninterface port-channel20\nvpc 20"
    )
    one, other = configured(lines.format(2)), configured(lines.format(1), serial="FDO00000002")
    pair(one, other)
    return one, other


def body(box: Box, command: str) -> dict[str, str]:
    found = box.session("admin").line(command).body
    assert found is not None
    return found


def test_a_pair_sees_each_other_while_both_ends_are_there() -> None:
    one, other = paired()
    told = body(one, "show vpc")
    assert (told["vpc-peer-status"], told["vpc-peer-keepalive-status"]) == ("peer-ok", "peer-alive")
    assert {body(one, "show vpc")["vpc-role"], body(other, "show vpc")["vpc-role"]} == {
        "primary",
        "secondary",
    }
    configure(other, "interface port-channel1\nshutdown")
    assert body(one, "show vpc")["vpc-peer-status"] == "peer-not-alive"
    assert body(one, "show vpc")["vpc-peer-keepalive-status"] == "peer-alive"
    other.faults.unreachable = True
    assert body(one, "show vpc")["vpc-peer-keepalive-status"] == "peer-not-reachable"


def test_what_differs_in_a_pair_is_shown() -> None:
    one, other = paired()
    assert body(one, "show vpc")["vpc-peer-consistency"] == "consistent"
    configure(other, "system jumbomtu 9000")
    assert body(one, "show vpc")["vpc-peer-consistency"] == "inconsistent"
    text = shown(one, "show vpc consistency-parameters global")
    assert "(9216, 1500, 1500, 1500) (9000, 1500, 1500, 1500)" in text


def test_a_long_list_of_vlans_is_written_in_several_lines() -> None:
    ids = ",".join(str(number) for number in range(2, 202, 2))
    box = configured(f"interface Ethernet1/1\nswitchport mode trunk\nswitchport trunk allowed vlan {ids}")
    lines = section(box, "interface Ethernet1/1")
    assert len(lines) > 3
    assert all(line.startswith("switchport trunk allowed vlan add") for line in lines[2:])
