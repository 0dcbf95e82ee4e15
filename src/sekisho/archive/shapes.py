"""What the archive keeps, as DDL: the raw table derived from FlowBatch, its rollups, names and moments."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from sekisho.tables import FlowBatch, columns

if TYPE_CHECKING:
    import numpy as np

    from sekisho.archive.settings import Keeping

# Times are kept in whole microseconds: sorted and compressed far better than float64.
MICROSECONDS: Final = 1_000_000
# Rows of a snapshot's tables mean nothing to another process: these columns are kept as keys (keys.py).
KEYED: Final = ("exporter", "sender", "receiver")
TYPES: Final = {
    "uint8": "UInt8",
    "uint16": "UInt16",
    "uint32": "UInt32",
    "uint64": "UInt64",
    "int64": "Int64",
    "float32": "Float32",
    "float64": "Float64",
    "bool": "Bool",
}
TIME: Final = "DateTime64(6, 'UTC')"
# What compresses better costs more than all the rest of a row's way in.
CODECS: Final = {"time": "DoubleDelta, LZ4"}
USUAL_CODEC: Final = "LZ4"
# Services whose ports stand by themselves in the rollups, beside all below 1024; the rest is port 0.
SERVICES: Final = (1433, 1521, 1900, 3306, 3389, 3478, 3702, 5060, 5353, 5432, 6379, 8080, 8443, 11211, 27017)

FLOWS: Final = "flows"
MINUTES: Final = "flows_minute"
HOURS: Final = "flows_hour"
INVENTORY: Final = "inventory"
EXPORTERS: Final = "exporters"
MOMENTS: Final = "moments"


def flow_columns() -> dict[str, str]:
    """Name and ClickHouse type of each column of the raw table, in order."""
    return {name: _type(name, dtype) for name, dtype in columns(FlowBatch).items()}


def _type(name: str, dtype: np.dtype[np.generic]) -> str:
    if name == "time":
        return TIME
    return "UInt64" if name in KEYED else TYPES[dtype.name]


# Who and what was there: `kind` is whole (what follows replaces all before), host or subject; an empty body
# is one that left. What a table of the spool holds, by name: its columns.
TABLES: Final[dict[str, dict[str, str]]] = {
    FLOWS: flow_columns(),
    INVENTORY: {
        "time": TIME,
        "collector": "String",
        "kind": "String",
        "name": "String",
        "key": "UInt64",
        "project": "String",
        "server": "String",
        "body": "String",
    },
    EXPORTERS: {"time": TIME, "key": "UInt64", "address": "String", "protocol": "String", "domain": "UInt32"},
    MOMENTS: {"time": TIME, "at": "Float64", "collector": "String"},
}


def statements(keeping: Keeping) -> tuple[str, ...]:
    """Give the statements that make every table where it is missing, and set how long each keeps."""
    return (
        _table(FLOWS, "MergeTree", "time", "toYYYYMMDD(time)", "time", keeping.raw_days),
        _table(INVENTORY, "MergeTree", "collector, time", "toYYYYMM(time)", "time", keeping.raw_days + 35),
        _table(EXPORTERS, "ReplacingMergeTree", "key", "tuple()", "", 0),
        _table(MOMENTS, "MergeTree", "time", "toYYYYMMDD(time)", "time", keeping.raw_days),
        _rollup(MINUTES, keeping.minute_days, "toStartOfHour(time)", "toMonday(time)"),
        _rollup(HOURS, keeping.hour_days, "toMonday(time)", "toYYYYMM(time)"),
        _side("egress", "sender"),
        _side("ingress", "receiver"),
        _hours(),
        f"ALTER TABLE {FLOWS} MODIFY SETTING {_BIG}",  # one that an older version made
        *(
            f"ALTER TABLE {table} MODIFY TTL {_ttl(days)}"
            for table, days in (
                (FLOWS, keeping.raw_days),
                (MOMENTS, keeping.raw_days),
                (INVENTORY, keeping.raw_days + 35),
                (MINUTES, keeping.minute_days),
                (HOURS, keeping.hour_days),
            )
        ),
    )


def _ttl(days: int) -> str:
    return f"toDateTime(time) + toIntervalDay({days})"


def _settings() -> str:
    # A block that is loaded again after a crash is known by its token and left out.
    return "non_replicated_deduplication_window = 10000, ttl_only_drop_parts = 1"


# A block as it comes is one file and not one for each column: files cost as much to make as what is in them.
# What some of them are merged into is kept by columns; from some gigabytes on merging gains nothing any more.
_BIG: Final = "min_bytes_for_wide_part = 150000000, max_bytes_to_merge_at_max_space_in_pool = 4000000000"


def _table(name: str, engine: str, order: str, partition: str, time: str, days: int) -> str:
    inner = ", ".join(
        f"{column} {kind} CODEC({CODECS.get(column, USUAL_CODEC)})" for column, kind in TABLES[name].items()
    )
    ttl = f" TTL {_ttl(days)}" if time else ""
    more = f", {_BIG}" if name == FLOWS else ""
    return (
        f"CREATE TABLE IF NOT EXISTS {name} ({inner}) ENGINE = {engine} "
        f"PARTITION BY {partition} ORDER BY ({order}){ttl} SETTINGS {_settings()}{more}"
    )


def _rollup(name: str, days: int, span: str, partition: str) -> str:
    # A span before the subject: one subject's day is a few ranges, everybody's last hour is one.
    key = f"{span}, subject, time, direction, protocol, port"
    return (
        f"CREATE TABLE IF NOT EXISTS {name} ("
        "time DateTime('UTC') CODEC(DoubleDelta, LZ4), subject UInt64, "
        "direction Enum8('egress' = 1, 'ingress' = 2), protocol UInt8, port UInt16, "
        "bytes Float64, packets Float64, rows UInt64"
        f") ENGINE = SummingMergeTree((bytes, packets, rows)) PARTITION BY {partition} ORDER BY ({key}) "
        f"TTL {_ttl(days)} SETTINGS {_settings()}"
    )


def _side(direction: str, column: str) -> str:
    # What was told exactly is not part of the volume: its packets were sampled too.
    return (
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS {MINUTES}_{direction} TO {MINUTES} AS "
        f"SELECT toStartOfMinute(time) AS time, {column} AS subject, '{direction}' AS direction, protocol, "
        f"{PORT} AS port, sum({FLOWS}.bytes) AS bytes, sum({FLOWS}.packets) AS packets, count() AS rows "
        f"FROM {FLOWS} WHERE {column} != 0 AND NOT exact GROUP BY time, subject, protocol, port"
    )


PORT: Final = (
    "multiIf(protocol NOT IN (6, 17, 132), 0, least(src_port, dst_port) < 1024, least(src_port, dst_port), "
    f"dst_port IN {SERVICES}, dst_port, src_port IN {SERVICES}, src_port, 0)"
)


def _hours() -> str:
    return (
        f"CREATE MATERIALIZED VIEW IF NOT EXISTS {HOURS}_view TO {HOURS} AS "
        f"SELECT toStartOfHour({MINUTES}.time) AS time, subject, direction, protocol, port, "
        f"sum({MINUTES}.bytes) AS bytes, sum({MINUTES}.packets) AS packets, sum({MINUTES}.rows) AS rows "
        f"FROM {MINUTES} GROUP BY time, subject, direction, protocol, port"
    )


# By what rows of a cluster find their shard: what one switch told stays together.
_SHARDS: Final = {
    FLOWS: "exporter",
    MINUTES: "subject",
    HOURS: "subject",
    INVENTORY: "cityHash64(collector)",
    EXPORTERS: "key",
    MOMENTS: "cityHash64(collector)",
}
_LOCAL: Final = re.compile(rf"\b({'|'.join(_SHARDS)})\b")
_REPLICATED: Final = (
    r"ENGINE = Replicated\1MergeTree('/clickhouse/tables/{shard}/{database}/{table}', '{replica}'"
)


def cluster_statements(keeping: Keeping, cluster: str) -> tuple[str, ...]:
    """Give the statements for a cluster: replicated tables ``..._local``, and distributed ones over them."""
    local = tuple(_local(each, cluster) for each in statements(keeping) if not each.startswith("ALTER"))
    return (
        *local,
        *(
            f"CREATE TABLE IF NOT EXISTS {table} ON CLUSTER {cluster} AS {table}_local "
            f"ENGINE = Distributed({cluster}, currentDatabase(), {table}_local, {shard})"
            for table, shard in _SHARDS.items()
        ),
    )


def _local(statement: str, cluster: str) -> str:
    """Turn a statement for one server into the same for every node, over local tables."""
    made = _LOCAL.sub(r"\1_local", statement)
    made = re.sub(r"(IF NOT EXISTS \S+)", rf"\1 ON CLUSTER {cluster}", made, count=1)
    made = re.sub(r"ENGINE = (\w*?)MergeTree\(", _REPLICATED + ", ", made)
    made = re.sub(r"ENGINE = (\w*?)MergeTree(?!\()(?= )", _REPLICATED + ")", made)
    return made.replace("non_replicated_deduplication_window", "replicated_deduplication_window")
