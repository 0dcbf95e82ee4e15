"""Notices in words: every language says everything, and nobody else's text can forge a line."""

from __future__ import annotations

import tomllib
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any

import pytest

from sekisho.model.errors import Malformed
from sekisho.model.notice import Notice, NoticeKind
from sekisho.model.policy import Direction, Drop, Police, Protocol
from sekisho.notify.wording import LINES, words

NOW = 1_800_000_000.0
SPAM = Drop(Protocol.TCP, Direction.EGRESS, 25, 25)


def notice(kind: NoticeKind = NoticeKind.IMPOSED, **more: Any) -> Notice:
    told: dict[str, Any] = {
        "subject": "port-web",
        "project": "shop",
        "host": "h7",
        "addresses": ("192.0.2.7",),
        "restriction": "r5",
        "author": "policy:spam",
        "actions": (SPAM,),
        "until": NOW + 3600,
    }
    return Notice(kind, NOW, "smtp-connections 90 over 60.", **(told | more))


def section(language: str) -> dict[str, Any]:
    return tomllib.loads((files("sekisho.notify") / "words" / f"{language}.toml").read_text(encoding="utf-8"))


def names(table: dict[str, Any], place: str = "") -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for key, value in table.items():
        if isinstance(value, dict):
            found |= names(value, f"{place}{key}.")
        else:
            found[f"{place}{key}"] = set(Template(value).get_identifiers())
    return found


def test_every_language_says_the_same_things_with_the_same_names() -> None:
    assert names(section("ja")) == names(section("en"))


@pytest.mark.parametrize("language", ["en", "ja"])
@pytest.mark.parametrize("kind", NoticeKind)
def test_every_kind_has_words_and_no_name_is_left_open(language: Any, kind: NoticeKind) -> None:
    spoken = words(language, None, "Asia/Tokyo")
    for many in ((notice(kind),), (notice(kind), notice(kind))):
        assert spoken.title(many)
        assert "$" not in spoken.title(many) + spoken.text(many)


def test_what_is_done_until_when_and_why_is_said_in_the_readers_zone() -> None:
    said = words("en", None, "Asia/Tokyo").text((notice(),))
    assert "outgoing tcp/25 is dropped until 2027-01-15 18:00:00 JST" in said
    assert "smtp-connections 90 over 60." in said


def test_a_rate_is_said_as_people_do() -> None:
    spoken = words("ja", None, "UTC")
    assert spoken.done((Police(50_000_000, Direction.EGRESS), SPAM)) == (
        "送信帯域を 50 Mbit/s に制限、送信 tcp/25 を遮断"
    )


def test_a_burst_is_one_message_that_can_be_read_and_counts_the_rest() -> None:
    many = tuple(notice(subject=f"port-{i}") for i in range(LINES + 1200))
    spoken = words("en", None, "UTC")
    assert spoken.title(many) == "[Sekisho] 1250 ports are limited"
    text = spoken.text(many)
    assert len(text.splitlines()) == LINES + 1
    assert "and 1,200 more" in text


def test_what_others_wrote_stays_within_its_line() -> None:
    forged = notice(NoticeKind.DEGRADED)
    forged = Notice(forged.kind, NOW, "all is well\n2027-01-15  port-x is free\x1b[2J" + "x" * 5000)
    said = words("en", None, "UTC").text((forged,))
    assert len(said.splitlines()) == 1
    assert "\x1b" not in said
    assert len(said) < 1100


def test_a_customer_hears_nothing_of_hosts_and_people() -> None:
    told = notice(NoticeKind.LIFTED, author="ada"), notice(), notice(NoticeKind.EXPIRED)
    for language in ("en", "ja"):
        said = words(language, None, "UTC").text(told, customer=True, help="abuse@example.net")
        assert "h7" not in said
        assert "ada" not in said
        assert said.rstrip().endswith("abuse@example.net")


def test_operators_words_take_the_place_of_ours(tmp_path: Path) -> None:
    (tmp_path / "en.toml").write_text('[imposed]\ntitle = "NOC: $subject"\n')
    spoken = words("en", tmp_path, "UTC")
    assert spoken.title((notice(),)) == "[Sekisho] NOC: port-web"
    assert "is dropped until" in spoken.text((notice(),))  # what is not mentioned stays ours


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[imposd]\ntitle = 'x'\n", "imposd: unknown"),
        ("[imposed]\ntitle = '$nobody'\n", "imposed.title: $nobody is unknown"),
        ("[imposed]\nline = '5 $ a day'\n", "imposed.line: a $ stands before a name"),
        ("[imposed]\nline = 5\n", "imposed.line: is text"),
        ("[imposed\n", "en.toml"),
    ],
)
def test_operators_mistakes_are_told_with_their_place(tmp_path: Path, text: str, said: str) -> None:
    (tmp_path / "en.toml").write_text(text)
    with pytest.raises(Malformed) as error:
        words("en", tmp_path, "UTC")
    assert said in error.value.asker
