"""`sekisho lab`: everything live on one machine, and a story that tells it."""

from __future__ import annotations

import json
import os
import shutil
import sys
import threading
import time
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.console import Console

from sekisho.app.lab import USUAL_PORT, Lab, LabHost, LabSettings
from sekisho.app.play import Play
from sekisho.app.process import stop_on_signal
from sekisho.lab import processes, scenario
from sekisho.lab.story import Story
from sekisho.model.errors import Conflict, Forbidden, Refused

if TYPE_CHECKING:
    from sekisho.lab.measure import Result

# One in so many packets: a real cloud has 400 or more, but also more than a minute's patience. Judged
# from samples alone, twenty connections a second are too few to be sure of at anything much thinner.
SAMPLING = 8
DENSE_SAMPLING = 2
FOLDER = Path("/run/sekisho-lab")


def lab_settings(folder: Path, protocol: str = "sflow", *, exact: bool = True) -> LabSettings:
    """Give the lab's settings: one host, low lines, evidence repeated often for short restrictions."""
    sampling = SAMPLING if exact else DENSE_SAMPLING
    return LabSettings(
        folder,
        policies=(files("sekisho.lab") / "policies.toml").read_text(),
        hosts=(LabHost(telemetry={"protocol": protocol, "sampling": sampling}),),
        port=USUAL_PORT,
        collector={"report_every": 0.5, "detect": {"repeat": 2.0}},
        agent={"counters_every": 1.0, "exact": exact},
        archive=find_spec("chdb") is not None,
    )


def run(name: str, settings: LabSettings, *, headless: bool, as_json: bool, stay: bool) -> int:
    """Play a scenario, tell it, and say what it came to; gives the exit code."""
    play = scenario.find(name)
    _check(settings.folder)
    stop = threading.Event()
    stop_on_signal(stop)
    console = Console(stderr=as_json)
    story = Story(console, time.monotonic(), play.sentence, quiet=headless and as_json)
    if not story.quiet:
        console.print(
            f"Starting Open vSwitch, keeper, collector and agent in {settings.folder} …", style="dim"
        )
    lab = Lab(settings)
    try:
        lab.start()
        story.hint = _hint(lab)
        if not console.is_terminal and not story.quiet:
            console.print(story.hint)
        story.open()
        result = Play(lab, play, story, stop).run()
        story.close()
        if stay and not stop.is_set():
            console.print(f"The play is over; the lab goes on until Ctrl-C. {story.hint}")
            stop.wait()
    finally:
        story.close()
        lab.stop()
    return _say(result, console, as_json=as_json, cut=stop.is_set() and not stay)


def _say(result: Result, console: Console, *, as_json: bool, cut: bool) -> int:
    if as_json:
        print(json.dumps(result.plain()))
        return 0 if not result.problems else 1
    if cut:  # what did not happen yet is no problem
        console.print("Stopped; everything the lab started is gone.")
        return 0
    for problem in result.problems:
        console.print(f"not as it should be: {problem}", style="red")
    runs = result.seconds_to_rule
    if runs:
        console.print(f"From the connection over the line to the rule in the switch: {max(runs):.2f} s.")
    console.print(f"Bound without guilt: {result.false_positives}. Everybody free on time: {result.freed}.")
    return 0 if not result.problems else 1


def _check(folder: Path) -> None:
    """See that a lab can run here, and clear away what a crashed one left; raises with what to do."""
    if os.geteuid() != 0:
        raise Forbidden("The lab makes network namespaces: run it as root (make lab does).")
    for tool in ("ovs-vswitchd", "ovsdb-server", "ovs-ofctl", "ip", "nsenter", "ethtool"):
        if shutil.which(tool, path=processes.SEARCH) is None:
            raise Refused(f"{tool} is not installed; `make lab` installs what the lab needs.")
    owner = folder / "owner"
    if processes.alive(owner):
        raise Conflict(f"A lab is running in {folder} already; stop it or choose another --folder.")
    if folder.exists() and not owner.exists() and any(folder.iterdir()):
        raise Conflict(f"{folder} is not a lab's: nothing in it is touched. Choose another --folder.")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True, mode=0o700)
    processes.remember(owner, os.getpid())


def _hint(lab: Lab) -> str:
    program = Path(sys.executable).with_name("sekisho")
    return (
        f"In a browser:  {lab.url}/  (sign in with what is in {lab.folder}/state/tokens/admin).  "
        f"From another shell:  export SEKISHO_CLIENT={lab.folder}/state/client.toml;  "
        f"{program} status | top | restrictions list | explain port-spammer | journal"
    )


def command(  # noqa: PLR0913 - each is an option
    context: typer.Context,
    *,
    name: Annotated[
        str, typer.Option("--scenario", help="What to play; --list tells what there is.")
    ] = "story",
    folder: Annotated[Path, typer.Option(help="Where everything of the lab is kept.")] = FOLDER,
    protocol: Annotated[
        str, typer.Option(help="What the switch exports: sflow, ipfix or netflow5.")
    ] = "sflow",
    exact: Annotated[bool, typer.Option(help="Tell new SMTP connections one by one.")] = True,
    headless: Annotated[bool, typer.Option("--headless", help="Tell no story while it plays.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="End with one JSON line on standard output.")
    ] = False,
    stay: Annotated[bool, typer.Option("--stay", help="Keep the lab after the play, until Ctrl-C.")] = False,
    show_list: Annotated[bool, typer.Option("--list", help="List the scenarios.")] = False,
) -> None:
    """Play a scenario on a real Open vSwitch with small VMs, keeper, collector and agent."""
    if context.invoked_subcommand is not None:
        return
    if show_list:
        for each in scenario.SCENARIOS.values():
            print(f"{each.name:<10} {each.duration:4.0f} s  {each.sentence}")
        return
    settings = lab_settings(folder, protocol, exact=exact)
    raise typer.Exit(run(name, settings, headless=headless, as_json=as_json, stay=stay))
