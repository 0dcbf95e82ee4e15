"""What of a director's report is news to the keeper: whole reports in, what has changed since the last out.

Ten thousand members that all do as before would be a quarter of a megabyte every few seconds.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from sekisho.model.balancer import DirectorReport

# After so many that were not whole one is: whatever went wrong is mended by then.
WHOLE: Final = 30


class News:
    """Knows the last report that the keeper took; used by one thread."""

    def __init__(self) -> None:
        self._number = 0
        self._had: DirectorReport | None = None
        self._since = 0  # reports since the last whole one

    def of(self, whole: DirectorReport) -> DirectorReport:
        """Give what of a report the keeper has to be told."""
        self._number += 1
        had = self._had
        if had is None or self._since >= WHOLE:
            return replace(whole, number=self._number)
        statistics = set(had.statistics)
        return replace(
            whole,
            operating={i: how for i, how in whole.operating.items() if had.operating.get(i) is not how},
            statistics=tuple(s for s in whole.statistics if s not in statistics),
            number=self._number,
            over=had.number,
            gone=tuple(had.operating.keys() - whole.operating.keys()),
        )

    def taken(self, whole: DirectorReport) -> None:
        """Take down that the keeper took what `of` gave last."""
        self._since = 0 if self._had is None or self._since >= WHOLE else self._since + 1
        self._had = replace(whole, number=self._number)

    def forget(self) -> None:
        """Tell all the next time: the keeper does not have what it was told."""
        self._had = None
