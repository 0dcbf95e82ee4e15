"""Routes about switches: what they are, what would change, what is being changed, what was by hand."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any, Final, TypeVar

import anyio
from fastapi import Depends, Query, Request, Response
from fastapi.responses import PlainTextResponse

from sekisho.api.access import ADMIN, OPERATE, VIEW, Asker
from sekisho.api.bodies import Items, Name, Reason, Why, json_body
from sekisho.api.fields import Limit, Marker, Revision, Text, Wait, cut, etag, page
from sekisho.api.parts import part
from sekisho.api.routes import Routes
from sekisho.api.switch_keeper import Switches
from sekisho.model.errors import Unavailable
from sekisho.model.switch import (
    BackupView,
    ChangeView,
    DriftView,
    PlanView,
    RolloutView,
    SwitchView,
    Wanted,
)

SWITCHES = Routes()

T = TypeVar("T")
# So many requests speak to switches at once; each may take as long as a switch does.
REACHING: Final = 8


@dataclass(frozen=True, slots=True)
class Named:
    """Which switches; none is all of them."""

    switches: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Approve:
    """Say why, and which risks are taken that are forbidden otherwise."""

    reason: Reason
    allow: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Back:
    """Say why, and before which change; its newest one unless named."""

    reason: Reason
    change: str = ""


@dataclass(frozen=True, slots=True)
class Restore:
    """Say why, and to which backup."""

    reason: Reason
    backup: Name


async def _reached(request: Request, ask: Callable[..., T], *told: Any, **more: Any) -> T:
    """Ask what a switch must answer, beside the threads that all else is answered by; raises Unavailable."""
    line: anyio.CapacityLimiter = request.app.state.reaching
    mine = object()
    try:
        line.acquire_on_behalf_of_nowait(mine)
    except anyio.WouldBlock as full:
        raise Unavailable(
            f"{REACHING} requests speak to switches at this moment: ask again.", retry_after=5.0
        ) from full
    try:
        return await anyio.to_thread.run_sync(partial(ask, *told, **more), limiter=anyio.CapacityLimiter(1))
    finally:
        line.release_on_behalf_of(mine)


TheSwitches = Annotated[Switches, Depends(part("switches", "No switches are kept here."))]
NamedBody = Annotated[Named, Depends(json_body(Named))]
BackBody = Annotated[Back, Depends(json_body(Back))]


@SWITCHES.add("GET", "/v1/switches", VIEW, Items[SwitchView])
def switches(
    request: Request, response: Response, keeper: TheSwitches, limit: Limit = 100, marker: Marker = ""
) -> Items[SwitchView]:
    """List switches as they were when last looked at."""
    found, following = cut(keeper.switches(), lambda s: s.name, limit, marker)
    return page(request, response, found, following)


@SWITCHES.add("POST", "/v1/switches/plans", VIEW, Items[PlanView], body=Named)
async def plan_switches(request: Request, keeper: TheSwitches, body: NamedBody) -> Items[PlanView]:
    """Read switches, and say what would change on them and on their pairs; nothing is changed."""
    return Items(await _reached(request, keeper.plan, body.switches))


@SWITCHES.add("GET", "/v1/switches/drift", VIEW, Items[DriftView])
def drift(
    keeper: TheSwitches, switch: Annotated[list[str] | None, Query(max_length=1000)] = None
) -> Items[DriftView]:
    """Say what differed from the files when the switches were last looked at."""
    return Items(keeper.drift(tuple(switch or ()), fresh=False))


@SWITCHES.add("POST", "/v1/switches/drift", OPERATE, Items[DriftView], body=Named)
async def look_for_drift(request: Request, keeper: TheSwitches, body: NamedBody) -> Items[DriftView]:
    """Read switches now, and say what differs from their files."""
    return Items(await _reached(request, keeper.drift, body.switches, fresh=True))


@SWITCHES.add("POST", "/v1/switches/changes", ADMIN, RolloutView, body=Wanted, status=202)
def change_switches(
    response: Response,
    keeper: TheSwitches,
    who: Asker,
    body: Annotated[Wanted, Depends(json_body(Wanted))],
) -> RolloutView:
    """Make switches what their files say: canary first, then side by side; both of a pair as one."""
    return _begun(response, keeper.want(who, body))


@SWITCHES.add("GET", "/v1/switches/changes", VIEW, Items[ChangeView])
def switch_changes(
    request: Request,
    response: Response,
    keeper: TheSwitches,
    switch: Text = "",
    limit: Limit = 100,
    marker: Marker = "",
) -> Items[ChangeView]:
    """List changes, newest first: who, when, which plan, how it ended and how that is known."""
    found = keeper.changes(switch, limit, marker)
    return page(request, response, found.items, found.next)


@SWITCHES.add("GET", "/v1/switches/changes/{rollout}", VIEW, RolloutView, waits=True)
async def rollout(
    request: Request,
    response: Response,
    keeper: TheSwitches,
    rollout: str,
    revision: Revision | None = None,
    wait: Wait = 0.0,
) -> RolloutView | Response:
    """Tell how far a rollout is, switch by switch."""
    view: RolloutView | None = await request.app.state.waiting.news(
        f"rollout:{rollout}", lambda: keeper.rollout(rollout), lambda v: v.revision != revision, wait
    )
    if view is None:
        return Response(status_code=304)
    response.headers["ETag"] = etag(view.revision)
    return view


@SWITCHES.add("POST", "/v1/switches/changes/{change}/approve", ADMIN, RolloutView, body=Approve, status=202)
def approve_change(
    response: Response,
    keeper: TheSwitches,
    who: Asker,
    change: str,
    body: Annotated[Approve, Depends(json_body(Approve))],
) -> RolloutView:
    """Carry a proposal out, if its plan is still the same."""
    return _begun(response, keeper.approve(who, change, body.reason, body.allow))


@SWITCHES.add("POST", "/v1/switches/changes/{change}/reject", ADMIN, ChangeView, body=Why)
def reject_change(
    keeper: TheSwitches, who: Asker, change: str, body: Annotated[Why, Depends(json_body(Why))]
) -> ChangeView:
    """Put a proposal aside."""
    return keeper.reject(who, change, body.reason)


@SWITCHES.add("GET", "/v1/switches/{switch}", VIEW, SwitchView)
def switch(keeper: TheSwitches, switch: str) -> SwitchView:
    """Show one switch."""
    return keeper.switch(switch)


@SWITCHES.add("GET", "/v1/switches/{switch}/export", ADMIN)
async def export_switch(request: Request, keeper: TheSwitches, switch: str) -> Response:
    """Write a switch as it is as the text of its file (TOML); it holds the switch's secrets."""
    return PlainTextResponse(await _reached(request, keeper.export, switch))


