"""How an archive behaves, whatever ClickHouse it stands on.

A test module runs each of `CHECKS` with a store whose tables are empty, and a folder of its own::

    @pytest.mark.parametrize("check", CHECKS, ids=name)
    def test_archive(check: Check, store: Store, tmp_path: Path) -> None:
        check(store, tmp_path)
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import numpy as np

from sekisho.archive import curious, questions, replay, shapes
from sekisho.archive.loader import Loader
from sekisho.archive.settings import SpoolSettings, SqlLimits, TapSettings
from sekisho.archive.store import ask
from sekisho.archive.tap import Tap
from sekisho.model.errors import Malformed
from sekisho.model.inventory import Host, Inventory, Subject, Telemetry
from sekisho.model.report import ExporterReport
from sekisho.tables import FLAGS_KNOWN, FlowBatch, map_v4

if TYPE_CHECKING:
    from sekisho.archive.store import Store

Check: TypeAlias = Callable[["Store", Path], None]
CHECKS: list[Check] = []

BEGIN = 1_790_000_040.0  # the beginning of a minute
HOUR = 3600.0
HOSTS = (Host("h1", ("192.0.2.1",), (Telemetry("br-int", "sflow", 100),)),)


def check(function: Check) -> Check:
    """Let a function be one of the checks."""
    CHECKS.append(function)
    return function


def name(function: Check) -> str:
    """Name a check, as a test's id."""
    return getattr(function, "__name__", "check")


# --- what the checks are made of ---------------------------------------------------------------


def inventory(count: int = 3, version: int = 1) -> Inventory:
    """Make an inventory of subjects port-0, port-1 and so on, of two projects on one host."""
    subjects = tuple(
        Subject(f"port-{n}", "h1", f"project-{n % 2}", f"vm-{n}", bridge="br-int", addresses=(f"10.0.0.{n}",))
        for n in range(count)
    )
    return Inventory(version, HOSTS, subjects)


def batch(
    time: float,
    sender: Sequence[int],
    receiver: Sequence[int] = (),
    octets: float = 1000.0,
    port: int = 443,
    rate: float = 100.0,
    flags: int = 0x10,
    *,
    exact: bool = False,
) -> FlowBatch:
    """Make one row per sender: TCP from port 40000 to a service, one sampled packet each."""
    rows = FlowBatch.empty(len(sender))
    rows.time[:] = time
    rows.ip_version[:] = 4
    rows.src_lo[:] = map_v4(np.array([0x0A00_0000 + max(s, 0) for s in sender], np.uint32))
    rows.dst_lo[:] = map_v4(np.arange(len(sender), dtype=np.uint32) + 0xC633_6401)
    rows.protocol[:] = 6
    rows.src_port[:], rows.dst_port[:] = 40000, port
    rows.tcp_flags[:] = flags | FLAGS_KNOWN
    rows.rate[:] = rate
    rows.packets[:] = rate
    rows.bytes[:] = octets * rate
    rows.sender[:] = sender
    rows.receiver[:] = receiver or [-1] * len(sender)
    rows.dst_internet[:] = True
    rows.exact[:] = exact
    return rows


def exporter(row: int) -> ExporterReport:
    """Tell of an exporter."""
    return ExporterReport(f"192.0.2.{row + 1}", "sflow", domain=row)


def tap(folder: Path, now: float = BEGIN, most_bytes: int = 1_000_000_000, every: float = 5.0) -> Tap:
    """Make a tap into a folder."""
    return Tap(
        TapSettings(True, every=every, spool=SpoolSettings(str(folder), most_bytes)), "test", now, exporter
    )


def kept(store: Store, folder: Path, batches: Sequence[FlowBatch], count: int = 3) -> Loader:
    """Take batches the whole way: tap, spool, store."""
    filling = tap(folder)
    filling.meet(inventory(count), BEGIN)
    for each in batches:
        filling.put(each)
        filling.close(float(each.time[-1]) + 0.5)
    filling.finish()
    loader = Loader(store, str(folder))
    loader.look()
    return loader


def _refused(store: Store, question: str) -> str:
    try:
        curious.sql(store, question, 10, SqlLimits())
    except Malformed as error:
        return error.asker
    raise AssertionError(question)


# --- checks --------------------------------------------------------------------------------------


