"""Slots: a number for each subject that stays while inventories come and go."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sekisho.model.inventory import Inventory, Subject
    from sekisho.tables import I32, I64, Bool


class Roster:
    """One inventory's rows and the slots of its subjects; `after` makes the next one's.

    row_slot: int64[rows + 1], slot of each inventory row; the last, reached by row -1, is -1.
    present: bool[slots], in the inventory now; told: bool[rows + 1], its switch tells SMTP exactly;
    ids and subjects by slot, "" and None where free.
    """

    def __init__(self) -> None:
        self.slot_of: dict[str, int] = {}
        self.ids: list[str] = []
        self.subjects: list[Subject | None] = []
        self.row_slot: I64 = np.array([-1])
        self.told: Bool = np.zeros(1, np.bool_)
        self.present: Bool = np.zeros(0, np.bool_)
        self._absent: dict[int, float] = {}
        self._free: list[int] = []
        self._lock = threading.Lock()
        self._held = False

    def __len__(self) -> int:
        return len(self.ids)

    def after(self, inventory: Inventory, now: float) -> Roster:
        """Give the roster of another inventory: who was known keeps its slot, who left is remembered.

        This one answers as before, also while another thread is at it, but nobody is forgotten here any
        more: a slot that the next one counts on must not be given up meanwhile. See `release`.
        """
        with self._lock:
            self._held = True
        made = Roster()
        made.slot_of, made.ids, made.subjects = self.slot_of.copy(), self.ids.copy(), self.subjects.copy()
        made._absent, made._free = self._absent.copy(), self._free.copy()
        slots = np.array([made._slot(subject) for subject in inventory.subjects], np.int64)
        made.row_slot = np.append(slots, -1)
        made.told = _told(inventory)
        made._mark(slots, self.present, now)
        return made

    def release(self) -> None:
        """Forget as before: what was made by `after` is not taken."""
        self._held = False

    def _slot(self, subject: Subject) -> int:
        slot = self.slot_of.get(subject.id)
        if slot is None:
            slot = self._free.pop() if self._free else len(self.ids)
            if slot == len(self.ids):
                self.ids.append("")
                self.subjects.append(None)
            self.ids[slot] = subject.id
            self.slot_of[subject.id] = slot
        self.subjects[slot] = subject
        return slot

    def _mark(self, slots: I64, before: Bool, now: float) -> None:
        self.present = np.zeros(len(self.ids), np.bool_)
        self.present[slots] = True
        gone = np.flatnonzero(before & ~self.present[: len(before)])
        self._absent |= dict.fromkeys(gone.tolist(), now)
        for slot in [s for s in self._absent if self.present[s]]:
            del self._absent[slot]

    def expire(self, before: float) -> I64:
        """Free the slots of those who left before then; the caller forgets them."""
        slots: list[int] = []
        if self._absent and self._lock.acquire(blocking=False):
            try:
                if not self._held:
                    slots = [slot for slot, since in self._absent.items() if since < before]
                    self._give_up(slots)
            finally:
                self._lock.release()
        return np.array(slots, np.int64)

    def _give_up(self, slots: list[int]) -> None:
        for slot in slots:
            del self._absent[slot]
            del self.slot_of[self.ids[slot]]
            self.ids[slot], self.subjects[slot] = "", None
            self._free.append(slot)

    def slots(self, rows: I32) -> I64:
        """Give the slot of each inventory row; -1 for -1 and for rows this inventory does not have."""
        return self.row_slot[self._known(rows)]

    def tells(self, rows: I32) -> Bool:
        """Give for each inventory row whether its SMTP is told exactly."""
        return self.told[self._known(rows)]

    def _known(self, rows: I32) -> I32:
        # A batch resolved against a longer inventory, just before it was replaced.
        last = len(self.row_slot) - 1
        return np.where((rows < last) & (rows >= 0), rows, -1)


def _told(inventory: Inventory) -> Bool:
    """Give for each row, and for none, whether the switch behind it tells SMTP exactly."""
    exact = {
        (host.name, telemetry.bridge)
        for host in inventory.hosts
        for telemetry in host.telemetry
        if telemetry.exact_domain
    }
    hosts = {host for host, _ in exact}
    told = [(s.host, s.bridge) in exact if s.bridge else s.host in hosts for s in inventory.subjects]
    return np.array([*told, False], np.bool_)