@SWITCHES.add("POST", "/v1/switches/{switch}/rollback", ADMIN, RolloutView, body=Back, status=202)
def rollback_switch(
    response: Response, keeper: TheSwitches, who: Asker, switch: str, body: BackBody
) -> RolloutView:
    """Make a switch, and its pair, what it was before a change."""
    return _begun(response, keeper.rollback(who, switch, body.change, body.reason))


@SWITCHES.add("POST", "/v1/switches/{switch}/restore", ADMIN, RolloutView, body=Restore, status=202)
def restore_switch(
    response: Response,
    keeper: TheSwitches,
    who: Asker,
    switch: str,
    body: Annotated[Restore, Depends(json_body(Restore))],
) -> RolloutView:
    """Make a switch what a backup says."""
    return _begun(response, keeper.restore(who, switch, body.backup, body.reason))


@SWITCHES.add("GET", "/v1/switches/{switch}/backups", VIEW, Items[BackupView])
def backups(
    request: Request,
    response: Response,
    keeper: TheSwitches,
    switch: str,
    limit: Limit = 100,
    marker: Marker = "",
) -> Items[BackupView]:
    """List the kept running-configs of a switch, newest first."""
    found, following = cut(keeper.backups(switch), lambda b: b.name, limit, marker)
    return page(request, response, found, following)


@SWITCHES.add("POST", "/v1/switches/{switch}/backups", OPERATE, BackupView)
async def back_up(request: Request, keeper: TheSwitches, switch: str) -> BackupView:
    """Keep the running-config of this moment, if it is not kept already."""
    return await _reached(request, keeper.backup, switch)


@SWITCHES.add("GET", "/v1/switches/{switch}/backups/{backup}", ADMIN)
def backup_text(keeper: TheSwitches, switch: str, backup: str) -> Response:
    """Give a kept running-config as plain text; it holds secrets."""
    return PlainTextResponse(keeper.backup_text(switch, backup))


@SWITCHES.add("GET", "/v1/switches/{switch}/backups/{backup}/diff", ADMIN)
async def backup_diff(
    request: Request, keeper: TheSwitches, switch: str, backup: str, other: Text = ""
) -> Response:
    """Compare a kept running-config with another one, or with what runs now; it holds secrets."""
    return PlainTextResponse(await _reached(request, keeper.backup_diff, switch, backup, other))


def _begun(response: Response, found: RolloutView) -> RolloutView:
    response.headers["Location"] = f"/v1/switches/changes/{found.id}"
    return found
