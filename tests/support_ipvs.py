"""A client, a router, two directors and three members on one link, under a keeper that is told what to say.

Everything is in network namespaces and in this process, but for keepalived; needs root and a kernel with
IPVS. Members say who they are on port 80, give back what they hear on 81 and send a hundred megabytes on 82.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import struct
import subprocess
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Final, TypeVar, cast

from sekisho.app.balancers_heard import laid_over
from sekisho.app.director import Director, DirectorSettings, SyncSettings, open_director
from sekisho.client.balancers import Balancers
from sekisho.devices.balancer.lvs_dsr.checks import packets
from sekisho.devices.balancer.lvs_dsr.checks.packets import Heard
from sekisho.devices.balancer.lvs_dsr.ipvs import open_ipvs
from sekisho.devices.balancer.lvs_dsr.keepalived import VrrpSettings
from sekisho.devices.balancer.lvs_dsr.services import PROTOCOLS, Key, Stand
from sekisho.host.clock import Clock
from sekisho.model.balancer import (
    Balancer,
    BalancerProgram,
    Check,
    DirectorReport,
    Listener,
    Member,
    Monitor,
    Pool,
    Protocol,
    Vip,
)
from support_director import gone, within

T = TypeVar("T")

VIP, VIP6 = "10.2.0.100", "fd02::100"
WHO, ECHO, FLOOD = 80, 81, 82
DIRECTORS: Final = {"d1": "10", "d2": "20"}
MEMBERS: Final = {"m1": "11", "m2": "12", "m3": "13"}
PART = b"sekisho!" * (1 << 13)
FLOOD_SIZE = len(PART) * 1600  # a hundred megabytes
LONG = 120.0
PATIENT = 20.0  # for one answer
ALL, RCVBUFFORCE = 3, 33  # ETH_P_ALL, SO_RCVBUFFORCE


def until(what: Callable[[], bool], why: str, every: float = 0.2) -> None:
    """Wait for what happens in the kernel; looking costs as much as what is waited for, so not too often."""
    end, pause = time.monotonic() + LONG, threading.Event()
    while time.monotonic() < end:
        if what():
            return
        pause.wait(every)
    raise AssertionError(why)


def monitor(check: Check = Check.TCP) -> Monitor:
    """Give one that finds out as soon as one can."""
    return Monitor("h", check, delay=1, timeout=1, rise=1, fall=1)


def member(host: str, port: int = WHO, weight: int = 1, *, six: bool = False, backup: bool = False) -> Member:
    return Member(f"{host}-{port}", address(host, six=six), port, weight, backup)


def address(host: str, *, six: bool = False) -> str:
    number = {**DIRECTORS, **MEMBERS}[host]
    return f"fd02::{number}" if six else f"10.2.0.{number}"


def balancer(
    *members: Member, vip: str = VIP, port: int = WHO, takes: Protocol = Protocol.TCP, **pool: object
) -> Balancer:
    """Make one of a single listener, named after where it listens."""
    name = f"{vip}-{takes}-{port}"
    cidr = "fd02::/64" if ":" in vip else "10.2.0.0/24"
    made = Pool(f"p-{name}", takes, members=members, **pool)  # type: ignore[arg-type]
    listener = Listener(f"l-{name}", takes, port, f"p-{name}")
    return Balancer(f"b-{name}", "lvs", Vip(vip, cidr=cidr), listeners=(listener,), pools=(made,))


class Keeper:
    """Says what it was told to, to directors that ask as they ask the real one."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self.program_now = BalancerProgram("", 0)
        self.reports: dict[str, DirectorReport] = {}

    def want(self, balancers: Sequence[Balancer], prefer: str) -> int:
        with self._news:
            revision = self.program_now.revision + 1
            self.program_now = BalancerProgram("", revision, tuple(balancers), prefer)
            self._news.notify_all()
            return revision

    def program(self, director: str, revision: int | None, wait: float) -> BalancerProgram | None:
        with self._news:
            self._news.wait_for(lambda: self.program_now.revision != revision, wait)
            now = self.program_now
            return (
                None
                if now.revision == revision
                else BalancerProgram(director, now.revision, now.balancers, now.prefer)
            )

    def report(self, report: DirectorReport) -> None:
        with self._news:
            self.reports[report.director] = laid_over(self.reports.get(report.director), report)
            self._news.notify_all()

    def hears(self, what: Callable[[], bool], why: str) -> None:
        with self._news:
            assert self._news.wait_for(what, LONG), why


