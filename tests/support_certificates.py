"""Certificates that sign themselves, made with openssl."""

from __future__ import annotations

import ipaddress
import subprocess
from pathlib import Path


def certificate(folder: Path, name: str) -> tuple[str, str]:
    """Make a certificate and its key for a name or an address; gives their paths."""
    cert, key = folder / "cert.pem", folder / "key.pem"
    try:
        ipaddress.ip_address(name)
        kind = "IP"
    except ValueError:
        kind = "DNS"
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"),
            *("-nodes", "-days", "2", "-subj", f"/CN={name}", "-addext", f"subjectAltName={kind}:{name}"),
            *("-keyout", str(key), "-out", str(cert)),
        ],
        check=True,
        capture_output=True,
    )
    return str(cert), str(key)
