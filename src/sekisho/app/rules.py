"""The policies in force: read from a folder, replaced whole or not at all."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from sekisho import plugins
from sekisho.detect.detectors.catalogue import CATALOGUE, LARGEST
from sekisho.metering.catalogue import METERED
from sekisho.model import policy_file
from sekisho.model.errors import Malformed, Unavailable
from sekisho.model.plain import from_plain, to_plain
from sekisho.model.policy import Baseline, Policy, PolicySet, Unit
from sekisho.model.report import PolicyView

if TYPE_CHECKING:
    from sekisho.ledger.ledger import Ledger
    from sekisho.model.report import Override

log = logging.getLogger("sekisho.keeper")

_KEPT = "policies"  # under which the ledger remembers those in force
Source: TypeAlias = Callable[[], tuple[tuple[Policy, ...], tuple[Baseline, ...]]]


class Rules:
    """Reads policies from a source; a bad one leaves what was in force and says so.

    `before` is what an earlier keeper had read: what stays if the source is bad from the start. `written`
    is what the source says, `policies` the same with the modes that people turned: what is in force.
    """

    def __init__(
        self,
        source: Source,
        now: float,
        before: PolicySet | None = None,
        overrides: tuple[Override, ...] = (),
    ) -> None:
        self._source = source
        version = int(now * 1000)
        self.written = replace(before, version=version) if before else PolicySet(version)
        self.policies = self.written
        self._problems: tuple[str, ...] = ()
        self._overrides = overrides
        self.reload(now)
        self.turn(overrides, now)

    def reload(self, now: float) -> bool:
        """Read the source anew; True when other policies are in force than before."""
        before = self.written
        try:
            policies, baselines = self._source()
        except Malformed as error:
            self._problems = error.problems or (error.fixer,)
            log.warning("policies: what was in force stays: %s", "; ".join(self._problems))
            return False
        self._problems = ()
        if (policies, baselines) == (before.policies, before.baselines):
            return False
        self.written = PolicySet(self._version(now), policies, baselines)
        self.policies = replace(self.written, policies=tuple(map(self._turned, policies)))
        return True

    def turn(self, overrides: tuple[Override, ...], now: float) -> bool:
        """Put modes that people turned over what the files say; True when other policies are in force."""
        self._overrides = overrides
        policies = tuple(map(self._turned, self.written.policies))
        if policies == self.policies.policies:
            return False
        self.policies = PolicySet(self._version(now), policies, self.written.baselines)
        return True

    def stray(self) -> tuple[Override, ...]:
        """List overrides that turn nothing any more: the files have no such policy, or say the same."""
        modes = {p.name: p.mode for p in self.written.policies}
        return (
            ()
            if self._problems
            else tuple(o for o in self._overrides if modes.get(o.policy) in (None, o.mode))
        )

    def _turned(self, policy: Policy) -> Policy:
        turned = next((o.mode for o in self._overrides if o.policy == policy.name), policy.mode)
        return replace(policy, mode=turned)

    def _version(self, now: float) -> int:
        return max(int(now * 1000), self.policies.version + 1)

    def view(self) -> PolicyView:
        """Tell what is in force, what people turned, and what is wrong with the files, if anything."""
        written = {p.name: p.mode for p in self.written.policies}
        known = tuple(replace(o, written=written[o.policy]) for o in self._overrides if o.policy in written)
        return PolicyView(self.policies, self._problems, known)


@cache
def known_detectors() -> Mapping[str, Unit]:
    """Name the shipped detectors and those that other distributions registered, with their units.

    One that cannot be loaded here (it may want NumPy, which a keeper does without) is left out, loudly.
    """
    found = CATALOGUE | METERED
    for name in plugins.names("detectors"):
        if name not in found:
            try:
                found[name] = plugins.load("detectors", name).unit
            except (ImportError, AttributeError) as error:
                log.warning("the detector %s cannot be loaded, so no policy may use it: %s", name, error)
    return found


def folder(path: str) -> Source:
    """Read every ``*.toml`` of a folder, all or none; an empty path is no policies."""

    def read() -> tuple[tuple[Policy, ...], tuple[Baseline, ...]]:
        if not path:
            return (), ()
        try:
            # Listed, not globbed: a folder that is away must not look like one without policies.
            files = sorted(p for p in Path(path).iterdir() if p.suffix == ".toml")
            texts = {str(p): p.read_text() for p in files}
        except (OSError, UnicodeDecodeError) as error:
            raise Malformed(f"{path}: cannot be read: {error}.") from error
        return policy_file.load(texts, known_detectors(), LARGEST)

    return read


def before(ledger: Ledger) -> PolicySet | None:
    """Recall what an earlier keeper had read."""
    try:
        kept = ledger.recall(_KEPT)
        return from_plain(PolicySet, json.loads(kept)) if kept else None
    except (ValueError, Malformed):  # written by another version
        return None


def keep(ledger: Ledger, policies: PolicySet) -> None:
    """Keep what is in force: a file broken since then must not free everybody at the next start."""
    kept = json.dumps(to_plain(replace(policies, version=0)))
    try:
        if ledger.recall(_KEPT) != kept:
            ledger.remember(_KEPT, kept)
    except Unavailable as error:
        log.warning("the policies in force could not be kept for the next start: %s", error.fixer)


def check(text: str) -> tuple[str, ...]:
    """List every problem of one file's text."""
    try:
        policy_file.parse(text, known_detectors(), "policy", LARGEST)
    except Malformed as error:
        return error.problems or (error.asker,)
    return ()