class Bed:
    """The network and everybody in it; `start` and `stop` it."""

    HOSTS = ("client", "router", "lan", *DIRECTORS, *MEMBERS)

    def __init__(self) -> None:
        self.keeper = Keeper()
        self.directors: dict[str, Director] = {}
        self.lost: dict[str, int] = {}  # after how many seconds a director that is started gives its VIPs up
        self.folder = Path(tempfile.mkdtemp(prefix="skd-"))
        self._stop = threading.Event()
        self.open: dict[tuple[str, int], socket.socket] = {}
        self.served: Counter[tuple[str, str, int]] = Counter()  # by member, VIP and port

    def start(self) -> None:
        for host in self.HOSTS:
            _batch("", f"netns add {host}")
            _batch(host, "link set lo up")
        _batch("lan", "link add br0 type bridge mcast_snooping 0", "link set br0 up")
        _batch("client", "link add eth0 type veth peer name out netns router", "link set eth0 up")
        _batch("client", *_addresses("01", "2"), *_routes("01"))
        for host in ("router", *DIRECTORS, *MEMBERS):
            _batch(host, f"link add eth0 type veth peer name to-{host} netns lan", "link set eth0 up")
            _batch("lan", f"link set to-{host} master br0 up")
        _batch("router", "link set out up", *_addresses("01", "1", "out"), *_addresses("02", "1"))
        self.set("router", "net/ipv4/ip_forward", "1")
        self.set("router", "net/ipv6/conf/all/forwarding", "1")
        for host, number in {**DIRECTORS, **MEMBERS}.items():
            _batch(host, *_addresses("02", number), *_routes("02"))
        for host in MEMBERS:
            self.set(host, "net/ipv4/conf/all/arp_ignore", "1")
            self.set(host, "net/ipv4/conf/all/arp_announce", "2")
            self.loopback(host, VIP, VIP6)
            for port, serve in ((WHO, self._who), (ECHO, self._echo), (FLOOD, _flood)):
                self.listen(host, port, serve)
        for name in DIRECTORS:
            self.direct(name)

    def stop(self) -> None:
        self._stop.set()
        for name in tuple(self.directors):
            self.undirect(name)
        for name in DIRECTORS:
            self.kill_keepalived(name)
        for host, port in tuple(self.open):
            self.deafen(host, port)
        for host in self.HOSTS:
            with contextlib.suppress(AssertionError):
                _batch("", f"netns delete {host}")

    # --- directors --------------------------------------------------------------------------------

    def settings(self, name: str) -> DirectorSettings:
        other = next(n for n in DIRECTORS if n != name)
        folder = self.folder / name
        vrrp = VrrpSettings(
            "eth0",
            interval=0.5,
            address=address(name),
            peers=(address(other),),
            lost=self.lost.get(name, VrrpSettings().lost),
        )
        return DirectorSettings(
            name,
            state=str(folder / "state"),
            run_dir=str(folder / "run"),
            report_every=1.0,
            wait=5.0,
            vrrp=vrrp,
            sync=SyncSettings("eth0"),
        )

    def direct(self, name: str) -> None:
        """Start a director."""

        def begin() -> Director:
            made = open_director(self.settings(name), cast("Balancers", self.keeper), Clock())
            threading.Thread(target=made.run, name=f"director-{name}", daemon=True).start()
            return made

        self.directors[name] = self.inside(name, begin)

    def undirect(self, name: str) -> None:
        """Stop a director; what it carries stays."""
        self.directors.pop(name).end()

    def carry(self, *balancers: Balancer, prefer: str = "") -> None:
        """Let the keeper want these, and wait until both directors have them."""
        revision = self.keeper.want(balancers, prefer)

        def done() -> bool:
            found = [self.keeper.reports.get(name) for name in self.directors]
            return all(r is not None and r.revision >= revision for r in found)

        self.keeper.hears(done, "the directors do not carry it")
        problems = [r.problems for n, r in self.keeper.reports.items() if n in self.directors and r.problems]
        assert not problems, problems
        if balancers:
            until(lambda: bool(self.active()), "nobody holds the VIPs")
            for vip in {b.vip.address for b in balancers}:
                self.holds(self.active(), vip)

    def active(self) -> str:
        """Tell which director holds the VIPs; "" for none."""
        held = (n for n, d in self.directors.items() if self.inside(n, partial(_holds, d)))
        return next(held, "")

    def takes_over(self, name: str) -> None:
        """Wait until a director holds the VIPs."""
        until(lambda: self.active() == name, f"{name} does not take over")

    def holds(self, host: str, vip: str, *, there: bool = True) -> None:
        """Wait until a VIP is on a director's interface, or no more."""
        until(lambda: self.inside(host, partial(_bound, vip)) == there, f"{host}: {vip} does not change")

    def stands(self, director: str, vip: str = VIP, port: int = WHO, takes: str = "TCP") -> Stand | None:
        """Look, past the director, what the kernel has."""

        def look() -> Stand | None:
            kernel = open_ipvs()
            try:
                return kernel.stand(Key(PROTOCOLS[takes], vip, port))
            finally:
                kernel.close()

        return self.inside(director, look)

    def weights(self, director: str, vip: str = VIP, port: int = WHO) -> dict[str, int]:
        stand = self.stands(director, vip, port)
        return {d.address: d.weight for d in stand.dests.values()} if stand else {}

    def keepalived(self, name: str) -> int:
        """Find a director's keepalived; 0 for none."""
        file = Path(self.settings(name).run_dir) / "keepalived.pid"
        with contextlib.suppress(OSError, ValueError):
            pid = int(file.read_text())
            return 0 if gone(pid) else pid
        return 0

    def kill_keepalived(self, name: str) -> None:
        pid = self.keepalived(name)
        if pid:
            os.kill(pid, signal.SIGTERM)
            until(lambda: gone(pid), "keepalived does not end")

    # --- hosts ------------------------------------------------------------------------------------

    def inside(self, host: str, task: Callable[[], T]) -> T:
        """Call something there; threads and processes that it starts stay there."""
        return within(host, task)

    def ip(self, host: str, *lines: str) -> None:
        """Run lines of ip(8) there."""
        _batch(host, *lines)

    def set(self, host: str, name: str, value: str) -> None:
        """Set a sysctl there."""
        self.inside(host, lambda: Path("/proc/sys", name).write_text(value))

    def loopback(self, host: str, *vips: str, there: bool = True) -> None:
        """Let a member have VIPs on its loopback, or no more."""
        word = "add" if there else "del"
        self.ip(host, *(f"addr {word} {v}/{128 if ':' in v else 32} dev lo" for v in vips))

    def listen(self, host: str, port: int, serve: Callable[[str, socket.socket], None] | None = None) -> None:
        """Let a member listen by TCP, for both families."""
        serve = serve or self._who

        def accept(listening: socket.socket) -> None:
            while not self._stop.is_set():
                try:
                    made, _ = listening.accept()
                except OSError:
                    return
                self._count(host, port, made)
                if serve == self._who:
                    serve(host, made)
                else:
                    threading.Thread(target=serve, args=(host, made), daemon=True).start()

        def begin() -> socket.socket:
            made = socket.create_server(
                ("::", port), family=socket.AF_INET6, dualstack_ipv6=True, backlog=1024
            )
            threading.Thread(target=accept, args=(made,), daemon=True).start()
            return made

        self.open[host, port] = self.inside(host, begin)

    def deafen(self, host: str, port: int = WHO) -> None:
        """Let a member listen no more."""
        made = self.open.pop((host, port))
        made.shutdown(socket.SHUT_RDWR)
        made.close()

    def _count(self, host: str, port: int, made: socket.socket) -> None:
        with contextlib.suppress(OSError):
            self.served[host, made.getsockname()[0].removeprefix("::ffff:"), port] += 1

    def _who(self, host: str, made: socket.socket) -> None:
        with contextlib.suppress(OSError), made:
            made.sendall(host.encode())

    def _echo(self, host: str, made: socket.socket) -> None:
        with contextlib.suppress(OSError), made:
            made.sendall(host.encode())
            while data := made.recv(1 << 16):
                made.sendall(data)

    # --- the client -------------------------------------------------------------------------------

    def ask(self, times: int = 1, vip: str = VIP, port: int = WHO, source: str = "") -> Counter[str]:
        """Connect so many times, one after another, and count who answered."""

        def each() -> Counter[str]:
            return Counter(_asked(vip, port, source) for _ in range(times))

        with self.explained():
            return self.inside("client", each)

    def connect(self, vip: str = VIP, port: int = ECHO) -> tuple[socket.socket, str]:
        """Open a connection, and say to whom."""
        with self.explained():
            made = self.inside("client", lambda: socket.create_connection((vip, port), PATIENT))
            return made, made.recv(2).decode()

    @contextlib.contextmanager
    def explained(self) -> Iterator[None]:
        """Say with an error of the network's who held what."""
        try:
            yield
        except OSError as error:
            shown = (("router", "neigh"), *((d, "-br addr show eth0") for d in DIRECTORS))
            for host, what in shown:
                error.add_note(f"{host}: {_ip('-n', host, *what.split())}")
            for host in DIRECTORS:
                error.add_note(f"{host}: {self.weights(host)}")
            raise

    @contextlib.contextmanager
    def sniffed(self, host: str) -> Iterator[list[Heard]]:
        """Take down every IP packet that a host sees on eth0, its own too, until the end."""
        found: list[Heard] = []
        ear, over = self.inside(host, _ear), threading.Event()
        thread = threading.Thread(target=_overhear, args=(ear, found, over))
        thread.start()
        try:
            yield found
        finally:
            over.set()
            thread.join(PATIENT)
            ear.close()


