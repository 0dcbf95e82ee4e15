"""The policies in force: read from a folder, replaced whole or not at all."""

from __future__ import annotations

import logging
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from sekisho.detect.detectors.catalogue import CATALOGUE
from sekisho.model import policy_file
from sekisho.model.errors import Malformed
from sekisho.model.policy import PolicySet
from sekisho.model.report import PolicyView

if TYPE_CHECKING:
    from collections.abc import Mapping

log = logging.getLogger("sekisho.keeper")


class Rules:
    """Reads ``*.toml`` of a folder; a bad file leaves what was in force and says so."""

    def __init__(self, folder: str, now: float) -> None:
        self._folder = folder
        self.policies = PolicySet(version=int(now * 1000))
        self._problems: tuple[str, ...] = ()
        self.reload(now)

    def reload(self, now: float) -> bool:
        """Read the folder anew; True when other policies are in force than before."""
        before = self.policies
        try:
            policies, baselines = policy_file.load(self._read(), CATALOGUE)
        except Malformed as error:
            self._problems = error.problems or (error.fixer,)
            log.warning("policies: what was in force stays: %s", "; ".join(self._problems))
            return False
        self._problems = ()
        if (policies, baselines) == (before.policies, before.baselines):
            return False
        version = max(int(now * 1000), before.version + 1)
        self.policies = replace(before, version=version, policies=policies, baselines=baselines)
        return True

    def view(self) -> PolicyView:
        """Tell what is in force and what is wrong with the files, if anything."""
        return PolicyView(self.policies, self._problems)

    def check(self, text: str) -> tuple[str, ...]:
        """List every problem of one file's text."""
        try:
            policy_file.parse(text, CATALOGUE, "policy")
        except Malformed as error:
            return error.problems or (error.asker,)
        return ()

    def _read(self) -> Mapping[str, str]:
        if not self._folder:
            return {}
        folder = Path(self._folder)
        try:
            return {str(p): p.read_text() for p in sorted(folder.glob("*.toml"))}
        except (OSError, UnicodeDecodeError) as error:
            raise Malformed(f"{folder}: cannot be read: {error}.") from error
