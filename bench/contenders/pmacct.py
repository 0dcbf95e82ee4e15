"""pmacct's nfacctd and sfacctd: sums by address and port in memory."""

from __future__ import annotations

import json
import shutil
import signal
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from contenders.contender import Heard, end, free_port, listens, spawn, until

if TYPE_CHECKING:
    import subprocess
    from pathlib import Path

    from traffic.streams import Stream

# A pipe of a thousand buffers between its two processes, as its documentation asks for. It prints its table
# when it ends: the memory plugin, which sums the same way, drops lines of a long answer.
SETTINGS: Final = """\
daemonize: false
{name}_ip: 127.0.0.1
{name}_port: {port}
{name}_pipe_size: 8388608
plugins: print[sums]
aggregate[sums]: src_host, src_port
print_refresh_time[sums]: 86400
print_cache_entries[sums]: 65537
print_output[sums]: json
print_output_file[sums]: {table}
plugin_pipe_size: 67108864
plugin_buffer_size: 65536
"""


@dataclass(slots=True)
class Summing:
    """A running nfacctd or sfacctd with its table."""

    process: subprocess.Popen[bytes]
    port: int
    table: Path
    packets: int

    @property
    def pid(self) -> int:
        """Its process id."""
        return self.process.pid

    def finish(self) -> Heard:
        """End it, and add up its table."""
        self.process.send_signal(signal.SIGINT)
        self.process.wait(30)
        log = self.table.with_name("log")
        until(lambda: "Purging cache - END" in log.read_text(errors="replace"), "pmacct's table is written")
        # An empty table is no file.
        lines = self.table.read_text().splitlines() if self.table.exists() else []
        packets = sum(int(json.loads(line)["packets"]) for line in lines)
        # Where records tell different numbers of packets nobody can say how many records those were.
        records = packets // self.packets if self.packets else -1 if packets else 0
        return Heard(records, {"packets": float(packets)})

    def close(self) -> None:
        """End it."""
        end(self.process)


class Pmacct:
    """pmacct with one table of sums."""

    name = "pmacct"
    what = "sums by address and port"
    window = 1 << 20

    def missing(self) -> str:
        """Say what must be installed."""
        return "" if all(shutil.which(p) for p in ("nfacctd", "sfacctd")) else "pmacct"

    def hears(self, stream: str) -> bool:
        """Everything."""
        del stream
        return True

    def start(self, made: Stream, folder: Path) -> Summing:
        """Start the daemon of the stream's family."""
        name = "sfacctd" if made.protocol == "sflow" else "nfacctd"
        port, table, settings = free_port(), folder / "table", folder / "settings"
        settings.write_text(SETTINGS.format(name=name, port=port, table=table))
        process, log = spawn([name, "-f", str(settings)], folder / "log"), folder / "log"
        # It throws away what comes before both its processes are ready.
        ready = ("waiting for", "setting object handlers")
        until(lambda: listens(port) and all(word in log.read_text() for word in ready), f"{name} listens")
        return Summing(process, port, table, made.packets)
