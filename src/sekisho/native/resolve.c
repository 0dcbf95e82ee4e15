/* Whose row is this: the same as Resolver, SubjectIndex and Inside do in columns (flows/), a row at a time. */

#include "lookup.h"

/* Fill an empty table with distinct keys; it has at least one free place. */
void sk_table_fill(table *t, const u64 *keys, const i32 *rows, i64 n)
{
    for (i64 i = 0; i < n; i++) {
        u64 at = place_of(t, keys[i]);
        while (t->rows[at] != NONE)
            at = (at + 1) & t->mask;
        t->keys[at] = keys[i];
        t->rows[at] = rows[i];
    }
}

/* Rows by an upper number of few values and a lower one: all lower ones from `first` on have a place in `rows`. Where
 * that would be too many, length is -1 and the hash table is asked. */
typedef struct {
    const i64 *first, *length, *at; /* by upper number */
    const i32 *rows;
    i64 uppers;
    const table *all;
} spans;

/* Subjects by what a record says of them; SubjectIndex says what the keys are. */
typedef struct {
    const spans *by_ifindex, *by_ofport;
    const table *by_mac, *by_host_address, *by_address;
    const table *identities; /* by a mix of both halves of an address; rows are the address's number */
    const u64 *hi, *lo; /* of each number */
    const u64 *mac; /* of each subject */
    i64 subjects;
} subjects;

/* What is known of each exporter's row; Sources. */
typedef struct {
    const i64 *host, *bridge;
    const u8 *exact, *ofports;
    const float *sampling;
    const u8 *ipfix;
    float *applied; /* of Exporters: how what it told last was sampled */
} sources;

/* Prefixes that are not the internet; Inside. */
typedef struct {
    const u64 *first, *last; /* of IPv4 ranges, in order */
    i64 ranges;
    const u64 *hi, *lo, *mask_hi, *mask_lo; /* of IPv6 prefixes */
    i64 prefixes;
    const u8 *upper; /* by the upper 16 bits of an IPv4 address: 0 outside, 1 inside, 2 look */
} inside;

static inline u64 joined(i64 upper, u32 lower) { return (u64)upper << 32 | lower; }

static i64 number_of(const subjects *s, u64 hi, u64 lo)
{
    const table *t = s->identities;
    u64 key = mixed(hi) ^ lo;
    for (u64 at = place_of(t, key); t->rows[at] != NONE; at = (at + 1) & t->mask)
        if (t->keys[at] == key && s->hi[t->rows[at]] == hi && s->lo[t->rows[at]] == lo)
            return t->rows[at];
    return NONE;
}

static inline i32 by_address(const subjects *s, u64 hi, u64 lo)
{
    i64 number = number_of(s, hi, lo);
    return number < 0 ? NONE : find(s->by_address, (u64)number);
}

static i32 by_host_address(const subjects *s, i64 host, u64 hi, u64 lo)
{
    i64 number = number_of(s, hi, lo);
    return number < 0 ? NONE : find(s->by_host_address, joined(host, (u32)number));
}

static i32 by_mac(const subjects *s, i64 host, u64 mac)
{
    return mac ? find(s->by_mac, (u64)host << 48 | mac) : NONE;
}

/* Interfaces or OpenFlow ports of one host or bridge. */
typedef struct {
    i64 first, length; /* as in spans; 0 where it has none */
    const i32 *rows;
    const table *all;
    i64 upper;
} numbered;

static numbered numbers_of(const spans *of, i64 upper)
{
    numbered n = {0, 0, of->rows, of->all, upper};
    if (upper >= 0 && upper < of->uppers) {
        n.first = of->first[upper];
        n.length = of->length[upper];
        n.rows = of->rows + of->at[upper];
    }
    return n;
}

static inline i32 by_number(const numbered *n, u32 number)
{
    if (n->length < 0)
        return find(n->all, joined(n->upper, number));
    u64 at = (u64)((i64)number - n->first);
    return at < (u64)n->length ? n->rows[at] : NONE;
}

