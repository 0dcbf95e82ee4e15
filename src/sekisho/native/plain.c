/* Bursts of NetFlow v9 and IPFIX with nothing new in them: every exporter and every template is known, and no message,
 * set or record ends behind what holds it. Such a burst is looked through, and then decoded, in one call each. Anything
 * else is told apart by sk_plain_find, which changes nothing, and is left to what decodes all there may be
 * (flows/wire/records.py); both do the same with a plain burst. */

#include "exporters.h"
#include "lookup.h"
#include "programs.h"
#include "rows.h"

/* Template sets that said nothing new when they came last; Renewals (flows/wire/renewals.py). */
typedef struct {
    const table *places; /* by digest */
    const u8 *octets; /* as sent */
    const i64 *at, *size, *row, *cost; /* of each: where in `octets`, whose, what it would cost to read */
    double *heard;
} renewals;

/* When a burst is decoded: now, and by the clocks of exporters and templates. */
typedef struct {
    double now, clock, templates;
} moment;

/* flows/wire/plain.py has the same order. */
typedef struct {
    burst in;
    /* Their header: octets of it, and where fields stand; -1 for one it does not have. */
    i64 protocol, header, sequence_at, domain_at, length_at;
    /* Exporters, by row: what is known of each, and of which of its lives the templates are. */
    const exporters *known;
    sequences *sequences;
    const i64 *generation, *met;
    const u8 *ovs, *statistics;
    i64 *records;
    double *input_heard;
    /* Layouts by exporter and template; by layout the program, and what its records tell. */
    const table *templates;
    const renewals *renewed;
    i64 template_set, options_set;
    const i64 *programs;
    const u8 *tells_input, *tells_output, *is_ovs;
    /* Rates by what they are told of; whether any is told of an interface. */
    const table *rates;
    const double *rate;
    i64 rates_told, of_interfaces;
    /* What a burst may have at most, and which directions of Open vSwitch count. */
    i64 most_sets, most_records, most_layouts, most_steps, most_definitions, room;
    i64 inputs, outputs;
    double most_count, memory; /* memory: for so many seconds by the clock of templates an input counts */
    i64 layouts; /* that `programs` knows */
    /* Out, by message: exporter, sequence number, how far that moves, records. */
    i32 *row;
    u32 *sequence, *step, *held;
    /* Out, by set: where its content lies, of which message it is, layout, records, whether one tells an input. */
    i64 *start, *end;
    i32 *renewals; /* template sets that were renewed, as many as `renewals_found` */
    i32 *message, *layout, *located, *inputs_told;
    i64 sets, implausible, renewals_found, definitions;
    u64 has, told; /* columns that every record of the burst has, and that some have */
    moment times;
} plain;

enum { LAYOUTS = 2048, FIRST_TEMPLATE = 256 };
enum { AHEAD = 4, NEAR = 4 * LINE }; /* messages, and octets of each, that are asked for */
enum { OF_EXPORTER, OF_TEMPLATE, OF_INTERFACE };

/* Columns that each record of a program has; `told`: and those that some may have. */
static u64 has(const program *p, u64 *told)
{
    static const u64 of[] = {
        [IN_IF] = HAS_IN_IF,       [OUT_IF] = HAS_OUT_IF,     [PROTOCOL] = HAS_PROTOCOL, [SRC_MAC] = HAS_SRC_MAC,
        [DST_MAC] = HAS_DST_MAC,   [SRC_V4] = HAS_SRC_LO,     [DST_V4] = HAS_DST_LO,     [SRC_V6] = HAS_SRC_HI | HAS_SRC_LO,
        [DST_V6] = HAS_DST_HI | HAS_DST_LO, [VERSION] = HAS_VERSION, [SRC_PORT] = HAS_SRC_PORT,
        [DST_PORT] = HAS_DST_PORT, [FLAGS] = HAS_FLAGS,       [PACKETS] = HAS_PACKETS,   [BYTES] = HAS_BYTES,
    };
    u64 found = HAS_PACKETS; /* one, where no step says how many */
    for (const step *t = p->steps; t < p->steps + p->length; t++)
        found |= of[t->into];
    found |= p->version ? HAS_VERSION : 0;
    *told |= found;
    for (const step *t = p->steps; t < p->steps + p->length; t++)
        *told |= t->into == ICMP ? HAS_DST_PORT : t->into == POINT ? HAS_POINT : t->into == VLAN ? HAS_VLAN : 0;
    return found;
}

