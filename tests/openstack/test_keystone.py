"""The real Keystone: it answers as the fake does, and its users come in as who they are."""

from __future__ import annotations

import json
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from sekisho.api import create_app, start
from sekisho.api.settings import ApiSettings
from sekisho.app.identity import Identity, KeystoneSettings
from sekisho.app.keeper import Keeper
from sekisho.app.keystone import Keystone
from sekisho.app.settings import KeeperSettings
from sekisho.cli.signin import SignIn
from sekisho.client import Client
from sekisho.host.clock import Clock
from sekisho.lab.openstack.settings import CONTROLLER, PORTS
from sekisho.lab.openstack.stack import Stack
from sekisho.ledger.ledger import Ledger
from sekisho.model.access import Role
from sekisho.model.errors import Forbidden, Malformed, Unauthenticated, Unavailable
from sekisho.testing.contract_keystone import CHECKS, Check, name
from support_forward import forwarded

DOMAIN = {"id": "default"}


class RealRig:
    """Keystone by its address, as its administrator; makes mia of acme, and a service user."""

    def __init__(self, url: str, folder: Path) -> None:
        self.url = url
        self.settings = KeystoneSettings(url=url, user="sekisho-keeper", secret_file=str(folder / "secret"))
        (folder / "secret").write_text("open sesame\n")
        self._made: list[str] = []
        self._admin = self.token(admin=True)
        admin = self._me()
        acme = self._make("project", name="acme")
        self._known("project", "service") or self._make("project", name="service")
        mia = self._make("user", name="mia", password="mia")
        keeper = self._make("user", name="sekisho-keeper", password="open sesame")
        self._known("role", "service") or self._make("role", name="service")
        for where, user, role in (
            (f"projects/{acme}", mia, "member"),
            (f"projects/{self._known('project', 'service')}", keeper, "service"),
            ("system", admin, "admin"),
            ("domains/default", admin, "admin"),
        ):
            self._call("PUT", f"/{where}/users/{user}/roles/{self._known('role', role)}", self._admin)
        self.asks = Keystone(self.settings, Clock().now)

    def token(self, *, admin: bool = False, scope: str = "project") -> str:
        user = "admin" if admin else "mia"
        who = {"name": user, "password": user, "domain": DOMAIN}
        scopes: dict[str, Any] = {
            "project": {"project": {"name": "admin" if admin else "acme", "domain": DOMAIN}},
            "system": {"system": {"all": True}},
            "domain": {"domain": DOMAIN},
            "none": "unscoped",
        }
        asked = {"identity": {"methods": ["password"], "password": {"user": who}}, "scope": scopes[scope]}
        return str(self._call("POST", "/auth/tokens", body={"auth": asked}).headers["X-Subject-Token"])

    def revoke(self, token: str) -> None:
        self._call("DELETE", "/auth/tokens", self._admin, {"X-Subject-Token": token})

    def restricted(self) -> str:
        """Make a token of an application credential that has access rules."""
        token = self.token()
        rule = {"path": "/v2.0/networks", "method": "GET", "service": "network"}
        made = {"name": "limited", "access_rules": [rule]}
        user = json.load(self._call("GET", "/auth/tokens", token, {"X-Subject-Token": token}))["token"][
            "user"
        ]
        path = f"/users/{user['id']}/application_credentials"
        answer = self._call("POST", path, token, body={"application_credential": made})
        found = json.load(answer)["application_credential"]
        credential = {"id": found["id"], "secret": found["secret"]}
        asked = {"identity": {"methods": ["application_credential"], "application_credential": credential}}
        return str(self._call("POST", "/auth/tokens", body={"auth": asked}).headers["X-Subject-Token"])

    def publish(self, kind: str, url: str) -> None:
        """Put a service into the catalogue."""
        service = self._make("service", name=kind, type=kind)
        self._make("endpoint", service_id=service, url=url, region_id="RegionOne", interface="public")

    def close(self) -> None:
        """Take away what was made."""
        for path in reversed(self._made):
            self._call("DELETE", path, self._admin)

    def _me(self) -> str:
        answer = self._call("GET", "/auth/tokens", self._admin, {"X-Subject-Token": self._admin})
        return str(json.load(answer)["token"]["user"]["id"])

    def _make(self, kind: str, **attributes: object) -> str:
        answer = json.load(self._call("POST", f"/{kind}s", self._admin, body={kind: attributes}))
        self._made.append(f"/{kind}s/{answer[kind]['id']}")
        return str(answer[kind]["id"])

    def _known(self, kind: str, named: str) -> str:
        found = json.load(self._call("GET", f"/{kind}s?name={named}", self._admin))[f"{kind}s"]
        return str(found[0]["id"]) if found else ""

    def _call(
        self, method: str, path: str, token: str = "", headers: dict[str, str] | None = None, body: Any = None
    ) -> Any:
        sent = {"Content-Type": "application/json", **({"X-Auth-Token": token} if token else {})}
        data = None if body is None else json.dumps(body).encode()
        url = f"{self.url}{path}"
        request = urllib.request.Request(url, data, {**sent, **(headers or {})}, method=method)  # noqa: S310
        return urllib.request.urlopen(request, timeout=30)  # noqa: S310 - the stack's own address


@pytest.fixture(scope="module")
def rig(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RealRig]:
    with forwarded(stack.place.controller, (CONTROLLER, PORTS["identity"])) as port:
        made = RealRig(f"http://127.0.0.1:{port}/v3", tmp_path_factory.mktemp("keystone"))
        yield made
        made.close()


