"""Nouns in columns: Burst and FlowBatch; each column is declared here, once."""

from __future__ import annotations

from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Any, Final, TypeAlias

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from collections.abc import Sequence

U8: TypeAlias = NDArray[np.uint8]
U16: TypeAlias = NDArray[np.uint16]
U32: TypeAlias = NDArray[np.uint32]
U64: TypeAlias = NDArray[np.uint64]
I32: TypeAlias = NDArray[np.int32]
I64: TypeAlias = NDArray[np.int64]
F32: TypeAlias = NDArray[np.float32]
F64: TypeAlias = NDArray[np.float64]
Bool: TypeAlias = NDArray[np.bool_]

# tcp_flags carries this bit where the exporter told the flags at all (Open vSwitch's IPFIX does not).
FLAGS_KNOWN: Final = 0x8000
# out_format: what sFlow's format bits said of the output (sFlow v5, section 5, "interface").
OUT_SINGLE: Final = 0
OUT_DISCARDED: Final = 1
OUT_MULTIPLE: Final = 2
# IPv4 addresses stand in the IPv6 columns as ::ffff:a.b.c.d (RFC 4291 2.5.5.2): hi = 0.
V4_MAPPED: Final = 0xFFFF_0000_0000


@dataclass(slots=True)
class Burst:
    """Up to N UDP payloads as they came from the socket.

    data: uint8[N, slot], payload i in data[i, :length[i]]; length: int32[count]; address_hi and
    address_lo: uint64[count], the source address (IPv4 mapped); port: uint16[count], its UDP port.
    `time` is the arrival of the burst, unix seconds. Only the first `count` rows are filled, and
    the arrays are reused: whoever keeps something copies it.
    """

    data: U8
    length: I32
    address_hi: U64
    address_lo: U64
    port: U16
    count: int
    time: float


def _column(dtype: Any, doc: str) -> Any:
    return field(metadata={"dtype": np.dtype(dtype), "doc": doc})


@dataclass(slots=True)
class FlowBatch:
    """Many flow records in columns of equal length; counts are scaled by sampling.

    A row is a sampled packet (sFlow, Open vSwitch's IPFIX) or a flow record (NetFlow, IPFIX with a
    cache). ICMP type and code stand in dst_port as ``type << 8 | code``, as NetFlow has it.

    Of a batch that the compiled core made, only rate and what resolve fills can be written to.
    """

    time: F64 = _column(np.float64, "arrival, unix seconds")
    exporter: I32 = _column(np.int32, "row in the collector's Exporters")
    in_if: U32 = _column(
        np.uint32, "input ifIndex (OpenFlow port from NetFlow v5 of Open vSwitch), 0 unknown"
    )
    out_if: U32 = _column(np.uint32, "output likewise, format bits taken off")
    out_format: U8 = _column(np.uint8, "OUT_SINGLE, OUT_DISCARDED, OUT_MULTIPLE")
    point: U32 = _column(np.uint32, "IPFIX observation point (element 138), 0 none")
    ip_version: U8 = _column(np.uint8, "4, 6, or 0 for what is not IP")
    src_hi: U64 = _column(np.uint64, "source address, upper 64 bits")
    src_lo: U64 = _column(np.uint64, "source address, lower 64 bits")
    dst_hi: U64 = _column(np.uint64, "destination address, upper 64 bits")
    dst_lo: U64 = _column(np.uint64, "destination address, lower 64 bits")
    protocol: U8 = _column(np.uint8, "IP protocol number")
    src_port: U16 = _column(np.uint16, "transport source port, 0 where cut or none")
    dst_port: U16 = _column(np.uint16, "transport destination port")
    tcp_flags: U16 = _column(np.uint16, "TCP flags seen, with FLAGS_KNOWN where told")
    src_mac: U64 = _column(np.uint64, "48 bits, 0 unknown")
    dst_mac: U64 = _column(np.uint64, "48 bits, 0 unknown")
    vlan: U16 = _column(np.uint16, "outer VLAN id, 0 none")
    rate: F32 = _column(np.float32, "N of 1:N behind the row; 1 unsampled, 0 not told by the exporter")
    packets: F64 = _column(np.float64, "packets, scaled")
    bytes: F64 = _column(np.float64, "octets (from layer 2 or 3, as exported), scaled")
    sender: I32 = _column(np.int32, "row in Inventory.subjects that sent it, -1 none; filled by resolve")
    receiver: I32 = _column(np.int32, "row in Inventory.subjects it was sent to, -1 none; filled by resolve")
    exact: Bool = _column(np.bool_, "exact telemetry: probability 1, not part of the volume; resolve")
    src_internet: Bool = _column(np.bool_, "source is neither private nor the cloud's own; resolve")
    dst_internet: Bool = _column(np.bool_, "destination likewise; resolve")

    def __len__(self) -> int:
        return len(self.time)

    @classmethod
    def empty(cls, n: int) -> FlowBatch:
        """Make n rows of zeros, with sender and receiver -1."""
        batch = cls(**{f.name: np.zeros(n, f.metadata["dtype"]) for f in fields(cls)})
        batch.sender.fill(-1)
        batch.receiver.fill(-1)
        return batch

    @classmethod
    def concat(cls, batches: Sequence[FlowBatch]) -> FlowBatch:
        """Join batches in order; one batch is returned as it is."""
        if len(batches) == 1:
            return batches[0]
        if not batches:
            return cls.empty(0)
        return cls(**{f.name: np.concatenate([getattr(b, f.name) for b in batches]) for f in fields(cls)})

    def take(self, rows: NDArray[Any] | slice) -> FlowBatch:
        """Pick rows by index or boolean mask; a slice shares their memory."""
        return FlowBatch(**{f.name: getattr(self, f.name)[rows] for f in fields(self)})


def columns(table: type[FlowBatch]) -> dict[str, np.dtype[Any]]:
    """Name and dtype of each column, in order; the archive derives its DDL from this."""
    return {f.name: f.metadata["dtype"] for f in fields(table)}


def map_v4(address: NDArray[Any]) -> U64:
    """uint32 IPv4 addresses (host order) to the lower half of ::ffff:a.b.c.d."""
    return address.astype(np.uint64) | np.uint64(V4_MAPPED)


def address_text(hi: int, lo: int) -> str:
    """Write one address as people do; IPv4 without its mapping."""
    import ipaddress

    if hi == 0 and lo >> 32 == 0xFFFF:
        return str(ipaddress.IPv4Address(lo & 0xFFFF_FFFF))
    return str(ipaddress.IPv6Address(hi << 64 | lo))
