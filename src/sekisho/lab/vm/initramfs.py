"""What a kernel starts with: files in, the archive that it unpacks into memory out (cpio(5), "newc")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sekisho.lab.vm.kernel import needed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from sekisho.lab.vm.kernel import Kernel

# What the kernel package has as modules and the guest needs before it sees any disk.
MODULES: Final = ("virtio_pci", "9pnet_virtio", "9p")
FOLDER, PROGRAM, PLAIN = 0o040755, 0o100755, 0o100644
END: Final = "TRAILER!!!"
SERIAL: Final = "/dev/ttyS1"

# Nothing of the guest's own but /run: a path here is the same path there, wherever the repository stands.
_INIT: Final = """\
#!/bin/busybox sh
b=/bin/busybox
$b mount -t proc proc /proc; $b mount -t sysfs sys /sys; $b mount -t devtmpfs dev /dev
for m in $($b cat /modules/order); do $b insmod /modules/$m; done
p=trans=virtio,version=9p2000.L,msize=524288
$b mount -t 9p -o $p,cache=loose,ro host /host || $b poweroff -f
for d in proc sys dev; do $b mount --move /$d /host/$d; done
$b mount -t tmpfs run /host/run
$b mkdir -p /host/run/netns /host/run/shared /host/run/tmp /host/run/lock /host/dev/shm
$b mount -t tmpfs shm /host/dev/shm
$b mount -t 9p -o $p,cache=none shared /host/run/shared
$b stty -F /host/dev/ttyS1 raw
$b chroot /host /bin/sh /run/shared/start </host/dev/null >/host/run/shared/output 2>&1
echo $? >/host/run/shared/code
$b poweroff -f
"""

# The kernel asks for modules by this program, outside of the guest's root.
_MODPROBE: Final = """\
#!/bin/busybox sh
exec /bin/busybox chroot /host /sbin/modprobe -d {root} "$@"
"""


@dataclass(frozen=True, slots=True)
class Entry:
    """A file or folder of the archive."""

    name: str
    mode: int
    content: bytes = b""


def initramfs(kernel: Kernel, busybox: Path) -> bytes:
    """Write the archive that makes a guest of this machine's root and runs `start` of the shared folder."""
    modules = needed(kernel, MODULES)
    folders = ("bin", "sbin", "proc", "sys", "dev", "host", "modules")
    entries = [Entry(name, FOLDER) for name in folders]
    entries += [Entry(f"modules/{file.name}", PLAIN, file.read_bytes()) for file in modules]
    order = "".join(f"{file.name}\n" for file in modules)
    entries += [
        Entry("modules/order", PLAIN, order.encode()),
        Entry("bin/busybox", PROGRAM, busybox.read_bytes()),
        Entry("sbin/modprobe", PROGRAM, _MODPROBE.format(root=kernel.root).encode()),
        Entry("init", PROGRAM, _INIT.encode()),
    ]
    return archive(entries)


def archive(entries: Iterable[Entry]) -> bytes:
    """Write an archive."""
    whole = (*entries, Entry(END, 0))
    return b"".join(_record(number, entry) for number, entry in enumerate(whole, 1))


def _record(number: int, entry: Entry) -> bytes:
    name = entry.name.encode() + b"\0"
    fields = (number, entry.mode, 0, 0, 1, 0, len(entry.content), 0, 0, 0, 0, len(name), 0)
    head = b"070701" + b"".join(b"%08X" % field for field in fields) + name
    return _padded(head) + _padded(entry.content)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
