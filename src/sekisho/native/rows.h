/* Rows of columns that hold whatever their memory held before. */

#ifndef SEKISHO_ROWS_H
#define SEKISHO_ROWS_H

#include "native.h"

enum { AT_ONCE = 512 }; /* rows: what is cleared is still in the nearest cache when it is filled */

/* Make rows from `clean` on zeros, sender and receiver NONE, so that all up to `wanted` are, and some more of `room`
 * rows; all but time and exporter, which whoever fills a row writes anyway. The first row that is not clear. */
static inline i64 cleared(const columns *c, i64 clean, i64 wanted, i64 room)
{
    if (wanted <= clean)
        return clean;
    i64 to = least(room, most(wanted, clean + AT_ONCE));
    size_t n = (size_t)(to - clean);
#define CLEAR(column, with) memset(c->column + clean, with, n * sizeof *c->column)
    CLEAR(in_if, 0);
    CLEAR(out_if, 0);
    CLEAR(out_format, 0);
    CLEAR(point, 0);
    CLEAR(ip_version, 0);
    CLEAR(src_hi, 0);
    CLEAR(src_lo, 0);
    CLEAR(dst_hi, 0);
    CLEAR(dst_lo, 0);
    CLEAR(protocol, 0);
    CLEAR(src_port, 0);
    CLEAR(dst_port, 0);
    CLEAR(tcp_flags, 0);
    CLEAR(src_mac, 0);
    CLEAR(dst_mac, 0);
    CLEAR(vlan, 0);
    CLEAR(rate, 0);
    CLEAR(packets, 0);
    CLEAR(bytes, 0);
    CLEAR(sender, 0xFF);
    CLEAR(receiver, 0xFF);
    CLEAR(exact, 0);
    CLEAR(src_internet, 0);
    CLEAR(dst_internet, 0);
#undef CLEAR
    return to;
}

#endif
