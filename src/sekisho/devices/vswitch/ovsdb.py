"""A host's Open_vSwitch database: subjects out, events when they change, transactions in.

The `ovs` package's Idl is driven directly. ovsdbapp's event machinery works one row at a time in a
thread that swallows what fails, and its schema must be fetched before anything starts; one thread
over the Idl answers within a millisecond and starts while the database is still away.
"""

from __future__ import annotations

import logging
import os
import threading
from collections import deque
from concurrent.futures import Future, InvalidStateError
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from select import POLLIN
from typing import TYPE_CHECKING, Any, Final, Self

from ovs.db.idl import Idl, SchemaHelper, Transaction
from ovs.poller import Poller

from sekisho.devices.vswitch.lines import Lines
from sekisho.devices.vswitch.ports import keep_ifindexes, read_access, read_bridges, read_subjects
from sekisho.devices.vswitch.schema import SCHEMA
from sekisho.model.errors import Refused, SekishoError, Unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from sekisho.model.inventory import Subject

_log = logging.getLogger(__name__)
_FIRST_RETRY_MS: Final = 50
_LAST_RETRY_MS: Final = 250
_REMOTE: Final = ("tcp:", "ssl:")
_BUSY: Final = frozenset({Transaction.UNCOMMITTED, Transaction.INCOMPLETE})


class Happening(StrEnum):
    """What a listener is told: where to look again, never what to do."""

    CONNECTED = "connected"  # the database answers, for the first time or again
    PORTS = "ports"  # a subject, or a port in a VLAN, came, went or changed
    TABLES = "tables"  # flows and meters may be gone: read the switch again
    TELEMETRY = "telemetry"  # what a bridge exports, or where to, was changed


@dataclass(slots=True, eq=False)
class _Write:
    change: Callable[[Any], None]
    done: Future[bool]
    transaction: Any = None
    abandoned: bool = False


