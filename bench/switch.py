"""How long a keeper takes to read, plan and change a whole data centre's switches.

    python bench/switch.py [--switches 200] [--ports 48] [--parallel 8] [--json]

The switches are emulated ones in a process of their own (`python -m sekisho.testing.nexus`), and speak NX-API
over HTTP on the loopback interface; the keeper's side is the real one, in this process: files, drivers,
transactions with backup, checkpoint, reading back and saving, and the journal in SQLite. Each switch has
VLANs, an access port for every second interface and trunks on the rest; then one VLAN is added to all. A time
per switch is wall time divided by their number. Memory and processor are this process's alone.
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sekisho.app.all_in_one import open_ledger
from sekisho.app.switches import Switches, SwitchesSettings
from sekisho.app.switches_reach import connect
from sekisho.devices.switch.plan import plan
from sekisho.host.clock import Clock
from sekisho.model.access import Principal, Role
from sekisho.model.switch import ChangeState, RolloutView, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sekisho.devices.switch.document import Switch
    from sekisho.devices.switch.driver import Abilities
    from sekisho.devices.switch.intent import State

ADDED: Final = 999
WHO: Final = Principal("bench", Role.ADMIN)


@contextmanager
def emulated(count: int, ports: int) -> Iterator[list[dict[str, Any]]]:
    """Run emulated switches in a process of their own; give how each is reached."""
    words = ["--count", str(count), "--ports", str(ports)]
    argv = [sys.executable, "-m", "sekisho.testing.nexus", *words]
    with subprocess.Popen(argv, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None  # noqa: S101 - asked for above
            told = [json.loads(process.stdout.readline()) for _ in range(count)]
            process.stdout.readline()
            yield told
        finally:
            process.terminate()


def write(folder: Path, told: list[dict[str, Any]], ports: int, vlans: tuple[int, ...]) -> None:
    """Write a file for each switch, and what they share."""
    (folder / "common").mkdir(parents=True, exist_ok=True)
    secret = folder.parent / "secret"
    secret.write_text("admin")
    (folder / "common" / "leaf.toml").write_text(_common(ports, vlans, secret))
    for each in told:
        file = folder / f"{each['hostname']}.toml"
        file.write_text(f'use = ["leaf"]\n\n[connect]\naddress = "http://127.0.0.1"\nport = {each["port"]}\n')


def _common(ports: int, vlans: tuple[int, ...], secret: Path) -> str:
    lines = [
        "[connect]", 'driver = "nexus"', 'username = "admin"', f'password_file = "{secret}"',
        'transport = "nxapi"', "verify = false", "",
    ]  # fmt: skip
    for vlan in vlans:
        lines += [f"[vlan.{vlan}]", f'name = "net-{vlan}"', ""]
    allowed = ",".join(map(str, vlans))
    for port in range(1, ports + 1):
        lines += [f'[port."Ethernet1/{port}"]', f'description = "server {port}"', "enabled = true"]
        trunk = ['mode = "trunk"', f'allowed = "{allowed}"']
        lines += [*(trunk if port % 2 else ['mode = "access"', f"access = {vlans[0]}"]), ""]
    return "\n".join(lines)


def apply(switches: Switches, parallel: int, names: tuple[str, ...]) -> RolloutView:
    """Make switches what their files say, and wait for the end."""
    wanted = Wanted(names, "measuring", canary=1, parallel=parallel)
    found = switches.want(WHO, wanted)
    while not found.ended:
        time.sleep(0.05)
        found = switches.rollout(found.id)
    wrong = [c for c in found.changes if c.state is not ChangeState.APPLIED]
    if wrong:
        sys.exit(f"{len(wrong)} switches were not changed; {wrong[0].switch}: {wrong[0].error}")
    return found


def read(known: Mapping[str, Switch], parallel: int) -> dict[str, tuple[State, Abilities]]:
    """Connect to every switch and read all of it."""

    def one(switch: Switch) -> tuple[State, Abilities]:
        driver = connect(switch.connection)
        try:
            return driver.read(), driver.abilities()
        finally:
            driver.close()

    with ThreadPoolExecutor(parallel) as pool:
        return dict(zip(known, pool.map(one, known.values()), strict=True))


def measure(folder: Path, told: list[dict[str, Any]], asked: argparse.Namespace) -> dict[str, float]:
    """Bring the switches up, and measure reading, planning and adding a VLAN."""
    vlans = tuple(range(100, 100 + asked.vlans))
    write(folder / "switches", told, asked.ports, vlans)
    settings = SwitchesSettings(folder=str(folder / "switches"), every=0.0, parallel=asked.parallel)
    ledger = open_ledger(folder)
    switches = Switches(settings, ledger, Clock(), folder)
    names = tuple(each["hostname"] for each in told)
    figures: dict[str, float] = {}
    figures["first_apply_seconds"] = _took(lambda: apply(switches, asked.parallel, names))
    write(folder / "switches", told, asked.ports, (*vlans, ADDED))
    known = switches.folder.switches()
    states: dict[str, tuple[State, Abilities]] = {}
    figures["read_seconds"] = _took(lambda: states.update(read(known, asked.parallel)))

    def plans() -> None:
        for name, switch in known.items():
            if not plan(switch.intent, *states[name]):
                sys.exit(f"{name}: nothing to do")

    figures["plan_seconds"] = _took(plans)
    figures["apply_seconds"] = _took(lambda: apply(switches, asked.parallel, names))
    switches.close()
    ledger.close()
    return figures


def _took(act: Any) -> float:
    began = time.perf_counter()
    act()
    return round(time.perf_counter() - began, 2)


def main() -> None:
    """Measure and tell."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--switches", type=int, default=200)
    parser.add_argument("--ports", type=int, default=48, help="of each switch")
    parser.add_argument("--vlans", type=int, default=50, help="on each switch")
    parser.add_argument("--parallel", type=int, default=8, help="switches at once")
    parser.add_argument("--json", action="store_true", help="end with one line of JSON")
    asked = parser.parse_args()
    figures: dict[str, float] = {"switches": asked.switches, "ports": asked.ports}
    with tempfile.TemporaryDirectory(prefix="sks-") as scratch, emulated(asked.switches, asked.ports) as told:
        figures |= measure(Path(scratch), told, asked)
    used = resource.getrusage(resource.RUSAGE_SELF)
    figures |= {f"{w}_ms_per_switch": _each(figures, w) for w in ("read", "plan", "apply")}
    figures["processor_seconds"] = round(used.ru_utime + used.ru_stime, 1)
    # Not ru_maxrss: that counts whoever started us, too.
    status = Path("/proc/self/status").read_text()
    figures["resident_mib"] = round(int(status.partition("VmHWM:")[2].split()[0]) / 1024)
    print("\n".join(f"{name:24} {value:,}" for name, value in figures.items()))
    if asked.json:
        print(json.dumps(figures))


def _each(figures: Mapping[str, float], what: str) -> float:
    return round(1000 * figures[f"{what}_seconds"] / figures["switches"], 1)


if __name__ == "__main__":
    main()
