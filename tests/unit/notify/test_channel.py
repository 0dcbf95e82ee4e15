"""Letters on their way: signed webhooks and Apprise, over real sockets on loopback."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from pathlib import Path

import pytest

from sekisho.model.errors import Malformed, Refused, SekishoError, Unavailable
from sekisho.model.notice import Letter
from sekisho.notify.channel import channel, customers
from sekisho.notify.settings import ChannelSettings, CustomerSettings
from support_receiver import mail_server, receiving

NOW = 1_800_000_000.7
LETTER = Letter("n7", "ops", "port-web は制限", "line one\nline two", '{"count":1,"notices":[]}', 1, NOW, NOW)


@pytest.fixture
def key(tmp_path: Path) -> Path:
    file = tmp_path / "secret"
    file.write_text("whsec_" + base64.b64encode(b"very secret indeed").decode() + "\n")
    return file


def test_a_webhook_is_signed_as_the_specification_says(key: Path) -> None:
    with receiving() as receiver:
        channel(ChannelSettings(webhook=receiver.url, secret_file=str(key))).send(LETTER, NOW)
    ((headers, body),) = receiver.got
    assert json.loads(body) == {"count": 1, "notices": []}
    signed = f"n7.{headers['webhook-timestamp']}.".encode() + body
    mac = hmac.new(b"very secret indeed", signed, hashlib.sha256).digest()
    assert headers["webhook-signature"] == f"v1,{base64.b64encode(mac).decode()}"
    assert (headers["webhook-id"], headers["webhook-timestamp"]) == ("n7", "1800000000")


@pytest.mark.parametrize(
    ("status", "raised"),
    [(500, Unavailable), (503, Unavailable), (429, Unavailable), (410, Refused), (401, Refused)],
)
def test_what_a_receiver_answers_decides_whether_it_is_tried_again(
    key: Path, status: int, raised: type[SekishoError]
) -> None:
    with receiving() as receiver:
        receiver.answers = [status]
        with pytest.raises(raised, match=r"want|well"):
            channel(ChannelSettings(webhook=receiver.url, secret_file=str(key))).send(LETTER, NOW)


def test_a_redirect_leads_nowhere(key: Path) -> None:
    with receiving() as elsewhere, receiving() as receiver:
        receiver.answers, receiver.location = [307], elsewhere.url
        with pytest.raises(Unavailable):
            channel(ChannelSettings(webhook=receiver.url, secret_file=str(key))).send(LETTER, NOW)
        assert not elsewhere.got


def test_nobody_at_home_is_no_reason_to_tell_the_url(key: Path) -> None:
    with receiving() as receiver:
        url = receiver.url.replace("hook", "hook/T0KEN")
    with pytest.raises(Unavailable) as error:
        channel(ChannelSettings(webhook=url, secret_file=str(key))).send(LETTER, NOW)
    assert "T0KEN" not in error.value.fixer
    assert "127.0.0.1" in error.value.fixer


@pytest.mark.parametrize("text", [None, "", "# nothing\n", "whsec_!!!\n"])
def test_a_secret_that_cannot_be_read_is_told_with_its_file(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "secret"
    if text is not None:
        file.write_text(text)
    with pytest.raises(Malformed) as error:
        channel(ChannelSettings(webhook="http://127.0.0.1:9/", secret_file=str(file))).send(LETTER, NOW)
    assert str(file) in error.value.fixer


def test_apprise_carries_title_and_text_to_every_url(tmp_path: Path) -> None:
    with receiving() as one, receiving() as two:
        file = tmp_path / "urls"
        places = [r.url.removeprefix("http://").partition("/")[0] for r in (one, two)]
        file.write_text("# chat\n" + "".join(f"json://{p}/\n" for p in places))
        channel(ChannelSettings(url_file=str(file))).send(LETTER, NOW)
    for receiver in (one, two):
        told = json.loads(receiver.got[0][1])
        assert (told["title"], told["message"]) == ("port-web は制限", "line one\nline two")


def test_what_apprise_cannot_deliver_is_tried_again(tmp_path: Path) -> None:
    with receiving() as receiver:
        receiver.answers = [500]
        file = tmp_path / "urls"
        file.write_text(f"json://{receiver.url.removeprefix('http://')}\n")
        with pytest.raises(Unavailable):
            channel(ChannelSettings(url_file=str(file))).send(LETTER, NOW)


def test_a_url_that_apprise_does_not_know_is_told_by_its_place_and_not_by_its_words(tmp_path: Path) -> None:
    file = tmp_path / "urls"
    file.write_text("carrierpigeon://token:s3cret@roof\n")
    with pytest.raises(Malformed) as error:
        channel(ChannelSettings(url_file=str(file))).send(LETTER, NOW)
    assert f"{file}, entry 1" in error.value.fixer
    assert "s3cret" not in error.value.fixer


def test_a_customer_gets_a_mail_at_its_own_address(tmp_path: Path) -> None:
    with mail_server() as post:
        file = tmp_path / "url"
        file.write_text(f"mailto://127.0.0.1:{post.port}?from=abuse@example.net&to={{to}}\n")
        carrier = customers(CustomerSettings(contacts="x", url_file=str(file)))
        letter = Letter("n8", "customers", "Notice", "seen and done", "", 1, NOW, NOW, to="ada+x@example.org")
        carrier.send(letter, NOW)
    ((to, mail),) = post.mails
    assert to == ["ada+x@example.org"]
    assert "abuse@example.net" in mail
    assert "Notice" in mail
