"""The `sekisho` command: what people ask of the API (cli), and the processes themselves."""

from __future__ import annotations

import dataclasses
import functools
import json
import os
import re
import socket
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, ParamSpec

import typer

from sekisho import cli
from sekisho.app import lab_command, openstack_command, switches_lab
from sekisho.app.process import LogFormat, give_back_bpf, let_a_loop_go_first, start_log, stop_on_signal
from sekisho.cli.exits import EXITS, spoken
from sekisho.cli.words import clean
from sekisho.model.errors import Malformed, SekishoError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from sekisho.app.settings import ClientSettings
    from sekisho.client import Client

Config = Annotated[
    Path | None, typer.Option("--config", help="Settings file.", envvar="SEKISHO_CONFIG", show_default=False)
]
TokenFile = Annotated[
    Path | None, typer.Option("--token-file", help="File with the bearer token.", show_default=False)
]
Spool = Annotated[
    Path | None,
    typer.Option(
        "--spool",
        help="Keep flows for the archive in this folder, unless settings say else.",
        show_default=False,
    ),
]
LogLevel = Annotated[str, typer.Option("--log-level", help="DEBUG, INFO, WARNING or ERROR.")]
Form = Annotated[
    LogFormat,
    typer.Option("--log-format", help="For people, or JSON lines for programs.", envvar="SEKISHO_LOG_FORMAT"),
]


P = ParamSpec("P")


def said(command: Callable[P, None]) -> Callable[P, None]:
    """Let an error end the command with its sentence and its exit code."""

    @functools.wraps(command)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with spoken(command.__name__):
            try:
                command(*args, **kwargs)
            except SekishoError as error:
                # Who starts a process is who must mend it.
                if error.fixer != error.asker:
                    print(clean(error.fixer), file=sys.stderr)
                raise

    return run


@said
def keeper(
    config: Config = None,
    log_level: LogLevel = "INFO",
    log_format: Form = LogFormat.CONSOLE,
    listen_fd: Annotated[
        list[int] | None,
        typer.Option("--listen-fd", help="A listening socket inherited from who started us."),
    ] = None,
) -> None:
    """Run the keeper: API, ledger, policies, expiry.

    Takes listening sockets from systemd (LISTEN_FDS) where there are any.
    """
    from sekisho.app import keeper_process, settings

    start_log(log_level, log_format)
    keeper_process.run(settings.keeper(settings.load(config)), inherited_sockets(listen_fd or ()))


@said
def collector(  # noqa: PLR0913 - an option each
    *,
    config: Config = None,
    token_file: TokenFile = None,
    log_level: LogLevel = "INFO",
    log_format: Form = LogFormat.CONSOLE,
    spool: Spool = None,
    worker: Annotated[int, typer.Option("--worker", hidden=True)] = -1,
    socket_fd: Annotated[list[int] | None, typer.Option("--socket-fd", hidden=True)] = None,
    ring_fd: Annotated[list[int] | None, typer.Option("--ring-fd", hidden=True)] = None,
    report_fd: Annotated[int, typer.Option("--report-fd", hidden=True)] = -1,
) -> None:
    """Run a collector: hear flow datagrams, judge them, tell the keeper."""
    from sekisho.app import collector_workers, settings
    from sekisho.app.collector import Collector, CollectorSettings
    from sekisho.flows.ring import Descriptors
    from sekisho.host.clock import Clock

    start_log(log_level, log_format)
    raw = settings.load(config)
    told = {**({"archive": {"on": True, "spool": {"folder": str(spool)}}} if spool else {})}
    ours = settings.validate(CollectorSettings, {**told, **raw.get("collector", {})}, "collector")
    client = _client(settings.client(raw), token_file)
    if worker >= 0:
        numbers = ring_fd or []
        rings = tuple(Descriptors(*pair) for pair in zip(numbers[::2], numbers[1::2], strict=True))
        place = collector_workers.Place(worker, tuple(inherited_sockets(socket_fd or ())), report_fd, rings)
        collector_workers.run_worker(ours, client, Clock(), place)
    elif ours.workers > 1:
        words = ["--log-level", log_level, "--log-format", log_format.value]
        for option, given in (("--config", config), ("--token-file", token_file), ("--spool", spool)):
            words += [option, str(given)] if given else []
        collector_workers.run(ours, client, Clock(), words)
    else:
        alone = Collector(ours, client, Clock())
        give_back_bpf()
        let_a_loop_go_first()
        stop_on_signal(alone.stop)
        alone.run()


