"""Routes about load balancers: what Octavia wants, what directors must carry, what is to be told."""

from dataclasses import dataclass
from typing import Annotated, Any

from fastapi import Depends, Query, Request, Response
from pydantic import Discriminator, Field, TypeAdapter

from sekisho.api.access import AGENT, OPERATE, VIEW, Asker
from sekisho.api.balancer_keeper import Balancers
from sekisho.api.bodies import Items, Name, json_body
from sekisho.api.fields import Limit, Marker, Revision, Text, Wait, cut, etag, page
from sekisho.api.parts import part
from sekisho.api.routes import Routes
from sekisho.model.access import Role
from sekisho.model.balancer import (
    PROVIDERS,
    Ailment,
    Balancer,
    BalancerProgram,
    BalancerView,
    DirectorReport,
    Kind,
    Member,
    Object,
    PairView,
    StatusPage,
)
from sekisho.model.errors import Malformed

BALANCERS = Routes()

# Octavia's guest has a role of its own; a director has an agent's token that is bound to its name.
GUEST = OPERATE | {Role.OCTAVIA}
LOOK = VIEW | GUEST

PAGE: TypeAdapter[StatusPage] = TypeAdapter(StatusPage)
PROGRAM: TypeAdapter[BalancerProgram] = TypeAdapter(BalancerProgram)


@dataclass(frozen=True, slots=True)
class InParent:
    """One object, and the balancer or the pool that it is in."""

    parent: Name
    object: Annotated[Object, Discriminator("kind")]


@dataclass(frozen=True, slots=True)
class Told:
    """All statuses up to a revision have been told."""

    revision: Annotated[int, Field(ge=0, lt=1 << 53)]


TheBalancers = Annotated[Balancers, Depends(part("balancers", "No load balancers are kept here."))]


@BALANCERS.add("GET", "/v1/balancers", LOOK, Items[BalancerView])
def balancers(
    request: Request,
    response: Response,
    keeper: TheBalancers,
    provider: Text = "",
    project: Text = "",
    limit: Limit = 100,
    marker: Marker = "",
) -> Items[BalancerView]:
    """List load balancers and how they stand."""
    if provider not in ("", *PROVIDERS):
        problems = (f"provider: {provider!r} is none of {', '.join(PROVIDERS)}.",)
        raise Malformed("There is no such provider of load balancers.", problems=problems)
    found, following = cut(keeper.balancers(provider, project), lambda b: b.balancer.id, limit, marker)
    return page(request, response, found, following)


@BALANCERS.add("GET", "/v1/balancers/{balancer}", LOOK, BalancerView)
def balancer(keeper: TheBalancers, balancer: str) -> BalancerView:
    """Show one load balancer, found by any object in it: what it should be, how all of it stands."""
    return keeper.balancer(balancer)


@BALANCERS.add("PUT", "/v1/balancers/{balancer}", GUEST, BalancerView, body=Balancer, status=202)
def put_balancer(
    keeper: TheBalancers,
    who: Asker,
    balancer: str,
    body: Annotated[Balancer, Depends(json_body(Balancer))],
    changed: Annotated[
        float | None, Query(allow_inf_nan=False, description="Only if it last changed at that moment.")
    ] = None,
) -> BalancerView:
    """Make or change a load balancer and what it names; what it does not name stays as it is."""
    _same("id", body.id, balancer)
    return keeper.put(who, body, changed)


@BALANCERS.add("DELETE", "/v1/balancers/{balancer}", GUEST, status=202)
def delete_balancer(
    keeper: TheBalancers,
    who: Asker,
    balancer: str,
    cascade: Annotated[bool, Query(description="With all its listeners and pools.")] = False,  # noqa: FBT002
) -> None:
    """Take a load balancer away; one that nobody knows is told as DELETED."""
    keeper.delete(who, balancer, cascade=cascade)


@BALANCERS.add("POST", "/v1/balancers/{balancer}/failover", GUEST, status=202)
def fail_over_balancer(keeper: TheBalancers, who: Asker, balancer: str) -> None:
    """Let the other device of its pair take over."""
    keeper.failover(who, balancer)


@BALANCERS.add("GET", "/v1/balancer-pairs", LOOK, Items[PairView])
def balancer_pairs(keeper: TheBalancers) -> Items[PairView]:
    """List the pairs of devices that carry load balancers, with their zones."""
    return Items(keeper.pairs())


