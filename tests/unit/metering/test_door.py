"""What Gnocchi says no with, as a sentence: a page and JSON both become words."""

from __future__ import annotations

import pytest

from sekisho.metering.door import Door, plain, refusal
from sekisho.metering.gnocchi import Gnocchi
from sekisho.metering.settings import GnocchiSettings
from sekisho.model.errors import NotFound
from sekisho.model.inventory import Subject

PAGE = """<html>
 <head>
  <title>404 Not Found</title>
 </head>
 <body>
  <h1>404 Not Found</h1>
  The resource could not be found.<br /><br />
Resource type instance_network_interface doesn&#x27;t exist
 </body>
</html>"""

SAID = "404 Not Found The resource could not be found. Resource type instance_network_interface doesn't exist"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (PAGE, SAID),
        ('{"code": 404, "title": "Not Found", "description": "No such metric"}', "No such metric"),
        ('["odd"]', '["odd"]'),
        ("plain  words", "plain words"),
        ("", ""),
        ("<" * 3000, "<" * 500),
    ],
)  # fmt: skip
def test_only_words_are_left(text: str, said: str) -> None:
    assert plain(text) == said


class Bare(Door):
    """A Gnocchi that no Ceilometer has ever written to."""

    def ask(self, method: str, path: str, query: object, body: object = None) -> object:
        del method, path, query, body
        raise refusal(404, PAGE, "Gnocchi")


def test_a_gnocchi_without_ceilometer_is_told_as_one() -> None:
    told = Gnocchi(GnocchiSettings(), Bare()).read((Subject("p", "h1"),), 1e9)
    [problem] = told.problems
    assert "instance_network_interface, which Ceilometer makes" in problem
    assert "<" not in problem
    assert isinstance(refusal(404, PAGE, "x"), NotFound)
