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
    HAS_FORMAT = 1 << 16,
    HAS_POINT = 1 << 17,
    HAS_VLAN = 1 << 18
};

/* The columns that are cleared where they are not filled, and that nobody fills later: their bits, names, and places in
 * FlowBatch. */
#define FILLED(DO)                                                                                                     \
    DO(HAS_IN_IF, in_if, 2)                                                                                            \
    DO(HAS_OUT_IF, out_if, 3)                                                                                          \
    DO(HAS_FORMAT, out_format, 4)                                                                                      \
    DO(HAS_POINT, point, 5)                                                                                            \
    DO(HAS_VERSION, ip_version, 6)                                                                                     \
    DO(HAS_SRC_HI, src_hi, 7)                                                                                          \
    DO(HAS_SRC_LO, src_lo, 8)                                                                                          \
    DO(HAS_DST_HI, dst_hi, 9)                                                                                          \
    DO(HAS_DST_LO, dst_lo, 10)                                                                                         \
    DO(HAS_PROTOCOL, protocol, 11)                                                                                     \
    DO(HAS_SRC_PORT, src_port, 12)                                                                                     \
    DO(HAS_DST_PORT, dst_port, 13)                                                                                     \
    DO(HAS_FLAGS, tcp_flags, 14)                                                                                       \
    DO(HAS_SRC_MAC, src_mac, 15)                                                                                       \
    DO(HAS_DST_MAC, dst_mac, 16)                                                                                       \
    DO(HAS_VLAN, vlan, 17)                                                                                             \
    DO(HAS_PACKETS, packets, 19)                                                                                       \
    DO(HAS_BYTES, bytes, 20)

/* Begin to fill `room` rows, of which some may get a value of columns that are `told`. The bits of all others: those are
 * zero now, and mostly were before, as what the last batch did not fill either is not cleared again. */
static inline u64 begun(const columns *c, i64 room, u64 told)
{
    u64 zero = 0;
#define BEGIN(bit, column, place)                                                                                      \
    if (told & (bit))                                                                                                  \
        c->dirty[place] = most(c->dirty[place], room);                                                                 \
    else {                                                                                                             \
        zero |= (bit);                                                                                                 \
        memset(c->column, 0, (size_t)least(c->dirty[place], room) * sizeof *c->column);                                \
        c->dirty[place] = c->dirty[place] > room ? c->dirty[place] : 0;                                                \
    }
    FILLED(BEGIN)
#undef BEGIN
    return zero;
}

/* Make rows from `clean` on zeros, sender and receiver NONE, so that all up to `wanted` are, and some more of `room`
 * rows; but for columns that it `has`, and exporter; their time is `time`. The first row that is not clear. */
static inline i64 cleared(const columns *c, i64 clean, i64 wanted, i64 room, u64 has, double time)
{
    if (wanted <= clean)
        return clean;
    i64 to = least(room, most(wanted, clean + AT_ONCE));
    size_t n = (size_t)(to - clean);
#define CLEAR(column, with) memset(c->column + clean, with, n * sizeof *c->column)
#define CLEAR_UNLESS(bit, column, place)                                                                               \
    if (!(has & (bit)))                                                                                                \
        CLEAR(column, 0);
    FILLED(CLEAR_UNLESS)
    if (!(has & HAS_RATE))
        CLEAR(rate, 0);
    fill_double(c->time + clean, time, to - clean);
    CLEAR(sender, 0xFF);
    CLEAR(receiver, 0xFF);
    CLEAR(exact, 0);
    CLEAR(src_internet, 0);
    CLEAR(dst_internet, 0);
#undef CLEAR_UNLESS
#undef CLEAR
    return to;
}

/* Make one row zeros, but for columns that it `has` and those that nobody fills before the batch is whole. */
static inline void blank(const columns *c, i64 row, u64 has)
{
#define BLANK(bit, column, place)                                                                                      \
    if (!(has & (bit)))                                                                                                \
        c->column[row] = 0;
    FILLED(BLANK)
#undef BLANK
}

#endif
