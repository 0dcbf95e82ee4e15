/* sFlow: datagrams to rows, one for each sample of a packet; as wire/sflow.py does. Samples of counters are only found:
 * they are few. */

#include "exporters.h"
#include "headers.h"
#include "rows.h"

enum { FLOW = 1, COUNTERS, EXPANDED_FLOW, EXPANDED_COUNTERS };
enum { RAW_HEADER = 1, ETHERNET, SAMPLED_IPV4, SAMPLED_IPV6, SWITCH = 1001 };
enum { KINDS = 5 }; /* of records we know */
enum { INTERNAL = 0x3FFFFFFF, LESS_THAN_ANY = -1 };

/* Datagrams as they came, and what their headers say. flows/wire/sflow_compiled.py has the same order, here and in all
 * structures below. */
typedef struct {
    burst in;
    const exporters *known;
    sequences *sequences;
    const u32 *steps; /* ones */
    i64 protocol, most_samples;
    /* Out: of each that is whole. `row` is NONE of an exporter that is not known. */
    u64 *hi, *lo, *agent_hi, *agent_lo;
    u32 *domain, *sequence;
    i64 *body, *end, *count;
    i32 *row;
    i64 unknown, agents_unknown, cut;
    i64 items, packets; /* that there is room for in all datagrams, and of those samples of packets */
} opened;

enum { AHEAD = 8 }; /* datagrams: each is in another line, far from the last */
enum { ITEM = 8, SAMPLE = 40 }; /* the fewest octets that an item takes, and a sample of a packet */

/* Read the headers; how many datagrams are whole. Where all exporters are known, what got lost is counted too. It is now,
 * and by the clock of exporters. */
i64 sk_sflow_open(opened *o, double now, double clock)
{
    slab octets = {o->in.at, o->in.size};
    latest before = {.row = NONE};
    i64 n = 0;
    o->unknown = o->agents_unknown = o->cut = o->items = o->packets = 0;
    for (i64 i = 0; i < o->in.n; i++) {
        i64 later = least(i + AHEAD, o->in.n - 1), d = row_in(&o->in, i);
        __builtin_prefetch(o->in.at + row_in(&o->in, later) * o->in.slot);
        i64 start = d * o->in.slot, end = start + o->in.length[d];
        u64 kind = be(octets, start + 4, 4);
        i64 size = kind == 2 ? 16 : kind == 1 ? 4 : 0;
        o->agents_unknown += kind > 2;
        o->cut += kind <= 2 && end - start < 24 + size;
        if (kind > 2 || end - start < 24 + size)
            continue;
        u64 halves[4] = {o->in.address_hi[d], o->in.address_lo[d], 0, 0};
        if (size == 16) {
            halves[2] = be(octets, start + 8, 8);
            halves[3] = be(octets, start + 16, 8);
        } else if (size)
            halves[3] = be(octets, start + 8, 4) | V4_MAPPED;
        i64 told = start + 8 + size; /* sub-agent, sequence, uptime, samples */
        o->domain[n] = (u32)be(octets, told, 4);
        o->sequence[n] = (u32)be(octets, told + 4, 4);
        o->count[n] = (i64)be(octets, told + 12, 4);
        o->body[n] = told + 16;
        o->end[n] = end;
        i64 samples = least(o->count[n], o->most_samples), room = end - o->body[n];
        o->items += least(samples, room / ITEM);
        o->packets += least(samples, room / SAMPLE);
        o->row[n] = exporter_after(o->known, &before, halves, o->domain[n], (u8)o->protocol);
        if (o->row[n] == NONE)
            o->unknown++;
        else
            heard_of(o->known, o->row[n], now, clock);
        o->hi[n] = halves[0];
        o->lo[n] = halves[1];
        o->agent_hi[n] = halves[2];
        o->agent_lo[n++] = halves[3];
    }
    if (!o->unknown)
        sk_sequence(o->sequences, o->row, o->sequence, o->steps, n);
    return n;
}

