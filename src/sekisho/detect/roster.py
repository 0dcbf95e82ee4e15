"""Slots: a number for each subject that stays while inventories come and go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from sekisho.model.inventory import Inventory, Subject
    from sekisho.tables import I32, I64, Bool


class Roster:
    """row_slot: int64[rows + 1], slot of each inventory row; the last, reached by row -1, is -1.

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

    def __len__(self) -> int:
        return len(self.ids)

    def replace(self, inventory: Inventory, now: float) -> None:
        """Renumber the rows; who was known keeps its slot, who left is remembered for a while."""
        slots = [self._slot(subject) for subject in inventory.subjects]
        self.row_slot = np.array([*slots, -1], np.int64)
        exact = {
            (host.name, telemetry.bridge)
            for host in inventory.hosts
            for telemetry in host.telemetry
            if telemetry.exact_domain
        }
        hosts = {host for host, _ in exact}
        self.told = np.array(
            [(s.host, s.bridge) in exact if s.bridge else s.host in hosts for s in inventory.subjects]
            + [False],
            np.bool_,
        )
        self._mark(np.array(slots, np.int64), now)

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

    def _mark(self, slots: I64, now: float) -> None:
        before, self.present = self.present, np.zeros(len(self.ids), np.bool_)
        self.present[slots] = True
        gone = np.flatnonzero(before & ~self.present[: len(before)])
        self._absent |= dict.fromkeys(gone.tolist(), now)
        for slot in [s for s in self._absent if self.present[s]]:
            del self._absent[slot]

    def expire(self, before: float) -> I64:
        """Free the slots of those who left before then; the caller forgets them."""
        slots = [slot for slot, since in self._absent.items() if since < before]
        for slot in slots:
            del self._absent[slot]
            del self.slot_of[self.ids[slot]]
            self.ids[slot], self.subjects[slot] = "", None
            self._free.append(slot)
        return np.array(slots, np.int64)

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
