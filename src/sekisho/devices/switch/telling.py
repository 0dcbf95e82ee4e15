"""What went wrong with a change, in words: an exception in, a sentence for each of its readers out."""

from __future__ import annotations

import re

from sekisho.devices.switch.said import clean
from sekisho.model.errors import SekishoError


class At(Exception):
    """Something went wrong at one of the switches that are changed together."""

    def __init__(self, where: str, what: Exception) -> None:
        self.where = where
        self.what = what
        super().__init__(where, what)


def asker(error: Exception) -> str:
    """Say it to whoever asked, and at which switch where that is not said already."""
    if isinstance(error, At):
        return _at(error.where, asker(error.what))
    return error.asker if isinstance(error, SekishoError) else "Something went wrong on our side."


def fixer(error: Exception) -> str:
    """Say it to whoever must mend it."""
    if isinstance(error, At):
        return _at(error.where, fixer(error.what))
    return error.fixer if isinstance(error, SekishoError) else repr(error)


def logged(error: Exception, switch: str = "") -> str:
    """Say it in one line of a log that has named the switch already; what is secret was left out before."""
    return " ".join(str(clean(fixer(error))).split()).removeprefix(f"{switch}: ")


def _at(where: str, said: str) -> str:
    named = re.search(rf"(?<![\w.-]){re.escape(where)}(?![\w-])", said)
    return said if named else f"{where}: {said}"


def unknown(error: Exception) -> bool:
    """Tell whether it is a fault of ours."""
    return unknown(error.what) if isinstance(error, At) else not isinstance(error, SekishoError)
