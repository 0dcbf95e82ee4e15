"""Which keeper to ask and with which token: options, then environment, then client.toml, then Keystone.

The only file of this door that reads the environment or a settings file.
"""

from __future__ import annotations

import os
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sekisho.cli.signin import SignIn, is_told
from sekisho.client import Client
from sekisho.client.files import authority
from sekisho.model.errors import Malformed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping

URL: Final = "http://127.0.0.1:8790"
TIMEOUT: Final = 30.0
KNOWN: Final[dict[str, tuple[type, ...]]] = {
    "url": (str,),
    "token_file": (str,),
    "ca_file": (str,),
    "timeout": (int, float),
    "os_cloud": (str,),
}


@dataclass(frozen=True, slots=True)
class Connection:
    """How to reach the keeper; an empty token asks without one.

    `ca_file` holds the authority of an https keeper where the system's do not know it; `timeout` in seconds.
    With `keystone` the token is Keystone's, by the entry `cloud` of a clouds.yaml or by the OS_* variables,
    and an empty `url` is looked up in its catalogue.
    """

    url: str = URL
    token: str = ""
    ca_file: str = ""
    timeout: float = TIMEOUT
    keystone: bool = False
    cloud: str = ""


def connection(url: str, token_file: str, environ: Mapping[str, str], cloud: str = "") -> Connection:
    """Settle where to ask; raises Malformed when a named file cannot be used."""
    if token_file and cloud:
        raise Malformed(
            "Ask either with a token of Sekisho's (--token-file) or through Keystone (--os-cloud)."
        )
    told = _client_file(environ)
    given = url or environ.get("SEKISHO_URL", "")
    chosen = given or told.get("url", URL)
    # A token kept for one keeper is never sent to another.
    here = chosen == told.get("url", URL)
    kept = told.get("token_file", "") if here else ""
    ca_file = environ.get("SEKISHO_CA_FILE", "") or told.get("ca_file", "")
    found = Connection(chosen, "", ca_file, float(told.get("timeout", TIMEOUT)))
    token = "" if cloud else _token(token_file, kept, environ)
    named = cloud or (told.get("os_cloud", "") if here else "")
    if token or not (named or is_told(environ)):
        return replace(found, token=token)
    # Without an address of one's own it is the catalogue's: on this machine anybody may listen.
    return replace(found, url=given or told.get("url", ""), keystone=True, cloud=named)


def connect(url: str = "", token_file: str = "", timeout: float = 0.0, cloud: str = "") -> Client:
    """Make the client for these options and this process's environment; nothing is sent yet.

    But Keystone is asked, where its catalogue must say which keeper it is. A `timeout` is for completion.
    """
    found = connection(url, token_file, os.environ, cloud)
    wait = timeout or found.timeout
    if not found.keystone:
        return Client(found.url, found.token, wait, authority(found.ca_file))
    if timeout:
        raise Unavailable("To sign in through Keystone takes longer than a completion may.")
    signed = SignIn(found.cloud)
    address = found.url or signed.address()
    context = authority(found.ca_file or signed.ca_file)
    return Client(address, "", wait, context, keystone=signed.token)


def _token(token_file: str, kept: str, environ: Mapping[str, str]) -> str:
    if not token_file and environ.get("SEKISHO_TOKEN"):
        return environ["SEKISHO_TOKEN"].strip()
    path = token_file or environ.get("SEKISHO_TOKEN_FILE", "") or kept
    return _read(Path(path), "token file").strip() if path else ""


def _client_file(environ: Mapping[str, str]) -> dict[str, Any]:
    named = environ.get("SEKISHO_CLIENT", "")
    home = Path(environ.get("XDG_CONFIG_HOME") or Path(environ.get("HOME", "/")) / ".config")
    path = Path(named) if named else home / "sekisho" / "client.toml"
    if not named and not path.exists():
        return {}
    try:
        told = tomllib.loads(_read(path, "client settings file"))
    except tomllib.TOMLDecodeError as error:
        raise Malformed(f"{path} is not TOML: {error}.") from error
    problems = tuple(_problems(told))
    if problems:
        raise Malformed(f"{path} cannot be used.", problems=problems)
    beside = {
        k: str(path.parent / Path(told[k]).expanduser()) for k in ("token_file", "ca_file") if k in told
    }
    return told | beside


def _problems(told: dict[str, Any]) -> list[str]:
    unknown = [f"{name}: unknown name; known are {', '.join(KNOWN)}" for name in told if name not in KNOWN]
    wrong = [
        f"{name}: expected {' or '.join(k.__name__ for k in KNOWN[name])}, found {value!r}"
        for name, value in told.items()
        if name in KNOWN and (isinstance(value, bool) or not isinstance(value, KNOWN[name]))
    ]
    return unknown + wrong


def _read(path: Path, what: str) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed(f"The {what} {path} cannot be read: {error}.") from error
