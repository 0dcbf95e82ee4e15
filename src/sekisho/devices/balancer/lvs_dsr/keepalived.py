"""VIPs held by keepalived, which does VRRP and nothing else: addresses in, its configuration and signals out.

keepalived.conf(5) of 2.2. It is started detached and outlives us: who holds the VIPs must not change because
the director's process is upgraded. It is told to read its configuration anew (SIGHUP) only when VIPs change,
which neither moves VIPs that stay nor touches a connection.

That it outlives us has another side: where our process is gone for good, nobody takes out members that die.
So it looks for a sign of us, and after a while without one lets the other director have the VIPs.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
from dataclasses import dataclass
from ipaddress import ip_address, ip_interface
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sekisho.model.errors import Malformed, Refused, Unavailable, Unsupported

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

INSTANCE: Final = "sekisho"
# How far a director that shall not hold the VIPs goes below its partner.
YIELD: Final = -50
# And how far one whose process is gone: below a partner that yields and lives. It is a weight, not a fault,
# so that of two that are gone one keeps them: a table that nobody tends is better than no VIP.
LOST: Final = -100
# At most so many seconds between two looks for a sign of the process.
LOOK: Final = 5
SECONDS: Final = 30.0


@dataclass(frozen=True, slots=True)
class VrrpSettings:
    """How a pair of directors agrees who holds the VIPs (RFC 9568); without `interface` nobody does.

    `router_id` (1-255) is the pair's own on its link. `address` is ours and `peers` are the others', for
    unicast; without them VRRP goes by multicast. Give both directors the same `priority`, and VIPs stay where
    they are when the other one comes back. `interval` is in seconds; the other one takes over after about
    three of them. `anchor` is an address that goes along with the VIPs and tells whether they are here, by
    default 169.254.N.N of the router id. After `lost` seconds without a sign of the director's process, or
    while it can carry nothing, the other director gets the VIPs if its own one lives; 0 never gives them up.
    """

    interface: str = ""
    router_id: int = 51
    priority: int = 100
    interval: float = 0.3
    address: str = ""
    peers: tuple[str, ...] = ()
    anchor: str = ""
    command: str = "keepalived"
    lost: int = 120  # an upgrade with all its packages, or a start on a busy machine, takes less

    def __post_init__(self) -> None:
        if not 1 <= self.router_id <= 255 or not 52 <= self.priority <= 254:
            raise Malformed("vrrp: router_id must be 1 to 255, and priority 52 to 254.")
        if self.lost != 0 and not 2 <= self.lost <= 86_400:
            raise Malformed("vrrp: lost must be 2 to 86400 seconds, or 0 for never.")
        if not 0.01 <= self.interval <= 40.0:
            raise Malformed("vrrp: interval must be 0.01 to 40 seconds.")
        if bool(self.address) != bool(self.peers):
            raise Malformed("vrrp: unicast needs address and peers, multicast neither.")
        for text in filter(None, (self.address, self.anchor, *self.peers)):
            try:
                ip_address(text)
            except ValueError as error:
                raise Malformed(f"vrrp: {text!r} is no address.") from error

    @property
    def anchored(self) -> str:
        """Give the anchor's address."""
        return self.anchor or f"169.254.{self.router_id}.{self.router_id}"


@dataclass(frozen=True, slots=True)
class Files:
    """Where keepalived and we meet."""

    folder: Path

    @property
    def config(self) -> Path:
        """Its configuration."""
        return self.folder / "keepalived.conf"

    @property
    def pid(self) -> Path:
        """Its process."""
        return self.folder / "keepalived.pid"

    @property
    def news(self) -> Path:
        """The FIFO it tells changes of state by."""
        return self.folder / "vrrp.fifo"

    @property
    def priority(self) -> Path:
        """What is added to its priority."""
        return self.folder / "priority"

    @property
    def sign(self) -> Path:
        """What the director's process leaves there again and again, and every look takes away."""
        return self.folder / "alive"


