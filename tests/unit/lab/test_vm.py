"""What a virtual machine is made of; that it runs is what tests/ipvs is for."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from sekisho.lab.vm.initramfs import PLAIN, Entry, archive, initramfs
from sekisho.lab.vm.kernel import Kernel, find, needed
from sekisho.lab.vm.machine import Order, script
from sekisho.model.errors import NotFound

DEPENDS = """\
kernel/fs/9p/9p.ko: kernel/net/9p/9pnet.ko kernel/fs/netfs/netfs.ko
kernel/net/9p/9pnet.ko:
kernel/fs/netfs/netfs.ko:
kernel/net/9p/9pnet_virtio.ko: kernel/net/9p/9pnet.ko
kernel/drivers/virtio/virtio-pci.ko:
"""


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz-6.1.0-1-amd64").write_bytes(b"kernel")
    modules = tmp_path / "lib/modules/6.1.0-1-amd64"
    for line in DEPENDS.splitlines():
        file = modules / line.partition(":")[0]
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(file.name.encode())
    (modules / "modules.dep").write_text(DEPENDS)
    return find(tmp_path)


def test_a_kernel_without_its_modules_is_none(tmp_path: Path) -> None:
    (tmp_path / "boot").mkdir()
    (tmp_path / "boot/vmlinuz-6.1.0-1-amd64").write_bytes(b"kernel")
    with pytest.raises(NotFound) as said:
        find(tmp_path)
    assert "make check-ipvs" in said.value.fixer


def test_modules_come_after_what_they_need_and_once(kernel: Kernel) -> None:
    found = [file.name for file in needed(kernel, ("virtio_pci", "9pnet_virtio", "9p", "built_in"))]
    assert found[0] == "virtio-pci.ko"
    assert sorted(found) == ["9p.ko", "9pnet.ko", "9pnet_virtio.ko", "netfs.ko", "virtio-pci.ko"]
    assert found.index("9pnet.ko") < found.index("9pnet_virtio.ko") < found.index("9p.ko")
    assert found.index("netfs.ko") < found.index("9p.ko")


def test_an_archive_is_what_cpio_reads() -> None:
    """Field by field (cpio(5)): sizes and names at their places, everything at a multiple of four."""
    packed = archive((Entry("odd", PLAIN, b"12345"), Entry("empty", PLAIN)))
    found, at = {}, 0
    while at < len(packed):
        assert packed[at : at + 6] == b"070701"
        size, name_size = (int(packed[at + 6 + 8 * n : at + 14 + 8 * n], 16) for n in (6, 11))
        name = packed[at + 110 : at + 110 + name_size]
        at += (110 + name_size + 3) & ~3
        found[name] = packed[at : at + size]
        at += (size + 3) & ~3
    assert found == {b"odd\0": b"12345", b"empty\0": b"", b"TRAILER!!!\0": b""}


def test_the_guest_loads_modules_and_starts_what_it_is_told(kernel: Kernel, tmp_path: Path) -> None:
    busybox = tmp_path / "busybox"
    busybox.write_bytes(b"box")
    packed = initramfs(kernel, busybox)
    assert b"virtio-pci.ko\n9pnet.ko\n9pnet_virtio.ko\nnetfs.ko\n9p.ko\n" in packed
    assert f"modprobe -d {kernel.root}".encode() in packed


def test_words_come_to_the_program_as_they_are(kernel: Kernel, tmp_path: Path) -> None:
    order = Order(("printf", "%s|", "a b", "$HOME", "it's"), tmp_path, {"WORD": "two words"})
    said = script(order, kernel).replace("exec printf", 'echo "$WORD"; exec printf')
    done = subprocess.run(["sh", "-c", said], capture_output=True, text=True, check=True)
    assert done.stdout == "two words\na b|$HOME|it's|"
