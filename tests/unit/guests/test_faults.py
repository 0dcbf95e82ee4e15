"""What the keeper's client raises, in Neutron's words: whose fault it is, and what the log says of it."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from sekisho.model import errors
from support_modules import imported, stand_ins


class Http(Exception):
    """As webob.exc has its errors."""

    def __init__(self, detail: str = "", headers: Any = ()) -> None:
        super().__init__(detail)
        self.headers = dict(headers)


class Said(Exception):
    """As neutron_lib.exceptions has its errors."""

    def __init__(self, **words: str) -> None:
        super().__init__(words["said"])


@pytest.fixture
def faults() -> Iterator[Any]:
    kinds = ("BadRequest", "NotFound", "Conflict", "NotAuthorized")
    contents: dict[str, dict[str, Any]] = {
        "webob": {},
        "webob.exc": {k: type(k, (Http,), {}) for k in ("HTTPPreconditionFailed", "HTTPServiceUnavailable")},
        "neutron_lib": {"exceptions": SimpleNamespace(**{k: type(k, (Said,), {}) for k in kinds})},
    }
    with imported("sekisho.guests.neutron", ("faults",), stand_ins(contents)) as loaded:
        yield loaded["faults"]


def test_what_the_asker_did_is_told_in_the_keepers_sentence(faults: Any) -> None:
    with pytest.raises(faults.RestrictionForbidden, match="binds no infrastructure"), faults.told():
        raise errors.Forbidden("The guard binds no infrastructure.", "guard: p1 is a router's port.")


@pytest.mark.parametrize(
    "trouble",
    [
        errors.Unavailable("The keeper does not answer.", "https://keeper: certificate verify failed"),
        errors.Unauthenticated("We do not know you.", "the token t2 has ended"),
        errors.Forbidden("This needs the role viewer; yours is agent.", "agent-h1 is no reader"),
    ],
    ids=["away", "unknown", "another role"],
)
def test_neutrons_own_trouble_is_nobodys_who_reads_and_the_log_says_what_it_is(
    faults: Any, caplog: pytest.LogCaptureFixture, trouble: errors.SekishoError
) -> None:
    for _ in range(2):
        with pytest.raises(faults.KeeperUnavailable) as caught, faults.told(reads=True):
            raise trouble
        assert str(caught.value) == faults.AWAY
        assert int(caught.value.headers["Retry-After"]) >= 1
    with faults.told(reads=True):
        pass
    first, end = (record.getMessage() for record in caplog.records)
    assert trouble.fixer in first
    assert "works again after 2 failures" in end