static inline int is_fixed(const program *p) { return p->count == 1 && p->direction_segment < 0; }

/* Count the records of a set, those that tell an input too; -1 where one is cut, or there are more than `most`. */
static i64 records_in(slab octets, const program *p, i64 here, i64 end, i64 most_steps, i32 *inputs_told)
{
    i64 begins[SEGMENTS], found = 0;
    *inputs_told = 0;
    if (is_fixed(p))
        return (end - here) / p->minimum;
    for (; here + p->minimum <= end; found++) {
        if (p->count > 1 && found && (found + 1) * p->count > most_steps)
            return -1;
        here = record_end(octets, p, here, end, begins);
        if (here > end)
            return -1;
        if (p->direction_segment >= 0)
            *inputs_told += !is_output(octets, p, begins);
    }
    return found;
}

/* A number for a template set of an exporter: the content, and whose and which kind of set it is. */
i64 sk_digest(const u8 *content, i64 size, i64 kind)
{
    u64 key = mixed((u64)kind ^ (u64)size << 32);
    for (; size >= 8; content += 8, size -= 8)
        key = mixed(key ^ be64(content));
    u64 rest = 0;
    for (i64 i = 0; i < size; i++)
        rest = rest << 8 | content[i];
    return (i64)mixed(key ^ rest);
}

/* Whether a template set says nothing new: it is noted then. */
static int is_renewal(plain *b, i64 row, const u8 *content, i64 size, int options)
{
    const renewals *known = b->renewed;
    i32 r = find(known->places, (u64)sk_digest(content, size, row << 1 | options));
    /* What an Open vSwitch defines also tells which process it is. */
    if (r < 0 || b->ovs[row] || b->renewals_found == b->room)
        return 0;
    if (known->row[r] != row || known->size[r] != size || memcmp(known->octets + known->at[r], content, (size_t)size))
        return 0;
    b->definitions += known->cost[r];
    b->renewals[b->renewals_found++] = r;
    return b->definitions <= b->most_definitions;
}

/* Which layouts a burst uses, and how many. */
typedef struct {
    u8 is[LAYOUTS];
    i64 n;
} layouts;

/* Look through the sets of message i, which lies at here..end; its records, or -1 where something is not plain. */
static i64 sets_of(plain *b, i64 i, i64 here, i64 end, layouts *used)
{
    slab octets = {b->in.at, b->in.size};
    i64 total = 0, sets = 0;
    for (; here + 4 <= end; sets++) {
        u64 id = be16(b->in.at + here), length = be16(b->in.at + here + 2);
        if (length < 4 || here + (i64)length > end || sets == b->most_sets || b->sets == b->room)
            return -1;
        if (id < FIRST_TEMPLATE) {
            int options = (i64)id == b->options_set;
            if (!options && (i64)id != b->template_set)
                return -1;
            if (!is_renewal(b, b->row[i], b->in.at + here + 4, (i64)length - 4, options))
                return -1;
            here += (i64)length;
            continue;
        }
        i32 layout = find(b->templates, (u64)b->row[i] << 16 | id);
        if (layout < 0 || layout >= least(LAYOUTS, b->layouts) || b->programs[layout] <= 0)
            return -1;
        const program *p = (const program *)b->programs[layout];
        i64 s = b->sets++, found = records_in(octets, p, here + 4, here + (i64)length, b->most_steps, b->inputs_told + s);
        if (found < 0)
            return -1;
        b->start[s] = here + 4;
        b->end[s] = here + (i64)length;
        b->message[s] = (i32)i;
        b->layout[s] = layout;
        b->located[s] = (i32)found;
        if (!used->is[layout]) {
            b->has &= has(p, &b->told);
            used->is[layout] = 1;
            used->n++;
        }
        total += found;
        here += (i64)length;
    }
    return total;
}

