"""Where other people's tools are."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
BIN = ROOT / ".make/peers/bin"
Program = Callable[[str], Any]
