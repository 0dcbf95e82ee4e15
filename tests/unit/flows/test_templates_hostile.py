"""Whatever is sent: nothing raises, it is counted by kind, and memory stays bounded."""

from __future__ import annotations

import random
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sekisho.flows.wire import limits
from sekisho.flows.wire.ipfix import Ipfix
from sekisho.flows.wire.netflow9 import Netflow9
from sekisho.flows.wire.protocol import DecodeSettings
from support_templates import (
    FLOW,
    VAR,
    Ear,
    a_set,
    burst,
    captured,
    flow,
    ipfix,
    ipfix_options,
    template,
    v9,
    v9_options,
)

DEFINE = a_set(2, template(256, FLOW))


@pytest.fixture
def ear() -> Ear:
    return Ear(Ipfix)


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("datagram_cut", ipfix(DEFINE)[:15]),
        ("message_cut", ipfix(DEFINE, length=1000)),
        ("message_trailing", ipfix(DEFINE, length=20)),
        ("set_length", ipfix(struct.pack(">HH", 2, 3))),
        ("set_length", ipfix(struct.pack(">HH", 2, 0))),
        ("set_length", ipfix(struct.pack(">HH", 2, 60000))),
        ("set_id", ipfix(a_set(7, bytes(8)))),
        ("template_id", ipfix(a_set(2, template(255, FLOW)))),
        ("template_id", ipfix(a_set(2, template(9, ())))),
        ("template_cut", ipfix(a_set(2, template(256, FLOW, count=65535)))),
        ("template_cut", ipfix(a_set(2, template(256, ((7, 2, 6876),))[:-2]))),
        ("template_fields", ipfix(a_set(2, template(256, [(7, 2)] * 257)))),
        ("template_size", ipfix(a_set(2, template(256, ((7, 0), (11, 0)))))),
        ("template_size", ipfix(a_set(2, template(256, ((7, 65534), (11, 2)))))),
        ("template_scopes", ipfix(a_set(3, struct.pack(">HHH", 256, 1, 0) + b"\0\x07\0\x02"))),
        ("template_scopes", ipfix(a_set(3, struct.pack(">HHH", 256, 1, 2) + b"\0\x07\0\x02"))),
    ],
)
def test_what_is_wrong_is_counted_by_kind(ear: Ear, kind: str, message: bytes) -> None:
    assert len(ear.hear(message)) == 0
    assert ear.count(kind) == 1
    # And what is right behind it is heard.
    assert len(ear.hear(ipfix(a_set(2, template(700, FLOW)), a_set(700, flow())))) == 1


@pytest.mark.parametrize(
    ("kind", "message"),
    [
        ("datagram_cut", v9(a_set(0, template(256, FLOW)))[:19]),
        ("set_id", v9(a_set(7, bytes(8)))),
        ("template_id", v9(a_set(0, template(255, FLOW)))),
        ("template_cut", v9(a_set(0, template(256, FLOW, count=65535)))),
        ("template_empty", v9(a_set(0, template(256, ()) + template(256, FLOW)))),
        ("template_size", v9(a_set(0, template(256, ((7, VAR),))))),
        ("template_size", v9(a_set(0, template(256, ((7, 0),))))),
    ],
)
def test_version_9_likewise(kind: str, message: bytes) -> None:
    ear = Ear(Netflow9)
    assert len(ear.hear(message)) == 0
    assert ear.count(kind) == 1


def test_a_cap_on_templates_of_one_exporter(ear: Ear) -> None:
    for first in range(256, 1256, 100):
        ear.hear(ipfix(a_set(2, b"".join(template(i, ((7, 2),)) for i in range(first, first + 100)))))
    assert len(ear.decoder._records.templates) == 512
    assert ear.count("template_over_cap") == 1000 - 512
    assert len(ear.hear(ipfix(a_set(300, bytes(2))))) == 1


def test_a_cap_on_templates_of_all() -> None:
    ear = Ear(Ipfix, DecodeSettings(templates=100))
    for domain in range(30):
        ear.hear(ipfix(a_set(2, b"".join(template(256 + i, ((7, 2),)) for i in range(10))), domain=domain))
    assert len(ear.decoder._records.templates) == 100


def test_layouts_that_nobody_means_any_more_are_let_go(ear: Ear) -> None:
    for i in range(3000):
        ear.hear(ipfix(a_set(2, template(256, ((7, 2), (1000 + i, 4)))), a_set(256, bytes(6))))
    assert len(ear.decoder._records.templates.layouts) <= limits.MAX_LAYOUTS
    assert ear.count("template_layouts") == 0
    assert ear.count("records") == 3000


def test_a_flood_of_different_templates_costs_little(ear: Ear) -> None:
    rng = random.Random(1)
    messages = []
    for i in range(300):
        made = [template(256 + k, [(rng.randrange(1, 400), 1), (i + 1, 2)]) for k in range(100)]
        messages.append(
            ipfix(a_set(2, b"".join(made)), *[a_set(256 + k, bytes(3)) for k in range(40)], domain=i)
        )
    ear.hear(*messages)
    templates = ear.decoder._records.templates
    assert len(templates.layouts) <= limits.MAX_LAYOUTS
    assert len(templates) <= DecodeSettings().templates
    assert ear.count("template_flood") > 0
    assert ear.count("records") <= limits.MAX_LAYOUTS_PER_BURST * 300


