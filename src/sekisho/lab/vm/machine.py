"""A guest from its first breath to its last: a program in, the lines it writes and its exit code out."""

from __future__ import annotations

import os
import select
import shlex
import subprocess
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from sekisho.lab import processes
from sekisho.lab.vm.initramfs import initramfs
from sekisho.model.errors import Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from sekisho.lab.vm.kernel import Kernel

QEMU: Final = "qemu-system-x86_64"
SHARED: Final = "/run/shared"  # the folder as the guest sees it
# Without hardware to help, what guards against its own faults only costs time.
_APPEND: Final = "console=ttyS0 quiet panic=-1 no_timer_check mitigations=off"
_PATIENCE: Final = 20.0
# However we end, the guest ends with us (setpriv(1)).
_LEASH: Final = ("setpriv", "--pdeathsig", "KILL", "--")


@dataclass(frozen=True, slots=True)
class Order:
    """What a guest runs: words, in a folder of this machine's, with these variables and no others."""

    argv: tuple[str, ...]
    folder: Path
    environment: Mapping[str, str] = field(default_factory=dict)


class Machine:
    """One guest, to be ended in any case. `shared` is a folder that both write to.

    The program's output goes to `shared/output`, the kernel's to `shared/console`; what it writes to
    `initramfs.SERIAL` comes as `lines`.
    """

    def __init__(self, kernel: Kernel, shared: Path, memory: int = 1024, cores: int = 1) -> None:
        self._kernel = kernel
        self.shared = shared
        self._memory = memory
        self._cores = cores
        self._process: subprocess.Popen[bytes] | None = None
        self._rest = b""

    def boot(self, order: Order) -> None:
        """Start the guest with its program; raises Unsupported where something is not installed."""
        self.shared.mkdir(parents=True, exist_ok=True)
        (self.shared / "start").write_text(script(order, self._kernel))
        initrd = self.shared / "initrd"
        initrd.write_bytes(initramfs(self._kernel, Path(processes.tool("busybox"))))
        argv = [*_LEASH, processes.tool(QEMU), *_words(self._kernel, self.shared, self._memory, self._cores)]
        self._process = subprocess.Popen(  # noqa: S603 - words of our own
            argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )

    def lines(self, patience: float) -> Iterator[str]:
        """Give what the program writes, line by line, to its end; raises Unavailable after silence."""
        process = self._process
        if process is None or process.stdout is None:
            return
        while True:
            *whole, self._rest = self._rest.split(b"\n")
            yield from (line.decode(errors="replace").rstrip("\r") for line in whole)
            ready, _, _ = select.select([process.stdout], [], [], patience)
            if not ready:
                raise Unavailable(
                    "The virtual machine says nothing more.",
                    f"Nothing for {patience:.0f} s; see {self.shared}/output.",
                )
            data = os.read(process.stdout.fileno(), 1 << 16)
            if not data:
                return
            self._rest += data

    def code(self) -> int:
        """Tell the program's exit code, once the guest is off; raises Unavailable if it has none."""
        if self._process is not None:
            try:
                self._process.wait(_PATIENCE)
            except subprocess.TimeoutExpired as error:
                raise Unavailable("The virtual machine does not stop.") from error
        try:
            return int((self.shared / "code").read_text())
        except (OSError, ValueError) as error:
            raise Unavailable(
                "The virtual machine broke off.", f"It wrote: {self._rest!r}; see {self.shared}/console."
            ) from error

    def end(self) -> None:
        """Switch it off; harmless when it is off."""
        process, self._process = self._process, None
        if process is not None:
            if process.poll() is None:
                process.kill()
            process.wait()
            if process.stdout is not None:
                process.stdout.close()


def script(order: Order, kernel: Kernel) -> str:
    """Write what the guest's shell does."""
    variables = {
        "PATH": processes.SEARCH,
        "HOME": "/run",
        "TMPDIR": "/run/tmp",
        "PYTHONDONTWRITEBYTECODE": "1",
        "MODULES_ROOT": str(kernel.root),
        **order.environment,
    }
    lines = [f"export {name}={shlex.quote(value)}" for name, value in variables.items()]
    return "\n".join((*lines, f"cd {shlex.quote(str(order.folder))}", f"exec {shlex.join(order.argv)}", ""))


def _words(kernel: Kernel, shared: Path, memory: int, cores: int) -> Sequence[str]:
    ours = {
        "host": "local,id=host,path=/,security_model=none,readonly=on,multidevs=remap",
        "shared": f"local,id=shared,path={shared},security_model=none",
    }
    shares = [
        word
        for tag, how in ours.items()
        for word in ("-fsdev", how, "-device", f"virtio-9p-pci,fsdev={tag},mount_tag={tag}")
    ]
    return (
        *("-accel", "tcg,thread=multi", "-cpu", "max", "-M", "q35"),
        *("-smp", str(cores), "-m", str(memory), "-nodefaults", "-no-reboot", "-display", "none"),
        *("-kernel", str(kernel.image), "-initrd", str(shared / "initrd"), "-append", _APPEND),
        *("-serial", f"file:{shared}/console", "-serial", "stdio", *shares),
    )
