"""Every sentence of every page in every language, and which one a reader gets."""

from __future__ import annotations

import re
from importlib.resources import files
from io import BytesIO

import pytest
from jinja2.ext import babel_extract

from sekisho.api.console.language import LANGUAGES, catalogue, choose, entries

CONSOLE = files("sekisho.api.console")
OTHERS = [language for language in LANGUAGES if language != "en"]


def sentences() -> set[str]:
    """Read every sentence out of the templates."""
    found: set[str] = set()
    options = {"trim_blocks": "true", "lstrip_blocks": "true"}
    for file in (CONSOLE / "templates").iterdir():
        template = BytesIO(file.read_bytes())
        found |= {str(each[2]) for each in babel_extract(template, ("_", "gettext"), [], options)}
    return found


@pytest.mark.parametrize("language", OTHERS)
def test_every_sentence_is_translated_and_none_is_left_over(language: str) -> None:
    assert sentences() == set(catalogue(language))


@pytest.mark.parametrize("language", OTHERS)
def test_a_translation_names_what_its_sentence_names(language: str) -> None:
    named = re.compile(r"%\((\w+)\)s")
    for sentence, translated in catalogue(language).items():
        assert set(named.findall(sentence)) == set(named.findall(translated)), sentence


def test_japanese_is_japanese() -> None:
    plain = [s for s, t in catalogue("ja").items() if not re.search(r"[ぁ-んァ-ヶ一-龠]", t)]
    assert plain == []


@pytest.mark.parametrize(
    ("wanted", "accepted", "language"),
    [
        ("", "", "en"),
        ("", "ja", "ja"),
        ("", "ja-JP,ja;q=0.9,en-US;q=0.8", "ja"),
        ("", "en-GB,ja;q=0.9", "en"),
        ("", "fr,de;q=0.9", "en"),
        ("", "fr,ja;q=0.2,en;q=0.1", "ja"),
        ("", "ja;q=0,en", "en"),
        ("", "ja;q=x, ,;;", "en"),
        ("ja", "en", "ja"),
        ("xx", "ja", "ja"),
    ],
)
def test_the_reader_is_given_its_language(wanted: str, accepted: str, language: str) -> None:
    assert choose(wanted, accepted) == language


def test_a_catalogue_is_read_as_gettext_writes_it() -> None:
    text = """
msgid ""
msgstr ""
"Language: ja\\n"

#: now.html
msgid "Say \\"no\\""
msgstr "「否」"

msgid ""
"one "
"two"
msgstr ""
"一"
"二"

#, fuzzy
msgid "not sure"
msgstr "不明"

msgid "not yet"
msgstr ""
"""
    assert dict(entries(text)) == {'Say "no"': "「否」", "one two": "一二"}
