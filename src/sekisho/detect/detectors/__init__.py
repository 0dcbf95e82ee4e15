"""One file per detector: rows of a FlowBatch in, one number with its error per subject out."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sekisho import plugins

if TYPE_CHECKING:
    from sekisho.detect.detector import Detector


def registered() -> dict[str, Detector]:
    """Load every detector that this and other distributions register under ``sekisho.detectors``."""
    return {name: plugins.load("detectors", name) for name in plugins.names("detectors")}