/* What is known of the exporter of a row; most rows have that of the row before. */
typedef struct {
    i64 row, host;
    u8 exact;
    float sampling; /* what a rate that is not told is taken for; 0 unknown */
    numbered interfaces, ports;
} source;

static source source_of(const subjects *s, const sources *from, i64 row)
{
    i64 host = from->host[row];
    source found = {row, host, from->exact[row], host >= 0 && from->ipfix[row] ? from->sampling[row] : 0,
                    numbers_of(s->by_ifindex, host), numbers_of(s->by_ofport, from->bridge[row])};
    if (from->ofports[row] && !found.exact)
        found.interfaces = found.ports;
    return found;
}

static i32 by_destination(const subjects *s, i64 host, const columns *c, i64 i)
{
    i32 mac = by_mac(s, host, c->dst_mac[i]);
    if (mac >= 0)
        return mac;
    i32 address = by_host_address(s, host, c->dst_hi[i], c->dst_lo[i]);
    return address == NONE ? mac : address;
}

/* The subject at each of n interfaces; whether any of them is not told. */
static int by_numbers(const numbered *from, const u32 *restrict number, i32 *restrict found, i64 n)
{
    int untold = 0;
    if (from->length <= 0) /* none, or too many for a plain table */
        for (i64 i = 0; i < n; i++) {
            untold |= !number[i];
            found[i] = by_number(from, number[i]);
        }
    else {
        const i32 *rows = from->rows;
        const u64 length = (u64)from->length;
        const i64 first = from->first;
        for (i64 i = 0; i < n; i++) {
            u64 at = (u64)((i64)number[i] - first);
            untold |= !number[i];
            i32 there = rows[at < length ? at : 0];
            found[i] = at < length ? there : NONE;
        }
    }
    return untold;
}

/* Whether any of n rows was not sent to one interface alone. */
static int has_several(const u8 *format, i64 n)
{
    u8 found = 0;
    for (i64 i = 0; i < n; i++)
        found |= format[i] ^ OUT_SINGLE;
    return found != 0;
}

/* Rows first..behind of a host: by interface, and where none is told by what else is. */
static void resolve_host(const subjects *s, const source *from, const columns *c, i64 first, i64 behind)
{
    i64 n = behind - first;
    if (by_numbers(&from->interfaces, c->in_if + first, c->sender + first, n))
        for (i64 i = first; i < behind; i++)
            if (!c->in_if[i])
                c->sender[i] = by_mac(s, from->host, c->src_mac[i]);
    if (by_numbers(&from->interfaces, c->out_if + first, c->receiver + first, n) | has_several(c->out_format + first, n))
        for (i64 i = first; i < behind; i++)
            if (!c->out_if[i] || c->out_format[i] != OUT_SINGLE)
                c->receiver[i] = by_destination(s, from->host, c, i);
}

static void resolve_point(const subjects *s, const source *from, const columns *c, i64 i)
{
    i32 subject = by_number(&from->ports, c->point[i]);
    i32 at_input = by_number(&from->interfaces, c->in_if[i]);
    i64 row = subject > 0 ? subject : 0;
    int goes_to = row < s->subjects && s->mac[row] == c->dst_mac[i];
    int is_sender = at_input >= 0 ? at_input == subject : !goes_to;
    c->sender[i] = is_sender ? subject : NONE;
    c->receiver[i] = is_sender ? NONE : subject;
}

static inline int internet(const inside *within, u64 hi, u64 lo)
{
    if (!hi && lo >> 32 == 0xFFFF) {
        u64 address = lo & 0xFFFFFFFF;
        u8 told = within->upper[address >> 16];
        if (told != 2)
            return !told;
        for (i64 i = 0; i < within->ranges; i++)
            if (address >= within->first[i] && address <= within->last[i])
                return 0;
        return 1;
    }
    for (i64 i = 0; i < within->prefixes; i++)
        if ((hi & within->mask_hi[i]) == within->hi[i] && (lo & within->mask_lo[i]) == within->lo[i])
            return 0;
    return 1;
}