/* What was wrong, and what was found. */
typedef struct {
    i64 flow_samples;
    i64 samples_over_cap, samples_missing, samples_length_lies, sample_short, samples_unknown;
    i64 records_over_cap, records_missing, records_length_lies;
    i64 header[3]; /* as header_of counts */
    i64 implausible, without_packet;
} told;

/* How much of it was wrong: nearly always nothing. */
static i64 wrong(const told *t)
{
    return t->samples_over_cap + t->samples_missing + t->samples_length_lies + t->sample_short + t->samples_unknown +
           t->records_over_cap + t->records_missing + t->records_length_lies + t->header[0] + t->header[1] +
           t->header[2] + t->implausible + t->without_packet;
}

typedef struct {
    const opened *from;
    /* Datagrams: where their samples begin, where they end, how many they are said to have, and their exporters. */
    const i64 *body, *end, *count;
    const i32 *row;
    i64 most_samples, most_records, most_rate, most_octets;
    i64 *records; /* by exporter: samples with a packet */
    /* Out: samples of counters, with the datagram and the kind of each. */
    i64 *owner;
    u32 *kind;
    i64 *begins, *ends;
    i64 others, wrong;
    told told;
} samples;

/* Numbers within a datagram that lies within the slab: sk_sflow_decode looks once whether it does. */
static inline u32 at4(slab octets, i64 at) { return be32(octets.at + at); }
static inline u64 at6(slab octets, i64 at) { return (u64)be16(octets.at + at) << 32 | be32(octets.at + at + 2); }
static inline u64 at8(slab octets, i64 at) { return be64(octets.at + at); }

/* Structures (kind, length, contents) behind one another: what is left of them. */
typedef struct {
    i64 here, end, left;
} walk;

typedef struct {
    u32 kind;
    i64 body, end;
} item;

/* The next one; 0 behind the last, and at one that is missing or lies, which is counted. */
static inline int next(slab octets, walk *w, item *found, i64 *missing, i64 *lies)
{
    if (w->left <= 0)
        return 0;
    if (w->here + 8 > w->end) {
        ++*missing;
        return 0;
    }
    i64 after = w->here + 8 + (i64)at4(octets, w->here + 4);
    if (after > w->end) {
        ++*lies;
        return 0;
    }
    *found = (item){(u32)at4(octets, w->here), w->here + 8, after};
    w->here = after;
    w->left--;
    return 1;
}

/* In the order in which they fill a row: what is told later goes over what was told before. */
static int order_of(u32 kind)
{
    switch (kind) {
    case SWITCH:
        return 0;
    case ETHERNET:
    case SAMPLED_IPV4:
    case SAMPLED_IPV6:
        return (int)kind - 1;
    case RAW_HEADER:
        return 4;
    default:
        return NONE;
    }
}

static void fill_ip(slab octets, i64 told, i64 ports, const columns *c, i64 row, double *length)
{
    /* The length is the packet's alone: a frame's, where one is told, is nearer to what was sent. */
    *length = *length < 0 ? (double)at4(octets, told) : *length;
    c->protocol[row] = (u8)at4(octets, told + 4);
    c->src_port[row] = (u16)at4(octets, ports);
    c->dst_port[row] = (u16)at4(octets, ports + 4);
    u16 flags = (u16)((at4(octets, ports + 8) & 0xFFF) | FLAGS_KNOWN);
    c->tcp_flags[row] = c->protocol[row] == TCP ? flags : 0;
}

