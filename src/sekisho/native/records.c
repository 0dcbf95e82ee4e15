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

enum { RUN = 64 };

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

/* Read n values of `size` octets, `stride` octets apart; zeros where they do not all lie within the slab. */
static void load(slab octets, i64 at, i64 size, i64 stride, i64 n, u64 *values)
{
    const u8 *p = octets.at + at;
    if (at < 0 || at + (n - 1) * stride + size > octets.size) {
        memset(values, 0, (size_t)n * sizeof *values);
        return;
    }
    switch (size) {
    case 1:
        for (i64 k = 0; k < n; k++)
            values[k] = p[k * stride];
        break;
    case 2:
        for (i64 k = 0; k < n; k++)
            values[k] = be16(p + k * stride);
        break;
    case 4:
        for (i64 k = 0; k < n; k++)
            values[k] = be32(p + k * stride);
        break;
    case 8:
        for (i64 k = 0; k < n; k++)
            values[k] = be64(p + k * stride);
        break;
    default:
        for (i64 k = 0; k < n; k++)
            values[k] = be(octets, at + k * stride, size);
    }
}

#define EACH(statement)                                                                                                \
    for (i64 k = 0; k < n; k++) {                                                                                      \
        i64 to = first + k;                                                                                            \
        statement;                                                                                                     \
    }                                                                                                                  \
    break

/* Write n values of one step to rows first.. */
static void store(const columns *c, const step *t, i64 first, i64 n, const u64 *v, const u64 *low)
{
    switch (t->into) {
    case IN_IF:
        EACH(c->in_if[to] = (u32)v[k]);
    case OUT_IF:
        EACH(c->out_if[to] = (u32)v[k]);
    case POINT:
        EACH(c->point[to] = (u32)v[k]);
    case PROTOCOL:
        EACH(c->protocol[to] = (u8)v[k]);
    case SRC_MAC:
        EACH(c->src_mac[to] = v[k]);
    case DST_MAC:
        EACH(c->dst_mac[to] = v[k]);
    case VLAN:
        EACH(c->vlan[to] = (u16)v[k] & 0xFFF);
    case SRC_V4:
        EACH(c->src_lo[to] = v[k] | V4_MAPPED);
    case DST_V4:
        EACH(c->dst_lo[to] = v[k] | V4_MAPPED);
    case SRC_V6:
        EACH((c->src_hi[to] = v[k], c->src_lo[to] = low[k]));
    case DST_V6:
        EACH((c->dst_hi[to] = v[k], c->dst_lo[to] = low[k]));
    case VERSION:
        EACH(c->ip_version[to] = (u8)v[k]);
    case SRC_PORT:
        EACH(c->src_port[to] = (u16)v[k]);
    case DST_PORT:
        EACH(c->dst_port[to] = (u16)v[k]);
    case ICMP:
        EACH(u64 told = t->size2 ? v[k] << 8 | low[k] : v[k];
             if (told && (!t->only || c->protocol[to] == t->only)) c->dst_port[to] = (u16)told);
    case FLAGS:
        EACH(c->tcp_flags[to] = c->protocol[to] == TCP ? ((u16)v[k] & 0xFFF) | FLAGS_KNOWN : 0);
    case PACKETS:
        EACH(c->packets[to] = (double)v[k]);
    case BYTES:
        EACH(c->bytes[to] = (double)v[k]);
    default:
        break;
    }
}

/* As rows_of, of one record. */
static void row_of(slab octets, const columns *c, const program *p, const i64 *begins, i64 to)
{
    for (const step *t = p->steps; t < p->steps + p->length; t++) {
        u64 v = be(octets, begins[t->segment] + t->offset, t->size), low = 0;
        if (t->size2)
            low = be(octets, begins[t->segment2] + t->offset2, t->size2);
        store(c, t, to, 1, &v, &low);
    }
}

void rows_of(slab octets, const columns *c, const program *p, const i64 *begins, i64 stride, i64 first, i64 n)
{
    u64 values[RUN], low[RUN];
    if (n == 1) {
        row_of(octets, c, p, begins, first);
        return;
    }
    for (i64 done = 0; done < n; done += RUN) {
        i64 some = least(RUN, n - done);
        for (const step *t = p->steps; t < p->steps + p->length; t++) {
            load(octets, begins[t->segment] + t->offset + done * stride, t->size, stride, some, values);
            if (t->size2)
                load(octets, begins[t->segment2] + t->offset2 + done * stride, t->size2, stride, some, low);
            store(c, t, first + done, some, values, low);
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
            rows_of(octets, c, p, &here, p->minimum, rows, n);
            rows += n;
        } else {
            for (i64 k = 0; k < n; k++) {
                here = record_end(octets, p, here, s->end[i], begins);
                if (p->direction_segment >= 0 && !is_kept(s, s->row[i], is_output(octets, p, begins))) {
                    s->other++;
                    continue;
                }
                rows_of(octets, c, p, begins, 0, rows++, 1);
            }
        }
        complete(c, s, p, i, written, rows - written, owner);
    }
    return rows;
}