enum { STRANGERS, EXACT, SENT, RECEIVED, AMBIGUOUS_ENDS };
enum { PIECE = 1024 }; /* rows: what one pass reads is still in the nearest cache for the next */
enum { LOOKED_AT = 16 }; /* rows of a piece, for how they are sampled */

/* Tell no ambiguous ends of up to PIECE rows, and count those that are told. */
FOR_WIDE static void settle(i32 *restrict end, i64 n, i64 *counts, int kind)
{
    i32 told = 0, ambiguous = 0;
    for (i64 i = 0; i < n; i++) {
        told += end[i] >= 0;
        ambiguous += end[i] == AMBIGUOUS;
        end[i] = end[i] == AMBIGUOUS ? NONE : end[i];
    }
    counts[kind] += told;
    counts[AMBIGUOUS_ENDS] += ambiguous;
}

/* Whether each of n addresses is on the internet: by a table, and those that it does not tell by themselves. */
static void outside(const inside *within, const u64 *restrict hi, const u64 *restrict lo, u8 *restrict told, i64 n)
{
    enum { LOOK = 2 };
    const u8 *upper = within->upper;
    u64 untold = 0;
    for (i64 i = 0; i < n; i++) {
        u8 known = upper[(u16)(lo[i] >> 16)];
        untold |= hi[i] | ((lo[i] >> 32) ^ 0xFFFF) | (known & LOOK);
        told[i] = !known;
    }
    if (untold)
        for (i64 i = 0; i < n; i++)
            if (hi[i] || lo[i] >> 32 != 0xFFFF || upper[(u16)(lo[i] >> 16)] == LOOK)
                told[i] = (u8)internet(within, hi[i], lo[i]);
}

/* Take down how the last of rows first..behind, of one exporter, were sampled, where that is known. */
static inline void note_sampling(float *applied, const float *rate, i64 first, i64 behind)
{
    for (i64 i = behind; i-- > most(first, behind - LOOKED_AT);)
        if (rate[i] > 0) {
            *applied = rate[i];
            return;
        }
}

/* Rows first..behind, of one exporter. */
static void resolve_piece(const subjects *s, source whose, const columns *c, i64 first, i64 behind)
{
    if (whose.host < 0)
        for (i64 i = first; i < behind; i++) {
            c->sender[i] = by_address(s, c->src_hi[i], c->src_lo[i]);
            c->receiver[i] = by_address(s, c->dst_hi[i], c->dst_lo[i]);
        }
    else if (whose.exact)
        for (i64 i = first; i < behind; i++)
            resolve_point(s, &whose, c, i);
    else
        resolve_host(s, &whose, c, first, behind);
    if (whose.sampling != 0)
        for (i64 i = first; i < behind; i++)
            c->rate[i] = c->rate[i] == 0 ? whose.sampling : c->rate[i];
}

/* Resolve n rows; adds to `told` what was found. */
void sk_resolve(const columns *given, i64 n, const subjects *s, const sources *from, const inside *within, i64 *told)
{
    /* Copies of our own, which nothing that is written here can change: they need not be read again. */
    const columns own = *given, *c = &own;
    source whose = {.row = -1};
    i64 behind;
    for (i64 i = 0; i < n; i = behind) {
        i64 to = least(n, i + PIECE);
        for (behind = i + 1; behind < to && c->exporter[behind] == c->exporter[i]; behind++)
            ;
        if (c->exporter[i] != whose.row)
            whose = source_of(s, from, c->exporter[i]);
        i64 rows = behind - i;
        resolve_piece(s, whose, c, i, behind);
        note_sampling(from->applied + whose.row, c->rate, i, behind);
        settle(c->sender + i, rows, told, SENT);
        settle(c->receiver + i, rows, told, RECEIVED);
        told[STRANGERS] += whose.host < 0 ? rows : 0;
        told[EXACT] += whose.exact ? rows : 0;
        memset(c->exact + i, whose.exact, (size_t)rows);
        outside(within, c->src_hi + i, c->src_lo + i, c->src_internet + i, rows);
        outside(within, c->dst_hi + i, c->dst_lo + i, c->dst_internet + i, rows);
    }
}
