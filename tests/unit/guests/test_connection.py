"""Batches over the connection Neutron's bridge has to the switch, and what becomes of its failures."""

from __future__ import annotations

from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from sekisho.devices.vswitch.encode import METER_MOD_FAILED, Batch, Timed, encode
from sekisho.devices.vswitch.pipeline import Layout
from sekisho.devices.vswitch.program import Meter, Rule
from sekisho.model.errors import Conflict, Refused, SekishoError, Unavailable
from support_neutron import InvalidDatapath, OFError, neutron

LAYOUT = Layout(60, one_cookie=True)
METERS = Batch(LAYOUT, {"k": 20_000}, (Meter("k", 1000, 400),))
RULES = Batch(LAYOUT, {}, rules=(Timed(Rule("drop", 64_100, frozenset()), LAYOUT.reserved, 60),))
OPENED, COMMITTED = SimpleNamespace(type=1), SimpleNamespace(type=5)


class Message:
    """os_ken's MsgBase, as far as a message of ours needs it."""

    def __init__(self, datapath: Any) -> None:
        self.datapath, self.xid = datapath, 7


class Bridge:
    """Neutron's bridge: each answer is given once, then the last one always."""

    def __init__(self, *answers: Any) -> None:
        self.answers = list(answers)
        self.sent: list[bytes] = []
        self.asked = 0
        self._app = self

    def _get_dp(self) -> tuple[Any, Any, Any]:
        self.asked += 1
        parser = SimpleNamespace(MsgBase=Message, ONFBundleCtrlMsg="bundles")
        return SimpleNamespace(ofproto_parser=parser), None, parser

    def send_request(self, request: Any) -> Any:
        request.msg.serialize()
        self.sent.append(request.msg.buf)
        assert (request.reply_cls, request.reply_multi) == ("bundles", True)
        answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]

        def reply() -> Any:
            if isinstance(answer, Exception):
                raise answer
            return answer

        return reply


@pytest.fixture
def guest() -> Iterator[SimpleNamespace]:
    with neutron() as modules:
        yield modules


def test_a_batch_goes_as_one_message_and_the_connection_is_found_once(guest: SimpleNamespace) -> None:
    bridge = Bridge([], [OPENED, COMMITTED])
    connection = guest.bridge.Connection(bridge)
    connection(METERS)
    connection(RULES)
    assert bridge.sent == [encode(METERS, 7), encode(RULES, 7)]
    assert bridge.asked == 1


def test_a_switch_that_has_connected_anew_is_told_again(guest: SimpleNamespace) -> None:
    bridge = Bridge(InvalidDatapath("gone"), [OPENED, COMMITTED])
    guest.bridge.Connection(bridge)(RULES)
    assert len(bridge.sent) == bridge.asked == 2


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (OFError([SimpleNamespace(type=METER_MOD_FAILED, code=1)]), Conflict),
        (OFError([SimpleNamespace(type=5, code=1)]), Refused),
        (InvalidDatapath("gone"), Unavailable),
        (RuntimeError("Switch connection timeout"), Unavailable),
        ([OPENED], Unavailable),
        ([], Unavailable),
    ],
)
def test_what_comes_back_is_one_of_our_errors(
    guest: SimpleNamespace, answer: Any, error: type[SekishoError]
) -> None:
    with pytest.raises(error):
        guest.bridge.Connection(Bridge(answer))(RULES)


def test_a_bridge_without_a_connection_is_left_to_others(guest: SimpleNamespace) -> None:
    with pytest.raises(Unavailable):
        guest.bridge.Connection(SimpleNamespace(br_name="br-int"))(METERS)
