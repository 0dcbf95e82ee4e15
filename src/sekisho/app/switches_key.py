"""The keeper's own key for what is compared and may not be guessed: a state folder in, secret bytes out."""

from __future__ import annotations

import os
import secrets
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from sekisho.model.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

FILE: Final = "plans.key"
BYTES: Final = 32


def own_key(state: Path) -> bytes:
    """Give the key, made once; a file that holds none is made anew, and plans of before have gone stale.

    Raises Unavailable when it can be neither read nor written.
    """
    file = state / FILE
    try:
        with suppress(FileNotFoundError):
            found = file.read_bytes()
            if len(found) == BYTES:
                return found
        return _made(file)
    except OSError as error:
        raise Unavailable(
            "The key of the switches' plans can be neither read nor written.", f"{file}: {error}."
        ) from error


def _made(file: Path) -> bytes:
    """Write whole or not at all, for the owner alone, and wait for the disk."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    key, part = secrets.token_bytes(BYTES), file.with_name(f"{file.name}.new")
    part.unlink(missing_ok=True)
    fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as out:
        out.write(key)
        out.flush()
        os.fsync(out.fileno())
    part.replace(file)
    return key
