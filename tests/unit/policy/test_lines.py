"""Where keys stand in a TOML text."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from sekisho.model.toml_lines import Path, line_of, lines

TEXT = '''# a comment with [brackets] and "quotes"
title = "x \\" # no comment" # a comment
"quoted key" = 'lit\\eral'
a.b . c = 1

[policy.spam]     # [not.this]
long = """
[policy.wrong]
ends in quotes: """""
raw = \'\'\'
[policy.wrong]
\'\'\'
list = [
  "one", # 1
  # nothing
  "t\\"wo]",
  { in = { deep = [1,
     2] } },
]
when = 1979-05-27 07:32:00

  [[policy.spam.then]]
  x = 1
  [[policy.spam.then]]
  x = 2
  [policy.spam.then.more]
  y = { a = 1, "b.c" = "}" }
[[policy.spam.then.many]]
z = 0
[policy."a.b"]
last = true'''


def test_every_key_is_found_on_its_line() -> None:
    found = lines(TEXT)
    expected: dict[Path, int] = {
        ("title",): 2,
        ("quoted key",): 3,
        ("a", "b", "c"): 4,
        ("policy", "spam"): 6,
        ("policy", "spam", "long"): 7,
        ("policy", "spam", "raw"): 10,
        ("policy", "spam", "list"): 13,
        ("policy", "spam", "list", 0): 14,
        ("policy", "spam", "list", 1): 16,
        ("policy", "spam", "list", 2, "in", "deep", 1): 18,
        ("policy", "spam", "when"): 20,
        ("policy", "spam", "then", 0): 22,
        ("policy", "spam", "then", 0, "x"): 23,
        ("policy", "spam", "then", 1): 24,
        ("policy", "spam", "then", 1, "x"): 25,
        ("policy", "spam", "then", 1, "more"): 26,
        ("policy", "spam", "then", 1, "more", "y", "b.c"): 27,
        ("policy", "spam", "then", 1, "many", 0, "z"): 29,
        ("policy", "a.b"): 30,
        ("policy", "a.b", "last"): 31,
    }
    assert {p: found.get(p) for p in expected} == expected


def test_what_is_missing_is_shown_at_the_table_around_it() -> None:
    found = lines(TEXT)
    assert line_of(found, ("policy", "spam", "then", 1, "for")) == 24
    assert line_of(found, ("nowhere",)) == 1


def paths(value: Any, path: Path = ()) -> set[Path]:
    if isinstance(value, dict):
        return {path, *(p for k, v in value.items() for p in paths(v, (*path, k)))}
    if isinstance(value, list):
        return {path, *(p for i, v in enumerate(value) for p in paths(v, (*path, i)))}
    return {path}


def test_no_path_is_found_that_is_not_there_and_none_is_missed() -> None:
    assert set(lines(TEXT)) | {()} == paths(tomllib.loads(TEXT))


KEYS = st.sampled_from(["a", "b", "policy", '"x y"', "'z'", "a.b"])
VALUES = st.recursive(
    st.sampled_from(
        [
            "1",
            '"s"',
            "'''\n[x]\n'''",
            '"""\\"""""',
            '"\\" ]\\\\"',
            "true",
            "1979-05-27",
            "inf",
            '"\\\\"',
            "''",
        ]
    ),
    lambda inner: st.lists(inner, max_size=3).map(lambda v: "[\n" + ", # c\n".join(v) + "\n]"),
    max_leaves=4,
)
LINES = st.one_of(
    st.builds("{} = {}".format, KEYS, VALUES),
    st.builds("{} = {{ {} = {} }}".format, KEYS, KEYS, st.sampled_from(["1", '"}"', "[1, 2]"])),
    st.builds("[{}]".format, KEYS),
    st.builds("[[{}]]".format, KEYS),
    st.just("# [x]"),
)


@given(st.lists(LINES, max_size=12).map("\n".join))
def test_it_agrees_with_tomllib_on_whatever_tomllib_reads(text: str) -> None:
    try:
        value = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        return
    found = lines(text)
    assert set(found) | {()} == paths(value)
    assert all(1 <= line <= text.count("\n") + 1 for line in found.values())
