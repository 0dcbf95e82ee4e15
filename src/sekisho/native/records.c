/* Records of NetFlow v9 and IPFIX to columns: the same as sets.locate, layout.read and elements.fill do
 * (flows/wire/), set by set.
 *
 * A set lies within the slab; whatever its records say, nothing is read behind it but through `be`. */

#include "programs.h"

/* Data sets in order of arrival, and what is found in them. */
typedef struct {
    const i64 *start, *end, *row;
    const program **programs; /* of each set */
    i64 n;
    const i64 *most; /* records of each set that are looked for, where they vary in length */
    i64 *located; /* out: records of each set */
    double *input_heard; /* by exporter: when its Open vSwitch told a packet on input */
    double clock, memory; /* now, and since when an input counts */
    i64 inputs, outputs; /* directions kept: 0 none, 1 all; outputs 2: of those without inputs */
    i64 room; /* records that are decoded at most */
    double time;
    i64 cut, flood; /* out: records that end behind their set, sets with more records than `most` */
    i64 other; /* out: records of the other direction */
} sets;

static int is_kept(const sets *s, i64 row, int output)
{
    if (!output)
        return s->inputs != 0;
    return s->outputs == 1 || (s->outputs == 2 && s->input_heard[row] < s->memory);
}

/* Count the records of each set, and hear who tells packets on input; the sum of all. */
i64 sk_locate(const u8 *at, i64 size, sets *s)
{
    slab octets = {at, size};
    i64 begins[SEGMENTS], total = 0;
    for (i64 i = 0; i < s->n; i++) {
        const program *p = s->programs[i];
        i64 found = 0, here = s->start[i], end = s->end[i];
        if (p->count == 1 && p->direction_segment < 0)
            found = (end - here) / p->minimum;
        else {
            while (here + p->minimum <= end) {
                if (p->count > 1 && found == s->most[i]) {
                    s->flood++;
                    break;
                }
                i64 next = record_end(octets, p, here, end, begins);
                if (next > end) {
                    s->cut++;
                    break;
                }
                if (p->direction_segment >= 0 && !is_output(octets, p, begins))
                    s->input_heard[s->row[i]] = s->clock;
                found++;
                here = next;
            }
        }
        s->located[i] = found;
        total += found;
    }
    return total;
}

static inline u8 be8(const u8 *p) { return *p; }

/* A number; of one of more than eight octets the last eight. */
static u64 number(const u8 *p, i64 width)
{
    u64 v = 0;
    for (i64 i = 0; i < width; i++)
        v = v << 8 | p[i];
    return v;
}

#define EACH(...)                                                                                                      \
    for (i64 k = 0; k < n; k++)                                                                                        \
        __VA_ARGS__;                                                                                                   \
    break

#define ONE(read, from, row, put)                                                                                      \
    {                                                                                                                  \
        const i64 k = row;                                                                                             \
        const u64 v = read(from);                                                                                      \
        into[k] = (__typeof__(*into))(put);                                                                            \
    }

/* Four values at a time: what a loop costs by itself is more than what a value does. */
#define FOUR(read, put)                                                                                                \
    {                                                                                                                  \
        const u8 *from = p;                                                                                            \
        i64 next = 0;                                                                                                  \
        for (; next + 4 <= n; next += 4, from += 4 * stride) {                                                         \
            ONE(read, from, next, put)                                                                                 \
            ONE(read, from + stride, next + 1, put)                                                                    \
            ONE(read, from + 2 * stride, next + 2, put)                                                                \
            ONE(read, from + 3 * stride, next + 3, put)                                                                \
        }                                                                                                              \
        for (; next < n; next++, from += stride)                                                                       \
            ONE(read, from, next, put)                                                                                 \
    }                                                                                                                  \
    break

/* Put `put` into a column, v being each value: a loop for each usual size, in which nothing is asked and nothing but
 * the value read: where columns lie is known before. */
#define READ(column, put)                                                                                              \
    {                                                                                                                  \
        __typeof__(*c->column) *restrict into = c->column + first;                                                     \
        switch (t->size) {                                                                                             \
        case 1:                                                                                                        \
            FOUR(be8, put);                                                                                            \
        case 2:                                                                                                        \
            FOUR(be16, put);                                                                                           \
        case 4:                                                                                                        \
            FOUR(be32, put);                                                                                           \
        case 8:                                                                                                        \
            FOUR(be64, put);                                                                                           \
        default:                                                                                                       \
            EACH({                                                                                                     \
                const u64 v = number(p + k * stride, t->size);                                                         \
                into[k] = (__typeof__(*into))(put);                                                                    \
            });                                                                                                        \
        }                                                                                                              \
    }                                                                                                                  \
    break

/* What goes where by a step of one value v: step, column and what is put there, row k of `protocol` being known before. */
#define OF_ONE_VALUE(DO)                                                                                               \
    DO(IN_IF, in_if, v)                                                                                                \
    DO(OUT_IF, out_if, v)                                                                                              \
    DO(POINT, point, v)                                                                                                \
    DO(PROTOCOL, protocol, v)                                                                                          \
    DO(SRC_MAC, src_mac, v)                                                                                            \
    DO(DST_MAC, dst_mac, v)                                                                                            \
    DO(VLAN, vlan, v & 0xFFF)                                                                                          \
    DO(SRC_V4, src_lo, v | V4_MAPPED)                                                                                  \
    DO(DST_V4, dst_lo, v | V4_MAPPED)                                                                                  \
    DO(VERSION, ip_version, v)                                                                                         \
    DO(SRC_PORT, src_port, v)                                                                                          \
    DO(DST_PORT, dst_port, v)                                                                                          \
    DO(FLAGS, tcp_flags, protocol[k] == TCP ? (v & 0xFFF) | FLAGS_KNOWN : 0)                                           \
    DO(PACKETS, packets, (double)v)                                                                                    \
    DO(BYTES, bytes, (double)v)