def _bound(address: str) -> bool:
    with socket.socket(socket.AF_INET6 if ":" in address else socket.AF_INET) as probe:
        try:
            probe.bind((address, 0))
        except OSError:
            return False
    return True


def _holds(director: Director) -> bool:
    return director._driver.active


def echoed(made: socket.socket, word: bytes = b"still there?") -> bool:
    """Tell whether a connection still answers."""
    try:
        made.sendall(word)
        found = b""
        while len(found) < len(word):
            data = made.recv(100)
            if not data:
                return False
            found += data
    except OSError:
        return False
    return found == word


def download(made: socket.socket, at: int, then: Callable[[], None]) -> tuple[int, float]:
    """Read a flood to its end, do something once `at` bytes came; how many came, and the longest silence."""
    size, longest, heard = 0, 0.0, time.monotonic()
    done = False
    while data := made.recv(1 << 18):
        now = time.monotonic()
        longest, heard = max(longest, now - heard), now
        size += len(data)
        if size >= at and not done:
            done = True
            threading.Thread(target=then).start()
    return size, longest


def _asked(vip: str, port: int, source: str) -> str:
    with socket.create_connection((vip, port), PATIENT, (source, 0) if source else None) as made:
        return made.recv(2).decode()


def _flood(host: str, made: socket.socket) -> None:
    del host
    with contextlib.suppress(OSError), made:
        for _ in range(FLOOD_SIZE // len(PART)):
            made.sendall(PART)


def _ear() -> socket.socket:
    ear = socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(ALL))
    ear.setsockopt(socket.SOL_SOCKET, RCVBUFFORCE, 8 << 20)
    ear.bind(("eth0", 0))
    ear.settimeout(0.1)
    return ear


