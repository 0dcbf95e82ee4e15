"""FastNetMon: counters per address, compared with thresholds every second."""

from __future__ import annotations

import re
import shutil
import urllib.request
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from contenders.contender import Heard, end, free_port, listens, spawn, until

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from traffic.streams import Stream

# Nobody is banned, nothing is told to anybody, and there is one network: that of the subjects.
SETTINGS: Final = """\
logging_level = info
logging_local_syslog_logging = off
disable_usage_report = on
enable_ban = off
enable_ban_ipv6 = off
process_incoming_traffic = on
process_outgoing_traffic = on
networks_list_path = {folder}/networks
white_list_path = {folder}/none
check_period = 1
enable_connection_tracking = on
ban_for_pps = on
ban_for_bandwidth = on
threshold_pps = 20000
threshold_mbps = 1000
mirror_afpacket = off
mirror_afxdp = off
mirror_netmap = off
pcap = off
netflow = {netflow}
netflow_host = 127.0.0.1
netflow_port = {port}
netflow_sampling_ratio = 1
sflow = {sflow}
sflow_host = 127.0.0.1
sflow_port = {port}
average_calculation_time = 5
speed_calculation_delay = 1
monitor_local_ip_addresses = off
pid_path = {folder}/pid
cli_stats_file_path = {folder}/stats
cli_stats_ipv6_file_path = {folder}/stats6
enable_api = off
prometheus = on
prometheus_host = 127.0.0.1
prometheus_port = {metrics}
sort_parameter = packets
max_ips_in_list = 7
"""
FLOWS: Final = {
    "netflow5": "netflow_v5_total_flows",
    "netflow9": "netflow_v9_total_flows",
    "ipfix": "ipfix_total_flows",
    "sflow": "sflow_flow_samples",
}


@dataclass(slots=True)
class Counting:
    """A running FastNetMon, which is asked through its metrics."""

    process: subprocess.Popen[bytes]
    port: int
    metrics: int
    protocol: str

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def finish(self) -> Heard:
        """Read its metrics, and end it."""
        with urllib.request.urlopen(f"http://127.0.0.1:{self.metrics}/metrics", timeout=10) as answer:
            text = answer.read().decode()
        self.close()
        told = {name: float(value) for name, value in re.findall(r"^(\w+) ([0-9.e+]+)$", text, re.MULTILINE)}
        found = [value for name, value in told.items() if name.endswith(FLOWS[self.protocol])]
        return Heard(int(found[0]) if found else -1, told)

    def close(self) -> None:
        """End it."""
        end(self.process)


class FastNetMon:
    """FastNetMon, which leaves its socket's buffer as the kernel makes it."""

    name = "fastnetmon"
    what = "counters per address, thresholds"
    window = 96 << 10

    def missing(self) -> str:
        """Say what must be installed."""
        return "" if shutil.which("fastnetmon") else "fastnetmon"

    def hears(self, stream: str) -> bool:
        """Everything."""
        del stream
        return True

    def start(self, made: Stream, folder: Path) -> Counting:
        """Start it with settings of its own."""
        port, metrics, sflow = free_port(), free_port(), made.protocol == "sflow"
        (folder / "networks").write_text("10.0.0.0/16\n")
        (folder / "none").write_text("")
        on = {"sflow": "on" if sflow else "off", "netflow": "off" if sflow else "on"}
        settings = folder / "settings"
        settings.write_text(SETTINGS.format(folder=folder, port=port, metrics=metrics, **on))
        command = [
            "fastnetmon",
            "--configuration_file",
            str(settings),
            "--log_to_console",
            "--disable_pid_logic",
        ]
        process = spawn(command, folder / "log")
        until(lambda: listens(port), "fastnetmon listens")
        return Counting(process, port, metrics, made.protocol)