@check
def the_greatest_of_a_span_are_found(store: Store, folder: Path) -> None:
    """By subject, by protocol, by port; strangers count for nobody."""
    loader = kept(store, folder, [batch(BEGIN + n, [0, 1, 1, -1], [2, -1, -1, 1]) for n in range(90)])
    assert loader.waiting() == (0, 0)
    assert loader.bad == 0
    top = questions.top(store, BEGIN, BEGIN + 120, "egress_bytes", 10, "subject")
    assert [(t.name, t.egress_bytes, t.ingress_bytes) for t in top.items] == [
        ("port-1", 18_000_000.0, 9_000_000.0),
        ("port-0", 9_000_000.0, 0.0),
        ("port-2", 0.0, 9_000_000.0),
    ]
    assert (top.total.egress_bytes, top.total.ingress_packets) == (27_000_000.0, 18_000.0)
    assert [t.name for t in questions.top(store, BEGIN, BEGIN + 120, "egress_bytes", 1, "port").items] == [
        "tcp/443"
    ]
    assert questions.top(store, BEGIN + HOUR, BEGIN + 2 * HOUR, "egress_bytes", 5, "protocol").items == ()


def _by_hand(batches: Sequence[FlowBatch], since: float, until: float) -> dict[str, tuple[float, float]]:
    """Add up the octets that each subject sent and was sent in a span, row by row."""
    found: dict[str, tuple[float, float]] = {}
    for each in batches:
        here = (each.time >= since) & (each.time < until) & ~each.exact
        for at in np.flatnonzero(here).tolist():
            for side, row in enumerate((int(each.sender[at]), int(each.receiver[at]))):
                if row >= 0:
                    sums = [*found.get(f"port-{row}", (0.0, 0.0))]
                    sums[side] += float(each.bytes[at])
                    found[f"port-{row}"] = (sums[0], sums[1])
    return found


@check
def any_span_is_summed_as_its_raw_rows_are(store: Store, folder: Path) -> None:
    """Minutes, hours and the rows at its ends together count each row once, whatever the ends are."""
    rng = np.random.default_rng(4)
    times = BEGIN + np.sort(np.round(rng.uniform(0, 5 * 86400.0, 400) * 4) / 4)
    batches = [
        batch(at, rng.integers(-1, 3, 4).tolist(), rng.integers(-1, 3, 4).tolist(), exact=n % 3 == 0)
        for n, at in enumerate(times.tolist())
    ]
    filling = tap(folder)
    filling.meet(inventory(), BEGIN)
    for each in batches:
        filling.put(each)
    filling.finish()
    Loader(store, str(folder)).look()
    # From the moment of one row up to that of another, or just past it; of three days and more too.
    for first, last, past in ((9, 9, 0.25), (10, 12, 0.0), (33, 36, 0.25), (40, 130, 0.25), (6, 330, 0.25)):
        since, until = float(times[first]), float(times[last]) + past
        told = _by_hand(batches, since, until)
        found = questions.top(store, since, until, "egress_bytes", 10, "subject")
        assert (found.since, found.until) == (since, until)
        assert {t.name: (t.egress_bytes, t.ingress_bytes) for t in found.items} == told
        assert found.total.egress_bytes == sum(sent for sent, _ in told.values())
        assert found.total.ingress_bytes == sum(got for _, got in told.values())
        one = questions.subject_flows(store, "port-1", since, until, 10).total
        assert (one.egress_bytes, one.ingress_bytes) == told.get("port-1", (0.0, 0.0))


@check
def a_span_whose_raw_rows_are_gone_is_widened(store: Store, folder: Path) -> None:
    """To whole minutes, and where those are gone too, to whole hours; what is kept still is exact."""
    kept(store, folder, [batch(BEGIN + at, [0]) for at in (5.0, 50.0, 3605.0, 4 * 86400.0 + 5.0)])

    def asked(since: float, until: float) -> tuple[float, float, float]:
        found = questions.top(store, BEGIN + since, BEGIN + until, "egress_bytes", 1, "protocol")
        return found.since - BEGIN, found.until - BEGIN, found.total.egress_bytes / 100_000.0

    late = 4 * 86400.0
    assert asked(10.0, 55.0) == (10.0, 55.0, 1.0)
    before = f"time < toDateTime64({BEGIN + late}, 6, 'UTC')"
    store.run(f"ALTER TABLE {shapes.FLOWS} DELETE WHERE {before} SETTINGS mutations_sync = 2")
    assert asked(10.0, 55.0) == (0.0, 60.0, 2.0)
    assert asked(10.0, late + 64.0) == (0.0, late + 64.0, 4.0)
    assert asked(late + 5.0, late + 6.0) == (late + 5.0, late + 6.0, 1.0)
    # Of a minute whose first rows may have gone nobody knows but the whole.
    assert asked(late + 3.0, late + 6.0) == (late, late + 60.0, 1.0)
    store.run(f"ALTER TABLE {shapes.MINUTES} DELETE WHERE {before} SETTINGS mutations_sync = 2")
    hour = BEGIN // HOUR * HOUR - BEGIN
    assert asked(10.0, late + HOUR + 4.0) == (hour, late + HOUR + 4.0, 4.0)


