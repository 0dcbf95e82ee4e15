"""``openstack port restriction ...``: arguments go to Neutron, and rows come out."""

from __future__ import annotations

import argparse
import logging
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from openstackclient.identity import common as identity
from osc_lib import exceptions
from osc_lib.cli import format_columns
from osc_lib.command import command

from sekisho.guests.osc import words
from sekisho.guests.osc.ask import ONE, PATH, answered, every, of_owner, path
from sekisho.model.errors import Malformed
from sekisho.model.restriction import State

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

log = logging.getLogger(__name__)

SHORT: Final = {
    "id": "ID",
    "port_id": "Port ID",
    "state": "State",
    "actions": "Actions",
    "reason": "Reason",
    "expires_at": "Expires At",
}
LONG: Final = {
    "project_id": "Project ID",
    "origin": "Origin",
    "policy": "Policy",
    "offence": "Offence",
    "created_at": "Created At",
    "in_force_at": "In Force At",
    "ended_at": "Ended At",
    "dropped_packets": "Dropped Packets",
    "dropped_bytes": "Dropped Bytes",
}
_HIDDEN: Final = ("tenant_id",)


class ActionsColumn(format_columns.ListDictColumn):
    """Actions in words for people; as they are for programs."""

    _value: Any

    def human_readable(self) -> str:
        """Say what is dropped or limited."""
        return words.from_actions(self._value)


class CreatePortRestriction(command.ShowOne):
    """Restrict a port for a time."""

    def get_parser(self, prog_name: str) -> Any:
        """Say what may be asked for."""
        parser = super().get_parser(prog_name)
        parser.add_argument("port", metavar="<port>", help="Port to restrict (name or ID)")
        parser.add_argument(
            "--drop",
            metavar="<traffic>",
            action="append",
            default=[],
            type=_read(words.traffic),
            help="Drop this traffic by its destination port: tcp/25, udp/6000-6010, tcp, icmp, any "
            "(repeat option to drop more)",
        )
        parser.add_argument(
            "--limit",
            metavar="<rate>",
            type=_read(words.rate),
            help="Limit all traffic to this rate: 10Mbit/s",
        )
        parser.add_argument(
            "--warn", action="store_true", help="Only tell the owner of the port; drop and limit nothing"
        )
        parser.add_argument(
            "--direction",
            choices=words.DIRECTIONS,
            default=words.DIRECTIONS[0],
            help="Restrict what is sent by the port, to it, or both (default: %(default)s)",
        )
        _add_end(parser.add_mutually_exclusive_group())
        _add_reason(parser, required=True)
        return parser

    def take_action(self, parsed_args: Any) -> tuple[Sequence[str], Iterable[Any]]:
        """Ask for the restriction and show it."""
        actions = words.to_actions(parsed_args.drop, parsed_args.limit, parsed_args.direction)
        if bool(actions) == parsed_args.warn:
            raise exceptions.CommandError("Say what to do: --drop, --limit or both, or else --warn.")
        network = self.app.client_manager.network
        port = network.find_port(parsed_args.port, ignore_missing=False)
        asked = {"port_id": port.id, "actions": actions, **_changes(parsed_args)}
        return _shown(answered(network.post(PATH, json={ONE: asked})))


