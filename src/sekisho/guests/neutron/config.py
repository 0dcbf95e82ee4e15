"""What operators set in ``[sekisho]`` of Neutron's own files, where they look for it: what all need."""

from __future__ import annotations

import os
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from oslo_config import cfg

from sekisho.client import Client, open_client
from sekisho.model.errors import Malformed, Unavailable

if TYPE_CHECKING:
    from collections.abc import Sequence

GROUP: Final = "sekisho"
# Where the server tells its agents that there is news.
TOPIC: Final = "sekisho"

KEEPER: Final = (
    cfg.StrOpt("keeper_url", default="http://127.0.0.1:8790", help="Where the keeper answers."),
    cfg.StrOpt(
        "token_file",
        default="/etc/neutron/sekisho-token",
        help="File with the bearer token that the keeper knows us by; readable by Neutron only.",
    ),
    cfg.StrOpt("ca_file", default="", help="Authority of the keeper's certificate, where it has its own."),
    cfg.FloatOpt("timeout", default=5.0, min=0.1, help="Seconds each step of a request may take."),
)

SWITCHES: Final = (
    cfg.ListOpt(
        "switch_physical_networks",
        default=[],
        help="Physical networks whose VLANs the keeper's switches carry; all of them when empty.",
    ),
    cfg.FloatOpt(
        "switch_resync",
        default=600.0,
        min=1.0,
        help="Seconds between two comparisons of all hosts' VLANs with what the keeper knows.",
    ),
)


def register(conf: Any, options: Sequence[Any]) -> Any:
    """Make options known to a configuration and give their group."""
    conf.register_opts(options, group=GROUP)
    return conf.sekisho


def server_opts() -> list[tuple[str, Sequence[Any]]]:
    """List what the service plugin and the mechanism driver read, for oslo-config-generator."""
    return [(GROUP, [*KEEPER, *SWITCHES])]


def agent_opts() -> list[tuple[str, Sequence[Any]]]:
    """List what the agent extension reads, for oslo-config-generator."""
    from sekisho.guests.neutron.agent_config import AGENT

    return [(GROUP, [*KEEPER, *AGENT])]


def client(options: Any) -> Client:
    """Make a client of the keeper; raises Unavailable where settings, token or authority are no good.

    Whoever asks Neutron has no part in that: it is never their mistake.
    """
    try:
        return open_client(options.keeper_url, Path(options.token_file), options.ca_file, options.timeout)
    except Malformed as error:
        raise Unavailable("The keeper cannot be asked.", f"[sekisho]: {error.fixer}", 5.0) from error


class OwnClient:
    """Gives each process a client of its own: connections are not shared with the one it was forked from."""

    def __init__(self, options: Any) -> None:
        self._options = options
        self._made: tuple[int, Client] | None = None
        self._lock = threading.Lock()

    def __call__(self) -> Client:
        """Give this process's client; raises Unavailable where token or authority cannot be read."""
        with self._lock:
            if self._made is None or self._made[0] != os.getpid():
                self._made = os.getpid(), client(self._options)
            return self._made[1]
