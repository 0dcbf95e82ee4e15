"""The collector's bench: what it sends is what it says, everybody is measured alike, nothing gets lost."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

import collector
import ring
import soak
from contenders import contender
from contenders.ours import Sekisho
from contenders.trial import Load, Result, trial
from road import Road, burst_of, learn
from sekisho.flows.decode import Decoder
from sekisho.flows.exporters import Exporters
from sekisho.flows.receive import Receiver, ReceiveSettings
from support_ring import has_ring
from traffic.cloud import Cloud
from traffic.rings import Watched, rings
from traffic.sender import Sender, Sent, queued, teach
from traffic.streams import Stream, stream, streams

if TYPE_CHECKING:
    from collections.abc import Sequence

    from contenders.contender import Contender

CLOUD = Cloud(999, 3)  # as many on each host


@pytest.mark.parametrize("name", streams())
def test_every_datagram_holds_the_records_it_says(name: str) -> None:
    made, road = stream(name, CLOUD, 16), Road(CLOUD)
    learn(road, made, CLOUD.exporters)
    road.take(burst_of(made.datagrams, CLOUD.exporters))
    assert road.tally.records == sum(made.records) > 0


@pytest.mark.parametrize("name", [name for name in streams() if not name.endswith("_ovs")])
def test_all_that_is_sent_belongs_to_a_subject(name: str) -> None:
    """Else the windows would have nothing to do and the figure would lie."""
    made, road = stream(name, CLOUD, 16), Road(CLOUD)
    learn(road, made, CLOUD.exporters)
    road.take(burst_of(made.datagrams, CLOUD.exporters))
    assert road.tally.ours == road.tally.records


def sending(
    made: Stream,
    port: int,
    exporters: int,
    window: int,
    *,
    seconds: float = 20.0,
    most: int = 0,
    shared: Sequence[Watched] = (),
) -> Sent:
    sender = Sender(made, port, exporters, 0.0, window, shared)
    try:
        return sender.run(seconds, most)
    finally:
        sender.close()


@pytest.mark.parametrize("name", ["sflow", "netflow5", "netflow9_mixed", "ipfix_mixed", "ipfix_ovs"])
def test_exporters_number_what_they_send(name: str) -> None:
    """Each exporter's sequence numbers go on from round to round: no loss is seen where none is."""
    receiver, exporters = Receiver(ReceiveSettings(ports=(0,))), Exporters()
    decoder, made = Decoder(exporters), stream(name, CLOUD, 64)
    port = receiver.addresses[0][1]
    try:
        teach(made, port, CLOUD.exporters)
        told = sending(made, port, CLOUD.exporters, 0, most=1200)  # more than two rounds
        records = 0
        while (burst := receiver.receive(1000.0)) is not None:
            records += len(decoder.decode(burst, 1000.0))
        assert told.datagrams == 1200
        assert records == told.records
        reports = exporters.report()
        assert {report.address for report in reports if report.records} == {f"127.0.1.{i}" for i in range(3)}
        assert [(report.lost, report.late, report.restarted) for report in reports if report.records] == [
            (0, 0, 0)
        ] * 3
    finally:
        receiver.close()


@pytest.mark.parametrize("method", ["recvmmsg", *(["ring"] if has_ring() else [])])
def test_the_sender_waits_for_who_receives(method: str) -> None:
    before = rings(os.getpid())
    receiver, made = Receiver(ReceiveSettings(ports=(0,), method=method)), stream("netflow9", CLOUD)
    shared = [Watched(number) for number in rings(os.getpid()) if number not in before]
    assert len(shared) == (method == "ring")
    port = receiver.addresses[0][1]
    try:
        sent = sending(made, port, 1, 256 << 10, seconds=0.5, shared=shared)
        # Nobody took anything: at most so much stands there, and the rest was never sent.
        assert 128 << 10 < queued(port, shared) <= 256 << 10
        assert 0 < sent.datagrams < 512
    finally:
        receiver.close()


def test_processor_time_is_that_of_the_whole_tree() -> None:
    burn = "import time\nwhile time.process_time() < 0.3: pass"
    child = f"import subprocess, sys; subprocess.run([sys.executable, '-c', {burn!r}])"
    program = f"{child}; print('done', flush=True); input()"
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.stdout.readline()
        assert contender.cpu(process.pid) >= 0.3
        process.communicate(b"\n")