class ListPortRestriction(command.Lister):
    """List what restricts ports now or waits for a yes."""

    def get_parser(self, prog_name: str) -> Any:
        """Say what may be filtered by."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "--port", metavar="<port>", help="List only what restricts this port (name or ID)"
        )
        parser.add_argument(
            "--project",
            metavar="<project>",
            help="List only what restricts ports of this project (name or ID)",
        )
        identity.add_project_domain_option_to_parser(parser)
        parser.add_argument(
            "--state",
            action="append",
            choices=[*(s.value for s in State), "standing"],
            help="List only what is in this state (repeat option for more; default: active and proposed, "
            "and with --port standing: the baselines it is in)",
        )
        parser.add_argument(
            "--limit", metavar="<number>", type=int, help="List so many at most, the newest first"
        )
        parser.add_argument(
            "--marker", metavar="<restriction>", help="With --limit: list what comes after this one (ID)"
        )
        parser.add_argument("--long", action="store_true", help="List additional fields in output")
        return parser

    def take_action(self, parsed_args: Any) -> tuple[Sequence[str], Iterable[Any]]:
        """Ask for them and show them."""
        manager = self.app.client_manager
        if parsed_args.marker and not parsed_args.limit:
            raise exceptions.CommandError("--marker goes with --limit: without one Neutron does not heed it.")
        params: dict[str, Any] = {}
        if parsed_args.port:
            params["port_id"] = _port(manager.network, parsed_args.port)
        if parsed_args.project:
            params["project_id"] = identity.find_project_id_sdk(
                manager.sdk_connection.identity, parsed_args.project, parsed_args.project_domain
            )
        for name in ("state", "limit", "marker"):
            if given := getattr(parsed_args, name):
                params[name] = given
        columns = SHORT | LONG if parsed_args.long else SHORT
        found = every(manager.network, params)
        return tuple(columns.values()), [_row(each, columns) for each in found]


class ShowPortRestriction(command.ShowOne):
    """Show what restricts a port, and why."""

    def get_parser(self, prog_name: str) -> Any:
        """Say which."""
        parser = super().get_parser(prog_name)
        _add_restriction(parser)
        return parser

    def take_action(self, parsed_args: Any) -> tuple[Sequence[str], Iterable[Any]]:
        """Ask for it and show it."""
        return _shown(answered(self.app.client_manager.network.get(path(parsed_args.restriction))))


class SetPortRestriction(command.Command):
    """Let a restriction end at another time; approve or turn down a proposal."""

    def get_parser(self, prog_name: str) -> Any:
        """Say what may be changed."""
        parser = super().get_parser(prog_name)
        _add_restriction(parser)
        what = parser.add_mutually_exclusive_group(required=True)
        _add_end(what)
        for option, state, told in (
            ("--approve", State.ACTIVE, "in force"),
            ("--reject", State.REJECTED, "aside"),
        ):
            what.add_argument(
                option, dest="state", action="store_const", const=state.value, help=f"Put a proposal {told}"
            )
        _add_reason(parser, required=False)
        return parser

    def take_action(self, parsed_args: Any) -> None:
        """Ask for the change."""
        network = self.app.client_manager.network
        answered(network.put(path(parsed_args.restriction), json={ONE: _changes(parsed_args)}))


class DeletePortRestriction(command.Command):
    """Lift restriction(s)."""

    def get_parser(self, prog_name: str) -> Any:
        """Say which."""
        parser = super().get_parser(prog_name)
        parser.add_argument(
            "restriction", metavar="<restriction>", nargs="+", help="Restriction(s) to lift (ID)"
        )
        _add_reason(parser, required=False)
        return parser

    def take_action(self, parsed_args: Any) -> None:
        """Lift each, whatever happens to the others."""
        network = self.app.client_manager.network
        failed = 0
        for restriction in parsed_args.restriction:
            try:
                _lift(network, path(restriction), parsed_args.reason)
            except Exception as error:  # noqa: BLE001 - the library below raises trees of its own
                failed += 1
                log.error("Failed to lift restriction '%s': %s", restriction, error)  # noqa: TRY400 - told, not traced
        if failed:
            total = len(parsed_args.restriction)
            raise exceptions.CommandError(f"{failed} of {total} restrictions failed to be lifted.")


class ReleasePortRestriction(command.Command):
    """End a restriction of your own project early, where its policy lets you."""

    def get_parser(self, prog_name: str) -> Any:
        """Say which, and what was mended."""
        parser = super().get_parser(prog_name)
        _add_restriction(parser)
        _add_reason(parser, required=True)
        return parser

    def take_action(self, parsed_args: Any) -> None:
        """Ask the keeper."""
        of_owner(self.app.client_manager, parsed_args.restriction, parsed_args.reason)


# --- inside ------------------------------------------------------------------------------------


def _read(reader: Callable[[str], Any]) -> Callable[[str], Any]:
    """Let argparse tell our sentence when an argument cannot be read."""

    def read(text: str) -> Any:
        try:
            return reader(text)
        except Malformed as error:
            raise argparse.ArgumentTypeError(error.asker) from error

    return read


def _add_restriction(parser: Any) -> None:
    parser.add_argument("restriction", metavar="<restriction>", help="Restriction (ID)")


def _lift(network: Any, restriction: str, reason: str | None) -> None:
    """Lift one; a request to delete carries no reason, so one that has it is a change."""
    if reason is None:
        answered(network.delete(restriction))
    else:
        asked = {"state": State.LIFTED.value, "reason": reason}
        answered(network.put(restriction, json={ONE: asked}))


def _add_end(group: Any) -> None:
    group.add_argument(
        "--duration",
        metavar="<duration>",
        type=_read(words.duration),
        help="For how long from now: 90min, 24h, 7d (a new one lasts a day unless you say)",
    )
    group.add_argument(
        "--until", metavar="<time>", dest="expires_at", help="Until when, in UTC: 2027-01-31T18:00:00Z"
    )


def _add_reason(parser: Any, *, required: bool) -> None:
    parser.add_argument(
        "--reason", metavar="<reason>", required=required, help="Why; the owner of the port reads it"
    )


def _changes(parsed_args: Any) -> dict[str, Any]:
    """Give what was said; what was not, Neutron decides."""
    said = {name: getattr(parsed_args, name, None) for name in ("duration", "expires_at", "state", "reason")}
    return {key: value for key, value in said.items() if value is not None}


def _port(network: Any, name: str) -> str:
    """Find a port; one that is gone is still asked for by its id."""
    found = network.find_port(name, ignore_missing=True)
    if found is not None:
        return str(found.id)
    try:
        return str(UUID(name))
    except ValueError:
        raise exceptions.CommandError(f"There is no port {name!r}.") from None


def _shown(body: Any) -> tuple[Sequence[str], Iterable[Any]]:
    shown = {key: value for key, value in sorted(body[ONE].items()) if key not in _HIDDEN}
    return tuple(shown), _row(shown, shown)


def _row(shown: dict[str, Any], columns: Iterable[str]) -> tuple[Any, ...]:
    return tuple(ActionsColumn(shown.get(c)) if c == "actions" else shown.get(c) for c in columns)
