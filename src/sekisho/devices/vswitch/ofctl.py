"""ovs-ofctl against one bridge: one command, what it wrote, or one of our errors."""

from __future__ import annotations

import subprocess
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

from sekisho.model.errors import Refused, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_GONE: Final = (
    "terminating with signal 14",  # its own --timeout
    "is not a bridge or a socket",
    "No such file",
    "Connection refused",
    "connection dropped",
    "Connection reset",
    "Broken pipe",
)


@dataclass(frozen=True, slots=True)
class OfctlSettings:
    """Where the bridge's management socket is, how long a command may take, where our meters begin.

    An empty `run_dir` lets ovs-ofctl look where it was built or told to (``OVS_RUNDIR``).
    Neutron QoS takes the lowest free meter numbers; ours begin far above. `protocol` must be among
    those the bridge speaks and have bundles: OpenFlow14 or OpenFlow15.
    """

    run_dir: str = "/var/run/openvswitch"
    timeout: float = 5.0
    first_meter: int = 20_000
    protocol: str = "OpenFlow15"


class Asks(Protocol):
    """One bridge's ovs-ofctl, or what stands in for it."""

    def __call__(self, command: str, *arguments: str, stdin: str = "", bundle: bool = False) -> str:
        """Run one command; raises Unavailable when nobody answers, Refused when the switch says no."""
        ...


@dataclass(frozen=True, slots=True)
class Ran:
    """How a command ended: its exit code and what it wrote."""

    code: int
    out: str
    err: str


def run_here(argv: Sequence[str], stdin: str, timeout: float) -> Ran:
    """Run a command as who we are; raises OSError or subprocess.TimeoutExpired."""
    done = subprocess.run(  # noqa: S603 - our own words, no shell
        argv, input=stdin, capture_output=True, text=True, timeout=timeout, check=False
    )
    return Ran(done.returncode, done.stdout, done.stderr)


@dataclass(slots=True)
class Ofctl:
    """Runs ovs-ofctl against one bridge; `run` is for where others must run it for us."""

    bridge: str
    settings: OfctlSettings
    run: Callable[[Sequence[str], str, float], Ran] = run_here

    def __call__(self, command: str, *arguments: str, stdin: str = "", bundle: bool = False) -> str:
        """Run one command; raises Unavailable when nobody answers, Refused when the switch says no."""
        place = f"unix:{self.settings.run_dir}/{self.bridge}.mgmt" if self.settings.run_dir else self.bridge
        target = () if command == "parse-flows" else (place,)
        argv = ["ovs-ofctl", f"-O{self.settings.protocol}", "--no-names", *(["--bundle"] if bundle else [])]
        argv += [command, *target, *arguments]
        try:
            done = self.run(argv, stdin, self.settings.timeout)
        except subprocess.TimeoutExpired as error:
            raise Unavailable(
                "The switch does not answer.",
                f"{' '.join(argv)}: no answer in {self.settings.timeout} s.",
                0.2,
            ) from error
        except OSError as error:
            raise Unavailable("The switch cannot be asked.", f"ovs-ofctl: {error}.", 5.0) from error
        if done.code == 0:
            return done.out
        said = f"{' '.join(argv)}: {done.err.strip()}"
        if any(word in done.err for word in _GONE):
            raise Unavailable("The switch does not answer.", said, 0.05)
        raise Refused("The switch refused a change.", said)