#define READ_STEP(step, column, put)                                                                                   \
    case step:                                                                                                         \
        READ(column, put);

static void address(u64 *restrict hi, u64 *restrict lo, const u8 *p, i64 stride, i64 n)
{
    for (i64 k = 0; k < n; k++) {
        hi[k] = be64(p + k * stride);
        lo[k] = be64(p + k * stride + 8);
    }
}

/* Write the n values of one step of records that begin at `record` to rows first.. */
static void store(const columns *c, const step *t, const u8 *record, i64 stride, i64 first, i64 n)
{
    const u8 *p = record + t->offset;
    const u8 *protocol = c->protocol + first;
    switch (t->into) {
        OF_ONE_VALUE(READ_STEP)
    case SRC_V6:
        address(c->src_hi + first, c->src_lo + first, p, stride, n);
        break;
    case DST_V6:
        address(c->dst_hi + first, c->dst_lo + first, p, stride, n);
        break;
    case ICMP:
        EACH({
            u64 v = number(p + k * stride, t->size);
            if (t->size2)
                v = v << 8 | number(record + t->offset2 + k * stride, t->size2);
            if (v && (!t->only || protocol[k] == t->only))
                c->dst_port[first + k] = (u16)v;
        });
    default:
        break;
    }
}

void rows_of(slab octets, const columns *c, const program *p, i64 here, i64 first, i64 n)
{
    i64 stride = p->minimum;
    if (n <= 0 || here < 0 || here + n * stride > octets.size)
        return;
    for (const step *t = p->steps; t < p->steps + p->length; t++)
        if (t->offset + t->size <= stride && t->offset2 + t->size2 <= stride)
            store(c, t, octets.at + here, stride, first, n);
}

#define ONE_STEP(step, column, put)                                                                                    \
    case step:                                                                                                         \
        c->column[row] = (__typeof__(*c->column))(put);                                                                \
        break;

void row_of(slab octets, const columns *c, const program *p, const i64 *begins, i64 row)
{
    const u8 *protocol = c->protocol + row;
    const i64 k = 0, eight = octets.size - 8; /* k of `protocol`; the last place behind which there are eight octets */
    for (const step *t = p->steps, *end = t + p->length; t < end; t++) {
        i64 at = begins[t->segment] + t->offset, width = t->size;
        u64 v;
        if (__builtin_expect(at <= eight && (u64)(width - 1) < 8, 1))
            v = be64(octets.at + at) >> (64 - 8 * width);
        else if (at + width <= octets.size)
            v = number(octets.at + at, width);
        else
            continue;
        switch (t->into) {
            OF_ONE_VALUE(ONE_STEP)
        case SRC_V6:
            if (at + 16 <= octets.size)
                address(c->src_hi + row, c->src_lo + row, octets.at + at, 0, 1);
            break;
        case DST_V6:
            if (at + 16 <= octets.size)
                address(c->dst_hi + row, c->dst_lo + row, octets.at + at, 0, 1);
            break;
        case ICMP:
            if (t->size2)
                v = v << 8 | be(octets, begins[t->segment2] + t->offset2, t->size2);
            if (v && (!t->only || protocol[k] == t->only))
                c->dst_port[row] = (u16)v;
            break;
        default:
            break;
        }
    }
}

/* What no step says of rows first..: whose they are, and what a template leaves open. */
static void complete(const columns *c, const sets *s, const program *p, i64 set, i64 first, i64 n, i32 *owner)
{
    for (i64 to = first; to < first + n; to++) {
        c->time[to] = s->time;
        c->exporter[to] = (i32)s->row[set];
        owner[to] = (i32)set;
        if (p->version)
            c->ip_version[to] = (u8)p->version;
        if (!p->counts_packets)
            c->packets[to] = 1.0;
    }
}

/* Decode what sk_locate found into columns of zeros; how many rows were written, and `owner`, the set of each. */
i64 sk_decode(const u8 *at, i64 size, sets *s, const columns *c, i32 *owner)
{
    slab octets = {at, size};
    i64 begins[SEGMENTS], rows = 0, room = s->room;
    for (i64 i = 0; i < s->n; i++) {
        const program *p = s->programs[i];
        i64 n = least(s->located[i], room), here = s->start[i], written = rows;
        room -= n;
        if (p->count == 1 && p->direction_segment < 0) {
            rows_of(octets, c, p, here, rows, n);
            rows += n;
        } else {
            for (i64 k = 0; k < n; k++) {
                here = record_end(octets, p, here, s->end[i], begins);
                if (p->direction_segment >= 0 && !is_kept(s, s->row[i], is_output(octets, p, begins))) {
                    s->other++;
                    continue;
                }
                row_of(octets, c, p, begins, rows++);
            }
        }
        complete(c, s, p, i, written, rows - written, owner);
    }
    return rows;
}
