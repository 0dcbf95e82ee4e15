"""`sekisho lab openstack`: a real OpenStack on one machine, to look around in."""

from __future__ import annotations

import os
import shlex
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from sekisho.app import all_in_one
from sekisho.app.process import stop_on_signal
from sekisho.lab.openstack import control
from sekisho.lab.openstack.keeper import INSIDE, token_file
from sekisho.lab.openstack.settings import USERS, StackSettings
from sekisho.lab.openstack.shell import enter
from sekisho.lab.openstack.stack import Stack
from sekisho.model.errors import Forbidden, Refused

if TYPE_CHECKING:
    from collections.abc import Mapping

FOLDER = Path("/run/sekisho-openstack")
ENVIRONMENTS = Path(".make")
SOCKET = "control"


def command(
    *,
    folder: Annotated[Path, typer.Option(help="Where everything of the stack is kept.")] = FOLDER,
    environments: Annotated[
        Path, typer.Option(help="Where `make lab-openstack` put OpenStack's Python packages.")
    ] = ENVIRONMENTS,
    sekisho: Annotated[bool, typer.Option(help="With a keeper, and with Sekisho in Neutron.")] = False,
    metering: Annotated[bool, typer.Option(help="With Gnocchi.")] = True,
) -> None:
    """Run a real OpenStack with two hosts until Ctrl-C: Keystone, Neutron, Gnocchi and what they need."""
    _check(folder, environments)
    openstack, gnocchi = (environments.absolute() / name for name in ("openstack", "gnocchi"))
    stack = Stack(StackSettings(folder, openstack, gnocchi, sekisho=sekisho, metering=metering))
    stop = threading.Event()
    stop_on_signal(stop)
    print(f"Starting OpenStack in {folder}; its logs are in {stack.place.logs} …")
    try:
        stack.start()
        for line in _hints(stack):
            print(line)
        with control.listening(stack, stack.folder / SOCKET):
            stop.wait()
    finally:
        stack.stop()
    print(f"Stopped; everything the stack started is gone. Its logs stay in {stack.place.logs}.")


def _check(folder: Path, environments: Path) -> None:
    """See that a stack can run here; raises with what to do."""
    if os.geteuid() != 0:
        raise Forbidden("The stack makes network namespaces: run it as root (make lab-openstack does).")
    if not (environments / "openstack" / "bin" / "neutron-openvswitch-agent").exists():
        raise Refused(f"There is no OpenStack in {environments}; `make lab-openstack` installs it.")
    if folder.exists() and any(folder.iterdir()) and not (folder / "log").exists():
        raise Refused(f"{folder} is not a stack's: nothing in it is touched. Choose another --folder.")


def _hints(stack: Stack) -> list[str]:
    """Say how to look around, and write the files that help with it."""
    program = stack.folder / "openstack"
    words = shlex.join([*enter(stack.place.controller), str(stack.settings.openstack / "bin" / "openstack")])
    _write_program(program, words)
    if stack.settings.sekisho:
        _write_program(stack.folder / "sekisho", _ours(stack))
    ask = (sys.executable, "-m", control.__name__, str(stack.folder / SOCKET))
    _write_program(stack.folder / "lab", shlex.join(ask))
    people = ["admin", *(user.name for user in USERS)]
    for name in people:
        (stack.folder / f"{name}.sh").write_text(_exports(stack.environment(name)))
    seconds = ", ".join(f"{name} {taken:.0f} s" for name, taken in stack.timings.items())
    return [
        f"It runs ({seconds}; {sum(stack.resident().values()):,} MiB). From another shell, as root:",
        f"  . {stack.folder}/admin.sh; {program} network agent list",
        f"  others to sign in as: {', '.join(people[1:])} (the password is the name)",
        *(f"  nsenter --net=/run/netns/{h.namespace} bash    # host {h.name}" for h in stack.hosts.values()),
        *(
            f"  ovs-ofctl -OOpenFlow14 dump-flows {h.switch.management('br-int')}"
            for h in stack.hosts.values()
        ),
        *([f"  {stack.folder}/sekisho status    # the keeper"] if stack.settings.sekisho else []),
        f"  {stack.folder}/lab plug PORT [HOST]    # a VM for a port; {stack.folder}/lab for more",
        "Ctrl-C takes everything away.",
    ]


def _ours(stack: Stack) -> str:
    """Give the command line that asks the stack's keeper, which listens in the controller's namespace."""
    token = token_file(stack.place, "admin")
    environment = ("env", f"SEKISHO_URL={INSIDE}", f"SEKISHO_TOKEN_FILE={token}")
    return shlex.join([*enter(stack.place.controller), *environment, *all_in_one.command()])


def _write_program(file: Path, words: str) -> None:
    file.write_text(f'#!/bin/sh\nexec {words} "$@"\n')
    file.chmod(0o755)


def _exports(environment: Mapping[str, str]) -> str:
    return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in environment.items())