class Database:
    """One host's switch, watched over its unix socket by a thread of its own.

    `socket` is the path of ovsdb-server's socket; bridges answer OpenFlow in the same folder unless
    `rundir` says another. It may also be a remote such as ``tcp:127.0.0.1:6640`` (ovsdb(7)); without a
    `rundir` nobody then tells of a switch that restarts (`Happening.TABLES`) but who asked for it.
    Ports without `iface-id` on the bridges in `bare` are subjects too. Only ports on `kept` bridges are
    subjects, on any where that is empty.
    """

    def __init__(
        self,
        socket: str,
        host: str,
        bare: tuple[str, ...] = (),
        rundir: str = "",
        kept: tuple[str, ...] = (),
    ) -> None:
        self._host, self._bare, self._kept = host, frozenset(bare), frozenset(kept)
        local = not socket.startswith(_REMOTE)
        self._remote = socket if not local or socket.startswith("unix:") else f"unix:{socket}"
        self._idl = _open(self._remote)
        folder = rundir or (str(Path(socket.removeprefix("unix:")).parent) if local else "")
        self._lines = Lines(Path(folder)) if folder else None
        self._listeners: list[Callable[[Happening], None]] = []
        self._writes: deque[_Write] = deque()
        self._subjects: tuple[Subject, ...] = ()
        self._access: dict[str, dict[int, int]] = {}
        self._tables: Any = None
        self._telemetry: Any = None
        self._configuration = 0
        self._applied = threading.Condition()
        self._connected = threading.Event()
        self._seen = threading.Event()
        self._closing = False
        self._wake_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._thread = threading.Thread(target=self._run, name="ovsdb", daemon=True)
        self._thread.start()

    @property
    def connected(self) -> bool:
        """Whether the database answers now; while it does not, `subjects` is what was last read."""
        return self._connected.is_set()

    def subjects(self, timeout: float = 5.0) -> tuple[Subject, ...]:
        """Give every subject on this host; raises Unavailable when the database never answered yet."""
        if not self._seen.wait(timeout):
            raise self._away()
        return self._subjects

    def access(self, bridge: str) -> Mapping[int, int]:
        """Give the VLAN of each OpenFlow port of a bridge that is in one; as old as `subjects`."""
        return self._access.get(bridge, {})

    def listen(self, callback: Callable[[Happening], None]) -> None:
        """Call back from the database's thread at every happening; the callback must not block or write."""
        self._listeners.append(callback)

    def write(self, change: Callable[[Any], None], timeout: float = 5.0) -> bool:
        """Let `change(idl)` edit rows in one transaction; tell whether that changed the database.

        `change` runs in the database's thread and again when somebody else was faster. Raises what
        it raises, Refused when the database says no, Unavailable when it does not answer in time.
        """
        write = _Write(change, Future())
        self._writes.append(write)
        self._wake()
        try:
            return write.done.result(timeout)
        except TimeoutError as error:
            write.abandoned = True
            raise self._away() from error

    def post(self, change: Callable[[Any], None]) -> None:
        """Let `change` edit rows soon, as `write` does; nobody waits for it or hears how it ended."""
        self._writes.append(_Write(change, Future()))
        self._wake()

    def settle(self, timeout: float = 5.0) -> None:
        """Wait until the switch carries all that was written; raises Unavailable when it does not in time."""
        asked: list[int] = []

        def ask(idl: Any) -> None:
            root = next(iter(idl.tables["Open_vSwitch"].rows.values()))
            root.verify("next_cfg")
            root.next_cfg = root.next_cfg + 1
            asked.append(root.next_cfg)

        self.write(ask, timeout)
        with self._applied:
            if not self._applied.wait_for(lambda: self._configuration >= asked[-1], timeout):
                raise Unavailable(
                    "The switch does not take up its configuration.", "ovs-vswitchd: no cur_cfg."
                )

    def close(self) -> None:
        """Stop watching; harmless when it was done before."""
        if self._closing:
            return
        self._closing = True
        self._wake()
        self._thread.join()
        os.close(self._wake_fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _away(self) -> Unavailable:
        return Unavailable("The switch's database does not answer.", f"{self._remote}: nobody answers.")

    def _wake(self) -> None:
        os.eventfd_write(self._wake_fd, 1)

    def _run(self) -> None:
        while not self._closing:
            try:
                self._round()
            except Exception:  # noqa: BLE001 - the library's own faults must not end the watch
                _log.exception("%s: beginning again", self._remote)
                self._begin_again()
        if self._lines:
            self._lines.close()
        self._idl.close()

    def _round(self) -> None:
        changed = self._idl.run()
        self._follow_connection()
        if changed and self.connected:
            self._compare()
            self._follow_configuration()
        if self._lines and self._lines.run():
            self._tell(Happening.TABLES)
        self._drive_writes()
        self._block()

    def _begin_again(self) -> None:
        """Forget the connection after a fault of the library's own, so that the watch goes on."""
        self._connected.clear()
        self._idl.close()
        self._idl = _open(self._remote)
        for write in self._writes:
            write.transaction = None

    def _block(self) -> None:
        poller = Poller()
        self._idl.wait(poller)
        if self._lines:
            self._lines.wait(poller)
        poller.fd_wait(self._wake_fd, POLLIN)
        poller.block()
        with suppress(BlockingIOError):
            os.eventfd_read(self._wake_fd)

    def _follow_connection(self) -> None:
        up = self._idl.state == Idl.IDL_S_MONITORING and self._idl._session.is_connected()  # noqa: SLF001 - not told otherwise
        if up and not self.connected:
            self._compare()
            self._connected.set()
            self._seen.set()
            self._tell(Happening.CONNECTED)
        elif not up:
            self._connected.clear()

    def _follow_configuration(self) -> None:
        with self._applied:
            self._configuration = max(r.cur_cfg for r in self._idl.tables["Open_vSwitch"].rows.values())
            self._applied.notify_all()

    def _compare(self) -> None:
        """Tell what differs from what was last told; the first reading is told as a whole."""
        found = read_subjects(self._idl.tables, self._host, self._bare, self._kept)
        subjects = keep_ifindexes(found, self._subjects)
        tables, telemetry = _table_keys(self._idl.tables), _telemetry_keys(self._idl.tables)
        access = read_access(self._idl.tables)
        before = ((self._subjects, self._access), self._tables, self._telemetry)
        self._subjects, self._access, self._tables, self._telemetry = subjects, access, tables, telemetry
        if self._lines:
            self._lines.watch(read_bridges(self._idl.tables))
        if not self._seen.is_set():
            return
        kinds = (Happening.PORTS, Happening.TABLES, Happening.TELEMETRY)
        for kind, was, now in zip(kinds, before, ((subjects, access), tables, telemetry), strict=True):
            if was != now:
                self._tell(kind)

    def _tell(self, happening: Happening) -> None:
        for callback in tuple(self._listeners):
            try:
                callback(happening)
            except Exception:  # noqa: BLE001 - one bad listener must not silence the others
                _log.exception("a listener failed on %s", happening)

    def _drive_writes(self) -> None:
        for write in tuple(self._writes):
            if write.abandoned or self._advance(write):
                self._writes.remove(write)

    def _advance(self, write: _Write) -> bool:
        """Begin or continue one write; True once it is over."""
        if write.transaction is None:
            if not self.connected:
                return False
            return self._begin(write)
        status = write.transaction.commit()
        if status in _BUSY:
            return False
        if status in (Transaction.TRY_AGAIN, Transaction.NOT_LOCKED, Transaction.ABORTED):
            write.transaction = None
            self._wake()
            return False
        _finish(write, status)
        return True

    def _begin(self, write: _Write) -> bool:
        transaction = Transaction(self._idl)
        try:
            write.change(self._idl)
        except SekishoError as error:
            transaction.abort()
            _fail(write, error)
            return True
        except Exception as error:  # noqa: BLE001 - whoever asked must hear of it, and the thread must live
            transaction.abort()
            _fail(write, error)
            return True
        write.transaction = transaction
        return self._advance(write)


def _open(remote: str) -> Any:
    schema = SchemaHelper(schema_json=SCHEMA)
    schema.register_all()
    idl = Idl(remote, schema, leader_only=False)
    # Over a unix socket nobody is hurt by asking again soon; the package's own floor is a second.
    reconnect = idl._session.reconnect  # noqa: SLF001 - the Idl offers no other way
    reconnect.min_backoff, reconnect.max_backoff = _FIRST_RETRY_MS, _LAST_RETRY_MS
    reconnect.set_quiet(True)
    return idl


def _finish(write: _Write, status: str) -> None:
    if status == Transaction.ERROR:
        words = write.transaction.get_error()
        _fail(write, Refused("The switch's database refused the change.", f"ovsdb-server: {words}"))
        return
    with suppress(InvalidStateError):
        write.done.set_result(status == Transaction.SUCCESS)


def _fail(write: _Write, error: Exception) -> None:
    with suppress(InvalidStateError):
        write.done.set_exception(error)


def _table_keys(tables: Any) -> Any:
    """Collect what makes a bridge forget flows or meters when it changes: a controller set or unset, too."""
    return {
        row.name: (
            row.uuid,
            row.datapath_type,
            tuple(row.fail_mode),
            tuple(sorted(c.uuid for c in row.controller)),
        )
        for row in read_bridges(tables).values()
    }


def _telemetry_keys(tables: Any) -> Any:
    slots = {
        row.name: tuple(r.uuid for r in (*row.sflow, *row.ipfix, *row.netflow))
        for row in read_bridges(tables).values()
    }
    kinds = ("sFlow", "IPFIX", "NetFlow", "Flow_Sample_Collector_Set")
    rows = {row.uuid: _content(row) for kind in kinds for row in tables[kind].rows.values()}
    return slots, rows


def _content(row: Any) -> str:
    return str(sorted((name, str(datum)) for name, datum in row._data.items()))  # noqa: SLF001 - a row's plain value
