"""What goes wrong on command, for tests: each stays until it has happened or is taken back."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

from sekisho.testing.nexus.refusal import Refusal


@dataclass(slots=True)
class Faults:
    """Orders to fail.

    `config_line`: refuse the Nth configuration line from now, 1 is the next; `dme_object`: refuse the Nth
    object of what is posted, with those before it done. `slow`: seconds before each answer. `drop_after`:
    close the connection instead of answering the Nth request from now, after it was carried out, or before
    if `drop_undone`. `unreachable`: close every connection at once. `locked_by`: who holds the configuration.
    `reboot_at_line`: restart at the Nth configuration line from now. `rollback_fails`, `save_fails`: what the
    box says instead of doing it. `hold` makes answers wait until it is set.
    """

    config_line: int = 0
    config_says: str = "ERROR: internal error"
    dme_object: int = 0
    slow: float = 0.0
    drop_after: int = 0
    drop_undone: bool = False
    unreachable: bool = False
    locked_by: str = ""
    rollback_fails: str = ""
    save_fails: str = ""
    reboot_at_line: int = 0
    hold: threading.Event | None = None
    _never: threading.Event = field(default_factory=threading.Event)

    def line(self, _line: str) -> None:
        """Count a configuration line; raises Refusal at the one that was to fail."""
        if self.config_line:
            self.config_line -= 1
            if not self.config_line:
                raise Refusal(self.config_says)

    def object(self) -> None:
        """Count an object of a posted tree; raises Refusal at the one that was to fail."""
        if self.dme_object:
            self.dme_object -= 1
            if not self.dme_object:
                raise Refusal("internal error, commit failed")

    def wait(self) -> None:
        """Be slow, if that was ordered."""
        if self.slow:
            self._never.wait(self.slow)
        if self.hold is not None:
            self.hold.wait(30.0)

    def drops(self) -> bool:
        """Count a request; tells whether its answer must not be given."""
        if self.drop_after:
            self.drop_after -= 1
            return not self.drop_after
        return False
