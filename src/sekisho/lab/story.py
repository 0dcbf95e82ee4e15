"""Tells what happens in the lab as it happens: to a person at a terminal, or as plain lines."""

from __future__ import annotations

import heapq
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from rich.console import Group
from rich.live import Live
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.console import Console

LINES: Final = 14
STYLES: Final = {"does": "", "crossed": "yellow", "rule": "red", "free": "green", "lab": "dim"}


@dataclass(frozen=True, slots=True)
class Row:
    """One VM as the view shows it."""

    vm: str
    does: str
    sends: float  # bit/s
    state: str = "free"
    until: str = ""
    dropped: int = 0
    port_25: str = ""


@dataclass(slots=True)
class Story:
    """The lines of a play, with seconds since it began; thread-safe.

    Live on a terminal, plain lines elsewhere, nothing at all when `quiet`.
    """

    console: Console
    began: float
    title: str = ""
    hint: str = ""
    quiet: bool = False
    lines: deque[Text] = field(default_factory=lambda: deque(maxlen=LINES))
    rows: Sequence[Row] = ()
    _pending: list[tuple[float, int, str, str, str]] = field(default_factory=list)
    _live: Live | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self) -> None:
        """Begin to show."""
        if self.console.is_terminal and not self.quiet:
            self._live = Live(self._view(), console=self.console, refresh_per_second=4)
            self._live.start()

    def close(self) -> None:
        """End showing; the last view stays."""
        self.flush()
        if self._live is not None:
            self._live.update(self._view(), refresh=True)
            self._live.stop()
            self._live = None

    def tell(self, moment: float, who: str, what: str, kind: str = "does") -> None:
        """Tell one thing; it is shown by `flush`, in the order in which things happened."""
        with self._lock:
            heapq.heappush(self._pending, (moment, len(self._pending), who, what, kind))

    def flush(self, before: float = float("inf")) -> None:
        """Show what happened before a moment: what is heard of later may have happened earlier."""
        with self._lock:
            while self._pending and self._pending[0][0] < before:
                moment, _, who, what, kind = heapq.heappop(self._pending)
                line = Text(f"{moment - self.began:7.2f} s  {who:<10} {what}", style=STYLES.get(kind, ""))
                self.lines.append(line)
                if self._live is None and not self.quiet:
                    self.console.print(line, soft_wrap=True)
            if self._live is not None:
                self._live.update(self._view())

    def show(self, rows: Sequence[Row]) -> None:
        """Show how every VM fares now."""
        with self._lock:
            self.rows = rows
            if self._live is not None:
                self._live.update(self._view())

    def _view(self) -> Group:
        table = Table(expand=True, box=None, header_style="bold")
        columns: tuple[tuple[str, Callable[[Row], str]], ...] = (
            ("VM", lambda r: r.vm),
            ("does", lambda r: r.does),
            ("sends", lambda r: f"{r.sends / 1e6:6.1f} Mbit/s"),
            ("port 25", lambda r: r.port_25),
            ("state", lambda r: r.state),
            ("until", lambda r: r.until),
            ("dropped", lambda r: f"{r.dropped:,}" if r.dropped else ""),
        )
        for name, _ in columns:
            table.add_column(name, justify="right" if name in ("sends", "dropped") else "left")
        for row in self.rows:
            table.add_row(
                *(read(row) for _, read in columns), style="" if row.state == "free" else "bold red"
            )
        story = Group(*self.lines) if self.lines else Text("…")
        return Group(
            Panel(table, title=self.title), Panel(story, title="the story"), Text(self.hint, style="dim")
        )
