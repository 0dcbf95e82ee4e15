"""The Keystone in memory answers as every Keystone must."""

from __future__ import annotations

import pytest

from sekisho.testing.contract_keystone import CHECKS, Check, name
from sekisho.testing.keystone import FakeKeystone


class FakeRig:
    def __init__(self) -> None:
        self.asks = FakeKeystone()

    def token(self, *, admin: bool = False, scope: str = "project") -> str:
        user, role, project = ("admin", "admin", "admin") if admin else ("mia", "member", "acme")
        if scope == "none":
            return self.asks.issue(user)
        return self.asks.issue(
            user, role, project=project if scope == "project" else "", system=scope == "system"
        )

    def revoke(self, token: str) -> None:
        self.asks.revoke(token)


@pytest.mark.parametrize("check", CHECKS, ids=name)
def test_fake_keystone(check: Check) -> None:
    check(FakeRig())
