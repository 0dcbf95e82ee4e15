/* Records of NetFlow v5 to columns; as wire/netflow5.py does. */

#include "rows.h"

enum { HEADER = 24, RECORD = 48 };

/* Fill the rows of one datagram, whose records are all within the slab, from `first` on. */
static void fill(const columns *c, i64 first, i64 n, const u8 *p, i32 exporter, double time, u16 interval)
{
    double rate = interval ? interval : 1; /* 0 is an exporter that does not sample */
    for (i64 to = first; to < first + n; to++, p += RECORD) {
        c->src_lo[to] = be32(p) | V4_MAPPED;
        c->dst_lo[to] = be32(p + 4) | V4_MAPPED;
        c->in_if[to] = be16(p + 12);
        c->out_if[to] = be16(p + 14);
        c->packets[to] = be32(p + 16) * rate;
        c->bytes[to] = be32(p + 20) * rate;
        c->src_port[to] = be16(p + 32);
        c->dst_port[to] = be16(p + 34);
        c->protocol[to] = p[38];
        c->tcp_flags[to] = p[38] == TCP ? p[37] | FLAGS_KNOWN : 0;
        c->ip_version[to] = 4;
        c->rate[to] = (float)rate;
        c->time[to] = time;
        c->exporter[to] = exporter;
    }
}

/* Decode `present` records of each of n datagrams that begin at `start`, into columns of as many rows as those are
 * together, whatever is in them. `interval` is N of 1:N. */
void sk_records5(const u8 *at, i64 size, const i64 *start, const i64 *present, const i32 *exporter, const u16 *interval,
                 i64 n, double time, const columns *given, i64 room)
{
    enum {
        HAS = HAS_IN_IF | HAS_OUT_IF | HAS_VERSION | HAS_SRC_LO | HAS_DST_LO | HAS_PROTOCOL | HAS_SRC_PORT |
              HAS_DST_PORT | HAS_FLAGS | HAS_RATE | HAS_PACKETS | HAS_BYTES
    };
    const columns own = *given, *c = &own;
    u64 has = HAS | begun(c, room, HAS);
    i64 rows = 0, clean = 0;
    for (i64 i = 0; i < n; i++) {
        i64 most = least(present[i], room - rows), begin = start[i] + HEADER;
        if (most <= 0 || begin < 0 || begin + most * RECORD > size)
            continue;
        clean = cleared(c, clean, rows + most, room, has);
        fill(c, rows, most, at + begin, exporter[i], time, interval[i]);
        rows += most;
    }
    cleared(c, clean, room, room, has);
}
