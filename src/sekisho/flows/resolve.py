"""Whose traffic is this row? By interface first: a VM that spoofs its source is still itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from sekisho import native
from sekisho.flows.addresses import PRIVATE, Inside
from sekisho.flows.index import AMBIGUOUS, NONE, SubjectIndex
from sekisho.flows.sources import Sources
from sekisho.flows.wire.protocol import Counters
from sekisho.tables import OUT_SINGLE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from sekisho.flows.exporters import Exporters
    from sekisho.model.inventory import Inventory
    from sekisho.tables import I32, I64, U32, Bool, FlowBatch


@dataclass(frozen=True, slots=True)
class ResolveSettings:
    """`own_prefixes` are the cloud's own addresses, which are not the internet either."""

    own_prefixes: tuple[str, ...] = ()


# What the compiled core counts, in its order.
_COUNTED: Final = ("strangers", "exact", "sent", "received", "ambiguous")


class Resolver:
    """Fills a batch's sender, receiver, exact, src_internet, dst_internet, and rate where not told.

    Made anew for each inventory, in any thread. Senders and receivers are rows of ``inventory.subjects``.
    """

    def __init__(self, settings: ResolveSettings, inventory: Inventory, exporters: Exporters) -> None:
        self._index = SubjectIndex(inventory)
        self._sources = Sources(inventory, exporters, self._index.bridges)
        self._sources.meet()  # those who come later are met when they are heard
        self._inside = Inside((*PRIVATE, *settings.own_prefixes))
        self._counts = Counters()
        self._rows, self._told = 0, np.zeros(len(_COUNTED), np.int64)  # what the core has counted
        self._compiled: tuple[native.Structure, ...] = ()
        if native.LIBRARY is not None:
            parts = self._index, self._sources, self._inside
            self._compiled = tuple(part.structure() for part in parts)
            self._where = *(part.address for part in self._compiled), self._told.ctypes.data

    @property
    def counters(self) -> Mapping[str, int]:
        """Totals by kind: rows, strangers (exporter is no host of ours), sent, received, ambiguous, exact."""
        compiled = {kind: n for kind, n in zip(_COUNTED, self._told.tolist(), strict=True) if n}
        if self._rows:
            compiled["rows"] = self._rows
        return {**self._counts.totals(), **compiled, "shared_exporters": self._sources.shared}

    def resolve(self, batch: FlowBatch) -> None:
        """Fill the columns in place, and note how exporters sample. Every row's is a row of Exporters."""
        n = len(batch)
        if not n:
            return
        self._sources.meet()
        if native.LIBRARY is not None and self._compiled:
            self._rows += n
            columns = native.columns_of(batch)  # which stays for as long as its address is used
            native.LIBRARY.sk_resolve(columns.address, n, *self._where)
            return
        host = self._sources.host[batch.exporter]
        batch.exact[:] = self._sources.exact[batch.exporter]
        ours = (host >= 0) & ~batch.exact
        batch.sender[:], batch.receiver[:] = NONE, NONE
        for rows, ends in (
            (np.nonzero(ours)[0], self._of_host),
            (np.nonzero(batch.exact)[0], self._of_point),
            (np.nonzero(host < 0)[0], self._of_stranger),
        ):
            if len(rows):
                part = batch if len(rows) == len(batch) else batch.take(rows)
                batch.sender[rows], batch.receiver[rows] = ends(part)
        self._tell_ambiguous(batch)
        self._fill_rate(batch, host)
        self._sources.note_sampling(batch)
        batch.src_internet[:] = self._inside.internet(batch.src_hi, batch.src_lo)
        batch.dst_internet[:] = self._inside.internet(batch.dst_hi, batch.dst_lo)
        self._count(batch, host)

    def _of_host(self, batch: FlowBatch) -> tuple[I32, I32]:
        """Rows from one of our hosts: an interface that is no VM's is an uplink, whoever is said to send."""
        host = self._sources.host[batch.exporter]
        sender = self._by_interface(batch, batch.in_if)
        untold = np.nonzero(batch.in_if == 0)[0]
        sender[untold] = self._index.by_mac(host[untold], batch.src_mac[untold])
        single = (batch.out_format == OUT_SINGLE) & (batch.out_if != 0)
        receiver = self._by_interface(batch, batch.out_if)
        elsewhere = np.nonzero(~single)[0]
        if len(elsewhere):
            receiver[elsewhere] = self._by_destination(batch.take(elsewhere))
        return sender, receiver

    def _by_interface(self, batch: FlowBatch, interface: U32) -> I32:
        exporter = batch.exporter
        found = self._index.by_ifindex(self._sources.host[exporter], interface)
        ofports = self._sources.ofports[exporter]
        if ofports.any():
            by_ofport = self._index.by_ofport(self._sources.bridge[exporter], interface)
            found = np.where(ofports, by_ofport, found)
        return found

    def _by_destination(self, batch: FlowBatch) -> I32:
        """Where the switch did not say which port (conntrack, flood, input record): by MAC, then address."""
        host = self._sources.host[batch.exporter]
        by_mac = self._index.by_mac(host, batch.dst_mac)
        by_address = self._index.by_host_address(host, batch.dst_hi, batch.dst_lo)
        return np.where(by_mac >= 0, by_mac, np.where(by_address == NONE, by_mac, by_address))

    def _of_point(self, batch: FlowBatch) -> tuple[I32, I32]:
        """Exact rows: the observation point is the VM's OpenFlow port.

        What came in by the VM's own interface it sent; what came in by another's goes to it. Where the
        interface is no VM's or not told, the MAC address decides: what goes to a VM was picked by it.
        """
        exporter = batch.exporter
        subject = self._index.by_ofport(self._sources.bridge[exporter], batch.point)
        at_input = self._index.by_ifindex(self._sources.host[exporter], batch.in_if)
        is_sender = np.where(at_input >= 0, at_input == subject, ~self._goes_to(subject, batch))
        none = np.int32(NONE)
        return np.where(is_sender, subject, none), np.where(is_sender, none, subject)

    def _goes_to(self, subject: I32, batch: FlowBatch) -> Bool:
        if not len(self._index.mac):
            return np.zeros(len(batch), np.bool_)
        same: Bool = self._index.mac[np.maximum(subject, 0)] == batch.dst_mac
        return same

    def _of_stranger(self, batch: FlowBatch) -> tuple[I32, I32]:
        """Rows from routers: by address, if one subject alone in the cloud has it."""
        sender = self._index.by_address(batch.src_hi, batch.src_lo)
        return sender, self._index.by_address(batch.dst_hi, batch.dst_lo)

    def _tell_ambiguous(self, batch: FlowBatch) -> None:
        for column in (batch.sender, batch.receiver):
            unsure = column == AMBIGUOUS
            self._counts.count("ambiguous", int(np.count_nonzero(unsure)))
            column[unsure] = NONE

    def _fill_rate(self, batch: FlowBatch, host: I64) -> None:
        """Open vSwitch scales its IPFIX counts and tells no rate; its host does. Counts stay as they are."""
        untold = (batch.rate == 0) & (host >= 0) & self._sources.ipfix[batch.exporter]
        batch.rate[untold] = self._sources.sampling[batch.exporter[untold]]

    def _count(self, batch: FlowBatch, host: I64) -> None:
        self._counts.count("rows", len(batch))
        self._counts.count("strangers", int(np.count_nonzero(host < 0)))
        self._counts.count("exact", int(np.count_nonzero(batch.exact)))
        self._counts.count("sent", int(np.count_nonzero(batch.sender >= 0)))
        self._counts.count("received", int(np.count_nonzero(batch.receiver >= 0)))
