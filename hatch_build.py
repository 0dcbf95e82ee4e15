"""Builds the compiled core into the package; without a C compiler the wheel is pure Python."""

from __future__ import annotations

import runpy
from pathlib import Path
from typing import Any

from hatchling.builders.hooks.plugin.interface import BuildHookInterface

NATIVE = Path("src") / "sekisho" / "native"


class CompiledCore(BuildHookInterface):  # type: ignore[type-arg]  # hatchling is no dependency of ours
    """A wheel that holds the core is for one kind of machine; an editable install finds it in the tree."""

    PLUGIN_NAME = "custom"

    def initialize(self, version: str, build_data: dict[str, Any]) -> None:
        """Compile, and tell the wheel what it holds."""
        made = runpy.run_path(str(Path(self.root) / NATIVE / "build.py"))
        if made["main"]() or not (library := made["artifact"]()).exists() or version == "editable":
            return
        build_data["force_include"][str(library)] = f"sekisho/native/{library.name}"
        build_data["pure_python"] = False
        build_data["tag"] = f"py3-none-{made['platform_tag']()}"