class Keepalived:
    """Keeps keepalived right; used by one thread at a time, `active` and `listen` by any."""

    def __init__(
        self, settings: VrrpSettings, folder: Path, run: Callable[[Sequence[str]], str] | None = None
    ) -> None:
        self._settings = settings
        self._files = Files(folder)
        self._run = run or _run
        self._held: frozenset[str] | None = None

    def carry(self, addresses: Collection[str]) -> bool:
        """Make these the VIPs; tells whether keepalived had to be told. Raises Refused and Unavailable."""
        try:
            return self._carry(addresses)
        except OSError as error:
            raise Unavailable("The director cannot set its VIPs up.", f"keepalived: {error}") from error

    def _carry(self, addresses: Collection[str]) -> bool:
        files, running = self._files, self._pid()
        if running and self._held == addresses:
            return False
        text = config(self._settings, files, addresses)
        if running and _content(files.config) == text:
            self._held = frozenset(addresses)
            return False
        self._held = None
        self._prepare()
        self._files.sign.touch()  # the first look of all decides at once
        fresh = files.config.with_suffix(".new")
        fresh.write_text(text)
        self._run([self._settings.command, "-t", "-P", "-f", str(fresh)])
        fresh.replace(files.config)
        if running:
            os.kill(running, signal.SIGHUP)
        else:
            vrrp = files.folder / "keepalived-vrrp.pid"
            self._run(
                [self._settings.command, "-P", "-f", str(files.config), "-p", str(files.pid), "-r", str(vrrp)]
            )
        return True

    def _prepare(self) -> None:
        self._files.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if not self._files.news.exists():
            os.mkfifo(self._files.news, 0o600)
        if not self._files.priority.exists():
            self._files.priority.write_text("0\n")

    def active(self) -> bool:
        """Tell whether the VIPs are here: whether one can bind to the address that goes along with them."""
        anchor = self._settings.anchored
        family = socket.AF_INET6 if ":" in anchor else socket.AF_INET
        with socket.socket(family, socket.SOCK_DGRAM) as probe, contextlib.suppress(OSError):
            probe.bind((anchor, 0))
            return True
        return False

    def prefer(self, *, here: bool) -> None:
        """Say whether the VIPs shall rather be here; keepalived sees the file change by itself."""
        word = f"{0 if here else YIELD}\n"
        self._prepare()
        if _content(self._files.priority) != word:
            self._files.priority.write_text(word)

    def live(self) -> None:
        """Leave a sign that all is well here; without one for `lost` seconds the VIPs go."""
        try:
            self._files.sign.touch()
        except OSError as error:
            raise Unavailable("The director cannot hold its VIPs.", f"{self._files.sign}: {error}") from error

    def failover(self) -> None:
        """Let the other director have the VIPs, until `prefer` says otherwise."""
        if not self._pid():
            raise Unsupported("This director holds no VIPs that another one could take over.")
        self.prefer(here=False)

    def listen(self, told: Callable[[], None]) -> None:
        """Call `told` at every change of state; returns when keepalived's FIFO is gone."""
        self._prepare()
        # open for writing too, so that it does not end when keepalived does
        with os.fdopen(os.open(self._files.news, os.O_RDWR), "r") as news:
            for _ in news:
                told()

    def end(self) -> None:
        """Stop keepalived: the VIPs go, to the other director if there is one."""
        running = self._pid()
        if running:
            os.kill(running, signal.SIGTERM)
        self._files.config.unlink(missing_ok=True)

    def _pid(self) -> int:
        """Find keepalived's process; 0 when it does not run."""
        text = _content(self._files.pid).strip()
        if text.isdigit() and _content(Path(f"/proc/{text}/comm")).strip() == "keepalived":
            return int(text)
        return 0


def config(settings: VrrpSettings, files: Files, addresses: Collection[str]) -> str:
    """Write keepalived's configuration; the same VIPs in any order give the same text.

    VIPs are "excluded": held like others, but not told in each advertisement, where only twenty find room.
    """
    own = [
        f"  unicast_src_ip {settings.address}",
        "  unicast_peer {",
        *(f"    {p}" for p in settings.peers),
        "  }",
    ]
    vips = sorted(addresses, key=lambda a: (":" in a, ip_address(a).packed))
    lines = (
        "# Written by Sekisho's director; what is changed here is overwritten.",
        "global_defs {",
        # before all else: when it reads its file again, it knows no user for what stands above this
        *(("  script_user root root", "  enable_script_security") if settings.lost else ()),
        f"  vrrp_notify_fifo {files.news}",
        "  vrrp_version 3",
        "  vrrp_garp_master_repeat 2",
        "}",
        *_looking(settings, files),
        "track_file yield {",
        f'  file "{files.priority}"',
        "  weight 1",
        "}",
        f"vrrp_instance {INSTANCE} {{",
        "  state BACKUP",
        f"  interface {settings.interface}",
        f"  virtual_router_id {settings.router_id}",
        f"  priority {settings.priority}",
        f"  advert_int {settings.interval}",
        *(own if settings.peers else ()),
        "  track_file {",
        "    yield",
        "  }",
        *(("  track_script {", "    lost", "  }") if settings.lost else ()),
        "  virtual_ipaddress {",
        f"    {ip_interface(settings.anchored)} dev {settings.interface}",
        "  }",
        *(("  virtual_ipaddress_excluded {",) if vips else ()),
        *(f"    {ip_interface(vip)} dev {settings.interface}" for vip in vips),
        *(("  }",) if vips else ()),
        "}",
    )
    return "\n".join(lines) + "\n"


def _looking(settings: VrrpSettings, files: Files) -> tuple[str, ...]:
    """Write how keepalived finds out that our process is gone: each look takes the sign away.

    So no clock is asked, and a process that hangs is gone too; keepalived's own `track_process` sees neither
    that nor, in a network namespace of its own, anything.
    """
    if not settings.lost:
        return ()
    every = max(1, min(LOOK, settings.lost // 4))
    return (
        "vrrp_script lost {",
        f'  script "/bin/rm {files.sign}"',
        "  user root root",
        f"  interval {every}",
        f"  fall {max(2, round(settings.lost / every))}",
        "  rise 1",
        f"  weight {LOST}",
        "}",
    )


def _run(command: Sequence[str]) -> str:
    try:
        done = subprocess.run(  # noqa: S603 - a program of the settings, and files of our own
            command, capture_output=True, text=True, timeout=SECONDS, check=False, stdin=subprocess.DEVNULL
        )
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Unavailable("The director cannot set its VIPs up.", f"{command[0]}: {error}") from error
    if done.returncode:
        said = " ".join((done.stdout + done.stderr).split())
        raise Refused(
            "The director cannot set its VIPs up.", f"{' '.join(command)} said {done.returncode}: {said}"
        )
    return done.stdout


def _content(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError):
        return ""
