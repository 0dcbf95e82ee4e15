"""MariaDB: one server, a database for each service, nothing kept."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from sekisho.lab.openstack.shell import call
from sekisho.lab.processes import tool

if TYPE_CHECKING:
    from sekisho.lab.openstack.place import Place
    from sekisho.lab.openstack.service import Service

_DATABASES: Final = ("keystone", "neutron", "gnocchi", "octavia")
# Nothing here outlives the stack: no need to wait for a disk, or to keep much in memory.
_FRUGAL: Final = (
    "--innodb-buffer-pool-size=64M",
    "--innodb-log-file-size=32M",
    "--innodb-flush-log-at-trx-commit=0",
    "--innodb-flush-method=nosync",
    "--performance-schema=off",
    "--skip-log-bin",
)


def url(database: str) -> str:
    """Say how a service reaches its database."""
    return f"mysql+pymysql://stack:stack@127.0.0.1/{database}?charset=utf8"


def start(place: Place) -> Service:
    """Make the data folder, start the server and make the databases."""
    folder = place.room("database")
    data, socket = folder / "data", folder / "socket"
    install = ("--no-defaults", "--user=root", f"--datadir={data}", "--skip-test-db")
    call("mariadb-install-db", *install, "--auth-root-authentication-method=normal")
    argv = [tool("mariadbd"), "--no-defaults", "--user=root", f"--datadir={data}", f"--socket={socket}"]
    argv += ["--bind-address=127.0.0.1", f"--pid-file={folder / 'pid'}", *_FRUGAL]
    client = ("mariadb", "--no-defaults", "-uroot", f"--socket={socket}")

    def ready() -> bool:
        return call(*client, "--execute", "select 1") != ""

    server = place.service("mariadb", argv, ready, patience=10.0)
    server.start()
    call(
        *client, stdin="create user stack@127.0.0.1 identified by 'stack';" + "".join(map(_grant, _DATABASES))
    )
    return server


def _grant(name: str) -> str:
    return f"create database {name} character set utf8mb3; grant all on {name}.* to stack@127.0.0.1;"
