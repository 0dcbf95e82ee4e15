"""The page that `sekisho explain` shows: for whoever is woken at night, without our documents at hand."""

from __future__ import annotations

from shlex import quote
from typing import TYPE_CHECKING, Final

from rich.padding import Padding
from rich.text import Text

from sekisho.cli import words
from sekisho.cli.door import facts, table
from sekisho.cli.find import describe
from sekisho.model.restriction import Restriction, State

if TYPE_CHECKING:
    from rich.console import RenderableType

    from sekisho.model.report import Explanation, Talker
    from sekisho.model.restriction import Evidence, Finding

PAST: Final = 5
JOURNAL: Final = 10
TOP: Final = 5
ORDINAL: Final = {1: "first", 2: "second", 3: "third"}


def page(found: Explanation, now: float) -> list[RenderableType]:
    """Lay out the whole explanation, what binds the subject now first; `now` by the keeper's clock."""
    current = [r for r in found.restrictions if r.state in (State.ACTIVE, State.PROPOSED)]
    past = [r for r in found.restrictions if r not in current]
    parts: list[RenderableType] = [_heading(found, current)]
    for r in current:
        parts += [Text(""), Text(title(r), "bold"), Padding(facts(told(r, now)), (0, 0, 0, 2), expand=False)]
    if not current:
        parts += [Text(""), Text(_free(found))]
    return parts + _standing(found, now) + _before(past) + _journal(found)


def _heading(found: Explanation, current: list[Restriction]) -> RenderableType:
    active = [r for r in current if r.state is State.ACTIVE]
    if any(r.actions for r in active):
        word, style = "RESTRICTED", "bold red"
    elif active:
        word, style = "WARNED", "bold yellow"
    elif current:
        word, style = "PROPOSED, not restricted", "bold yellow"
    else:
        word, style = "NOT RESTRICTED", "bold green"
    name = words.clean(f"{found.subject.id}  ({describe(found.subject)}): ")
    return Text.assemble((name, "bold"), (word, style))


def _free(found: Explanation) -> str:
    standing = "only the baselines below" if any(b.actions for b in found.baselines) else "nothing"
    return (
        f"By Sekisho {standing} limits this VM now. If its owner sees a limit all the same, "
        "look at its security groups, its QoS policy and the switch."
    )


def title(r: Restriction) -> str:
    """Name a restriction in one line."""
    kind = "Proposal" if r.state is State.PROPOSED else "Restriction" if r.actions else "Warning"
    return words.clean(f"{kind} {r.id}: {words.actions(r.actions)}")


def told(r: Restriction, now: float) -> list[tuple[str, str | Text]]:
    """Tell a restriction's whole story, name by name; `now` by the keeper's clock."""
    rows: list[tuple[str, str | Text]] = [
        ("what", what(r)),
        ("why", why(r)),
        ("decided", _decided(r, now)),
    ]
    match r.state:
        case State.ACTIVE:
            rows += [("in force", _in_force(r)), ("until", _until(r, now)), ("dropped", _dropped(r))]
        case State.PROPOSED:
            pass
        case State.LIFTED | State.EXPIRED | State.REJECTED:
            rows += [("ended", f"{words.moment(r.ended)} ({r.state})"), ("dropped", _dropped(r))]
    rows.append(("offence", _offence(r)))
    if r.evidence is not None:
        rows += evidence(r.evidence)
    return [*rows, *_next(r)]


def what(r: Restriction) -> str:
    """Say what it does, to somebody who has never read our documents."""
    if not r.actions:
        return "A warning: nothing is dropped or limited."
    said = "; ".join(words.plainly(a) for a in r.actions)
    said = said[0].upper() + said[1:]
    if r.state is State.PROPOSED:
        return f"If approved: {said}, for {words.duration(r.duration)}. Nothing is done until then."
    return f"{said}. Everything else passes."


def why(r: Restriction) -> str:
    """Give the reason, and the policy if there is one."""
    return f"policy {r.policy}: {r.reason}" if r.policy else r.reason


def _decided(r: Restriction, now: float) -> str:
    return f"{words.moment(r.created)} ({words.duration(now - r.created)} ago), {decider(r)}"


def decider(r: Restriction) -> str:
    """Say by whom it was decided, and whether by hand."""
    return f"automatically, by {r.author}" if r.automatic else f"by hand, by {r.author}"


def _in_force(r: Restriction) -> str | Text:
    if not r.actions:
        return "nothing to enforce"
    if r.in_force:
        host = f" on {r.host}" if r.host else ""
        return f"{words.moment(r.in_force)}{host}"
    return Text(
        f"NOT YET: host {words.clean(r.host) or '?'} has not confirmed it; see `sekisho hosts`", "red"
    )


def _until(r: Restriction, now: float) -> str:
    return f"{words.moment(r.until)} ({words.remaining(r.until, now)} left); it then ends by itself"


def _dropped(r: Restriction) -> str:
    return f"{r.dropped_packets:,} packets, {words.volume(r.dropped_bytes)} since it is in force"