/* Fill a row from one record. */
static void fill(slab octets, const item *r, const columns *c, i64 row, double *length, i64 *wrong)
{
    static const i64 least_octets[KINDS] = {16, 24, 32, 56, 0};
    int order = order_of(r->kind);
    i64 at = r->body;
    if (r->end - at < least_octets[order]) {
        wrong[0]++;
        return;
    }
    switch (r->kind) {
    case SWITCH: {
        u64 vlan = at4(octets, at);
        c->vlan[row] = vlan < 4095 ? (u16)vlan : 0;
        break;
    }
    case ETHERNET:
        *length = (double)at4(octets, at);
        c->src_mac[row] = at6(octets, at + 4);
        c->dst_mac[row] = at6(octets, at + 12);
        break;
    case SAMPLED_IPV4:
        c->ip_version[row] = 4;
        c->src_lo[row] = at4(octets, at + 8) | V4_MAPPED;
        c->dst_lo[row] = at4(octets, at + 12) | V4_MAPPED;
        fill_ip(octets, at, at + 16, c, row, length);
        break;
    case SAMPLED_IPV6:
        c->ip_version[row] = 6;
        c->src_hi[row] = at8(octets, at + 8);
        c->src_lo[row] = at8(octets, at + 16);
        c->dst_hi[row] = at8(octets, at + 24);
        c->dst_lo[row] = at8(octets, at + 32);
        fill_ip(octets, at, at + 40, c, row, length);
        break;
    default:
        header_of(octets, at, r->end, c, row, length, wrong);
    }
}

/* Fill a row from the records of a sample, the last of each kind; the length of the packet, less than 0 where none is
 * told. */
static double records_of(slab octets, samples *s, i64 body, i64 end, i64 count, const columns *c, i64 row)
{
    walk all = {body, end, least(count, s->most_records)};
    item found, last[KINDS];
    int there[KINDS] = {0};
    double length = LESS_THAN_ANY;
    s->told.records_over_cap += count > s->most_records;
    while (next(octets, &all, &found, &s->told.records_missing, &s->told.records_length_lies)) {
        int order = order_of(found.kind);
        if (order >= 0) {
            there[order] = 1;
            last[order] = found;
        }
    }
    for (int order = 0; order < KINDS; order++)
        if (there[order])
            fill(octets, last + order, c, row, &length, s->told.header);
    return length;
}

static inline u32 interface(u64 value) { return (value & INTERNAL) != INTERNAL ? (u32)value : 0; }

/* Fill a row, whatever is in it, from a sample as nearly all are: not expanded, with an Ethernet header that is whole, and at most
 * what a switch did with it besides. The same as sample_of does; 0 and nothing done where it is not such a one. */
static inline int usual_sample(slab octets, samples *s, const item *it, const columns *c, i64 row, i32 exporter)
{
    const u8 *p = octets.at + it->body, *end = octets.at + it->end, *raw = NULL;
    if (it->kind != FLOW || it->end - it->body < 32)
        return 0;
    u32 rate = be32(p + 8), in = be32(p + 20), out = be32(p + 24), records = be32(p + 28), vlan = 0;
    if (records > 2 || records > s->most_records)
        return 0;
    for (p += 32; records > 0; records--) {
        if (end - p < 8)
            return 0;
        u32 kind = be32(p), octets_told = be32(p + 4);
        if (octets_told < 16 || octets_told > end - p - 8)
            return 0;
        if (kind == RAW_HEADER)
            raw = p + 8;
        else if (kind == SWITCH)
            vlan = be32(p + 8);
        else
            return 0;
        p += 8 + octets_told;
    }
    if (!raw || be32(raw) != HEADER_ETHERNET)
        return 0;
    u32 length = be32(raw + 4), size = be32(raw + 12);
    if (rate > s->most_rate || length > s->most_octets || 16 + (u64)size > be32(raw - 4))
        return 0;
    if (!fill_usual(c, row, raw + 16, size))
        return 0;
    s->told.flow_samples++;
    u32 format = out >> 30;
    c->vlan[row] = vlan < 4095 ? (u16)vlan : 0;
    c->in_if[row] = in >> 30 ? 0 : interface(in);
    c->out_if[row] = format == OUT_SINGLE ? interface(out) : 0;
    c->out_format[row] = format <= OUT_MULTIPLE ? (u8)format : OUT_SINGLE;
    c->exporter[row] = exporter;
    c->rate[row] = (float)rate;
    double packets = rate ? (double)rate : 1.0;
    c->packets[row] = packets;
    c->bytes[row] = packets * (double)length;
    return 1;
}

