"""Passwords as the box keeps them: the shape of its hashes (type 5), not the algorithm."""

from __future__ import annotations

import hashlib
import hmac


def hashed(password: str, salt: str) -> str:
    """Give a password as the box keeps it."""
    mark = hashlib.sha256(salt.encode()).hexdigest()[:6].upper()
    return f"$5${mark}${hashlib.sha256(f'{mark}:{password}'.encode()).hexdigest()[:43]}"


def fits(password: str, kept: str) -> bool:
    """Tell whether a password is the one that was kept; never for a hash that another box made."""
    parts = kept.split("$")
    if len(parts) != 4:
        return False
    made = hashlib.sha256(f"{parts[2]}:{password}".encode()).hexdigest()[:43]
    return hmac.compare_digest(made, parts[3])
