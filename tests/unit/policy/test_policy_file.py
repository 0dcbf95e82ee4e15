"""Policy files: what is read, and how mistakes are told."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sekisho.detect.detectors.catalogue import CATALOGUE
from sekisho.metering.catalogue import METERED
from sekisho.model import policy_file
from sekisho.model.errors import Malformed
from sekisho.model.policy import (
    Baseline,
    Condition,
    Direction,
    Drop,
    Mode,
    Police,
    Policy,
    Protocol,
    Scope,
    Step,
    Threshold,
    Unit,
)

FULL = """
[policy.outgoing-spam]
description = "Spam."
mode = "enforce"
destinations = "any"
confidence = "99 %"
for = 3
memory = "2d"
backoff = 1.5
max_duration = "3d"
scope = { projects = ["a", "b"], subjects = "s", tags = ["t"], hosts = ["h"], exclude = { tags = ["relay"] } }

[[policy.outgoing-spam.when]]
detector = "smtp-connections"
threshold = "60/min"
clear = "30/min"

[[policy.outgoing-spam.when]]
detector = "smtp-refused"
threshold = "80 %"
window = "5min"

[[policy.outgoing-spam.then]]
warn = true
for = "1h"

[[policy.outgoing-spam.then]]
drop = ["tcp/25", "udp/6000-6010"]
limit = "10 Mbit/s"
burst = "1 MB"
direction = "both"
for = "24h"

