"""The shipped detectors by name and unit, for whoever checks policies without numpy."""

from __future__ import annotations

from typing import Final

from sekisho.model.policy import Unit

CATALOGUE: Final[dict[str, Unit]] = {
    "smtp-connections": Unit.COUNT,
    "smtp-destinations": Unit.COUNT,
    "smtp-refused": Unit.RATIO,
    "submission-connections": Unit.COUNT,
    "submission-destinations": Unit.COUNT,
    "submission-refused": Unit.RATIO,
    "egress-bytes": Unit.BYTES,
    "egress-packets": Unit.PACKETS,
    "ingress-bytes": Unit.BYTES,
    "ingress-packets": Unit.PACKETS,
    "scan-ports": Unit.COUNT,
    "scan-hosts": Unit.COUNT,
    "syn-flood": Unit.PACKETS,
    "ingress-syn-flood": Unit.PACKETS,
    "amplification-bytes": Unit.BYTES,
    "amplification-packets": Unit.PACKETS,
    "ingress-amplification-bytes": Unit.BYTES,
    "login-attempts": Unit.COUNT,
    "login-hosts": Unit.COUNT,
}

# Detectors of distinct things (addresses, ports) cannot count beyond this within one window: their
# table of CELLS is then so full that the estimate's error outgrows the estimate's use.
CELLS: Final = 1024
LARGEST_DISTINCT: Final = 4000
LARGEST: Final[dict[str, float]] = {
    "smtp-destinations": LARGEST_DISTINCT,
    "submission-destinations": LARGEST_DISTINCT,
    "scan-ports": LARGEST_DISTINCT,
    "scan-hosts": LARGEST_DISTINCT,
    "login-hosts": LARGEST_DISTINCT,
}