@said
def agent(
    config: Config = None,
    token_file: TokenFile = None,
    log_level: LogLevel = "INFO",
    log_format: Form = LogFormat.CONSOLE,
    *,
    clear: Annotated[
        bool, typer.Option("--clear", help="Take everything of ours off this host's switch, and end.")
    ] = False,
) -> None:
    """Run a host's agent: carry on its switch what the keeper decided."""
    from sekisho.app import settings
    from sekisho.host.agent import Agent, AgentSettings
    from sekisho.host.clear import clear as clear_host
    from sekisho.host.clock import Clock
    from sekisho.host.counting import spawn_counting
    from sekisho.host.switch import open_switch

    start_log(log_level, log_format)
    raw = settings.load(config)
    ours = settings.validate(AgentSettings, raw.get("agent", {}), "agent")
    if clear:
        for sentence in clear_host(ours):
            print(sentence)
        return
    client = _client(settings.client(raw), token_file)
    ports, switches = open_switch(ours)
    worker = Agent(ours, client, Clock(), ports, switches)
    stop_on_signal(worker.stop)
    spawn_counting(ours, client, ports.subjects, worker)
    worker.run()


@said
def director(
    config: Config = None,
    token_file: TokenFile = None,
    log_level: LogLevel = "INFO",
    log_format: Form = LogFormat.CONSOLE,
    *,
    clear: Annotated[
        bool, typer.Option("--clear", help="Take everything of ours off this director, and end.")
    ] = False,
    doctor: Annotated[
        bool, typer.Option("--doctor", help="Look for the classic faults of direct return here, and end.")
    ] = False,
) -> None:
    """Run a director: carry load balancers on this machine's own IPVS."""
    from sekisho.app import settings
    from sekisho.app.director import DirectorSettings, clear_director, examine_director, open_director
    from sekisho.host.clock import Clock

    start_log(log_level, log_format)
    raw = settings.load(config)
    ours = settings.validate(DirectorSettings, raw.get("director", {}), "director")
    if clear:
        for sentence in clear_director(ours):
            print(sentence)
        return
    if doctor:
        found = examine_director(ours)
        for ailment in found:
            print(clean(f"{ailment.balancer or 'this director'}: {ailment.sentence}"))
        if found:
            raise typer.Exit(1)
        print("Nothing is wrong.")
        return
    worker = open_director(ours, _client(settings.client(raw), token_file).balancers, Clock())
    stop_on_signal(worker.stop)
    worker.run()


@said
def archive(
    context: typer.Context,
    config: Config = None,
    log_level: LogLevel = "INFO",
    log_format: Form = LogFormat.CONSOLE,
    token_file: Annotated[
        Path | None,
        typer.Option("--token-file", help="File with the secret of its door.", show_default=False),
    ] = None,
    state: Annotated[
        Path | None,
        typer.Option(
            "--state", help="A state folder of `up` to run in, unless settings say else.", show_default=False
        ),
    ] = None,
    listen_fd: Annotated[
        list[int] | None,
        typer.Option("--listen-fd", help="A listening socket inherited from who started us."),
    ] = None,
) -> None:
    """Run the archive: load what collectors spooled, answer questions about the past."""
    if context.invoked_subcommand is not None:
        return
    from sekisho.app import archive, settings
    from sekisho.app.collector import CollectorSettings
    from sekisho.host.clock import Clock

    start_log(log_level, log_format)
    raw = settings.load(config)
    told = all_in_one_archive(state) if state else {}
    given = {"token_file": str(token_file)} if token_file else {}
    archive.run(
        settings.archive({"archive": {**told, **raw.get("archive", {}), **given}}),
        Clock(),
        inherited_sockets(listen_fd or ()),
        settings.validate(CollectorSettings, raw.get("collector", {}), "collector").detect,
    )


@said
def archive_ddl(
    cluster: Annotated[str, typer.Option("--cluster", help="The cluster's name; none: one server.")] = "",
    config: Config = None,
) -> None:
    """Print the statements that make the archive's tables, for who makes them by hand."""
    from sekisho.app import settings
    from sekisho.archive import shapes

    keep = settings.archive(settings.load(config)).keep
    if not re.fullmatch(r"[\w-]*", cluster):
        raise Malformed(f"--cluster: {cluster!r} is no name of a cluster.")
    found = shapes.cluster_statements(keep, cluster) if cluster else shapes.statements(keep)
    for statement in found:
        print(f"{statement};")