/* Whether so many layouts leave steps enough for each set of records of variable length. */
static int is_within(const plain *b, i64 layouts)
{
    if (layouts > b->most_layouts)
        return 0;
    i64 steps = b->most_steps / most(layouts, 1);
    for (i64 s = 0; s < b->sets; s++) {
        const program *p = (const program *)b->programs[b->layout[s]];
        if (p->count > 1 && b->located[s] > most(1, steps / p->count))
            return 0;
    }
    return 1;
}

/* Look through a burst; how many records it holds, or -1 where it is not plain. */
i64 sk_plain_find(plain *b)
{
    layouts used = {0};
    i64 total = 0;
    latest before = {.row = NONE};
    b->sets = b->renewals_found = b->definitions = 0;
    b->has = ~0ull;
    b->told = 0;
    for (i64 i = 0; i < b->in.n; i++) {
        i64 d = row_in(&b->in, i), begin = d * b->in.slot, length = b->in.length[d];
        const u8 *message = b->in.at + begin;
        if (i + AHEAD < b->in.n) {
            i64 later = row_in(&b->in, i + AHEAD);
            soon(b->in.at + later * b->in.slot, least(b->in.length[later], NEAR));
        }
        if (length < b->header || length > b->in.slot || begin + length > b->in.size)
            return -1;
        if (b->length_at >= 0 && be16(message + b->length_at) != length)
            return -1;
        u64 halves[4] = {b->in.address_hi[d], b->in.address_lo[d], 0, 0};
        i32 row = exporter_after(b->known, &before, halves, be32(message + b->domain_at), (u8)b->protocol);
        if (row == NONE || b->generation[row] != b->met[row] || (b->statistics[row] && !b->ovs[row]))
            return -1;
        b->row[i] = row;
        b->sequence[i] = be32(message + b->sequence_at);
        i64 held = sets_of(b, i, begin + b->header, begin + length, &used);
        if (held < 0 || (total += held) > b->most_records)
            return -1;
        b->held[i] = (u32)held;
    }
    return is_within(b, used.n) ? total : -1;
}

static double rate_of(const plain *b, i64 row, u64 kind, u64 ident)
{
    i32 at = find(b->rates, (u64)row << 35 | kind << 32 | (ident & 0xFFFFFFFF));
    return at < 0 ? 0 : b->rate[at];
}

/* Scale the rows of a set by the rates its exporter told; Open vSwitch's counts are scaled already. */
static void scale(const plain *b, const columns *c, i64 set, i64 first, i64 behind)
{
    i64 row = b->row[b->message[set]], layout = b->layout[set];
    if (b->is_ovs[layout])
        return;
    double whole = rate_of(b, row, OF_TEMPLATE, be16(b->in.at + b->start[set] - 4));
    if (whole == 0)
        whole = rate_of(b, row, OF_EXPORTER, 0);
    for (i64 to = first; to < behind; to++) {
        double rate = 0;
        if (b->of_interfaces && b->tells_input[layout])
            rate = rate_of(b, row, OF_INTERFACE, c->in_if[to]);
        if (rate == 0 && b->of_interfaces && b->tells_output[layout])
            rate = rate_of(b, row, OF_INTERFACE, c->out_if[to]);
        if (rate == 0)
            rate = whole;
        c->rate[to] = (float)rate;
        if (rate > 1) {
            c->packets[to] *= rate;
            c->bytes[to] *= rate;
        }
    }
}

/* How many of n counts are more than anybody counts, or none at all. */
FOR_WIDE static i64 over(const double *restrict packets, const double *restrict bytes, double most_count, i64 n)
{
    i64 found = 0;
    for (i64 i = 0; i < n; i++)
        found += !(packets[i] <= most_count) | !(bytes[i] <= most_count);
    return found;
}

