"""What each provider refuses by its field is refused on making and on changing, and stands on its page."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support_octavia_lib import Thing, UnsupportedOptionError, guest

REFERENCE = Path(__file__).parents[3] / "docs" / "reference"
KINDS = {"lvs": "LvsDriver", "adx": "AdxDriver"}
OWN_WORDS = {"l7policies": "L7 policy"}


class Nobody:
    """A keeper that is told nothing."""

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(name)


@pytest.fixture(params=KINDS)
def asked(request: pytest.FixtureRequest) -> Iterator[tuple[str, Any, dict[str, Any]]]:
    """A provider's page, the provider, and our modules."""
    with guest() as modules:
        kind = getattr(modules["provider"], KINDS[request.param])
        driver = type("Driver", (kind,), {"_keeper": property(lambda _: Nobody())})()
        yield (REFERENCE / f"octavia-{request.param}.md").read_text(), driver, modules


def attempts(driver: Any, modules: dict[str, Any]) -> Iterator[tuple[str, Any, tuple[Any, ...]]]:
    """Give every field that is refused by its name, with each call that may ask for it."""
    refused = modules["refused"]
    balancer = {"loadbalancer_id": "lb", "vip_address": "10.0.0.7"}
    listener = {"listener_id": "l", "loadbalancer_id": "lb", "protocol": "TCP", "protocol_port": 80}
    pool = {"pool_id": "p", "loadbalancer_id": "lb", "protocol": "TCP", "lb_algorithm": "ROUND_ROBIN"}
    for field in refused.BALANCER:
        yield field, driver.loadbalancer_create, (Thing(**balancer, **{field: ["x"]}),)
        yield field, driver.loadbalancer_update, (Thing(**balancer), Thing(**balancer, **{field: ["x"]}))
    for field in (*refused.LISTENER, *modules["config"]._TIMEOUTS):
        made = Thing(**listener, **{field: 7})
        yield field, driver.listener_create, (made,)
        yield field, driver.listener_update, (Thing(**listener), Thing(listener_id="l", **{field: 7}))
        yield field, driver.loadbalancer_create, (Thing(**balancer, listeners=[made]),)
    for field in refused.POOL:
        made = Thing(**pool, **{field: "x"})
        yield field, driver.pool_create, (made,)
        yield field, driver.pool_update, (Thing(**pool), Thing(pool_id="p", **{field: "x"}))
        yield field, driver.loadbalancer_create, (Thing(**balancer, pools=[made]),)


def test_each_field_is_refused_by_every_call_and_named_on_the_page(
    asked: tuple[str, Any, dict[str, Any]],
) -> None:
    page, driver, modules = asked
    tried = list(attempts(driver, modules))
    assert len({field for field, *_ in tried}) > 20
    for field, call, arguments in tried:
        with pytest.raises(UnsupportedOptionError) as caught:
            call(*arguments)
        assert field in caught.value.user_fault_string, field  # type: ignore[attr-defined]
        assert OWN_WORDS.get(field, f"`{field}`") in page


def test_no_refusal_sends_anybody_to_what_the_provider_refuses_too(
    asked: tuple[str, Any, dict[str, Any]],
) -> None:
    page, driver, _ = asked
    (works,) = re.findall(r"## What works\n\n(.*?)\n\n", page, re.DOTALL)
    for protocol in ("HTTP", "TERMINATED_HTTPS", "PROMETHEUS"):
        with pytest.raises(UnsupportedOptionError) as caught:
            driver.listener_create(
                Thing(listener_id="l", loadbalancer_id="lb", protocol=protocol, protocol_port=80)
            )
        advice = caught.value.user_fault_string.partition(". Use ")[2]  # type: ignore[attr-defined]
        assert advice
        for named in re.findall(r"\b(?:TCP|UDP|SCTP|HTTPS)\b", advice):
            assert named in works