def _offence(r: Restriction) -> str:
    if not r.policy:
        return "not counted: imposed by hand"
    nth = ORDINAL.get(r.offence, f"number {r.offence}")
    return f"{nth} against this policy; a further one may be answered more strictly or for longer"


def evidence(seen: Evidence) -> list[tuple[str, str | Text]]:
    """Tell what was seen, when, towards whom, and measured by what."""
    rows: list[tuple[str, str | Text]] = [("evidence", _line(f, seen)) for f in seen.findings[:1]]
    rows += [("", _line(f, seen)) for f in seen.findings[1:]]
    span = f"{words.moment(seen.window_start)} to {words.moment(seen.window_end)}"
    crossed = f", crossing since {words.moment(seen.first_seen)}" if seen.first_seen else ""
    rows.append(("seen", f"{span}{crossed}"))
    if seen.top_destinations:
        top = seen.top_destinations[:TOP]
        rows.append(("towards", ", ".join(f"{c.name} ({words.number(c.amount)})" for c in top)))
    if seen.top_ports:
        rows.append(
            ("ports", ", ".join(f"{c.name} ({words.number(c.amount)})" for c in seen.top_ports[:TOP]))
        )
    if seen.exporters:
        told = f" via collector {seen.collector}" if seen.collector else ""
        rows.append(("measured by", ", ".join(seen.exporters) + told))
    return rows


def _line(f: Finding, seen: Evidence) -> str:
    exact = f.lower == f.upper == f.estimate
    between = f"{words.quantity(f, f.lower)} to {words.quantity(f, f.upper)}"
    error = "exact" if exact else f"between {between} at {seen.confidence:.0%}"
    return (
        f"{f.detector}: {words.quantity(f, f.estimate)}; the line is {words.quantity(f, f.threshold)}"
        f" ({error}; from {f.samples:,} records)"
    )


def _next(r: Restriction) -> list[tuple[str, str | Text]]:
    if r.state not in (State.ACTIVE, State.PROPOSED):
        return []
    if r.state is State.PROPOSED:
        return [
            ("to impose", f'sekisho restrictions approve {r.id} --reason "..."'),
            ("to refuse", f'sekisho restrictions reject {r.id} --reason "..."'),
        ]
    rows: list[tuple[str, str | Text]] = [("to lift", f'sekisho restrictions lift {r.id} --reason "..."')]
    if r.automatic:
        exempt = f'sekisho exempt add --subject {quote(r.subject)} --for 24h --reason "..."'
        rows.append(("and keep free", f"{exempt} (else it is bound again if this goes on)"))
    return rows


def _standing(found: Explanation, now: float) -> list[RenderableType]:
    parts: list[RenderableType] = []
    if found.baselines:
        rows = ((b.name, words.actions(b.actions), b.description) for b in found.baselines)
        parts += _section(
            "Baselines (standing, without end)", table(("baseline", "actions", "description"), rows)
        )
    if found.exemptions:
        ends = ("no end" if not e.until else words.moment(e.until) for e in found.exemptions)
        rows_ = (
            (e.id, ", ".join(e.policies) or "every policy", e.author, end, e.reason)
            for e, end in zip(found.exemptions, ends, strict=True)
            if not e.until or e.until > now
        )
        parts += _section("Exemptions", table(("exemption", "from", "author", "until", "reason"), rows_))
    if found.talker is not None:
        parts += [Text(""), facts([("at present", _rates(found.talker))])]
    return parts


def _rates(t: Talker) -> str:
    sends = f"sends {words.rate(t.egress_bps)} ({words.number(round(t.egress_pps))} packets/s)"
    receives = f"receives {words.rate(t.ingress_bps)} ({words.number(round(t.ingress_pps))} packets/s)"
    return f"{sends}, {receives}, {words.number(round(t.smtp_per_minute, 1))} SMTP connections/min"


def _before(past: list[Restriction]) -> list[RenderableType]:
    if not past:
        return []
    rows = (
        (
            r.id,
            r.state,
            words.actions(r.actions),
            words.moment(r.created),
            words.moment(r.ended),
            r.policy or r.author,
        )
        for r in past[:PAST]
    )
    columns = ("restriction", "state", "actions", "since", "ended", "by")
    more = f" (the latest {PAST} of {len(past)})" if len(past) > PAST else ""
    return _section(f"Before{more}", table(columns, rows))


def _journal(found: Explanation) -> list[RenderableType]:
    if not found.journal:
        return []
    rows = (
        (words.moment(e.time), e.author, e.verb, e.restriction, e.reason) for e in found.journal[:JOURNAL]
    )
    shown = table(("time", "who", "did", "restriction", "reason"), rows)
    return _section("Journal, newest first", shown)


def _section(title: str, shown: RenderableType) -> list[RenderableType]:
    return [Text(""), Text(title, "bold"), Padding(shown, (0, 0, 0, 2), expand=False)]
