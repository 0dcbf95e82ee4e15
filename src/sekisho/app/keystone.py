"""Asks a real Keystone, as the keeper's service user (keystoneauth1, which comes with openstacksdk)."""

from __future__ import annotations

import warnings
from contextlib import suppress
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from sekisho.app.identity import Domained, Facts
from sekisho.model.errors import Malformed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sekisho.app.identity import KeystoneSettings

INSTALL: Final = "Install it: pip install 'sekisho[openstack]'."
AWAY: Final = "Keystone does not answer."


class Keystone:
    """Implements `identity.Asks`; thread-safe. `now` tells unix seconds, for answers that bear no date."""

    def __init__(self, settings: KeystoneSettings, now: Callable[[], float]) -> None:
        self._session, self._url = session_of(settings)
        self._now = now

    def ask(self, token: str) -> Facts | None:
        """Ask GET /v3/auth/tokens; the service user's own token is renewed where it has ended."""
        from keystoneauth1 import exceptions

        try:
            answer = self._answer(token)
        except exceptions.ClientException as error:
            # Its service user is refused, or nobody is there: neither is the asker's fault.
            raise Unavailable(AWAY, f"Keystone at {self._url}: {type(error).__name__}: {error}") from error
        if answer.status_code == 404:
            return None
        if answer.status_code != 200:
            raise Unavailable(AWAY, _why(self._url, answer.status_code), _retry_after(answer.headers))
        try:
            return facts_of(answer.json()["token"], _date(answer.headers) or self._now())
        except (ValueError, KeyError, TypeError) as error:
            fixer = f"Keystone at {self._url} answers what is no token: {type(error).__name__}"
            raise Unavailable(AWAY, fixer) from error

    def _answer(self, token: str) -> Any:
        from keystoneauth1 import exceptions

        asked = {
            "headers": {"X-Subject-Token": token, "Accept": "application/json"},
            "raise_exc": False,
            "log": False,  # headers and bodies stay out of every log
        }
        try:
            return self._session.get(f"{self._url}/auth/tokens?nocatalog", **asked)
        except exceptions.ConnectTimeout:
            raise
        except exceptions.ConnectFailure:
            # A kept connection that the other side has closed meanwhile looks like this; a new one tells.
            return self._session.get(f"{self._url}/auth/tokens?nocatalog", **asked)


def session_of(settings: KeystoneSettings) -> tuple[Any, str]:
    """Make the session of the service user and find Keystone's address; nothing is asked yet."""
    try:
        from keystoneauth1 import session
    except ImportError as error:
        raise Malformed(f"keeper.keystone: openstacksdk is missing. {INSTALL}") from error
    if settings.cloud:
        return _from_clouds(settings)
    verify = settings.ca_file or True
    made = session.Session(auth=_credential(settings), verify=verify, timeout=settings.timeout)
    return made, _v3(settings.url)


def _from_clouds(settings: KeystoneSettings) -> tuple[Any, str]:
    from openstack.config import OpenStackConfig
    from openstack.exceptions import ConfigException

    files = [settings.clouds_file] if settings.clouds_file else None
    if settings.clouds_file and not Path(settings.clouds_file).is_file():
        raise Malformed(f"keeper.keystone.clouds_file: there is no file {settings.clouds_file}.")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about the library's own defaults, which nobody here chose
            found = OpenStackConfig(config_files=files, load_envvars=False).get_one(settings.cloud)
            made = found.get_session()
    except ConfigException as error:
        raise Malformed(f"keeper.keystone.cloud: {settings.cloud!r} cannot be used: {error}") from error
    made.timeout = settings.timeout
    url = getattr(made.auth, "auth_url", None)
    if not url:
        raise Malformed(f"keeper.keystone.cloud: {settings.cloud!r} names no auth_url.")
    return made, _v3(url)


def _credential(settings: KeystoneSettings) -> Any:
    from keystoneauth1.identity import v3

    try:
        secret = Path(settings.secret_file).read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed(f"keeper.keystone.secret_file: {settings.secret_file}: {error}") from error
    if settings.application_credential:
        return v3.ApplicationCredential(
            _v3(settings.url),
            application_credential_id=settings.application_credential,
            application_credential_secret=secret,
        )
    return v3.Password(
        _v3(settings.url),
        username=settings.user,
        password=secret,
        user_domain_name=settings.user_domain,
        project_name=settings.project,
        project_domain_name=settings.project_domain,
    )


def facts_of(token: Mapping[str, Any], now: float) -> Facts:
    """Read Keystone's description of a token; what is missing raises KeyError."""
    ends = datetime.fromisoformat(token["expires_at"])
    left = ends.replace(tzinfo=ends.tzinfo or UTC).timestamp() - now
    # One bound to a client's certificate is of no worth here: we do not see that certificate. A project
    # that acts as a domain is a domain.
    bound = "oauth2_credential" in token
    project = None if token.get("is_domain") or "project" not in token else _domained(token["project"])
    roles = frozenset(role["name"] for role in token.get("roles", ()))
    system = bool(token.get("system", {}).get("all"))
    return Facts(_domained(token["user"]), roles, 0.0 if bound else left, project, system)


def _domained(noun: Mapping[str, Any]) -> Domained:
    return Domained(noun["id"], noun["name"], noun["domain"]["name"])


def _v3(url: str) -> str:
    url = url.rstrip("/")
    return url if url.endswith("/v3") else f"{url}/v3"


def _why(url: str, status: int) -> str:
    if status == 401:
        return f"Keystone at {url} does not accept the keeper's service user."
    if status == 403:
        return f"Keystone at {url} does not let the keeper's service user ask: it needs the role service."
    return f"Keystone at {url} answers with status {status}."


def _date(headers: Mapping[str, str]) -> float:
    """Read Keystone's own clock, by which its tokens end; ours may differ."""
    with suppress(ValueError, TypeError):
        return parsedate_to_datetime(headers.get("Date", "")).timestamp()
    return 0.0


def _retry_after(headers: Mapping[str, str]) -> float:
    with suppress(ValueError):
        return max(1.0, min(60.0, float(headers.get("Retry-After", "1"))))
    return 1.0
