"""Words to a running laboratory in, what it did out: plug a VM, take one away, start a part again.

As a program: ``python -m sekisho.lab.openstack.control SOCKET WORD...``.
"""

from __future__ import annotations

import json
import shlex
import socket
import socketserver
import sys
import threading
import uuid
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final

from sekisho.lab.openstack.shell import enter
from sekisho.model.errors import Malformed, NotFound, SekishoError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from sekisho.lab.openstack.stack import Stack
    from sekisho.lab.openstack.vms import Vm

USAGE: Final = (
    "plug PORT [HOST] gives a port (id or name) a VM, unplug PORT takes it away, "
    "restart NAME starts a part again, parts lists them"
)
# What makes Neutron take a port for a server's.
_SERVER: Final = "compute:nova"


def act(stack: Stack, words: Sequence[str]) -> str:
    """Do what the words say, and tell it; raises Malformed for other words, and what the stack raises."""
    match words:
        case ["plug", port]:
            return _plug(stack, port, "")
        case ["plug", port, host]:
            return _plug(stack, port, host)
        case ["unplug", port]:
            vm = _vm(stack, _port(stack, port)["id"])
            stack.unplug(vm)
            return f"The VM of port {vm.port} is gone; its port stays."
        case ["restart", name]:
            _part(stack, name)
            stack.restart(name)
            return f"{name} runs again."
        case ["parts"]:
            return "\n".join(sorted(stack.place.services))
        case _:
            raise Malformed(f"Say one of: {USAGE}.")


def _plug(stack: Stack, name: str, host: str) -> str:
    port = _port(stack, name)
    where = host or port["binding:host_id"] or next(iter(stack.hosts))
    if where not in stack.hosts:
        raise NotFound(f"There is no host {where!r}; there are {', '.join(stack.hosts)}.")
    if any(port["id"] in each.vms for each in stack.hosts.values()):
        raise Malformed(f"Port {port['id']} has a VM already.")
    server = {"device_owner": _SERVER, "device_id": port["device_id"] or str(uuid.uuid4())}
    body = {"port": {**server, "binding:host_id": where}}
    stack.api("network", "PUT", f"/ports/{port['id']}", body)
    vm = stack.plug(port)
    inside = shlex.join([*enter(vm.namespace), "bash"])
    return f"{', '.join(vm.addresses)} on {vm.host}, in it: {inside}"


def _port(stack: Stack, name: str) -> Any:
    for key in ("id", "name"):
        found = stack.api("network", "GET", f"/ports?{key}={name}")["ports"]
        if len(found) == 1:
            return found[0]
    raise NotFound(f"There is no port {name!r}, or more than one is called so.")


def _vm(stack: Stack, port: str) -> Vm:
    for host in stack.hosts.values():
        if port in host.vms:
            return host.vms[port]
    raise NotFound(f"Port {port} has no VM.")


def _part(stack: Stack, name: str) -> None:
    if name not in stack.place.services:
        raise NotFound(f"There is no {name!r}; there are {', '.join(sorted(stack.place.services))}.")


@contextmanager
def listening(stack: Stack, path: Path) -> Iterator[None]:
    """Take words at a socket in `path`, one after the other, while the block runs."""

    class Taken(socketserver.StreamRequestHandler):
        def handle(self) -> None:
            self.wfile.write(json.dumps(_answer(stack, self.rfile.readline())).encode())

    path.unlink(missing_ok=True)
    with socketserver.UnixStreamServer(str(path), Taken) as server:
        path.chmod(0o600)
        thread = threading.Thread(target=server.serve_forever, name="lab-control", daemon=True)
        thread.start()
        try:
            yield
        finally:
            server.shutdown()
            thread.join()
            path.unlink(missing_ok=True)


def _answer(stack: Stack, line: bytes) -> dict[str, object]:
    try:
        return {"done": True, "said": act(stack, json.loads(line))}
    except SekishoError as error:
        return {"done": False, "said": error.fixer}
    except Exception as error:  # noqa: BLE001 - whatever it is, whoever asked must hear of it
        return {"done": False, "said": repr(error)}


def main(argv: Sequence[str], say: Callable[[str], object]) -> int:
    """Pass words on to the laboratory at a socket, and tell what it did."""
    path, *words = argv
    try:
        with socket.socket(socket.AF_UNIX) as asking:
            asking.connect(path)
            asking.sendall(json.dumps(words).encode() + b"\n")
            told = json.loads(b"".join(iter(lambda: asking.recv(65536), b"")))
    except (OSError, ValueError) as error:
        say(f"No laboratory answers at {path}: {error}.\n")
        return 1
    say(f"{told['said']}\n")
    return 0 if told["done"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:], sys.stdout.write))
