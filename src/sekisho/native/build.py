"""Builds the compiled core with the C compiler of this machine: `python -m sekisho.native.build`.

Standard library only, and nothing of ours: it also runs while the package is being built.
"""

from __future__ import annotations

import hashlib
import os
import platform
import subprocess
import sys
import sysconfig
from pathlib import Path
from typing import Final

HERE: Final = Path(__file__).parent
# No flags that bind it to the processor it was built on: a package is built once for many machines.
FLAGS: Final = (
    "-std=gnu11",
    "-O3",
    # Loops begin where a processor fetches well: else a change of one function costs another a quarter.
    "-falign-functions=64",
    "-falign-loops=32",
    "-fPIC",
    "-shared",
    "-Wall",
    "-Wextra",
    "-fno-strict-aliasing",
    "-fno-trapping-math",
    "-s",
)


def sources() -> list[Path]:
    """List the C files, in order."""
    return sorted(HERE.glob("*.c"))


def artifact() -> Path:
    """Name the library of exactly these sources: one of other sources is never loaded."""
    digest = hashlib.sha256(platform.machine().encode())
    for file in sorted([*HERE.glob("*.c"), *HERE.glob("*.h")]):
        digest.update(file.read_bytes())
    return HERE / f"_core-{digest.hexdigest()[:16]}.so"


def platform_tag() -> str:
    """Name this kind of machine as wheels do."""
    return sysconfig.get_platform().replace("-", "_").replace(".", "_")


def build(compiler: str = "cc", extra: tuple[str, ...] = ()) -> Path:
    """Compile; raises OSError without a compiler and CalledProcessError where it refuses."""
    wanted = artifact()
    unfinished = wanted.with_suffix(f".{os.getpid()}")
    command = [compiler, *FLAGS, *extra, "-o", str(unfinished), *map(str, sources())]
    try:
        # fixed words and our own file names
        subprocess.run(command, check=True, capture_output=True, text=True)  # noqa: S603
        unfinished.replace(wanted)
    finally:
        unfinished.unlink(missing_ok=True)
    for old in HERE.glob("_core-*.so"):
        if old != wanted:
            old.unlink(missing_ok=True)
    return wanted


def main() -> int:
    """Build it if it is not there, and say what came of it; a machine without a compiler is no failure."""
    if artifact().exists():
        return 0
    try:
        build()
    except OSError:
        sys.stdout.write(
            "The compiled core was not built: no C compiler (cc). The collector works without, slower.\n"
        )
    except subprocess.CalledProcessError as error:
        sys.stderr.write(f"The compiled core was not built:\n{error.stderr}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
