"""Numbers in a sentence, as customers and operators read them alike."""

from __future__ import annotations

from sekisho.model.policy import Unit
from sekisho.model.restriction import Evidence, Finding


def crossings(evidence: Evidence) -> str:
    """Say what was measured against which line, without a full stop."""
    return "; ".join(
        f"{f.detector} {amount(f, f.estimate)} (at least {amount(f, f.lower)})"
        f" over {amount(f, f.threshold)} in {window(f.window)}"
        for f in evidence.findings
    )


def window(seconds: float) -> str:
    """Say how long a window is."""
    return f"{seconds:g} s" if seconds < 3600 else f"{seconds / 3600:g} h"


def amount(finding: Finding, number: float) -> str:
    """Say an amount as people do: short windows as a rate, long ones as a volume."""
    match finding.unit:
        case Unit.BYTES if finding.window < 3600:
            return f"{number * 8 / finding.window / 1e6:,.3g} Mbit/s"
        case Unit.BYTES:
            return f"{number / 1e9:,.3g} GB"
        case Unit.PACKETS:
            return f"{number / finding.window:,.4g} packets/s"
        case Unit.RATIO:
            return f"{number:.0%}"
        case _:
            return f"{number:,.0f}"
