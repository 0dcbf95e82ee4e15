"""Subjects looked for, and what collectors say of them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sekisho.model.report import Page

if TYPE_CHECKING:
    from collections.abc import Iterable

    from sekisho.app.fleet import Fleet
    from sekisho.model.inventory import Subject
    from sekisho.model.report import CollectorReport, Talker


def page(
    fleet: Fleet, host: str, project: str, text: str, limit: int, marker: str, flavor: str, plan: str
) -> Page[Subject]:
    """Find subjects by what they are; an empty argument fits everybody."""
    known = (s for s in fleet.subjects() if s.id > marker and _sold(s, flavor, plan))
    found = [s for s in known if _fits(s, host, project, text)]
    first = tuple(found[:limit])
    return Page(first, first[-1].id if len(found) > limit else "")


def talkers(reports: Iterable[CollectorReport]) -> dict[str, Talker]:
    """Join what collectors report of each subject; with several, the largest."""
    found: dict[str, Talker] = {}
    for report in reports:
        for talker in report.talkers:
            other = found.get(talker.subject)
            if other is None or _rate(talker) > _rate(other):
                found[talker.subject] = talker
    return found


def _rate(talker: Talker) -> float:
    return talker.egress_bps + talker.ingress_bps


def _sold(subject: Subject, flavor: str, plan: str) -> bool:
    return (not flavor or subject.flavor == flavor) and (not plan or plan in subject.qos)


def _fits(subject: Subject, host: str, project: str, text: str) -> bool:
    if (host and subject.host != host) or (project and subject.project != project):
        return False
    return not text or any(
        text.lower() in field.lower()
        for field in (
            subject.id,
            subject.server,
            subject.project,
            subject.mac,
            subject.network,
            subject.flavor,
            *subject.qos,
            *subject.tags,
            *subject.addresses,
        )
    )
