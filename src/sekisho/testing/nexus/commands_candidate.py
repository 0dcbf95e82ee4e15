"""Configuration sessions, from NX-OS 10.6(3): lines are staged, compared and committed as one.

The overview that Cisco's lab guide gives is all that is public: begin, show,
compare, commit, abort. Pausing is leaving; a name takes a session up
again. That a commit is all or nothing is what the guide says of it.
"""

from __future__ import annotations

import difflib

from sekisho.testing.nexus import running
from sekisho.testing.nexus.candidate import Candidate
from sekisho.testing.nexus.grammar import INVALID, Args
from sekisho.testing.nexus.modes import CONFIG, EXEC, At
from sekisho.testing.nexus.refusal import Refusal

_SINCE = (10, 6, 3)


@EXEC("configure candidate [name <name>]", "configure candidate <name>")
def begin(at: At, args: Args) -> str:
    if at.box.release < _SINCE:
        raise Refusal(INVALID)
    at.box.claim(at.session)
    name = args.get("name") or f"session-{len(at.box.candidates) + 1}"
    if name not in at.box.candidates:
        at.box.candidates[name] = Candidate(name, at.box.tree.copy())
    at.session.candidate = at.box.candidates[name]
    at.session.enter("config")
    return ""


@EXEC("show candidate-config")
def show(at: At, args: Args) -> str:
    return "\n".join(_mine(at).lines) + "\n"


@EXEC("show candidate-config diff")
def compare(at: At, args: Args) -> str:
    before = at.box.running_config().splitlines()
    after = running.text(_mine(at).tree, at.box.version).splitlines()
    return (
        "\n".join(difflib.unified_diff(before, after, "running-config", "candidate-config", lineterm=""))
        + "\n"
    )


@EXEC("commit")
@CONFIG("commit")
def commit(at: At, args: Args, **_: bool) -> str:
    """Carry the lines out on a copy of what runs now; only when all were taken does it become what runs."""
    mine = _mine(at)
    before = at.box.tree
    at.box.tree = before.copy()
    writer = at.box.session(at.session.user, at.session.origin)
    writer.enter("config")
    try:
        for line in mine.lines:
            writer.line(line)
    except Refusal as wrong:
        at.box.tree = before
        raise Refusal(f"Commit failed: {wrong.text}") from wrong
    _leave(at, mine)
    return "Commit completed successfully.\n"


@EXEC("abort")
@CONFIG("abort")
def abort(at: At, args: Args, **_: bool) -> str:
    _leave(at, _mine(at))
    return ""


def _mine(at: At) -> Candidate:
    if at.session.candidate is None:
        raise Refusal(INVALID)
    return at.session.candidate


def _leave(at: At, mine: Candidate) -> None:
    at.box.candidates.pop(mine.name, None)
    at.session.line("end")
