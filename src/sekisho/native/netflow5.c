/* Records of NetFlow v5 to columns; as wire/netflow5.py does. */

#include "exporters.h"
#include "rows.h"

enum { HEADER = 24, RECORD = 48 };
enum { AHEAD = 8 }; /* datagrams: each is in another line, far from the last */

/* Fill the rows of one datagram, whose records are all within the slab, from `first` on. */
static void fill(const columns *c, i64 first, i64 n, const u8 *p, i32 exporter, u16 interval)
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
        c->exporter[to] = exporter;
    }
}

/* Datagrams by where they begin, how many records each has, whose it is, and N of 1:N. */
typedef struct {
    const i64 *start, *present;
    const i32 *exporter;
    const u16 *interval;
    i64 n;
} datagrams;

/* Decode their records into columns of as many rows as those are together, whatever is in them. */
static void decode(const u8 *at, i64 size, const datagrams *d, double time, const columns *given, i64 room)
{
    enum {
        HAS = HAS_IN_IF | HAS_OUT_IF | HAS_VERSION | HAS_SRC_LO | HAS_DST_LO | HAS_PROTOCOL | HAS_SRC_PORT |
              HAS_DST_PORT | HAS_FLAGS | HAS_RATE | HAS_PACKETS | HAS_BYTES
    };
    const columns own = *given, *c = &own;
    u64 has = HAS | begun(c, room, HAS);
    i64 rows = 0, clean = 0;
    for (i64 i = 0; i < d->n; i++) {
        i64 most = least(d->present[i], room - rows), begin = d->start[i] + HEADER;
        if (i + 1 < d->n)
            soon(at + d->start[i + 1], HEADER + d->present[i + 1] * RECORD);
        if (most <= 0 || begin < 0 || begin + most * RECORD > size)
            continue;
        clean = cleared(c, clean, rows + most, room, has, time);
        fill(c, rows, most, at + begin, d->exporter[i], d->interval[i]);
        rows += most;
    }
    cleared(c, clean, room, room, has, time);
}

/* The same of what Netflow5 found in columns. */
void sk_records5(const u8 *at, i64 size, const i64 *start, const i64 *present, const i32 *exporter, const u16 *interval,
                 i64 n, double time, const columns *c, i64 room)
{
    datagrams d = {start, present, exporter, interval, n};
    decode(at, size, &d, time, c, room);
}

/* A burst. flows/wire/netflow5_compiled.py has the same order. */
typedef struct {
    burst in;
    i64 protocol, most_records, sampling, sure;
    const exporters *known;
    sequences *sequences;
    i64 *records; /* by exporter */
    const i64 *generation;
    /* Numbering, by exporter: of which of its lives, how its numbers are read, and what its last datagram said. */
    const i64 *numbered;
    i64 *votes, *last, *count;
    u8 *open; /* zeros before and after */
    /* Out, by datagram. */
    i64 *start, *present;
    i32 *row;
    u16 *interval;
    u32 *sequence, *step;
} burst5;

/* Look through a burst; how many records it holds, or -1 where any of its datagrams lies, is cut, empty, or of an
 * exporter that is not known or has sent nothing before: nothing is changed then. */
i64 sk_netflow5_find(burst5 *b)
{
    latest before = {.row = NONE};
    i64 total = 0;
    for (i64 i = 0; i < b->in.n; i++) {
        i64 d = row_in(&b->in, i), start = d * b->in.slot, length = b->in.length[d];
        const u8 *p = b->in.at + start;
        if (i + AHEAD < b->in.n)
            __builtin_prefetch(b->in.at + row_in(&b->in, i + AHEAD) * b->in.slot);
        if (length < HEADER || length > b->in.slot || start + length > b->in.size)
            return -1;
        i64 records = be16(p + 2);
        if (records == 0 || records > b->most_records || HEADER + records * RECORD > length)
            return -1;
        u64 halves[4] = {b->in.address_hi[d], b->in.address_lo[d], 0, 0};
        b->row[i] = exporter_after(b->known, &before, halves, be16(p + 20), (u8)b->protocol);
        if (b->row[i] == NONE || b->numbered[b->row[i]] != b->generation[b->row[i]])
            return -1;
        b->start[i] = start;
        b->present[i] = records;
        b->step[i] = (u32)records;
        b->sequence[i] = be32(p + 16);
        b->interval[i] = (u16)(be16(p + 22) & b->sampling);
        total += records;
    }
    return total;
}

enum { SEEN = 1, TO_LAST = 2 }; /* `open`, while a burst is looked at */

/* Vote on how an exporter numbers, by a datagram; as Numbering does. */
static void watch(burst5 *b, i64 row, i64 number, i64 count)
{
    i64 step = (u32)(number - b->last[row]);
    if (!b->open[row])
        b->open[row] = SEEN | (b->votes[row] > 0 ? TO_LAST : 0);
    b->votes[row] += (step == count) - (step == b->count[row]);
    b->last[row] = number;
    b->count[row] = count;
}

/* Count what was found with its exporters. */
static void account(burst5 *b, double now, double clock)
{
    for (i64 i = 0; i < b->in.n; i++) {
        heard_of(b->known, b->row[i], now, clock);
        b->records[b->row[i]] += b->present[i];
        watch(b, b->row[i], b->sequence[i], b->present[i]);
    }
    for (i64 i = 0; i < b->in.n; i++) {
        i64 row = b->row[i];
        if (b->open[row]) {
            b->votes[row] = most(-b->sure, least(b->votes[row], b->sure));
            if (!(b->open[row] & TO_LAST) != !(b->votes[row] > 0))
                b->sequences->in_step[row] = 0;
            b->open[row] = 0;
        }
        if (b->votes[row] > 0)
            b->sequence[i] += 1 - b->step[i];
    }
    sk_sequence(b->sequences, b->row, b->sequence, b->step, b->in.n);
}

/* Decode what sk_netflow5_find found, into columns of so many rows. The burst arrived at `time`; now, and by the clock of
 * exporters, is then. */
void sk_netflow5_decode(burst5 *b, const columns *c, i64 room, double time, double now, double clock)
{
    datagrams d = {b->start, b->present, b->row, b->interval, b->in.n};
    account(b, now, clock);
    decode(b->in.at, b->in.size, &d, time, c, room);
}