def _overhear(ear: socket.socket, found: list[Heard], over: threading.Event) -> None:
    while True:
        try:
            frame = ear.recv(2048)
        except TimeoutError:
            if over.is_set():
                return
            continue
        kind = struct.unpack_from("!H", frame, 12)[0]
        heard = packets.heard(frame[14:]) if kind in (0x0800, 0x86DD) else None
        if heard is not None:
            found.append(heard)


def _addresses(net: str, number: str, link: str = "eth0") -> tuple[str, ...]:
    four, six = f"10.{int(net)}.0.{number}/24", f"fd{net}::{number}/64"
    return f"addr add {four} dev {link}", f"addr add {six} dev {link} nodad"


def _routes(net: str) -> tuple[str, ...]:
    return f"route add default via 10.{int(net)}.0.1", f"route add default via fd{net}::1"


def _ip(*words: str) -> str:
    return subprocess.run(["ip", *words], check=False, capture_output=True, text=True).stdout


def _batch(namespace: str, *lines: str) -> None:
    where = ("-n", namespace) if namespace else ()
    argv = ["ip", *where, "-batch", "-"]
    done = subprocess.run(argv, input="\n".join(lines), check=False, capture_output=True, text=True)
    assert done.returncode == 0, f"{namespace}: {lines}: {done.stderr}"
