"""What somebody does with stock netmiko over SSH: look, configure, save, copy, fail, sign in wrongly."""

import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from netmiko import ConnectHandler, file_transfer
from netmiko.exceptions import ConfigInvalidException, NetmikoAuthenticationException


def main(switch: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    with connect(switch, "admin") as device:
        found["prompt"] = device.find_prompt()
        found["version"] = device.send_command("show version", use_textfsm=True)[0]["os"]
        device.send_config_set(["vlan 10", "name web", "interface Ethernet1/1", "switchport access vlan 10"])
        found["vlans"] = device.send_command("show vlan brief", use_textfsm=True)
        found["interface"] = device.send_command("show running-config interface Ethernet1/1")
        found["saved"] = device.save_config()
        found["bad command"] = device.send_command("frobnicate")
        try:
            device.send_config_set(["vlan 4000"], error_pattern=r"ERROR")
        except ConfigInvalidException as wrong:
            found["bad vlan"] = str(wrong)
    with connect(switch, "admin") as device:
        found["copied"] = copied(device)
    try:
        connect(switch, "wrong")
    except NetmikoAuthenticationException as wrong:
        found["bad login"] = str(wrong)
    return found


def copied(device: Any) -> str:
    """Copy a file to the switch by SCP and read it there."""
    with TemporaryDirectory() as folder:
        source = Path(folder) / "wanted.txt"
        source.write_text("vlan 77\n")
        file_transfer(
            device,
            source_file=str(source),
            dest_file="wanted.txt",
            file_system="bootflash:",
            disable_md5=True,
            overwrite_file=True,
        )
    return str(device.send_command("show file bootflash:wanted.txt"))


def connect(switch: dict[str, Any], password: str) -> Any:
    return ConnectHandler(
        device_type="cisco_nxos",
        host="127.0.0.1",
        port=switch["ssh_port"],
        username="admin",
        password=password,
        fast_cli=True,
    )


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
