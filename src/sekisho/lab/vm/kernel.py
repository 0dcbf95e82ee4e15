"""A kernel that was unpacked and never installed: a folder in, its image and its modules out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from sekisho.model.errors import NotFound

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

IMAGE: Final = "vmlinuz-"


@dataclass(frozen=True, slots=True)
class Kernel:
    """A kernel's version, and the folder its package was unpacked in (with modules.dep, see depmod(8))."""

    version: str
    root: Path

    @property
    def image(self) -> Path:
        """Where it boots from."""
        return self.root / "boot" / f"{IMAGE}{self.version}"

    @property
    def modules(self) -> Path:
        """Where its modules are."""
        return self.root / "lib" / "modules" / self.version


def find(folder: Path) -> Kernel:
    """Find the kernel under a folder, the newest of several; raises NotFound."""
    images = sorted(folder.glob(f"boot/{IMAGE}*"), key=lambda image: image.stat().st_mtime)
    found = [Kernel(image.name.removeprefix(IMAGE), folder) for image in images]
    usable = [kernel for kernel in found if (kernel.modules / "modules.dep").exists()]
    if not usable:
        raise NotFound(
            "There is no kernel for the virtual machine.",
            f"{folder} holds no boot/{IMAGE}* with its modules; `make check-ipvs` fetches one.",
        )
    return usable[-1]


def needed(kernel: Kernel, names: Iterable[str]) -> tuple[Path, ...]:
    """Give the files of modules and of what they need, in the order they must be loaded (modules.dep(5))."""
    depends = _depends((kernel.modules / "modules.dep").read_text())
    by_name = {_name(path): path for path in depends}
    order: dict[str, None] = {}
    for name in names:
        path = by_name.get(_name(name))
        if path is not None:  # what is missing is built in
            order |= dict.fromkeys((*reversed(depends[path]), path))
    return tuple(kernel.modules / path for path in order)


def _depends(text: str) -> dict[str, tuple[str, ...]]:
    lines = (line.partition(":") for line in text.splitlines())
    return {path: tuple(rest.split()) for path, _, rest in lines}


def _name(path: str) -> str:
    return path.rpartition("/")[2].partition(".ko")[0].replace("-", "_")
