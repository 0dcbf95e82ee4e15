"""A client from what settings name: an address, the file of a token, the file of an authority."""

from __future__ import annotations

import ssl
from typing import TYPE_CHECKING

from sekisho.client.client import Client
from sekisho.model.errors import Malformed

if TYPE_CHECKING:
    from pathlib import Path


def open_client(url: str, token_file: Path, ca_file: str = "", timeout: float = 10.0) -> Client:
    """Make a client whose token is read again when it is not taken any more; nothing is sent yet.

    Raises Malformed, which names the file that cannot be used, or the address that is none. An empty
    `ca_file` is the system's authorities; `timeout` is in seconds, as `Client` has it.
    """
    return Client(url, _token(token_file), timeout, authority(ca_file), token_file=token_file)


def authority(ca_file: str) -> ssl.SSLContext | None:
    """Read an authority of one's own, None where the system's are meant; raises Malformed."""
    try:
        return ssl.create_default_context(cafile=ca_file) if ca_file else None
    except (OSError, ValueError) as error:  # ssl.SSLError is one of the former
        told = getattr(error, "strerror", "") or error
        raise Malformed(f"The authority file {ca_file} cannot be used: {told}.") from error


def _token(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8").strip()
    except (OSError, ValueError) as error:  # no text is one of the latter
        told = getattr(error, "strerror", "") or error
        raise Malformed(f"The token file {file} cannot be read: {told}.") from error
