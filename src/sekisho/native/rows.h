/* Rows of columns that hold whatever their memory held before. */

#ifndef SEKISHO_ROWS_H
#define SEKISHO_ROWS_H

#include "native.h"

enum { AT_ONCE = 512 }; /* rows: what is cleared is still in the nearest cache when it is filled */

/* Columns that need not be cleared, as each row of them will be written: bits. */
enum {
    HAS_IN_IF = 1 << 0,
    HAS_OUT_IF = 1 << 1,
    HAS_VERSION = 1 << 2,
    HAS_SRC_HI = 1 << 3,
    HAS_SRC_LO = 1 << 4,
    HAS_DST_HI = 1 << 5,
    HAS_DST_LO = 1 << 6,
    HAS_PROTOCOL = 1 << 7,
    HAS_SRC_PORT = 1 << 8,
    HAS_DST_PORT = 1 << 9,
    HAS_FLAGS = 1 << 10,
    HAS_SRC_MAC = 1 << 11,
    HAS_DST_MAC = 1 << 12,
    HAS_RATE = 1 << 13,
    HAS_PACKETS = 1 << 14,
    HAS_BYTES = 1 << 15,
    HAS_FORMAT = 1 << 16
};

/* Make rows from `clean` on zeros, sender and receiver NONE, so that all up to `wanted` are, and some more of `room`
 * rows; but for columns that it `has`, and time and exporter. The first row that is not clear. */
static inline i64 cleared(const columns *c, i64 clean, i64 wanted, i64 room, u64 has)
{
    if (wanted <= clean)
        return clean;
    i64 to = least(room, most(wanted, clean + AT_ONCE));
    size_t n = (size_t)(to - clean);
#define CLEAR(column, with) memset(c->column + clean, with, n * sizeof *c->column)
#define CLEAR_UNLESS(bit, column)                                                                                      \
    if (!(has & (bit)))                                                                                                \
    CLEAR(column, 0)
    CLEAR_UNLESS(HAS_IN_IF, in_if);
    CLEAR_UNLESS(HAS_OUT_IF, out_if);
    CLEAR_UNLESS(HAS_FORMAT, out_format);
    CLEAR(point, 0);
    CLEAR_UNLESS(HAS_VERSION, ip_version);
    CLEAR_UNLESS(HAS_SRC_HI, src_hi);
    CLEAR_UNLESS(HAS_SRC_LO, src_lo);
    CLEAR_UNLESS(HAS_DST_HI, dst_hi);
    CLEAR_UNLESS(HAS_DST_LO, dst_lo);
    CLEAR_UNLESS(HAS_PROTOCOL, protocol);
    CLEAR_UNLESS(HAS_SRC_PORT, src_port);
    CLEAR_UNLESS(HAS_DST_PORT, dst_port);
    CLEAR_UNLESS(HAS_FLAGS, tcp_flags);
    CLEAR_UNLESS(HAS_SRC_MAC, src_mac);
    CLEAR_UNLESS(HAS_DST_MAC, dst_mac);
    CLEAR(vlan, 0);
    CLEAR_UNLESS(HAS_RATE, rate);
    CLEAR_UNLESS(HAS_PACKETS, packets);
    CLEAR_UNLESS(HAS_BYTES, bytes);
    CLEAR(sender, 0xFF);
    CLEAR(receiver, 0xFF);
    CLEAR(exact, 0);
    CLEAR(src_internet, 0);
    CLEAR(dst_internet, 0);
#undef CLEAR_UNLESS
#undef CLEAR
    return to;
}

#endif
