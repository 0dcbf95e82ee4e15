"""Requests go to Neutron through the network proxy of the ``openstack`` command; its answers come back.

What an owner alone may do is asked of the keeper itself, by Keystone's catalogue and with the owner's token:
only the keeper judges that, and Neutron's own token could not say for whom it asks.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote

from keystoneauth1.exceptions import EndpointNotFound
from osc_lib import exceptions

if TYPE_CHECKING:
    from collections.abc import Mapping

PATH: Final = "/port-restrictions"
ONE: Final = "port_restriction"
MANY: Final = "port_restrictions"
ABSENT: Final = "Neutron has nothing here: its extension port-restrictions is not loaded."
SERVICE_TYPE: Final = "traffic-checkpoint"
NOWHERE: Final = f"Keystone's catalogue names no keeper (service type {SERVICE_TYPE}): ask the operator."
# osc_lib's own table has no 409.
KINDS: Final = {
    400: exceptions.BadRequest,
    401: exceptions.Unauthorized,
    403: exceptions.Forbidden,
    404: exceptions.NotFound,
    409: exceptions.Conflict,
}


def path(restriction: str) -> str:
    """Give the path of one restriction, whatever somebody calls it."""
    return f"{PATH}/{quote(restriction, safe='')}"


def of_owner(manager: Any, restriction: str, reason: str) -> Any:
    """End a restriction of the asker's project early: POST to the keeper, as whoever is signed in."""
    where = _keeper(manager)
    url = f"{where.rstrip('/')}/v1/self/restrictions/{quote(restriction, safe='')}/release"
    return answered(manager.session.post(url, json={"reason": reason}, raise_exc=False))


def _keeper(manager: Any) -> str:
    """Look the keeper up in Keystone's catalogue."""
    where = None
    with suppress(EndpointNotFound):  # not every way to sign in raises it
        where = manager.session.get_endpoint(
            service_type=SERVICE_TYPE, interface=manager.interface, region_name=manager.region_name
        )
    if not where:
        raise exceptions.CommandError(NOWHERE)
    return str(where)


def answered(response: Any) -> Any:
    """Give an answer's body; raises what Neutron or the keeper said is wrong, in its own words."""
    if response.status_code < 400:
        return response.json() if response.content else None
    kind = KINDS.get(response.status_code, exceptions.ClientException)
    raise kind(response.status_code, _said(response))


def _said(response: Any) -> str:
    try:
        body = response.json()
    except ValueError:  # a proxy's page, or nothing at all
        body = None
    body = body if isinstance(body, dict) else {}
    problem = body.get("NeutronError")
    said = problem.get("message") if isinstance(problem, dict) else (problem or body.get("detail"))
    if said:
        return str(said)
    return ABSENT if response.status_code == 404 else str(response.reason)


def every(network: Any, params: Mapping[str, Any]) -> list[dict[str, Any]]:
    """List what fits, page by page where Neutron is set to answer in pages; with a limit, one page."""
    found: list[dict[str, Any]] = []
    marker: dict[str, str] = {}
    while True:
        body = answered(network.get(PATH, params={**params, **marker}))
        page = body[MANY]
        found += page
        if "limit" in params:
            return found
        links = body.get(f"{MANY}_links") or []
        if not page or not any(link.get("rel") == "next" for link in links):
            return found
        marker = {"marker": page[-1]["id"]}
