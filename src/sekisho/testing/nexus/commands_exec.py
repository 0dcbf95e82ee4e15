"""Exec commands that do something: save, checkpoints, rollback, replace, files, reload."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from sekisho.testing.nexus.grammar import INVALID, Args
from sekisho.testing.nexus.modes import CONFIG, EXEC, At
from sekisho.testing.nexus.output import Output
from sekisho.testing.nexus.refusal import Refusal

if TYPE_CHECKING:
    from collections.abc import Callable

_FLASH = 4_000_000_000
_ROLLED_BACK = """Note: Applying config parallelly may fail Rollback verification
Collecting Running-Config
#Generating Rollback Patch
Executing Rollback Patch
Generating Running-config for verification
Generating Patch for verification
Verification is Successful.

Rollback completed successfully.
"""
_REPLACED = """Collecting Running-Config
Converting to checkpoint file
#Generating Rollback Patch
Executing Rollback Patch
Generating Running-config for verification
Generating Patch for verification
Verification is Successful.

Configure replace completed successfully.
"""


@EXEC("terminal <rest:rest>", "no terminal <rest:rest>", "term <rest:rest>", "enable", "disable")
def terminal(at: At, args: Args) -> str:
    return ""


@EXEC("copy running-config startup-config")
def save(at: At, args: Args) -> Output:
    if at.box.faults.save_fails:
        raise Refusal(at.box.faults.save_fails)
    at.box.claim(at.session)
    at.box.save()
    at.box.account(at.session.user, at.session.origin, "copy running-config startup-config")
    return Output("[########################################] 100%\nCopy complete.\n", {})


@EXEC("copy running-config <file>")
def copy_out(at: At, args: Args) -> str:
    at.box.files[_file(args["file"])] = at.box.running_config()
    return "Copy complete.\n"


@EXEC("copy <file> running-config")
def copy_in(at: At, args: Args) -> str:
    at.box.claim(at.session)
    for line in _text(at, args["file"]).splitlines():
        at.session.enter("config")
        at.session.line(line)
    return "Copy complete.\n"


@EXEC("write erase")
def write_erase(at: At, args: Args) -> str:
    at.box.startup = ""
    return ""


@EXEC("reload")
def reload(at: At, args: Args) -> str:
    at.box.reboot()
    at.session.closed = True
    return ""


@EXEC("dir [<file:rest>]")
def directory(at: At, args: Args) -> str:
    wanted = _file(args["file"]) if "file" in args else ""
    found = {name: text for name, text in at.box.files.items() if not wanted or name == wanted}
    if wanted and not found:
        raise Refusal("No such file or directory")
    when = datetime.fromtimestamp(at.box.clock(), UTC).strftime("%b %d %H:%M:%S %Y")
    lines = [f"{len(text):>10}    {when}  {name}" for name, text in sorted(found.items())]
    used = sum(len(text) for text in at.box.files.values())
    usage = f"{used:>11} bytes used\n{_FLASH - used:>11} bytes free\n{_FLASH:>11} bytes total\n"
    return "\n".join(lines) + f"\n\nUsage for bootflash://sup-local\n{usage}"


@EXEC("show file <file>")
def show_file(at: At, args: Args) -> str:
    return _text(at, args["file"])


@EXEC("delete <file> [no-prompt]")
def delete(at: At, args: Args) -> str:
    if at.box.files.pop(_file(args["file"]), None) is None:
        raise Refusal("No such file or directory")
    return ""


def _file(name: str) -> str:
    return re.sub(r"^bootflash:/*(sup-local/)?", "", name)


def _text(at: At, name: str) -> str:
    text = at.box.files.get(_file(name))
    if text is None:
        raise Refusal("No such file or directory")
    return text


# --- checkpoints and rollback -------------------------------------------------------------------


@EXEC("checkpoint <name> [description <text:rest>]")
def checkpoint(at: At, args: Args) -> str:
    at.box.checkpoint(args["name"], at.session.user)
    at.box.account(at.session.user, at.session.origin, f"checkpoint {args['name']}")
    return ".....Done\n"


@EXEC("checkpoint")
def checkpoint_unnamed(at: At, args: Args) -> str:
    taken = at.box.checkpoints
    name = next(name for n in range(1, 99) if (name := f"user-checkpoint-{n}") not in taken)
    at.box.checkpoint(name, at.session.user)
    return f"...\n{name} created Successfully\nDone\n"


@EXEC("checkpoint file <file>")
def checkpoint_file(at: At, args: Args) -> str:
    at.box.files[_file(args["file"])] = _head(at) + at.box.running_config()
    return "Done\n"


def _head(at: At) -> str:
    when = datetime.fromtimestamp(at.box.clock(), UTC).strftime("%a %b %d %H:%M:%S %Y")
    return f"!Command: Checkpoint cmd vdc 1\n!Time: {when}\n\n"


@EXEC("no checkpoint <name>", "clear checkpoint <name>")
@CONFIG("no checkpoint <name>")
def no_checkpoint(at: At, args: Args, **_: bool) -> str:
    if args["name"] in ("database", "all"):
        at.box.checkpoints.clear()
    elif at.box.checkpoints.pop(args["name"], None) is None:
        raise Refusal(f"ERROR: Checkpoint {args['name']} does not exist")
    return "Done\n"


@EXEC("rollback running-config checkpoint <name> [atomic|best-effort|stop-at-first-failure] [verbose]")
def rollback(at: At, args: Args) -> str:
    at.box.claim(at.session)
    found = at.box.checkpoints.get(args["name"])
    if found is None:
        raise Refusal(f"ERROR: Checkpoint {args['name']} does not exist")
    at.box.back_to(found.tree)
    at.box.account(at.session.user, at.session.origin, f"rollback running-config checkpoint {args['name']}")
    return _ROLLED_BACK


@EXEC("rollback running-config file <file> [atomic|best-effort|stop-at-first-failure] [verbose]")
def rollback_file(at: At, args: Args) -> str:
    at.box.claim(at.session)
    at.box.replace(_text(at, args["file"]))
    at.box.account(at.session.user, at.session.origin, f"rollback running-config file {args['file']}")
    return _ROLLED_BACK


@EXEC("rollback running-config startup-config")
def rollback_startup(at: At, args: Args) -> str:
    at.box.claim(at.session)
    at.box.replace(at.box.startup)
    return _ROLLED_BACK


@EXEC("configure replace <file> [best-effort|verify-only|show-patch] [commit-timeout <seconds>] [verbose]")
def replace(at: At, args: Args) -> str:
    """Make a file the running configuration; best-effort is of 9.3(1) and later (system management guide)."""
    seconds = args.get("seconds", "0")
    if args["file"] == "commit" or (args.get("best-effort") == "best-effort" and at.box.release < (9, 3, 1)):
        raise Refusal(INVALID)
    if seconds != "0" and not (seconds.isdigit() and 30 <= int(seconds) <= 3600):
        raise Refusal("% Invalid value/range: commit-timeout is 30 to 3600")
    at.box.claim(at.session)
    text = _text(at, args["file"])
    if args.get("best-effort") in ("verify-only", "show-patch"):
        at.box.load(text)
        return "Verification is Successful.\n"
    at.box.replace(text, float(seconds))
    at.box.account(at.session.user, at.session.origin, f"configure replace {args['file']}")
    return _REPLACED


@EXEC("configure replace commit")
def replace_commit(at: At, args: Args) -> str:
    if at.box.timer is None:
        raise Refusal("ERROR: no configure replace is waiting for a commit")
    at.box.timer = None
    return "Commit is successful.\n"


# --- output filters -----------------------------------------------------------------------------


def filtered(said: Output, filters: str) -> Output:
    """Put what a command printed through ``| include X``, ``| json`` and their like."""
    for part in filters.split("|") if filters.strip() else ():
        word, _, rest = part.strip().partition(" ")
        run = next((run for name, run in _FILTERS.items() if word and name.startswith(word.lower())), None)
        if run is None:
            raise Refusal(INVALID)
        said = run(said, rest.strip().strip("'\""))
    return said


def _kept(text: str, keep: Callable[[str], object]) -> Output:
    return Output("".join(f"{line}\n" for line in text.splitlines() if keep(line)))


def _include(said: Output, pattern: str) -> Output:
    return _kept(said.text, re.compile(pattern).search)


def _exclude(said: Output, pattern: str) -> Output:
    search = re.compile(pattern).search
    return _kept(said.text, lambda line: not search(line))


def _section(said: Output, pattern: str) -> Output:
    kept: list[str] = []
    inside = False
    for line in said.text.splitlines():
        if not line.startswith(" "):
            inside = bool(re.search(pattern, line))
        if inside:
            kept.append(f"{line}\n")
    return Output("".join(kept))


def _begin(said: Output, pattern: str) -> Output:
    lines = said.text.splitlines()
    at = next((n for n, line in enumerate(lines) if re.search(pattern, line)), len(lines))
    return Output("".join(f"{line}\n" for line in lines[at:]))


def _json(said: Output, _rest: str) -> Output:
    if said.body is None:
        raise Refusal("% JSON output is not supported for this command")
    return Output(json.dumps(said.body), said.body)


def _same(said: Output, _rest: str) -> Output:
    return said


_FILTERS: dict[str, Callable[[Output, str], Output]] = {
    "include": _include,
    "grep": _include,
    "egrep": _include,
    "exclude": _exclude,
    "section": _section,
    "begin": _begin,
    "json": _json,
    "json-pretty": _json,
    "no-more": _same,
}
