"""What somebody does with stock napalm over NX-API: look, compare, commit, fail, sign in wrongly."""

import json
import sys
from typing import Any

from napalm import get_network_driver
from napalm.base.exceptions import ConnectionException, MergeConfigException

CHANGE = """\
vlan 30
  name db
interface Ethernet1/5
  description to a server
  switchport access vlan 30
"""


def main(switch: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {}
    device = connect(switch, "admin")
    device.open()
    found["facts"] = device.get_facts()
    device.load_merge_candidate(config=CHANGE)
    found["first diff"] = device.compare_config()
    device.commit_config()
    device.load_merge_candidate(config=CHANGE)
    found["second diff"] = device.compare_config()
    device.discard_config()
    device.load_merge_candidate(config="vlan 40\n  frobnicate\n")
    try:
        device.commit_config()
    except MergeConfigException as wrong:
        found["bad command"] = str(wrong)
    found["vlans"] = device.get_vlans()
    found["users"] = device.get_users()
    found["interface"] = device.get_interfaces()["Ethernet1/5"]
    found["startup"] = device.get_config()["startup"]
    device.close()
    try:
        connect(switch, "wrong").open()
    except ConnectionException as wrong:
        found["bad login"] = str(wrong)
    return found


def connect(switch: dict[str, Any], password: str) -> Any:
    options = {"port": switch["port"], "transport": "http"}
    return get_network_driver("nxos")("127.0.0.1", "admin", password, optional_args=options)


if __name__ == "__main__":
    print(json.dumps(main(json.loads(sys.argv[1]))))
