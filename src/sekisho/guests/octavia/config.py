"""What operators set in ``[sekisho]`` of Octavia's own file, where they look for it."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from oslo_config import cfg

from sekisho.client import Client, open_client
from sekisho.model.errors import Malformed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

GROUP: Final = "sekisho"

OPTIONS: Final = (
    cfg.StrOpt("keeper_url", default="http://127.0.0.1:8790", help="Where the keeper answers."),
    cfg.StrOpt(
        "token_file",
        default="/etc/octavia/sekisho-token",
        help="File with the bearer token that the keeper knows us by; readable by Octavia only.",
    ),
    cfg.StrOpt("ca_file", default="", help="Authority of the keeper's certificate, where it has its own."),
    cfg.FloatOpt("timeout", default=5.0, min=0.1, help="Seconds each step of a request may take."),
    cfg.FloatOpt(
        "audit",
        default=15.0,
        min=0.1,
        help="Seconds from a change to comparing what the keeper has with what Octavia has; what was "
        "otherwise then, and four times as long after that, is made as Octavia has it.",
    ),
    cfg.ListOpt(
        "links",
        default=[],
        help="Networks (CIDRs) beside the VIP's own for members of sekisho-lvs, as in director.links.",
    ),
)

# Octavia fills these in where nobody asks for them (octavia/common/constants.py); milliseconds.
_TIMEOUTS: Final = {
    "timeout_client_data": 50_000,
    "timeout_member_connect": 5_000,
    "timeout_member_data": 50_000,
    "timeout_tcp_inspect": 0,
}


def register(conf: Any) -> Any:
    """Make our options known to a configuration and give their group."""
    conf.register_opts(OPTIONS, group=GROUP)
    return conf.sekisho


def opts() -> list[tuple[str, Sequence[Any]]]:
    """List what is read, for oslo-config-generator."""
    return [(GROUP, [*OPTIONS])]


def client(options: Any) -> Client:
    """Make a client of the keeper; raises Unavailable where settings, token or authority are no good.

    Whoever asks Octavia has no part in that: it is never their mistake.
    """
    try:
        return open_client(options.keeper_url, Path(options.token_file), options.ca_file, options.timeout)
    except Malformed as error:
        raise Unavailable("The keeper cannot be asked.", f"[sekisho]: {error.fixer}") from error


def timeouts(conf: Any) -> Mapping[str, int]:
    """Say which timeouts a listener has of which nobody said anything, as this Octavia is set up."""
    found = dict(_TIMEOUTS)
    for name in found:
        with suppress(cfg.NoSuchOptError):
            found[name] = int(conf.haproxy_amphora[name])
    return found


def sockets(conf: Any) -> Mapping[str, str]:
    """Say where Octavia's driver agent listens, as `DriverLibrary` takes it."""
    found = {}
    for name in ("status_socket", "stats_socket", "get_socket"):
        with suppress(cfg.NoSuchOptError):
            found[name] = str(conf.driver_agent[f"{name}_path"])
    return found
