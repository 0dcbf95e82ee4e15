"""The metered detectors by name and unit; whoever only reads policies needs no more."""

from __future__ import annotations

from typing import Final

from sekisho.model.policy import Unit

METERED: Final[dict[str, Unit]] = {
    "metered-egress-bytes": Unit.BYTES,
    "metered-ingress-bytes": Unit.BYTES,
    "metered-bytes": Unit.BYTES,
}
