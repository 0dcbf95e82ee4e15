"""Commands about load balancers: balancer list, show, pairs, doctor, failover."""

from collections.abc import Iterator
from typing import Annotated, Final

import typer
from rich.text import Text

from sekisho.cli import words
from sekisho.cli.door import Door, command, facts, table
from sekisho.model.balancer import (
    Ailment,
    BalancerView,
    Kind,
    Listener,
    Member,
    ObjectStatus,
    Operating,
    PairView,
    Provisioning,
    Statistics,
)

BalancerId = Annotated[str, typer.Argument(help="The load balancer's id, as Octavia has it.")]

_STYLES: Final = {
    Provisioning.PENDING.value: "yellow",
    Provisioning.ERROR.value: "bold red",
    Operating.ONLINE.value: "green",
    Operating.DRAINING.value: "yellow",
    Operating.DEGRADED.value: "yellow",
}


def add_to(group: typer.Typer) -> None:
    """Register the commands."""
    command(group, "list")(list_)
    command(group, "show")(show)
    command(group, "pairs")(pairs)
    command(group, "doctor")(doctor)
    command(group, "failover")(failover)


def list_(
    door: Door,
    provider: Annotated[str, typer.Option(help="Only of this provider: lvs or adx.")] = "",
    project: Annotated[str, typer.Option(help="Only of this project.")] = "",
) -> None:
    """List the load balancers: where each is reached, who carries it, how it stands."""
    items = door.client.balancers.list(provider, project)
    columns = ("balancer", "name", "project", "vip", "carried by", "is", "does", "problem")
    rows = () if door.as_json else tuple(map(_row, items))
    door.tell_list(items, table(columns, rows, "There is no load balancer."))


def _row(view: BalancerView) -> tuple[str | Text, ...]:
    b = view.balancer
    return (
        b.id,
        b.name or "-",
        b.project or "-",
        b.vip.address,
        _carriers(view),
        _styled(view.provisioning.value),
        _styled(view.operating.value),
        Text(words.clean(view.problem), "red") if view.problem else "-",
    )


def _styled(word: str) -> Text:
    return Text(word, _STYLES.get(word, "red" if word == Operating.ERROR.value else ""))


def _carriers(view: BalancerView) -> str:
    marked = (f"{d} (active)" if d == view.active and len(view.devices) > 1 else d for d in view.devices)
    return ", ".join(marked) or "-"


def show(door: Door, balancer: BalancerId) -> None:
    """Show one load balancer: its listeners and members, how each does, what it has carried."""
    view = door.client.balancers.show(balancer)
    heads = ("listener", "port", "pool", "is", "does", ">open", ">connections", ">in", ">out")
    listeners = table(heads, _listeners(view), "It has no listener.")
    columns = ("member", "pool", "address", ">weight", "is", "does")
    members = table(columns, _members(view), "It has no member.")
    door.tell(view, facts(_facts(view)), Text(""), listeners, Text(""), members)


def _facts(view: BalancerView) -> Iterator[tuple[str, str | Text]]:
    b = view.balancer
    yield "balancer", b.id
    yield "name", b.name or "-"
    yield "project", b.project or "-"
    yield "provider", b.provider
    yield "VIP", b.vip.address
    yield "carried by", _carriers(view)
    yield "is", _styled(view.provisioning.value)
    yield "does", _styled(view.operating.value)
    yield "changed", words.moment(view.changed)
    yield "in force", words.moment(view.in_force)
    if view.problem:
        yield "problem", Text(words.clean(view.problem), "red")


def _listeners(view: BalancerView) -> Iterator[tuple[str | Text, ...]]:
    stands = {s.id: s for s in view.statuses}
    counted = {s.listener: s for s in view.statistics}
    for each in view.balancer.listeners:
        yield (*_listener(each), *_stands(stands.get(each.id)), *_counted(counted.get(each.id)))


def _listener(each: Listener) -> tuple[str, str, str]:
    return each.name or each.id, f"{each.protocol.value.lower()}/{each.port}", each.pool or "-"


def _stands(status: ObjectStatus | None) -> tuple[str | Text, str | Text]:
    if status is None:
        return "-", "-"
    return _styled(status.provisioning.value), _styled(status.operating.value)


def _counted(found: Statistics | None) -> tuple[str, str, str, str]:
    if found is None:
        return "-", "-", "-", "-"
    counts = words.number(found.active), words.number(found.total)
    return (*counts, words.volume(found.bytes_in), words.volume(found.bytes_out) if found.bytes_out else "-")


def _members(view: BalancerView) -> Iterator[tuple[str | Text, ...]]:
    stands = {s.id: s for s in view.statuses}
    for pool in view.balancer.pools:
        for m in pool.members:
            yield (m.name or m.id, pool.name or pool.id, *_member(m), *_stands(stands.get(m.id)))
    leaving = [s for s in view.statuses if s.kind is Kind.MEMBER and not _has(view, s.id)]
    yield from ((s.id, "-", "-", "-", "leaves", _styled(s.operating.value)) for s in leaving)


def _member(m: Member) -> tuple[str, str]:
    where = f"[{m.address}]:{m.port}" if ":" in m.address else f"{m.address}:{m.port}"
    return where, f"{m.weight}{' (backup)' if m.backup else ''}{'' if m.enabled else ' (off)'}"


def _has(view: BalancerView, member: str) -> bool:
    return any(m.id == member for p in view.balancer.pools for m in p.members)


def pairs(door: Door) -> None:
    """List the pairs of devices: zones, who holds the VIPs, how many load balancers each carries."""
    items = door.client.balancers.pairs()
    columns = ("pair", "provider", "devices", "zones", ">balancers", "problem")
    door.tell_list(items, table(columns, map(_pair, items), "No pair is in the keeper's settings."))


def _pair(of: PairView) -> tuple[str | Text, ...]:
    marked = (f"{d} (active)" if d == of.active and len(of.devices) > 1 else d for d in of.devices)
    problem = Text(words.clean(of.problem), "red") if of.problem else "-"
    return of.name, of.provider, ", ".join(marked), ", ".join(of.zones) or "-", str(of.balancers), problem


def doctor(
    door: Door,
    balancer: Annotated[str, typer.Argument(help="The load balancer's id; all of them unless named.")] = "",
) -> None:
    """Say what is wrong with load balancers and the devices that carry them, as far as the keeper knows."""
    found = door.client.balancers.ailments(balancer)
    rows = (_ailment(a) for a in found)
    door.tell_list(found, table(("where", "balancer", "what is wrong"), rows, "Nothing is wrong."))
    if found:
        raise typer.Exit(1)


def _ailment(found: Ailment) -> tuple[str, str, str]:
    return found.device, found.balancer or "all", found.sentence


def failover(
    door: Door,
    balancer: BalancerId,
    *,
    yes: Annotated[bool, typer.Option("--yes", help="Without being asked.")] = False,
) -> None:
    """Let the other device of a pair take over; all load balancers of the pair go with it."""
    view = door.client.balancers.show(balancer)
    door.confirm(f"All load balancers on {', '.join(view.devices)} change over.", yes=yes)
    door.client.balancers.failover(balancer)
    asked = {"balancer": balancer, "devices": view.devices}
    door.tell(asked, f"Asked for; see how it goes: sekisho balancer show {balancer}")