/* Fill a row from a sample of a packet; 0 where there is nothing to believe in it. */
static int sample_of(slab octets, samples *s, const item *it, const columns *c, i64 row, i32 exporter)
{
    int expanded = it->kind == EXPANDED_FLOW;
    i64 at = it->body, head = expanded ? 44 : 32;
    if (it->end - at < head) {
        s->told.sample_short++;
        return 0;
    }
    s->told.flow_samples++;
    u64 in = at4(octets, at + (expanded ? 28 : 20)), out = at4(octets, at + (expanded ? 36 : 24));
    u64 rate = at4(octets, at + (expanded ? 12 : 8));
    u64 in_format = expanded ? at4(octets, at + 24) : in >> 30, format = expanded ? at4(octets, at + 32) : out >> 30;
    double length = records_of(octets, s, at + head, it->end, (i64)at4(octets, at + head - 4), c, row);
    int lies = rate > (u64)s->most_rate || length > (double)s->most_octets;
    s->told.implausible += lies;
    s->told.without_packet += !lies && length < 0;
    if (lies || length < 0)
        return 0;
    c->in_if[row] = in_format ? 0 : interface(in);
    /* With another format the value is a reason or a number of interfaces, not an interface. */
    c->out_if[row] = format == OUT_SINGLE ? interface(expanded ? out : out & INTERNAL) : 0;
    c->out_format[row] = format <= OUT_MULTIPLE ? (u8)format : OUT_SINGLE;
    c->exporter[row] = exporter;
    c->rate[row] = (float)rate;
    c->packets[row] = rate ? (double)rate : 1.0; /* a rate of 0 is not one: such a sample stands for itself */
    c->bytes[row] = c->packets[row] * length;
    return 1;
}

/* Decode n datagrams that arrived at `time` into columns of `room` rows, whatever is in them; how many were written. */
i64 sk_sflow_decode(samples *s, const columns *given, i64 room, i64 n, double time)
{
    enum { HAS = HAS_IN_IF | HAS_OUT_IF | HAS_FORMAT | HAS_RATE | HAS_PACKETS | HAS_BYTES };
    const columns own = *given, *c = &own;
    slab octets = {s->from->in.at, s->from->in.size};
    const u64 ALL = ~0ull, has = HAS | HAS_POINT;
    i64 rows = 0, clean = 0;
    begun(c, room, ~(u64)HAS_POINT);
    s->others = 0;
    memset(&s->told, 0, sizeof s->told);
    for (i64 i = 0; i < n; i++) {
        /* The same octets of the next datagram are asked for with each sample: not all at once, for which there is no room. */
        const i64 later = i + 1 < n ? s->body[i + 1] - s->body[i] : 0;
        if (s->body[i] < 0 || s->end[i] > octets.size)
            continue; /* no burst has such a datagram */
        walk all = {s->body[i], s->end[i], least(s->count[i], s->most_samples)};
        const i32 exporter = s->row[i];
        i64 before = rows;
        item it;
        s->told.samples_over_cap += s->count[i] > s->most_samples;
        while (next(octets, &all, &it, &s->told.samples_missing, &s->told.samples_length_lies)) {
            if (it.kind == COUNTERS || it.kind == EXPANDED_COUNTERS) {
                s->owner[s->others] = i;
                s->kind[s->others] = it.kind;
                s->begins[s->others] = it.body;
                s->ends[s->others++] = it.end;
            } else if (it.kind == FLOW || it.kind == EXPANDED_FLOW) {
                if (later)
                    soon(octets.at + it.body + later, it.end - it.body);
                if (it.end - it.body < 32) {
                    s->told.sample_short++;
                    continue;
                }
                clean = cleared(c, clean, rows + 1, room, ALL, time);
                if (usual_sample(octets, s, &it, c, rows, exporter))
                    rows++;
                else {
                    blank(c, rows, has);
                    rows += sample_of(octets, s, &it, c, rows, exporter);
                }
            } else
                s->told.samples_unknown++;
        }
        if (rows > before)
            s->records[exporter] += rows - before;
    }
    s->wrong = wrong(&s->told);
    return rows;
}