@check
def a_series_has_an_entry_for_every_step(store: Store, folder: Path) -> None:
    """In minutes and in hours, zeros where nothing was seen."""
    kept(store, folder, [batch(BEGIN + n * 60 + 1, [1]) for n in (0, 1, 3, 70)])
    found = questions.series(store, "port-1", BEGIN, BEGIN + 300, 60)
    assert found.egress_bytes == (100_000.0, 100_000.0, 0.0, 100_000.0, 0.0)
    assert found.ingress_packets == (0.0,) * 5
    first = BEGIN // HOUR * HOUR
    assert sum(questions.series(store, "port-1", first, first + 3 * HOUR, HOUR).egress_packets) == 400.0
    assert sum(questions.series(store, "", BEGIN, BEGIN + 300, 60).egress_bytes) == 300_000.0
    assert questions.series(store, "nobody", BEGIN, BEGIN + 60, 60).egress_bytes == (0.0,)


@check
def a_subject_s_far_ends_are_told(store: Store, folder: Path) -> None:
    """Those it sent to and those that sent to it."""
    kept(store, folder, [batch(BEGIN + 1, [0, 0], [-1, 1]), batch(BEGIN + 2, [0], port=25)])
    found = questions.subject_flows(store, "port-0", BEGIN, BEGIN + 60, 10)
    assert found.total.egress_bytes == 300_000.0
    assert {(f.address, f.protocol, f.port, f.egress_packets) for f in found.far} == {
        ("198.51.100.1", 6, 443, 100.0),
        ("198.51.100.2", 6, 443, 100.0),
        ("198.51.100.1", 6, 25, 100.0),
    }
    other = questions.subject_flows(store, "port-1", BEGIN, BEGIN + 60, 10)
    assert [(f.address, f.ingress_bytes) for f in other.far] == [("10.0.0.0", 100_000.0)]


@check
def a_block_that_is_loaded_again_changes_nothing(store: Store, folder: Path) -> None:
    """Killed between loading and letting go of the file: the rollups count it once too."""
    filling = tap(folder)
    filling.meet(inventory(), BEGIN)
    filling.put(batch(BEGIN + 1, [0, 1, 2]))
    filling.close(BEGIN + 2)
    filling.finish()
    again = {file: file.read_bytes() for file in folder.glob("*.native")}
    Loader(store, str(folder)).look()
    for file, raw in again.items():
        file.write_bytes(raw)
    Loader(store, str(folder)).look()
    assert ask(store, "SELECT count() FROM flows").rows == ((3,),)
    assert ask(store, "SELECT sum(rows) FROM flows_minute").rows == ((3,),)
    assert ask(store, "SELECT sum(rows) FROM flows_hour").rows == ((3,),)


@check
def exact_rows_are_kept_and_are_no_volume(store: Store, folder: Path) -> None:
    """What was told exactly was sampled too: it counts once."""
    kept(store, folder, [batch(BEGIN + 1, [0], exact=True), batch(BEGIN + 1, [0])])
    assert ask(store, "SELECT countIf(exact), count() FROM flows").rows == ((1, 2),)
    assert questions.subject_flows(store, "port-0", BEGIN, BEGIN + 60, 5).total.egress_bytes == 100_000.0


@check
def rows_are_given_as_files(store: Store, folder: Path) -> None:
    """With names and addresses as people write them."""
    kept(store, folder, [batch(BEGIN + 1, [0, 1], [1, -1])])
    media, body = questions.export(store, BEGIN, BEGIN + 60, subject="", form="csv", limit=10)
    rows = list(csv.DictReader(io.StringIO(body.decode())))
    assert media == "text/csv"
    assert [(r["sender"], r["receiver"], r["src"], r["dst"], r["exporter"]) for r in rows] == [
        ("port-0", "port-1", "10.0.0.0", "198.51.100.1", "192.0.2.1"),
        ("port-1", "", "10.0.0.1", "198.51.100.2", "192.0.2.1"),
    ]
    _, parquet = questions.export(store, BEGIN, BEGIN + 60, subject="port-1", form="parquet", limit=10)
    assert parquet[:4] == parquet[-4:] == b"PAR1"


