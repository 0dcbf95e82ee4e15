"""What was there in a span, version by version, without a table for each of them."""

from __future__ import annotations

import json
import tracemalloc

import numpy as np

from sekisho.archive import keys, replay
from sekisho.model.inventory import Subject
from sekisho.model.plain import to_plain
from support_archive import BEGIN, inventory

SUBJECTS, VERSIONS = 300, 60


def rows() -> list[tuple[float, str, str, Subject | None]]:
    """Give everybody at first, and somebody more in each version after that."""
    everybody = inventory(SUBJECTS + VERSIONS).subjects
    first = [(BEGIN, "subject", s.id, s) for s in everybody[:SUBJECTS]]
    more = [(BEGIN + n, "subject", s.id, s) for n, s in enumerate(everybody[SUBJECTS:], 1)]
    return [(BEGIN, "whole", "", None), *first, *more]


def columns() -> dict[str, np.ndarray]:
    time, kind, name, who = zip(*rows(), strict=True)
    body = [json.dumps(to_plain(each)) if each else "" for each in who]
    return {
        "time": (np.array(time) * 1e6).astype(np.int64),
        "collector": np.array(["c"] * len(time), object),
        "kind": np.array(kind, object),
        "name": np.array(name, object),
        "body": np.array(body, object),
    }


def test_an_inventory_of_the_past_takes_no_table_before_rows_are_asked_of_it() -> None:
    found = columns()
    tracemalloc.start()
    try:
        known = list(replay._inventories(found))
        held = tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()
    table = keys.places(keys.keys(s.id for s in known[0].inventory.subjects)).first.nbytes
    assert len(known) == VERSIONS + 1
    assert held < VERSIONS * table / 4
    wanted = keys.keys([f"port-{SUBJECTS}"])
    assert known[0].rows_of(wanted).tolist() == [-1, -1]
    assert known[1].rows_of(wanted).tolist() == [SUBJECTS, -1]