@pytest.mark.timeout(300)
def test_the_whole_of_it_once(capsys: pytest.CaptureFixture[str]) -> None:
    collector.main(
        [
            "--datagrams",
            "300",
            "--protocols",
            "netflow9",
            "--subjects",
            "500",
            "--no-peers",
            "--json",
            "--warm=0.2",
        ]
    )
    told = json.loads(capsys.readouterr().out)
    assert told["machine"]["cores"] > 0
    for figures in (
        told["netflow9"],
        told["netflow9"]["by_recvmmsg"],
        told["netflow9"]["without_detectors"],
        told["netflow9"]["recvmmsg_alone"],
    ):
        assert figures["records_sent"] == 300 * 28
        assert figures["records_lost"] == 0
        assert figures["resident_bytes"] > 0
    assert set(told["netflow9"]["nanoseconds_per_record"]) == {"decode", "resolve", "detect"}


@pytest.mark.parametrize("peer", collector.PEERS, ids=lambda peer: peer.name)
def test_a_peer_hears_all_that_is_sent(peer: Contender) -> None:
    if peer.missing():
        pytest.skip(f"{peer.missing()} is not installed")
    result = trial(peer, "netflow9", Cloud(500), Load(seconds=20.0, datagrams=400, pace=400))
    assert (result.sent, result.lost) == (400 * 28, 0)


def a_result(sent: int, heard: int) -> Result:
    return Result(sent, heard, sent, 1.0, 1.0, 1 << 20, {})


def test_who_loses_is_measured_again_at_a_pace_it_can_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    paces = []

    def measured(_who: Contender, _name: str, _cloud: Cloud, load: Load) -> Result:
        paces.append(load.pace)
        sent = round(load.pace or 1000)
        return a_result(sent, min(sent, 300))

    monkeypatch.setattr(collector, "trial", measured)
    result = collector.fair_trial(Sekisho(CLOUD), "netflow9", CLOUD, Load())
    assert paces[0] == 0
    assert 0 < paces[-1] < 300
    assert result.lost == 0


def test_people_get_a_table() -> None:
    ours, alone, peer = (
        collector.figures(replace(a_result(2_000_000, heard), cpu_seconds=0.5))
        for heard in (2_000_000, 1_000_000, 500_000)
    )
    others = {"by_recvmmsg": alone, "without_detectors": ours, "recvmmsg_alone": alone}
    told = {"sflow": {**ours, **others, "peers": {"pmacct": peer}}}
    assert collector.table(told).splitlines() == [
        "| | sflow | what it does |",
        "|---|---|---|",
        "| sekisho | 4.00 | decodes, resolves, counts, judges |",
        "| by recvmmsg | 2.00 (2.0 x), lost 50.0% | the same, without the ring |",
        "| without detectors | 4.00 (1.0 x) | the same without detectors |",
        "| recvmmsg alone | 2.00 (2.0 x), lost 50.0% | nothing |",
        "| pmacct | 1.00 (4.0 x), lost 75.0% | sums by address and port |",
    ]


@pytest.mark.skipif(not has_ring(), reason="the kernel shares no ring with whoever runs this")
def test_both_ways_to_receive_are_measured(capsys: pytest.CaptureFixture[str]) -> None:
    ring.main(["--streams", "netflow9", "--rounds", "3", "--datagrams", "50", "--json"])
    told = json.loads(capsys.readouterr().out)["netflow9"]
    assert set(told) == {"recvmmsg", "ring"}
    assert all(way["comes_in"] > 0 and way["received"] > 0 for way in told.values())


@pytest.mark.timeout(300)
def test_a_collector_that_is_not_overloaded_hears_and_keeps_everything(
    capsys: pytest.CaptureFixture[str],
) -> None:
    soak.main(
        [
            *("steady", "--seconds=1.5", "--measure=0.3", "--share=0.1", "--subjects=500", "--exporters=3"),
            "--json",
        ]
    )
    told = json.loads(capsys.readouterr().out)["steady"]
    assert told["datagrams_received"] == told["datagrams_sent"] > 0
    assert told["records_kept"] == told["records_counted"] == told["records_sent"]
    assert told["records_not_kept"] == 0


@pytest.mark.timeout(300)
def test_an_overloaded_collector_accounts_for_every_datagram(capsys: pytest.CaptureFixture[str]) -> None:
    soak.main(["overload", "--overload-seconds", "1", "--subjects", "500", "--exporters", "3", "--json"])
    told = json.loads(capsys.readouterr().out)["overload"]
    assert told["datagrams_sent"] > 0
    assert told["datagrams_unaccounted_for"] == 0


def test_a_tick_is_measured(capsys: pytest.CaptureFixture[str]) -> None:
    soak.main(["tick", "--tick-subjects", "300", "--ticks", "3"])
    assert capsys.readouterr().out.startswith("tick\n  subjects")


def test_an_unknown_program_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        soak.main(["ticks"])
    assert "no such program: ticks; there are steady, overload" in capsys.readouterr().err