@BALANCERS.add("GET", "/v1/balancer-ailments", LOOK, Items[Ailment])
def balancer_ailments(keeper: TheBalancers, balancer: Text = "") -> Items[Ailment]:
    """Say what is wrong with a load balancer and the devices that carry it, or with all."""
    return Items(keeper.ailments(balancer))


@BALANCERS.add("PUT", "/v1/balancer-objects/{thing}", GUEST, BalancerView, body=InParent, status=202)
def put_balancer_object(
    keeper: TheBalancers, who: Asker, thing: str, body: Annotated[InParent, Depends(json_body(InParent))]
) -> BalancerView:
    """Make or change one listener, pool, member or monitor."""
    _same("object.id", body.object.id, thing)
    return keeper.put_object(who, body.parent, body.object)


@BALANCERS.add(
    "PUT",
    "/v1/balancer-objects/{thing}/members",
    GUEST,
    BalancerView,
    body=tuple[Member, ...],
    status=202,
)
def put_balancer_members(
    keeper: TheBalancers,
    who: Asker,
    thing: str,
    body: Annotated[tuple[Member, ...], Depends(json_body(tuple[Member, ...]))],
) -> BalancerView:
    """Make these the members of a pool, and no others."""
    return keeper.put_members(who, thing, body)


@BALANCERS.add("DELETE", "/v1/balancer-objects/{thing}", GUEST, status=202)
def delete_balancer_object(
    keeper: TheBalancers,
    who: Asker,
    thing: str,
    kind: Annotated[Kind | None, Query(description="What it is, if nobody may know it.")] = None,
    parent: Text = "",
) -> None:
    """Take one object away, and what is in it; of one that nobody knows its kind must be given."""
    keeper.delete_object(who, thing, kind, parent)


@BALANCERS.add("GET", "/v1/balancer-statuses", GUEST, StatusPage, waits=True)
async def balancer_statuses(
    request: Request, keeper: TheBalancers, revision: Revision | None = None, wait: Wait = 0.0
) -> Response:
    """Give all that Octavia has not been told, at once or when there is something newer than `revision`."""
    news: StatusPage | None = await request.app.state.waiting.news(
        "balancer-statuses", lambda: keeper.statuses(revision), lambda p: p is not None, wait
    )
    if news is None:
        return Response(status_code=304)
    return _json(PAGE, news, news.revision)


@BALANCERS.add("POST", "/v1/balancer-statuses/told", GUEST, body=Told, status=204)
def balancer_statuses_told(keeper: TheBalancers, body: Annotated[Told, Depends(json_body(Told))]) -> None:
    """Acknowledge a page of statuses: all of it has been told."""
    keeper.told(body.revision)


@BALANCERS.add("GET", "/v1/directors/{host}/program", AGENT, BalancerProgram, waits=True, bound=True)
async def director_program(
    request: Request,
    keeper: TheBalancers,
    host: str,
    revision: Revision | None = None,
    wait: Wait = 0.0,
    since: Revision | None = None,
) -> Response:
    """Say what a director must carry, at once or when that is not `revision` any more.

    With `since` only what is otherwise since that revision is told, where the keeper knows it.
    """
    news: BalancerProgram | None = await request.app.state.waiting.news(
        f"director:{host}",
        lambda: keeper.program(host, since),
        lambda p: p.revision != revision,
        wait,
        lambda: keeper.program_revision(host) != revision,
    )
    if news is None:
        return Response(status_code=304)
    return _json(PROGRAM, news, news.revision)


@BALANCERS.add("POST", "/v1/directors/{host}/report", AGENT, body=DirectorReport, status=204, bound=True)
def director_report(
    keeper: TheBalancers,
    who: Asker,
    host: str,
    body: Annotated[DirectorReport, Depends(json_body(DirectorReport))],
) -> None:
    """Tell what a director carries, how that does, and what went wrong."""
    _same("director", body.director, host)
    keeper.report(who, body)


def _same(place: str, told: str, named: str) -> None:
    if told != named:
        problems = (f"{place}: not {named!r}.",)
        raise Malformed("The body speaks of something else than the path does.", problems=problems)


def _json(kind: TypeAdapter[Any], value: Any, revision: int) -> Response:
    """Write an answer that is asked for often: ours need no validation on their way out."""
    return Response(kind.dump_json(value), headers={"ETag": etag(revision)}, media_type="application/json")
