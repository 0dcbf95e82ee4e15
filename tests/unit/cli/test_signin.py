"""The command line through Keystone: which settings decide, and a token that is renewed when it ends."""

from __future__ import annotations

import builtins
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from keystoneauth1.exceptions import EndpointNotFound
from typer.testing import CliRunner

from sekisho.cli import build, signin
from sekisho.cli.connect import connection
from sekisho.cli.signin import SignIn
from sekisho.client import Client
from sekisho.model.access import Principal, Role
from sekisho.model.errors import Malformed, Unauthenticated, Unavailable
from sekisho.model.policy import Drop
from sekisho.testing.keeper import FakeKeeper
from support_cli import SMTP, WEB, Run


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def client_file(home: dict[str, str], text: str) -> dict[str, str]:
    path = Path(home["HOME"]) / "client.toml"
    path.write_text(text)
    return home | {"SEKISHO_CLIENT": str(path)}


def test_the_environment_of_openstack_signs_in_where_there_is_no_token_of_ours(home: dict[str, str]) -> None:
    for told in ({"OS_CLOUD": "mine"}, {"OS_AUTH_URL": "https://k/v3", "OS_USERNAME": "mia"}):
        found = connection("", "", home | told)
        assert (found.keystone, found.url, found.token) == (True, "", "")
        assert connection("", "", home | told | {"SEKISHO_TOKEN": "ours"}).keystone is False
    ours = client_file(home, 'url = "http://k:1"\ntoken_file = "t"\n')
    (Path(home["HOME"]) / "t").write_text("ours")
    assert connection("", "", ours | {"OS_CLOUD": "mine"}).token == "ours"


def test_an_option_goes_before_tokens_of_ours(home: dict[str, str]) -> None:
    found = connection("", "", home | {"SEKISHO_TOKEN": "ours"}, "mine")
    assert (found.keystone, found.cloud, found.token) == (True, "mine", "")
    with pytest.raises(Malformed, match="--os-cloud"):
        connection("", "/some/token", home, "mine")


def test_a_client_file_names_a_cloud_for_its_own_keeper(home: dict[str, str]) -> None:
    told = client_file(home, 'url = "http://k:1"\nos_cloud = "mine"\n')
    found = connection("", "", told)
    assert (found.keystone, found.cloud, found.url) == (True, "mine", "http://k:1")
    assert connection("http://other:1", "", told).keystone is False


def test_without_an_address_the_catalogue_says_it_and_never_this_machine(home: dict[str, str]) -> None:
    assert connection("", "", home, "mine").url == ""
    assert connection("http://k:1", "", home, "mine").url == "http://k:1"
    assert connection("", "", home | {"SEKISHO_URL": "http://k:2"}, "mine").url == "http://k:2"


def test_what_is_missing_is_said_with_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith(("openstack", "keystoneauth1")):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(Malformed, match=r"pip install 'sekisho\[openstack\]'"):
        SignIn("mine")


# --- with the library, nobody on the line ----------------------------------------------------------


@pytest.fixture
def clouds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("OS_CLOUD", "OS_AUTH_URL", "OS_USERNAME", "OS_PASSWORD"):
        monkeypatch.delenv(name, raising=False)
    file = tmp_path / "clouds.yaml"
    file.write_text(
        "clouds:\n  mine:\n    auth_type: v3applicationcredential\n    auth:\n"
        "      auth_url: http://127.0.0.1:9/v3\n      application_credential_id: x\n"
        "      application_credential_secret: y\n"
    )
    monkeypatch.setenv("OS_CLIENT_CONFIG_FILE", str(file))


@pytest.mark.usefixtures("clouds")
def test_a_cloud_that_is_not_there_is_named() -> None:
    with pytest.raises(Malformed, match="yours"):
        SignIn("yours")


@pytest.mark.usefixtures("clouds")
def test_a_keystone_that_is_away_is_unavailable() -> None:
    signed = SignIn("mine")
    with pytest.raises(Unavailable, match="Keystone"):
        signed.token()
    with pytest.raises(Unavailable, match="Keystone"):
        signed.address()


@pytest.mark.usefixtures("clouds")
def test_a_catalogue_without_a_keeper_is_said_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    signed = SignIn("mine")

    def nothing(**_: str) -> str:
        raise EndpointNotFound("public endpoint for traffic-checkpoint service not found")

    monkeypatch.setattr(signed._session, "get_endpoint", nothing)
    with pytest.raises(Malformed, match="has no service traffic-checkpoint; name the keeper: --url"):
        signed.address()


class FakeSignIn:
    """Stands where openstacksdk would: gives tokens that it made up."""

    tokens: Iterator[str]
    url = ""
    ca_file = ""

    def __init__(self, cloud: str = "") -> None:
        self.last = ""
        assert cloud in ("mine", "")

    def token(self, *, renew: bool = False) -> str:
        if renew or not self.last:
            self.last = next(self.tokens)
        return self.last

    def address(self) -> str:
        return self.url


@pytest.fixture
def signs(monkeypatch: pytest.MonkeyPatch) -> Callable[..., type[FakeSignIn]]:
    def made(*tokens: str, url: str = "") -> type[FakeSignIn]:
        FakeSignIn.tokens, FakeSignIn.url = iter(tokens), url
        monkeypatch.setattr("sekisho.cli.connect.SignIn", FakeSignIn)
        return FakeSignIn

    return made


MEMBER = Principal("keystone:mia@Default (acme)", Role.MEMBER, project="acme")


def test_a_customer_sees_why_through_the_catalogues_address(
    keeper: FakeKeeper,
    environment: dict[str, str | None],
    signs: Callable[..., type[FakeSignIn]],
) -> None:
    keeper.signed_in["mias"] = MEMBER
    keeper.impose(Principal("olga", Role.OPERATOR), WEB, (SMTP,), "It sends spam.", 3600, "")
    env = environment | {"OS_CLOUD": "mine", "SEKISHO_URL": None}

    def run(*words: str) -> str:
        signs("mias", url=str(environment["SEKISHO_URL"]))
        result = CliRunner().invoke(build(), words, env=env, prog_name="sekisho")
        assert result.exit_code == 0, result.output
        return str(result.stdout)

    assert "keystone:mia@Default (acme)" in run("whoami")
    assert "It sends spam." in run("explain", WEB)
    assert WEB in run("restrictions", "list")
    assert WEB in run("subjects", "list")
    assert "olga" not in run("explain", WEB, "--json")


def test_a_token_that_is_not_taken_any_more_is_renewed_once(
    keeper: FakeKeeper, environment: dict[str, str | None], signs: Callable[..., type[FakeSignIn]]
) -> None:
    keeper.signed_in["new"] = Principal("keystone:ada@Default (admin)", Role.ADMIN)
    signed = signs("old", "new", "newer")()
    with Client(str(environment["SEKISHO_URL"]), keystone=signed.token) as client:
        made = client.impose(WEB, (SMTP,), "why", 60)
        assert isinstance(made.actions[0], Drop)
        assert len(list(client.restrictions())) == 1, "the write was carried out once"
        del keeper.signed_in["new"]
        with pytest.raises(Unauthenticated):
            client.status()


def test_whoami_tells_role_and_what_it_allows(run: Run) -> None:
    told = run("whoami", "--json", role=Role.VIEWER).json
    assert (told["name"], told["role"]) == ("viewer", "viewer")
    assert "GET /v1/status" in told["may"]
    assert "POST /v1/restrictions" not in run("whoami", role=Role.VIEWER).out
    assert signin.SERVICE_TYPE == "traffic-checkpoint"