@pytest.mark.parametrize("check", CHECKS, ids=name)
def test_real_keystone(check: Check, rig: RealRig) -> None:
    check(rig)


def test_an_application_credential_with_access_rules_is_refused(rig: RealRig) -> None:
    assert rig.asks.ask(rig.restricted()) is None


def test_a_service_user_that_is_refused_is_nobodys_fault_but_the_operators(
    rig: RealRig, tmp_path: Path
) -> None:
    (tmp_path / "wrong").write_text("wrong")
    asks = Keystone(replace(rig.settings, secret_file=str(tmp_path / "wrong")), Clock().now)
    with pytest.raises(Unavailable) as told:
        asks.ask(rig.token())
    assert "Unauthorized" in told.value.fixer
    assert "wrong" not in told.value.fixer


def test_a_service_user_whose_token_was_revoked_signs_in_again(rig: RealRig) -> None:
    token = rig.token()
    assert rig.asks.ask(token) is not None
    rig.revoke(rig.asks._session.get_token())
    assert rig.asks.ask(token) is not None


def test_the_service_user_may_come_from_a_clouds_file(rig: RealRig, tmp_path: Path) -> None:
    auth = {
        "auth_url": rig.url,
        "username": "sekisho-keeper",
        "password": "open sesame",
        "project_name": "service",
        "user_domain_name": "Default",
        "project_domain_name": "Default",
    }
    file = tmp_path / "clouds.yaml"
    file.write_text(json.dumps({"clouds": {"ours": {"auth": auth}}}))  # JSON is YAML
    asks = Keystone(KeystoneSettings(cloud="ours", clouds_file=str(file)), Clock().now)
    assert asks.ask(rig.token()) is not None
    with pytest.raises(Malformed, match="theirs"):
        Keystone(KeystoneSettings(cloud="theirs", clouds_file=str(file)), Clock().now)


def test_nobody_there_is_unavailable(rig: RealRig) -> None:
    asks = Keystone(replace(rig.settings, url="http://127.0.0.1:9/v3"), Clock().now)
    with pytest.raises(Unavailable):
        asks.ask("gAAAAABk" + "x" * 200)


@pytest.fixture
def keeper(rig: RealRig, tmp_path: Path) -> Iterator[httpx.Client]:
    """A real keeper's API that knows this Keystone."""
    clock, ledger = Clock(), Ledger(tmp_path / "ledger.db")
    # Every request asks: these tests revoke what they have used.
    identity = Identity(replace(rig.settings, cache=0.0), rig.asks, clock.passed)
    settings = ApiSettings(port=0)
    made = Keeper(KeeperSettings(), ledger, clock, lambda: ((), ()), identity)
    running = start(create_app(made, settings), settings)
    with httpx.Client(base_url=running.url, trust_env=False, timeout=30) as client:
        yield client
    running.stop()
    ledger.close()


def test_keystones_users_come_in_as_who_they_are(rig: RealRig, keeper: httpx.Client) -> None:
    def who(token: str) -> tuple[int, dict[str, Any]]:
        answer = keeper.get("/v1/whoami", headers={"X-Auth-Token": token})
        return answer.status_code, answer.json()

    status, told = who(rig.token())
    assert (status, told["name"], told["role"]) == (200, "keystone:mia@Default (acme)", "member")
    status, told = who(rig.token(admin=True))
    assert (status, told["name"], told["role"]) == (200, "keystone:admin@Default (admin)", "admin")
    status, told = who(rig.token(admin=True, scope="system"))
    assert (status, told["name"], told["role"]) == (200, "keystone:admin@Default ([system])", "admin")
    for scope in ("none", "domain"):
        status, told = who(rig.token(admin=True, scope=scope))
        assert (status, "scoped to a project" in told["detail"]) == (403, True)
    assert who("gAAAAABk" + "x" * 200)[0] == 401


def test_no_token_is_in_the_most_talkative_log(rig: RealRig, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    token = rig.token()
    caplog.clear()
    own = Keystone(rig.settings, Clock().now)
    assert own.ask(token) is not None
    assert token not in caplog.text
    assert own._session.get_token() not in caplog.text
    assert "open sesame" not in caplog.text


def test_the_command_line_signs_in_and_finds_the_keeper_in_the_catalogue(
    rig: RealRig, keeper: httpx.Client, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    address = str(keeper.base_url).rstrip("/")
    rig.publish("traffic-checkpoint", address)
    auth = {"auth_url": rig.url, "username": "mia", "password": "mia", "project_name": "acme"}
    domains = {"user_domain_name": "Default", "project_domain_name": "Default"}
    file = tmp_path / "clouds.yaml"
    file.write_text(json.dumps({"clouds": {"mine": {"auth": auth | domains, "region_name": "RegionOne"}}}))
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))
    signed = SignIn("mine")
    assert signed.address() == address
    with Client(signed.address(), keystone=signed.token) as client:
        assert client.whoami().name == "keystone:mia@Default (acme)"
        assert list(client.restrictions()) == []
        with pytest.raises(Forbidden):
            client.status()
        first = signed.token()
        rig.revoke(first)
        assert client.whoami().role is Role.MEMBER
        assert signed.token() != first
    file.write_text(file.read_text().replace('"mia", "project', '"wrong", "project'))
    with pytest.raises(Unauthenticated, match="Keystone"):
        SignIn("mine").token()
