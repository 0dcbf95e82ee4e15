"""Any octets at all: never an exception, never more memory than the settings say."""

from __future__ import annotations

import random
import struct
import subprocess
import sys
import tracemalloc
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import support_datagrams as wire
import support_fuzz as fuzz
from sekisho.flows.wire import templates

INTERESTING = (0, 1, 2, 3, 4, 5, 7, 8, 0xFF, 0x100, 0x7FFF, 0x8000, 0xFFFE, 0xFFFF, 0x7FFF_FFFF, 0xFFFF_FFFF)
QUICK = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])

beginnings = st.sampled_from([b"\0\0\0\5", b"\0\5", b"\0\x09", b"\0\x0a", b"\0\0\0\5\0\0\0\1", b""])
arbitrary = st.builds(bytes.__add__, beginnings, st.binary(max_size=400))


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A good datagram with some fields overwritten, cut, repeated, or continued by another."""
    datagram = bytearray(draw(st.sampled_from(fuzz.seeds())))
    for _ in range(draw(st.integers(0, 6))):
        at = draw(st.integers(0, max(len(datagram) - 1, 0)))
        match draw(st.integers(0, 4)):
            case 0:
                datagram[at : at + 1] = draw(st.binary(min_size=1, max_size=1))
            case 1:
                value = draw(st.sampled_from(INTERESTING))
                width = draw(st.sampled_from([1, 2, 4]))
                datagram[at : at + width] = (value % (1 << 8 * width)).to_bytes(width)
            case 2:
                del datagram[at:]
            case 3:
                datagram += datagram[at : at + 200]
            case _:
                datagram[at:] = draw(st.sampled_from(fuzz.seeds()))[at:]
    return bytes(datagram[: fuzz.SLOT])


bursts = st.lists(st.lists(arbitrary | mutated(), max_size=12), min_size=1, max_size=3)


@given(bursts)
@QUICK
def test_no_octets_raise_or_break_a_bound(heard: list[list[bytes]]) -> None:
    ear = fuzz.decoder()
    for second, datagrams in enumerate(heard):
        fuzz.hear(ear, datagrams, 1000.0 + second)


@given(st.lists(mutated(), min_size=1, max_size=8), st.randoms(use_true_random=False))
@QUICK
def test_neighbours_are_heard_all_the_same(bad: list[bytes], chance: random.Random) -> None:
    """What is wrong with one datagram takes nothing from those beside it."""
    good = wire.sflow(
        wire.flow_sample(wire.raw_header(wire.ethernet(0x0800, wire.ipv4(6, wire.tcp(777, 888)))))
    )
    datagrams = [*bad, good, good]
    chance.shuffle(datagrams)
    # Few enough senders that none is refused for another's sake.
    batch = fuzz.hear(fuzz.decoder(), datagrams, 1000.0)
    assert ((batch.src_port == 777) & (batch.dst_port == 888)).sum() >= 2


@given(st.floats(allow_nan=False, allow_infinity=False), st.floats(allow_nan=False, allow_infinity=False))
@settings(max_examples=20, deadline=None)
def test_no_clock_raises(first: float, second: float) -> None:
    ear = fuzz.decoder()
    for now in (first, second, first):
        fuzz.hear(ear, fuzz.seeds()[:20], now)


def hostile(chance: random.Random) -> bytes:
    """Datagrams that want to be remembered: new domains, new templates, data without any."""
    domain = chance.randrange(1 << 32)
    ident = chance.randrange(256, 65536)
    fields = b"".join(struct.pack(">HH", chance.randrange(1, 500), chance.randrange(1, 9)) for _ in range(20))
    version, wanted = chance.choice([(9, 0), (10, 2)])
    content = struct.pack(">HH", ident, 20) + fields
    if chance.random() < 0.4:
        wanted, content = ident, chance.randbytes(600)
    a_set = struct.pack(">HH", wanted, 4 + len(content)) + content
    if version == 9:
        return struct.pack(">HHIIII", 9, 1, 0, 0, 1, domain % 5) + a_set
    return struct.pack(">HHIII", 10, 16 + len(a_set), 0, 1, domain % 5) + a_set


def test_memory_is_bounded_whatever_is_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(templates, "MAX_PARSED_OCTETS", 16 << 10)
    monkeypatch.setattr(templates, "MAX_LAYOUTS", 64)
    chance = random.Random(4739)
    ear = fuzz.decoder()

    def send(bursts: int) -> int:
        for second in range(bursts):
            datagrams = [hostile(chance) for _ in range(20)]
            datagrams += [wire.sflow(sub_agent=chance.randrange(1 << 32)) for _ in range(5)]
            interfaces = [
                wire.counter_sample(wire.generic_counters(chance.randrange(1 << 30))) for _ in range(5)
            ]
            fuzz.hear(ear, [*datagrams, wire.sflow(*interfaces)], 1000.0 + second)
        return tracemalloc.get_traced_memory()[0]

    tracemalloc.start()
    try:
        filled = send(150)
        assert send(150) - filled < 1 << 20
    finally:
        tracemalloc.stop()


def test_the_coverage_guided_fuzzer_finds_nothing_in_a_few_seconds(tmp_path: Path) -> None:
    pytest.importorskip("atheris")
    program = Path(__file__).with_name("atheris_decode.py")
    options = ["-max_total_time=8", "-timeout=5", "-rss_limit_mb=2048", f"-artifact_prefix={tmp_path}/"]
    run = subprocess.run(
        [sys.executable, program, *options, tmp_path],
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert run.returncode == 0, run.stderr[-3000:]
    assert "Done" in run.stderr