def all_in_one_archive(state: Path) -> dict[str, str]:
    """Say where the archive of a state folder has its things."""
    from sekisho.app.archive_reach import SECRET

    return {
        "folder": str(state / "archive"),
        "spool": str(state / "spool"),
        "token_file": str(state / "tokens" / SECRET),
    }


@said
def up(config: Config = None, log_level: LogLevel = "INFO", log_format: Form = LogFormat.CONSOLE) -> None:
    """Run keeper, collector and agent of this machine together."""
    from sekisho.app import all_in_one, settings
    from sekisho.host.clock import Clock

    start_log(log_level, log_format)
    raw = settings.load(config)
    ours, reach = settings.keeper(raw), settings.client(raw)
    state = Path(ours.state)
    files = all_in_one.prepare(state, reach.url, Clock())
    keeps = all_in_one.prepare_archive(state, elsewhere=bool(ours.archive.token_file))
    spool = ("--spool", str(state / "spool")) if keeps else ()
    where = ("--config", str(config)) if config else ()
    stop = threading.Event()
    stop_on_signal(stop)
    children = [
        all_in_one.Child("keeper", all_in_one.command("keeper", *where)),
        *(
            all_in_one.Child(n, all_in_one.command(n, *where, "--token-file", str(files[n]), *more))
            for n, more in (("collector", spool), ("agent", ()))
        ),
    ]
    if keeps:
        words = (*where, "--state", str(state))
        children.append(all_in_one.Child("archive", all_in_one.command("archive", *words)))
    print(f"Look around with: SEKISHO_CLIENT={ours.state}/client.toml sekisho status", file=sys.stderr)
    all_in_one.Supervisor(children).run(stop)


config_app = typer.Typer(help="Check and show the settings.", no_args_is_help=True)


@config_app.command("check")
@said
def config_check(config: Config = None) -> None:
    """Report every mistake in the settings, with its path."""
    from sekisho.app import settings

    _, problems = settings.check(settings.load(config))
    for problem in problems:
        print(problem, file=sys.stderr)
    if problems:
        raise typer.Exit(EXITS[Malformed])
    print("The settings are good.")


@config_app.command("show")
@said
def config_show(
    config: Config = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON document.")] = False,
) -> None:
    """Show every setting in force, defaults included; secrets are files, so none are shown."""
    from sekisho.app import settings

    found, problems = settings.check(settings.load(config))
    for problem in problems:
        print(problem, file=sys.stderr)
    plain = {name: dataclasses.asdict(value) for name, value in found.items()}
    if as_json:
        print(json.dumps(plain, indent=2, default=str))
    else:
        for name, section in plain.items():
            _show(name, section)
    if problems:
        raise typer.Exit(EXITS[Malformed])


def _show(path: str, section: dict[str, Any]) -> None:
    """Print one section as TOML."""
    print(f"\n[{path}]")
    inner = {k: v for k, v in section.items() if isinstance(v, dict)}
    for key, value in section.items():
        if key not in inner:
            print(f"{key} = {json.dumps(value, default=str)}")
    for key, value in inner.items():
        _show(f"{path}.{key}", value)


def inherited_sockets(numbers: Sequence[int] = ()) -> list[socket.socket]:
    """Take the listening sockets that systemd (sd_listen_fds(3)) or who started us passed."""
    if os.environ.get("LISTEN_PID") == str(os.getpid()):
        numbers = (*numbers, *range(3, 3 + int(os.environ.get("LISTEN_FDS", "0"))))
    return [socket.socket(fileno=fd) for fd in numbers]


def _client(settings: ClientSettings, token_file: Path | None) -> Client:
    from sekisho.client import open_client

    try:
        return open_client(
            settings.url, token_file or Path(settings.token_file), settings.ca_file, settings.timeout
        )
    except Malformed as error:
        raise Malformed(f"client: {error.asker}") from error


def main() -> None:
    """Run the command line."""
    cli.build(add_processes)()


def add_processes(app: typer.Typer) -> None:
    """Add the commands that run processes to those that ask the API."""
    for process in (keeper, collector, agent, director, up):
        app.command()(process)
    archiving = typer.Typer(invoke_without_command=True)
    archiving.callback()(archive)
    archiving.command("ddl")(archive_ddl)
    app.add_typer(archiving, name="archive")
    app.add_typer(config_app, name="config")
    lab = typer.Typer(invoke_without_command=True)
    lab.callback()(said(lab_command.command))
    lab.command("openstack")(said(openstack_command.command))
    lab.command("switches")(said(switches_lab.command))
    app.add_typer(lab, name="lab")


if __name__ == "__main__":
    main()
