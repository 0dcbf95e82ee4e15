"""Questions to Gnocchi's API: through Keystone, or by name where a Gnocchi stands alone."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from html import unescape
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from sekisho.model.errors import Conflict, Malformed, NotFound, Refused, Unavailable

if TYPE_CHECKING:
    from sekisho.metering.settings import GnocchiSettings

Query: TypeAlias = Mapping[str, Any]
RETRY: Final = 10.0
# Marks of a page, and what is in it without being words.
_TAGS: Final = re.compile(r"<(head|style|script)\b.*?</\1>|<[^>]*>", re.DOTALL | re.IGNORECASE)
# What Keystone's catalogue calls Gnocchi.
SERVICE: Final = "metric"


class Door(Protocol):
    """Whoever answers; thread-safe."""

    def ask(self, method: str, path: str, query: Query, body: Any = None) -> Any:
        """Give the answer's JSON.

        Raises NotFound, Conflict or Refused where the answer is no, Unavailable where there is none.
        """
        ...


class Basic:
    """A Gnocchi of its own, ``auth_mode = basic``: whoever knows a name is let in."""

    def __init__(self, url: str, user: str, timeout: float) -> None:
        if not url.startswith(("http://", "https://")):
            raise Malformed(f"{url!r} is no address of a Gnocchi; write for example http://127.0.0.1:8041.")
        self._url, self._timeout = url.rstrip("/"), timeout
        told = base64.b64encode(f"{user}:".encode()).decode()
        self._headers = {"Authorization": f"Basic {told}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, query: Query, body: Any = None) -> Any:
        """Ask over HTTP."""
        url = f"{self._url}{path}?{urlencode(query, doseq=True)}"
        data = None if body is None else json.dumps(body).encode()
        request = Request(url, data, self._headers, method=method)  # noqa: S310 - the scheme is looked at above
        try:
            with urlopen(request, timeout=self._timeout) as answer:  # noqa: S310 - likewise
                return _json(answer.read())
        except HTTPError as error:
            with error:
                raise refusal(error.code, error.read(2000).decode(errors="replace"), self._url) from error
        except (URLError, OSError) as error:
            raise Unavailable("Gnocchi does not answer.", f"{self._url}: {error}.", RETRY) from error


class Keystone:
    """The Gnocchi that Keystone's catalogue names; signed in to when first asked."""

    def __init__(self, cloud: str, timeout: float, clouds_file: str = "") -> None:
        self._cloud, self._timeout, self._file = cloud, timeout, clouds_file
        self._adapter: Any = None

    def ask(self, method: str, path: str, query: Query, body: Any = None) -> Any:
        """Ask with a token; a new one is fetched when the old one has ended."""
        failures = _failures()
        try:
            answer = self._signed_in().request(
                f"{path}?{urlencode(query, doseq=True)}",
                method,
                json=body,
                timeout=self._timeout,
                raise_exc=False,
            )
        except failures as error:
            raise Unavailable("Gnocchi does not answer.", f"Gnocchi: {error}", RETRY) from error
        if answer.status_code >= 400:
            raise refusal(answer.status_code, answer.text[:2000], "Gnocchi")
        return _json(answer.content)

    def _signed_in(self) -> Any:
        if self._adapter is None:
            files = [self._file] if self._file else None
            clouds = import_module("openstack.config").OpenStackConfig(config_files=files)
            config = clouds.get_one(self._cloud or None)
            # Not the library's own proxy: it works only while somebody keeps a connection for it.
            self._adapter = import_module("keystoneauth1.adapter").Adapter(
                config.get_session(),
                service_type=SERVICE,
                interface=config.get_interface(SERVICE),
                region_name=config.get_region_name(SERVICE),
            )
        return self._adapter


def reach(settings: GnocchiSettings) -> Door:
    """Make the door that the settings name; nothing is asked yet."""
    if settings.url:
        return Basic(settings.url, settings.user, settings.timeout)
    return Keystone(settings.cloud, settings.timeout, settings.clouds_file)


def iso(time: float) -> str:
    """Write a moment, unix seconds, as Gnocchi reads it."""
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def _failures() -> tuple[type[Exception], ...]:
    """Give what OpenStack's libraries raise; raises Unavailable where they are not installed."""
    try:
        return (
            import_module("keystoneauth1.exceptions").ClientException,
            import_module("openstack.exceptions").SDKException,
        )
    except ImportError as error:
        raise Unavailable(
            "Gnocchi cannot be asked.", f"install sekisho[openstack]: {error}", RETRY
        ) from error


def refusal(code: int, text: str, where: str) -> Exception:
    """Turn an HTTP status that says no into an error of our tree."""
    told = f"{where}: {code}: {plain(text)}"
    if code >= 500 or code == 429:
        return Unavailable("Gnocchi cannot answer now.", told, RETRY)
    if code == 409:
        return Conflict("Gnocchi has it already.", told)
    return NotFound("Gnocchi does not know it.", told) if code == 404 else Refused("Gnocchi refuses.", told)


def plain(text: str) -> str:
    """Give the words of an error, which Gnocchi and what stands before it write as a page or as JSON."""
    with suppress(ValueError):
        told = json.loads(text)
        text = str(told.get("description") or text) if isinstance(told, dict) else text
    if "<" in text:
        text = unescape(_TAGS.sub(" ", text))
    return " ".join(text.split())[:500]


def _json(content: bytes) -> Any:
    try:
        return json.loads(content) if content else None
    except ValueError as error:
        raise Unavailable("Gnocchi's answer cannot be read.", f"Gnocchi: {error}", RETRY) from error
