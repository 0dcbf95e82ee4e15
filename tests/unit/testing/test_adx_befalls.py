"""What befalls every call to emulated boxes is said in a file while they run in a process of their own."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pytest

from sekisho.devices.balancer.adx.driver import connect
from sekisho.model.errors import Refused, SekishoError, Unavailable
from sekisho.testing.adx.__main__ import befall
from sekisho.testing.adx.box import Box
from sekisho.testing.adx.web import served


@pytest.mark.parametrize(
    ("said", "error"),
    [
        ("forbidden", SekishoError),
        ("fault", Refused),
        ("garbage", SekishoError),
        ("empty", SekishoError),
        ("broken", Unavailable),
        ("silent", Unavailable),
        ("slow 30", Unavailable),
    ],
)
def test_it_befalls_all_calls_until_the_file_says_otherwise(
    tmp_path: Path, said: str, error: type[SekishoError]
) -> None:
    file, box = tmp_path / "befall", Box()
    with served(box, before=partial(befall, box, file)) as address:
        driver = connect({"addresses": [address], "username": "admin", "timeout": 0.2}, "admin")
        assert driver.carry(()).problems == {}
        file.write_text(said)
        for _ in range(2):
            with pytest.raises(error):
                driver.carry(())
        file.unlink()
        assert driver.carry(()).problems == {}
        driver.close()