[baseline.no-telnet]
description = "Nobody."
drop = "tcp/23"
scope = { exclude = { hosts = ["h"] } }
"""
SMALL = """
[[policy.p.when]]
detector = "egress-bytes"
threshold = "1 GB/h"
[[policy.p.then]]
warn = true
for = "1h"
"""


def parse(text: str) -> policy_file.Loaded:
    return policy_file.parse(text, CATALOGUE, "f.toml")


def problems(text: str) -> tuple[str, ...]:
    with pytest.raises(Malformed) as caught:
        parse(text)
    return caught.value.problems


def policy(text: str) -> Policy:
    return parse(text)[0][0]


def test_everything_that_can_be_said_is_read() -> None:
    both = (Direction.EGRESS, Direction.INGRESS)
    (spam,), baselines = parse(FULL)
    assert spam == Policy(
        name="outgoing-spam",
        conditions=(
            Condition("smtp-connections", Threshold(60, 60, Unit.COUNT, "60/min"), 30),
            Condition("smtp-refused", Threshold(0.8, 300, Unit.RATIO, "80 %"), 0.8 * 0.8),
        ),
        ladder=(
            Step((), 3600),
            Step(
                (
                    *(Drop(Protocol.TCP, d, 25, 25) for d in both),
                    *(Drop(Protocol.UDP, d, 6000, 6010) for d in both),
                    *(Police(10_000_000, d, 8_000_000) for d in both),
                ),
                86400,
            ),
        ),
        mode=Mode.ENFORCE,
        scope=Scope(("a", "b"), ("s",), ("t",), ("h",), exclude_tags=("relay",)),
        description="Spam.",
        destinations="any",
        confidence=0.99,
        windows=3,
        memory=2 * 86400,
        backoff=1.5,
        max_duration=3 * 86400,
    )
    drop = Drop(Protocol.TCP, Direction.EGRESS, 23, 23)
    assert baselines == (Baseline("no-telnet", (drop,), Scope(exclude_hosts=("h",)), "Nobody."),)


def test_what_is_left_out_has_a_default_and_only_watches() -> None:
    found = policy(SMALL)
    assert found.mode is Mode.WATCH
    assert (found.destinations, found.confidence, found.windows) == ("internet", 0.95, 1)
    assert (found.memory, found.backoff, found.max_duration) == (7 * 86400, 2, 7 * 86400)
    assert found.scope == Scope()
    assert found.conditions[0].clear == pytest.approx(0.8e9)


def test_a_plan_carries_its_baseline_to_who_is_new() -> None:
    _, (found,) = parse(
        """
        [baseline.new]
        drop = "tcp/25"
        scope = { qos = ["plan-small"], networks = "n1", flavors = ["m1"], project_younger_than = "30d" }
        """
    )
    expected = Scope(networks=("n1",), flavors=("m1",), qos=("plan-small",), younger=30 * 86400.0)
    assert found.scope == expected


def test_an_empty_file_is_fine() -> None:
    assert parse("") == parse("# nothing yet\n") == ((), ())


@pytest.mark.parametrize(
    ("detector", "direction"), [("egress-bytes", Direction.EGRESS), ("ingress-bytes", Direction.INGRESS)]
)
def test_actions_bind_the_direction_that_was_measured(detector: str, direction: Direction) -> None:
    text = SMALL.replace("egress-bytes", detector).replace("warn = true", 'limit = "1 Mbit/s"')
    assert policy(text).ladder[0].actions == (Police(1_000_000, direction),)


@pytest.mark.parametrize(
    ("text", "drop"),
    [
        ("tcp", Drop(Protocol.TCP, Direction.EGRESS)),
        ("any", Drop(Protocol.ANY, Direction.EGRESS)),
        ("icmp", Drop(Protocol.ICMP, Direction.EGRESS)),
        ("sctp/1-65535", Drop(Protocol.SCTP, Direction.EGRESS, 1, 65535)),
    ],
)
def test_services(text: str, drop: Drop) -> None:
    assert parse(f'[baseline.b]\ndrop = "{text}"')[1][0].actions == (drop,)


@pytest.mark.parametrize(
    "text", ["gre", "tcp/", "tcp/0", "tcp/65536", "tcp/9-8", "icmp/1", "any/1", "25", "tcp/25,26", ""]
)
def test_what_is_no_service(text: str) -> None:
    assert problems(f'[baseline.b]\ndrop = ["{text}"]')[0].startswith("f.toml:2: baseline.b.drop[0]: ")


# One mistake in each, and where and how it is told.
MISTAKES = {
    ('mode = "enforce"', 'mode = "enforced"'): '4: policy.outgoing-spam.mode: .*did you mean "enforce"?',
    (
        'description = "Spam."',
        "descripton = 1",
    ): '3: .*.descripton: unknown name; did you mean "description"?',
    ('description = "Spam."', "description = 1"): "3: policy.outgoing-spam.description: must be text",
    ('destinations = "any"', 'destinations = "all"'): "5: policy.outgoing-spam.destinations: ",
    ('confidence = "99 %"', "confidence = 99"): "6: policy.outgoing-spam.confidence: ",
    ('confidence = "99 %"', "confidence = nan"): "6: policy.outgoing-spam.confidence: ",
    ('confidence = "99 %"', "confidence = true"): "6: policy.outgoing-spam.confidence: ",
    ("for = 3", "for = 0"): "7: policy.outgoing-spam.for: ",
    ("for = 3", 'for = "3s"'): "7: policy.outgoing-spam.for: .*closed seconds",
    ('memory = "2d"', "memory = 2"): '8: policy.outgoing-spam.memory: must be text, found a number; .*"24h"',
    ("backoff = 1.5", "backoff = 0.5"): "9: policy.outgoing-spam.backoff: ",
    ("backoff = 1.5", "backoff = inf"): "9: policy.outgoing-spam.backoff: ",
    ('max_duration = "3d"', 'max_duration = "3h"'): "32: .*then[1].for: is longer than .*max_duration",
    ('projects = ["a", "b"]', 'project = ["a"]'): '11: .*scope.project: .*did you mean "projects"?',
    ('projects = ["a", "b"]', "projects = []"): "11: .*scope.projects: is empty",
    ('projects = ["a", "b"]', 'projects = ["a", 7]'): "11: .*scope.projects[1]: must be text",
    ('projects = ["a", "b"]', 'projects = ["a", " "]'): "11: .*scope.projects: has an empty name",
    ('exclude = { tags = ["relay"] }', "exclude = 1"): "11: .*scope.exclude: must be a table",
    (
        'detector = "smtp-connections"',
        'detector = "smtp-conections"',
    ): '14: .*mean "smtp-connections"?',
    ('detector = "smtp-connections"', 'detector = ""'): "14: .*there is no detector",
    ('threshold = "60/min"', 'threshold = ""'): "15: .*no quantity",
    ('mode = "enforce"', 'mode = ""'): "4: .*is none of",
    ('drop = "tcp/23"', 'drop = ""'): "36: .*no protocol and port",
    ('limit = "10 Mbit/s"', 'limit = ""'): "29: .*no quantity",
    ('detector = "smtp-connections"', ""): "13: .*when[0].detector: missing",
    ('threshold = "60/min"', ""): "13: .*when[0].threshold: missing",
    ('threshold = "60/min"', "threshold = 60"): '15: .*threshold: must be text.*"60/min"',
    ('threshold = "60/min"', 'threshold = "60 Mbit/s"'): "15: .*threshold: .*for bytes",
    ('clear = "30/min"', 'clear = "90/min"'): "16: .*clear: clears over the threshold",
    ('window = "5min"', 'window = "5 minutes"'): "21: .*when[1].window: ",
    ("warn = true", "warn = false"): "24: .*then[0].warn: can only be true",
    ("warn = true", ""): "23: .*then[0]: does nothing",
    ("warn = true", 'warn = true\nlimit = "1 Mbit/s"'): "24: .*then[0].warn: stands alone",
    ("warn = true", 'warn = true\ndirection = "egress"'): "25: .*then[0].direction: belongs to drop or limit",
    ("warn = true", 'warn = true\nburst = "1 MB"'): "25: .*then[0].burst: belongs to limit",
    ('for = "1h"', ""): "23: .*then[0].for: missing",
    ('for = "1h"', 'for = "0h"'): "25: .*then[0].for: must be longer than 0",
    ('"udp/6000-6010"', '"udp/70000"'): "28: .*then[1].drop[1]: ports are",
    ('"udp/6000-6010"', '"udpp/1"'): '28: .*then[1].drop[1]: .*did you mean "udp"?',
    ('limit = "10 Mbit/s"', 'limit = "10 MB"'): "29: .*then[1].limit: .*no rate",
    ('limit = "10 Mbit/s"', 'limit = "10 bit/s"'): "29: .*then[1].limit: is less than 1 kbit/s",
    (
        'direction = "both"',
        'direction = "ingress"',
    ): "31: .*direction: binds ingress while .* measure egress",
    ('direction = "both"', 'direction = "up"'): "31: .*then[1].direction: ",
    ('drop = "tcp/23"', "drop = []"): "36: baseline.no-telnet.drop: is empty",
    ('drop = "tcp/23"', ""): "34: baseline.no-telnet: does nothing",
    ('drop = "tcp/23"', 'drop = "tcp/23"\nfor = "1h"'): "37: baseline.no-telnet.for: unknown name",
    (
        "[baseline.no-telnet]",
        "[baselines.no-telnet]",
    ): '34: baselines: .*mean "baseline"?',
    ("[baseline.no-telnet]", '[baseline."no telnet"]'): '34: baseline."no telnet": a name is',
    ("for = 3", "for = 3\nfor = 4"): "8: TOML: Cannot overwrite a value",
    ("for = 3", "for = "): "7: TOML: Invalid value",
}


@pytest.mark.parametrize(("change", "told"), MISTAKES.items(), ids=[t[:40] for t in MISTAKES.values()])
def test_a_mistake_is_told_with_its_line_and_path(change: tuple[str, str], told: str) -> None:
    before, after = change
    assert FULL.count(before) == 1
    found = [p.removeprefix("f.toml:") for p in problems(FULL.replace(before, after))]
    line, *parts = told.split(".*")
    assert any(p.startswith(line) and all(part in p for part in parts) for p in found), found


def test_all_mistakes_are_told_at_once_in_the_order_of_the_text() -> None:
    text = FULL.replace('"enforce"', '"x"').replace('"tcp/23"', '"x"').replace('"60/min"', '"x"')
    found = problems(text)
    assert [p.split(":")[1] for p in found] == ["4", "15", "36"]


@pytest.mark.parametrize("missing", ["when", "then"])
def test_a_policy_needs_conditions_and_steps(missing: str) -> None:
    text = "[policy.p]\n" + SMALL.replace(f"[[policy.p.{missing}]]", f"[[policy.q.{missing}]]")
    assert any(f"policy.p: has no [[policy.p.{missing}]]" in p for p in problems(text))


@pytest.mark.parametrize("text", ["policy = 1", "policy = [1]", "[policy]\np = 1", "[policy.p]\nthen = [2]"])
def test_what_should_be_a_table_and_is_none(text: str) -> None:
    assert any("table" in p for p in problems(text))


def test_a_detector_that_counts_no_further_says_so() -> None:
    text = SMALL.replace("egress-bytes", "scan-hosts").replace("1 GB/h", "9000/h")
    with pytest.raises(Malformed) as caught:
        policy_file.parse(text, CATALOGUE, "f.toml", {"scan-hosts": 4000})
    assert "counts to 4000" in caught.value.problems[0]
    assert policy(text).name == "p"


def test_files_are_taken_over_all_or_none() -> None:
    good, bad = SMALL, SMALL.replace("policy.p", "policy.q").replace("warn = true", "warn = 1")
    with pytest.raises(Malformed) as caught:
        policy_file.load({"a.toml": good, "b.toml": bad}, CATALOGUE)
    assert [p.split(":")[0] for p in caught.value.problems] == ["b.toml"]
    policies, _ = policy_file.load({"a.toml": good, "b.toml": bad.replace("= 1", "= true")}, CATALOGUE)
    assert [p.name for p in policies] == ["p", "q"]


def test_a_name_stands_once_in_all_files() -> None:
    with pytest.raises(Malformed) as caught:
        policy_file.load({"a.toml": SMALL, "b.toml": "\n\n" + SMALL}, CATALOGUE)
    (problem,) = caught.value.problems
    assert problem.startswith("b.toml:4: policy.p: ")
    assert "a.toml:2" in problem


@pytest.mark.parametrize("text", ["x = " + "[" * 5000, "x = " + "9" * 5000, "\x00", "x = '\udcff'", "\ufeff"])
def test_hostile_text_is_malformed_and_nothing_else(text: str) -> None:
    assert problems(text)[0].startswith("f.toml:1: ")


CHUNKS = [line for line in FULL.splitlines() if line] + [
    "when = []",
    "then = 1",
    "x = [",
    "[policy]",
    "warn = 2",
    "[[policy]]",
]


@given(st.lists(st.sampled_from(CHUNKS), max_size=12).map("\n".join))
def test_any_order_of_lines_is_read_or_malformed(text: str) -> None:
    try:
        parse(text)
    except Malformed as error:
        problems = error.problems
    else:
        problems = ("f.toml: all is well",)
    assert problems
    assert all(p.startswith("f.toml:") for p in problems)


METERED_POLICY = """
[policy.p]
extend = false
[[policy.p.when]]
detector = "metered-bytes"
threshold = "50 GB/24h"
[[policy.p.then]]
limit = "20 Mbit/s"
direction = "{direction}"
for = "24h"
"""


@pytest.mark.parametrize("direction", ["egress", "ingress", "both"])
def test_what_is_metered_both_ways_may_be_limited_either_way(direction: str) -> None:
    policies, _ = policy_file.parse(METERED_POLICY.format(direction=direction), METERED, "f.toml")
    assert not policies[0].extend
    assert len(policies[0].ladder[0].actions) == (2 if direction == "both" else 1)


def test_a_metered_ingress_is_not_limited_at_egress() -> None:
    text = METERED_POLICY.format(direction="egress").replace("metered-bytes", "metered-ingress-bytes")
    with pytest.raises(Malformed) as caught:
        policy_file.parse(text, METERED, "f.toml")
    assert "measure ingress" in caught.value.problems[0]


def test_flows_and_counters_do_not_mix() -> None:
    mixed = METERED_POLICY.format(direction="both").replace(
        "[[policy.p.then]]",
        '[[policy.p.when]]\ndetector = "egress-bytes"\nthreshold = "1 GB/24h"\n[[policy.p.then]]',
    )
    with pytest.raises(Malformed) as caught:
        policy_file.parse(mixed, CATALOGUE | METERED, "f.toml")
    assert "a policy for each" in caught.value.problems[0]


def test_extend_is_true_or_false() -> None:
    text = METERED_POLICY.format(direction="both").replace("false", '"no"')
    with pytest.raises(Malformed) as caught:
        policy_file.parse(text, METERED, "f.toml")
    assert "true or false" in caught.value.problems[0]


@pytest.mark.parametrize(
    "text",
    [
        ".".join(["a"] * 20_000) + " = 1\n",
        "[" + ".".join(["a"] * 20_000) + "]\n",
        "[[" + " . ".join(["a"] * 10_000) + "]]\n",
        ".".join(['"a"', "'b'"] * 5_000) + " = 1\n",
        "\n".join(["x = 1", ".".join(["a"] * 33) + " = 1"]),
        # What looks for it must not itself be slow.
        "a" * 40_000 + " = 1\n",
        '"' * 39_999 + "\n",
        "a " * 20_000 + "\n",
        "a . " * 30 + "b" * 39_000,
    ],
)
def test_no_text_of_40_kilobytes_costs_seconds(text: str) -> None:
    began = time.process_time()
    with pytest.raises(Malformed):
        policy_file.parse(text, CATALOGUE, "policy")
    assert time.process_time() - began < 2, "it took 10 s and more"


def test_a_key_that_is_too_deep_is_named_with_its_line() -> None:
    text = "\n\n" + ".".join(["a"] * 33) + " = 1\n"
    with pytest.raises(Malformed) as told:
        policy_file.parse(text, CATALOGUE, "policy")
    assert told.value.problems == ("policy:3: cannot be read: a key of more than 32 names.",)
