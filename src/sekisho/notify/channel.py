"""Who carries letters: Apprise for mail and chat, and webhooks that are signed.

Webhooks follow the Standard Webhooks specification 1.0: ``webhook-id`` stays the same when a letter is
tried again, ``webhook-timestamp`` is unix seconds, ``webhook-signature`` is ``v1,`` and the base64 of the
HMAC-SHA256 of ``id.timestamp.body`` under the shared secret.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import http.client
import ssl
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote, urlsplit

from sekisho.model.errors import Malformed, Refused, Unavailable

if TYPE_CHECKING:
    from sekisho.model.notice import Letter
    from sekisho.notify.settings import ChannelSettings, CustomerSettings

# A receiver that answers so does not want this letter, today or tomorrow (410: none at all).
_UNWANTED: Final = frozenset({400, 401, 403, 404, 405, 410, 413, 415, 422})
_ANSWER: Final = 64 * 1024
_PREFIX: Final = "whsec_"


class Channel(Protocol):
    """Carries one letter; raises Unavailable (try again), Refused (do not), Malformed (a file is amiss)."""

    def send(self, letter: Letter, now: float) -> None:
        """Send it, once."""
        ...


@dataclass(frozen=True, slots=True)
class Webhook:
    """Posts a letter's payload, signed."""

    url: str
    secret_file: Path
    ca_file: str
    timeout: float

    def send(self, letter: Letter, now: float) -> None:
        """Post it once."""
        body = letter.payload.encode()
        headers = {
            "Content-Type": "application/json",
            "User-Agent": "sekisho",
            **signed(letter.id, int(now), body, secret(self.secret_file)),
        }
        status = self._post(body, headers)
        if 200 <= status < 300:
            return
        said = f"{_host(self.url)} answered {status}."
        if status in _UNWANTED:
            raise Refused("The receiver does not want it.", said)
        raise Unavailable("The receiver is not well.", said)

    def _post(self, body: bytes, headers: dict[str, str]) -> int:
        """Post without following redirects: the address that the operator wrote, or none."""
        parts = urlsplit(self.url)
        connection = _connection(parts.scheme, parts.netloc, self.ca_file, self.timeout)
        try:
            path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
            connection.request("POST", path, body, headers)
            answer = connection.getresponse()
            answer.read(_ANSWER)
        except (OSError, http.client.HTTPException) as error:
            raise Unavailable("Nobody answered.", f"{_host(self.url)}: {error}.") from error
        finally:
            connection.close()
        return answer.status


def _connection(scheme: str, place: str, ca_file: str, timeout: float) -> http.client.HTTPConnection:
    place = place.rpartition("@")[2]
    if scheme == "http":
        return http.client.HTTPConnection(place, timeout=timeout)
    try:
        context = ssl.create_default_context(cafile=ca_file or None)
    except OSError as error:
        raise Malformed("The channel's files are amiss.", f"{ca_file}: {error}.") from error
    return http.client.HTTPSConnection(place, timeout=timeout, context=context)


def signed(letter: str, now: int, body: bytes, key: bytes) -> dict[str, str]:
    """Make the headers by which a receiver knows that we say it, and when (unix seconds)."""
    mac = hmac.new(key, b".".join((letter.encode(), str(now).encode(), body)), hashlib.sha256).digest()
    return {
        "webhook-id": letter,
        "webhook-timestamp": str(now),
        "webhook-signature": f"v1,{base64.b64encode(mac).decode()}",
    }


def secret(path: Path) -> bytes:
    """Read a webhook's secret: text, or ``whsec_`` and base64 as the specification writes them."""
    text = _lines(path)[0]
    if not text.startswith(_PREFIX):
        return text.encode()
    try:
        return base64.b64decode(text.removeprefix(_PREFIX), validate=True)
    except binascii.Error as error:
        raise Malformed(
            "The channel's files are amiss.", f"{path}: what follows whsec_ is no base64."
        ) from error


@dataclass(frozen=True, slots=True)
class Apprised:
    """Sends by Apprise to every URL of a file; `{to}` in them is the letter's own address."""

    url_file: Path
    timeout: float

    def send(self, letter: Letter, now: float) -> None:
        """Hand it to every URL."""
        del now
        try:
            from apprise import Apprise, AppriseAsset, NotifyFormat
        except ImportError as error:
            raise Malformed("The channel needs Apprise.", "Install sekisho[notify].") from error
        sender = Apprise(asset=AppriseAsset(app_id="Sekisho", app_desc="Sekisho", secure_logging=True))
        for number, line in enumerate(_lines(self.url_file), 1):
            if not sender.add(self._addressed(line, letter)):
                raise Malformed(
                    "The channel's files are amiss.",
                    f"{self.url_file}, entry {number}: no URL that Apprise knows.",
                )
        if not sender.notify(title=letter.title, body=letter.text, body_format=NotifyFormat.TEXT):
            raise Unavailable(
                "It was not taken.", f"Apprise could not deliver to every URL of {self.url_file}."
            )

    def _addressed(self, line: str, letter: Letter) -> str:
        times = "&" if "?" in line else "?"
        told = (
            line
            if any(k in line for k in ("cto=", "rto="))
            else f"{line}{times}cto={self.timeout:g}&rto={self.timeout:g}"
        )
        return told.replace("{to}", quote(letter.to, safe="@"))


def channel(settings: ChannelSettings) -> Channel:
    """Make what carries a channel's letters; nothing is read or reached yet."""
    if settings.webhook:
        return Webhook(settings.webhook, Path(settings.secret_file), settings.ca_file, settings.timeout)
    return Apprised(Path(settings.url_file), settings.timeout)


def customers(settings: CustomerSettings) -> Channel:
    """Make what carries letters to customers."""
    return Apprised(Path(settings.url_file), settings.timeout)


def _host(url: str) -> str:
    """Name where a URL leads without what may be secret in it."""
    return urlsplit(url).hostname or "the webhook"


def _lines(path: Path) -> list[str]:
    """Read what is not empty and no comment; raises Malformed."""
    try:
        found = [line.strip() for line in path.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise Malformed("The channel's files are amiss.", f"{path}: {error}.") from error
    kept = [line for line in found if line and not line.startswith("#")]
    if not kept:
        raise Malformed("The channel's files are amiss.", f"{path}: it is empty.")
    return kept
