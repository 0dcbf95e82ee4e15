"""What operators set in ``[sekisho]`` of Neutron's own files, where they look for it: what all need."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from oslo_config import cfg

from sekisho.client import Client

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


def register(conf: Any, options: Sequence[Any]) -> Any:
    """Make options known to a configuration and give their group."""
    conf.register_opts(options, group=GROUP)
    return conf.sekisho


def server_opts() -> list[tuple[str, Sequence[Any]]]:
    """List what the service plugin reads, for oslo-config-generator."""
    return [(GROUP, [*KEEPER])]


def agent_opts() -> list[tuple[str, Sequence[Any]]]:
    """List what the agent extension reads, for oslo-config-generator."""
    from sekisho.guests.neutron.agent_config import AGENT

    return [(GROUP, [*KEEPER, *AGENT])]


def client(options: Any) -> Client:
    """Make a client of the keeper; raises OSError where the token or the authority cannot be read."""
    token = Path(options.token_file).read_text(encoding="utf-8")
    context = ssl.create_default_context(cafile=options.ca_file) if options.ca_file else None
    return Client(options.keeper_url, token, options.timeout, context)
