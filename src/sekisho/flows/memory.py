"""Memory that columns come from and go back to, burst after burst."""

from __future__ import annotations

import ctypes
import sys
from typing import Final

# <malloc.h>
M_TRIM_THRESHOLD: Final = -1
M_TOP_PAD: Final = -2
M_MMAP_THRESHOLD: Final = -3
LARGEST: Final = 32 << 20  # the most M_MMAP_THRESHOLD takes


def keep_freed(octets: int = 64 << 20) -> bool:
    """Have the C library keep up to so many freed octets for this process instead of returning them.

    Each burst makes and frees columns of some hundred kilobytes. Returned to the kernel, they come
    back as fresh pages that must be zeroed, which costs as much as decoding. False where the C
    library has no such setting.
    """
    if sys.platform != "linux" or not hasattr(libc := ctypes.CDLL(None), "mallopt"):
        return False
    wanted = ((M_MMAP_THRESHOLD, LARGEST), (M_TRIM_THRESHOLD, octets), (M_TOP_PAD, octets // 4))
    return all(libc.mallopt(name, value) == 1 for name, value in wanted)