/* What a template leaves open of the rows of a set. */
static inline void complete(const plain *b, const columns *c, const program *p, i64 set, i64 first, i64 behind)
{
    if (p->version)
        for (i64 to = first; to < behind; to++)
            c->ip_version[to] = (u8)p->version;
    if (!p->counts_packets)
        fill_double(c->packets + first, 1.0, behind - first);
    if (b->rates_told)
        scale(b, c, set, first, behind);
}

static int is_kept(const plain *b, i64 row, int output)
{
    if (!output)
        return b->inputs != 0;
    return b->outputs == 1 || (b->outputs == 2 && b->input_heard[row] < b->times.templates - b->memory);
}

/* Decode a set to rows from `first` on; the row behind its last. */
static i64 decode_set(plain *b, const columns *c, i64 set, i64 first)
{
    slab octets = {b->in.at, b->in.size};
    const program *p = (const program *)b->programs[b->layout[set]];
    i64 here = b->start[set], to = first, n = b->located[set], begins[SEGMENTS];
    if (is_fixed(p)) {
        rows_of(octets, c, p, here, first, n);
        to += n;
    } else
        for (i64 k = 0; k < n; k++) {
            here = record_end(octets, p, here, b->end[set], begins);
            if (p->direction_segment < 0 || is_kept(b, b->row[b->message[set]], is_output(octets, p, begins)))
                row_of(octets, c, p, begins, to++);
        }
    complete(b, c, p, set, first, to);
    return to;
}

/* Count what sk_plain_find found with its exporters. */
static void account(const plain *b)
{
    for (i64 i = 0; i < b->in.n; i++) {
        heard_of(b->known, b->row[i], b->times.now, b->times.clock);
        b->records[b->row[i]] += b->held[i];
    }
    for (i64 k = 0; k < b->renewals_found; k++)
        b->renewed->heard[b->renewals[k]] = b->times.templates;
    sk_sequence(b->sequences, b->row, b->sequence, b->step, b->in.n);
}

/* Rows whose exporter is not written down yet, or whose counts are not looked at. */
typedef struct {
    i64 first;
    i32 exporter;
} unfinished;

enum { FINISHED_AT_ONCE = 256 }; /* rows: they are still in a near cache */

static void finish(plain *b, const columns *c, unfinished *rows, i64 behind)
{
    fill_i32(c->exporter + rows->first, rows->exporter, behind - rows->first);
    b->implausible += over(c->packets + rows->first, c->bytes + rows->first, b->most_count, behind - rows->first);
    rows->first = behind;
}

/* Decode what sk_plain_find found into columns of so many rows, whatever is in them; how many were written. The burst
 * arrived at `time`; now, and by the clocks of exporters and templates, is then. */
i64 sk_plain_decode(plain *b, const columns *given, i64 room, double time, double now, double clock, double templates)
{
    const columns own = *given, *c = &own;
    i64 rows = 0, clean = 0;
    u64 has = b->has | begun(c, room, b->told);
    unfinished left = {0, NONE};
    b->times = (moment){now, clock, templates};
    b->implausible = 0;
    account(b);
    for (i64 s = 0; s < b->sets; s++)
        if (b->inputs_told[s])
            b->input_heard[b->row[b->message[s]]] = b->times.templates;
    for (i64 s = 0; s < b->sets; s++) {
        i32 exporter = b->row[b->message[s]];
        if (s + 1 < b->sets)
            soon(b->in.at + b->start[s + 1], b->end[s + 1] - b->start[s + 1]);
        if (exporter != left.exporter || rows - left.first >= FINISHED_AT_ONCE)
            finish(b, c, &left, rows);
        left.exporter = exporter;
        clean = cleared(c, clean, rows + b->located[s], room, has, time);
        rows = decode_set(b, c, s, rows);
    }
    finish(b, c, &left, rows);
    return rows;
}