def test_a_flood_of_large_templates_is_read_in_part_and_known_ones_are_heard_all_the_same(ear: Ear) -> None:
    ear.hear(ipfix(DEFINE, domain=9))
    rng = random.Random(1)
    large = [
        ipfix(a_set(2, template(300, [(rng.randrange(1, 400), 4) for _ in range(240)])), domain=n % 100)
        for n in range(600)
    ]
    batch = ear.hear(*large, ipfix(DEFINE, a_set(256, flow()), domain=9))
    fresh = len(large[0]) - 20  # the content of each set
    assert len(batch) == 1
    assert ear.count("template_flood") == 600 - limits.MAX_FRESH_OCTETS_PER_BURST // fresh


def test_a_flood_of_tiny_records_is_cut(ear: Ear) -> None:
    ear.hear(ipfix(a_set(2, template(256, ((4, 1),)))))
    batch = ear.hear(*[ipfix(a_set(256, bytes(2000))) for _ in range(200)])
    assert len(batch) == limits.MAX_RECORDS_PER_BURST
    assert ear.count("record_flood") == 400_000 - limits.MAX_RECORDS_PER_BURST


def test_a_flood_of_records_to_step_over_is_cut(ear: Ear) -> None:
    """Each layout of variable length is stepped over by itself: 500 must not cost 500 times as much."""
    ids = range(256, 756)
    ear.hear(*[ipfix(a_set(2, template(i, ((i, VAR),)))) for i in ids])
    ear.hear(*[ipfix(a_set(i, bytes(2000))) for i in ids])
    assert ear.count("step_flood") == len(ids)
    assert 2 * ear.count("records") <= limits.MAX_STEPS_PER_BURST
    assert ear.count("records") >= len(ids)


def test_a_set_full_of_small_records_of_variable_length_is_read_whole(ear: Ear) -> None:
    ear.hear(ipfix(a_set(2, template(256, ((82, VAR),)))))
    ear.hear(ipfix(a_set(256, bytes(2000))))
    assert ear.count("records") == 2000
    assert ear.count("step_flood") == 0


def test_nothing_behind_a_datagram_is_read(ear: Ear) -> None:
    """The slab holds old octets behind each datagram (0xA5 here): no record may contain them."""
    ear.hear(ipfix(DEFINE))
    whole = ipfix(a_set(256, flow() * 3))
    for cut in range(16, len(whole)):
        message = bytearray(whole[:cut])
        message[2:4] = struct.pack(">H", 65535)
        assert len(ear.hear(bytes(message))) == 0
        message[18:20] = struct.pack(">H", max(cut - 16, 0))
        batch = ear.hear(bytes(message))
        assert len(batch) == max(cut - 20, 0) // len(flow())
        assert (batch.src_port == 1234).all()


WORDS = st.one_of(
    st.binary(max_size=60),
    st.builds(
        lambda i, f: a_set(2, template(i, f)),
        st.integers(250, 260),
        st.lists(
            st.tuples(st.integers(0, 320), st.sampled_from([0, 1, 2, 3, 4, 8, 16, VAR, 65534])), max_size=8
        ),
    ),
    st.builds(
        lambda i, f, s: a_set(3, ipfix_options(i, f[:s], f[s:])),
        st.integers(250, 260),
        st.lists(st.tuples(st.integers(0, 320), st.sampled_from([0, 1, 2, 4, 8, VAR])), max_size=5),
        st.integers(0, 5),
    ),
    st.builds(
        lambda i, f, s: a_set(1, v9_options(i, f[:s], f[s:])),
        st.integers(250, 260),
        st.lists(st.tuples(st.integers(0, 320), st.sampled_from([0, 1, 2, 4, 8])), max_size=5),
        st.integers(0, 5),
    ),
    st.builds(a_set, st.integers(0, 260), st.binary(max_size=200)),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(st.lists(WORDS, max_size=6), max_size=6))
def test_any_octets_at_all(messages: list[list[bytes]]) -> None:
    for ear, write in ((Ear(Ipfix), ipfix), (Ear(Netflow9), v9)):
        for now in range(2):
            ear.hear(*[write(*sets)[:2048] for sets in messages], now=now * 40.0)


def test_captured_datagrams_with_flipped_octets() -> None:
    rng = np.random.default_rng(7)
    ear = Ear(Ipfix)
    for now in range(60):
        heard = burst(captured("ovs31-ipfix.pcap"))
        for _ in range(int(rng.integers(1, 200))):
            heard.data[rng.integers(heard.count), rng.integers(2, 1300)] = rng.integers(256)
        heard.length[rng.integers(heard.count)] = rng.integers(0, 1300)
        batch = ear.decoder.decode(heard, np.arange(heard.count), float(now))
        assert np.isfinite(batch.bytes).all()
