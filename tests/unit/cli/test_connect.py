from pathlib import Path

import pytest

from sekisho.cli.connect import URL, connection
from sekisho.model.errors import Malformed


@pytest.fixture
def home(tmp_path: Path) -> dict[str, str]:
    return {"HOME": str(tmp_path)}


def client_file(folder: Path, text: str) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "client.toml"
    path.write_text(text)
    return path


def secret(folder: Path, name: str, text: str) -> str:
    (folder / name).write_text(text + "\n")
    return str(folder / name)


def test_without_anything_the_keeper_on_this_machine_is_asked(home: dict[str, str]) -> None:
    found = connection("", "", home)
    assert (found.url, found.token) == (URL, "")


def test_options_go_before_environment_and_environment_before_the_file(
    home: dict[str, str], tmp_path: Path
) -> None:
    client_file(tmp_path / ".config/sekisho", 'url = "http://file:1"\ntimeout = 5\n')
    assert connection("", "", home).url == "http://file:1"
    assert connection("", "", home).timeout == 5
    told = home | {"SEKISHO_URL": "http://env:1", "SEKISHO_TOKEN": "from-env"}
    assert connection("", "", told).url == "http://env:1"
    assert connection("http://option:1", "", told).url == "http://option:1"
    assert connection("", "", told).token == "from-env"
    assert connection("", secret(tmp_path, "t", "from-option"), told).token == "from-option"


def test_the_token_file_stands_beside_its_client_file(home: dict[str, str], tmp_path: Path) -> None:
    path = client_file(tmp_path / "state", 'url = "http://k:1"\ntoken_file = "operator.token"\n')
    secret(tmp_path / "state", "operator.token", "s3cret")
    found = connection("", "", home | {"SEKISHO_CLIENT": str(path)})
    assert (found.url, found.token) == ("http://k:1", "s3cret")


def test_a_kept_token_is_never_sent_to_another_keeper(home: dict[str, str], tmp_path: Path) -> None:
    path = client_file(tmp_path / "state", 'url = "http://k:1"\ntoken_file = "t"\n')
    secret(tmp_path / "state", "t", "s3cret")
    told = home | {"SEKISHO_CLIENT": str(path)}
    assert connection("http://stranger:1", "", told).token == ""
    assert connection("", "", told | {"SEKISHO_URL": "http://stranger:1"}).token == ""
    assert connection("http://k:1", "", told).token == "s3cret"


@pytest.mark.parametrize("text", ["url = ", 'urll = "x"', "url = 3", "timeout = true"])
def test_a_client_file_that_is_wrong_is_named(text: str, home: dict[str, str], tmp_path: Path) -> None:
    path = client_file(tmp_path / "state", text)
    with pytest.raises(Malformed, match=r"client\.toml"):
        connection("", "", home | {"SEKISHO_CLIENT": str(path)})


def test_a_named_file_that_is_missing_is_said(home: dict[str, str]) -> None:
    with pytest.raises(Malformed, match="/nowhere/client"):
        connection("", "", home | {"SEKISHO_CLIENT": "/nowhere/client"})
    with pytest.raises(Malformed, match="/nowhere/token"):
        connection("", "", home | {"SEKISHO_TOKEN_FILE": "/nowhere/token"})
