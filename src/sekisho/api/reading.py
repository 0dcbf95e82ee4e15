"""Routes that read: what is there, what is in force, why."""

from typing import Annotated, Literal

from fastapi import Query, Request, Response

from sekisho.api import own
from sekisho.api.access import ADMIN, ANYBODY, EVERYBODY, MEMBER, OWN, SEE, VIEW, Asker, TheKeeper
from sekisho.api.bodies import Items
from sekisho.api.fields import Limit, Marker, Revision, Text, Wait, cut, etag, page
from sekisho.api.routes import Route, Routes
from sekisho.model.access import Role, Token, WhoAmI
from sekisho.model.inventory import Subject
from sekisho.model.policy import Exemption
from sekisho.model.release import OwnView
from sekisho.model.report import Enforcement, Explanation, HostStatus, PolicyView, Status, Talker
from sekisho.model.restriction import JournalEntry, Restriction, State

READING = Routes()

Rate = Literal["egress_bps", "ingress_bps", "egress_pps", "ingress_pps", "smtp_per_minute"]


@READING.add("GET", "/v1/status", SEE, Status)
def status(keeper: TheKeeper) -> Status:
    """Sum up the keeper, its hosts and collectors, and what needs a person."""
    return keeper.status()


@READING.add("GET", "/v1/whoami", EVERYBODY, WhoAmI, personal=True)
def whoami(request: Request, keeper: TheKeeper, who: Asker) -> WhoAmI:
    """Say who the asker is, and which requests it may make."""
    rows: tuple[Route, ...] = request.app.state.routes
    may = tuple(
        f"{r.method} {r.path.replace(':path', '')}"
        for r in rows
        if who.role in r.roles and (not who.host or r.personal or "{host}" in r.path)
        if who.host or not r.bound or who.role is not Role.AGENT
    )
    return WhoAmI(who.name, who.role, who.host, who.project, may, keeper.moment())


@READING.add("GET", "/v1/self", MEMBER, OwnView)
def self_(keeper: TheKeeper, who: Asker) -> OwnView:
    """Show a customer its own ports, what restricts them and why, and what it may end early."""
    return own.view(who, keeper.own(who.project))


@READING.add("GET", "/v1/hosts", VIEW, Items[HostStatus])
def hosts(
    request: Request, response: Response, keeper: TheKeeper, limit: Limit = 100, marker: Marker = ""
) -> Items[HostStatus]:
    """List hosts."""
    found, following = cut(keeper.status().hosts, lambda h: h.name, limit, marker)
    return page(request, response, found, following)


@READING.add("GET", "/v1/subjects", OWN, Items[Subject])
def subjects(  # noqa: PLR0913, PLR0917 - a filter each
    request: Request,
    response: Response,
    keeper: TheKeeper,
    who: Asker,
    host: Text = "",
    project: Text = "",
    flavor: Text = "",
    plan: Text = "",
    text: Text = "",
    limit: Limit = 100,
    marker: Marker = "",
) -> Items[Subject]:
    """List subjects of a host, project, flavor or plan, with a text in their names or addresses."""
    if who.project:
        own.need_no_host(host)
        if project not in ("", who.project):
            return Items(())
    found = keeper.subjects(host, who.project or project, text, limit, marker, flavor, plan)
    return page(request, response, own.subjects(who, found.items), found.next)


# Ids of subjects may contain slashes, so the longer path stands first.
@READING.add("GET", "/v1/subjects/{subject:path}/explain", OWN, Explanation)
def explain(keeper: TheKeeper, who: Asker, subject: str) -> Explanation:
    """Say why a subject is treated as it is, since when, until when, on what evidence."""
    return own.explanation(who, keeper.explain(subject, who.project))


@READING.add("GET", "/v1/subjects/{subject:path}", OWN, Subject)
def subject(keeper: TheKeeper, who: Asker, subject: str) -> Subject:
    """Show one subject."""
    return own.subject(who, keeper.subject(subject, who.project))


@READING.add("GET", "/v1/top", VIEW, Items[Talker])
def top(keeper: TheKeeper, by: Rate = "egress_bps", limit: Limit = 100) -> Items[Talker]:
    """List the greatest talkers, by one of their rates."""
    return Items(keeper.top(by, limit))


@READING.add("GET", "/v1/restrictions", OWN, Items[Restriction])
def restrictions(  # noqa: PLR0913, PLR0917 - each is a part of the query
    request: Request,
    response: Response,
    keeper: TheKeeper,
    who: Asker,
    state: Annotated[list[State] | None, Query()] = None,
    subject: Text = "",
    policy: Text = "",
    project: Text = "",
    since: Revision = 0,
    before: Text = "",
    limit: Limit = 100,
    marker: Marker = "",
) -> Items[Restriction]:
    """List restrictions of a subject, policy or project, in some states, by what changed, by age."""
    states = own.states(who, tuple(state or ()))
    if states is None or (who.project and project not in ("", who.project)):
        return Items(())
    asked = who.project or project
    found = keeper.restrictions(subject, policy, states, limit, marker, asked, since, before)
    return page(request, response, own.restrictions(who, found.items), found.next)


@READING.add("GET", "/v1/restrictions/{restriction}", OWN, Restriction)
def restriction(response: Response, keeper: TheKeeper, who: Asker, restriction: str) -> Restriction:
    """Show one restriction; its ETag is its revision."""
    found = own.restriction(who, restriction, keeper.restriction(restriction, who.project))
    response.headers["ETag"] = etag(found.revision)
    return found


@READING.add("GET", "/v1/journal", VIEW, Items[JournalEntry])
def journal(
    request: Request,
    response: Response,
    keeper: TheKeeper,
    restriction: Text = "",
    subject: Text = "",
    limit: Limit = 100,
    marker: Marker = "",
) -> Items[JournalEntry]:
    """List who did what, when and why."""
    found = keeper.journal(restriction, subject, limit, marker)
    return page(request, response, found.items, found.next)


@READING.add("GET", "/v1/policies", ANYBODY, PolicyView, waits=True)
async def policies(
    request: Request, response: Response, keeper: TheKeeper, version: int | None = None, wait: Wait = 0.0
) -> PolicyView | Response:
    """Show the policies and baselines in force, and what is wrong with a newer file that was refused."""
    view = await request.app.state.waiting.news(
        "policies", keeper.policies, lambda v: v.policies.version != version, wait
    )
    if view is None:
        return Response(status_code=304)
    response.headers["ETag"] = etag(view.policies.version)
    found: PolicyView = view
    return found


@READING.add("GET", "/v1/exemptions", VIEW, Items[Exemption])
def exemptions(
    request: Request, response: Response, keeper: TheKeeper, limit: Limit = 100, marker: Marker = ""
) -> Items[Exemption]:
    """List whom the guard refuses to bind."""
    found, following = cut(keeper.exemptions(), lambda e: e.id, limit, marker)
    return page(request, response, found, following)


@READING.add("GET", "/v1/enforcement", VIEW, Enforcement)
def enforcement(keeper: TheKeeper) -> Enforcement:
    """Tell how the kill switch stands."""
    return keeper.enforcement()


@READING.add("GET", "/v1/tokens", ADMIN, Items[Token])
def tokens(
    request: Request, response: Response, keeper: TheKeeper, limit: Limit = 100, marker: Marker = ""
) -> Items[Token]:
    """List tokens; never their secrets."""
    found, following = cut(keeper.tokens(), lambda t: t.id, limit, marker)
    return page(request, response, found, following)