@check
def people_may_read_and_nothing_else(store: Store, folder: Path) -> None:
    """One SELECT over our tables; no files, no network, no settings, no other database, no writing."""
    kept(store, folder, [batch(BEGIN + 1, [0, 1])])
    found = curious.sql(store, "SELECT protocol, count() AS n FROM flows GROUP BY protocol", 10, SqlLimits())
    assert (found.columns, found.rows, found.cut) == (("protocol", "n"), ((6, 2),), False)
    assert curious.sql(store, "WITH x AS (SELECT 1 AS a) SELECT * FROM x;", 10, SqlLimits()).rows == ((1,),)
    assert curious.sql(store, "SELECT number FROM numbers(9)", 3, SqlLimits()).cut
    for question in (
        "SELECT * FROM file('/etc/passwd', 'LineAsString')",
        "SELECT file('/etc/passwd')",
        "SELECT * FROM flows WHERE 1 IN (SELECT 1 FROM url('http://192.0.2.1/x'))",
        "SELECT * FROM system.tables",
        "SELECT * FROM `system`.`parts`",
        "SELECT 1 IN system.one",
        "SELECT 1 SETTINGS readonly = 0",
        "SELECT 1) ; SELECT file('/etc/passwd') FROM (SELECT 1",
        "SELECT sleep(3)",
        "DROP TABLE flows",
        "INSERT INTO flows SELECT * FROM flows",
        "SELECT * FROM remote('192.0.2.1', system.one)",
        "SELECT nonsense FROM flows",
    ):
        assert _refused(store, question), question
    assert ask(store, "SELECT count() FROM flows").rows == ((2,),)


@check
def what_a_failed_question_answered_is_nobody_else_s(store: Store, folder: Path) -> None:
    """One that fails half-way has answered something: the next answer is its own alone."""
    kept(store, folder, [batch(BEGIN + 1, [0])])
    for limits in ({}, SqlLimits().settings()):
        try:
            ask(store, "SELECT throwIf(number = 3000000) FROM numbers(5000000)", None, limits)
        except Malformed:
            assert ask(store, "SELECT 7", None, limits).rows == ((7,),)
        else:
            raise AssertionError("it did not fail")


@check
def a_spoiled_block_holds_up_nobody(store: Store, folder: Path) -> None:
    """It is set aside, and what comes after it is loaded."""
    filling = tap(folder, every=0.5)
    for second in (1, 2):
        filling.put(batch(BEGIN + second, [-1]))
        filling.close(BEGIN + second)
        filling.work(0.0)
    filling.finish()
    first = min(folder.glob("*-flows-*.native"))
    first.write_bytes(first.read_bytes()[:-20])
    loader = Loader(store, str(folder))
    loader.look()
    assert loader.bad == 1
    assert ask(store, "SELECT count() FROM flows").rows == ((1,),)
    assert [f.name for f in folder.glob("*.bad")] == [first.name + ".bad"]


@check
def rows_come_back_as_they_were_heard(store: Store, folder: Path) -> None:
    """In their order, with the inventory and the seconds they were judged by."""
    batches = [batch(BEGIN + n * 0.25, [n % 3], [2], octets=n) for n in range(40)]
    kept(store, folder, batches)
    told = FlowBatch.concat(batches)
    outline = replay.outline(store, BEGIN, BEGIN + 60)
    assert (outline.rows, len(outline.chunks)) == (40, 1)
    found = replay.heard(store, outline.chunks[0], BEGIN, BEGIN + 60)
    for column in replay.COLUMNS:
        if column not in shapes.KEYED:
            assert np.array_equal(getattr(found.batch, column), getattr(told, column)), column
    known = replay.inventories(store, BEGIN, BEGIN + 60)
    assert [k.inventory.subjects for k in known] == [inventory().subjects]
    assert np.array_equal(known[0].rows_of(found.sender), told.sender)
    assert np.array_equal(known[0].rows_of(found.receiver), told.receiver)
    moments = replay.moments(store, BEGIN, BEGIN + 60)
    assert moments is not None
    assert moments.tolist() == [float(b.time[0]) + 0.5 for b in batches]
