"""RabbitMQ: what Neutron's processes talk through."""

from __future__ import annotations

import socket
from typing import TYPE_CHECKING, Final

from sekisho.lab import sockets
from sekisho.lab.openstack.settings import CONTROLLER
from sekisho.model.errors import Unavailable

if TYPE_CHECKING:
    from pathlib import Path

    from sekisho.lab.openstack.place import Place
    from sekisho.lab.openstack.service import Service

_PORT: Final = 5672
URL: Final = f"rabbit://guest:guest@{CONTROLLER}:{_PORT}/"
_SERVER: Final = "/usr/lib/rabbitmq/bin/rabbitmq-server"
_SETTINGS: Final = f"""\
listeners.tcp.1 = {CONTROLLER}:{_PORT}
loopback_users = none
vm_memory_high_watermark.absolute = 512MB
disk_free_limit.absolute = 50MB
"""
# What lies on the host (/etc/rabbitmq, ~/.erlang.cookie, the one epmd of a machine) is none of ours.
_QUIET: Final = "+sbwt none +sbwtdcpu none +sbwtdio none +S 1:1 +SDio 2"


def start(place: Place) -> Service:
    """Start the broker."""
    folder = place.room("rabbitmq")
    for name in ("mnesia", "log", "home"):
        (folder / name).mkdir()
    (folder / "plugins").write_text("[].\n")
    (folder / "rabbitmq.conf").write_text(_SETTINGS)

    def ready() -> bool:
        try:
            with sockets.connect((CONTROLLER, _PORT), place.controller, 5.0) as asked:
                # A broker that is ready answers a client's header with Connection.Start (AMQP 0-9-1, 4.2.2).
                asked.sendall(b"AMQP\x00\x00\x09\x01")
                return asked.recv(1, socket.MSG_WAITALL) == b"\x01"
        except OSError as error:
            raise Unavailable("RabbitMQ does not answer.", repr(error)) from error

    broker = place.service("rabbitmq", [_SERVER], ready, environment=_environment(folder), patience=10.0)
    broker.start()
    return broker


def _environment(folder: Path) -> dict[str, str]:
    places = {
        "MNESIA_BASE": "mnesia",
        "LOG_BASE": "log",
        "CONFIG_FILE": "rabbitmq.conf",
        "CONF_ENV_FILE": "none",
        "ENABLED_PLUGINS_FILE": "plugins",
        "PID_FILE": "pid",
    }
    return {
        **{f"RABBITMQ_{name}": str(folder / file) for name, file in places.items()},
        "HOME": str(folder / "home"),
        "RABBITMQ_NODENAME": "stack@localhost",
        "ERL_EPMD_ADDRESS": "127.0.0.1",
        "RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS": _QUIET,
        "RABBITMQ_SERVER_START_ARGS": "-kernel inet_dist_use_interface {127,0,0,1}",
    }
