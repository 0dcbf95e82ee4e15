/* Counting: which rows a detector takes, and the sums and lists of things to be told apart that they go to.
 *
 * The same as Rows and Stream do in columns (detect/), a row at a time. */

#include "count.h"

/* What a row is; detect/detector.py has the same bits in Trait. */
enum {
    EGRESS = 1 << 0,
    INGRESS = 1 << 1,
    EXACT_EGRESS = 1 << 2,
    EXACT_INGRESS = 1 << 3,
    TO_INTERNET = 1 << 4,
    FROM_INTERNET = 1 << 5,
    IS_TCP = 1 << 6,
    SAMPLED_TCP = 1 << 7,
    SAMPLED_UDP = 1 << 8,
    KNOWN = 1 << 9,
    SYN = 1 << 10,
    OPENING = 1 << 11,
    ACCEPTING = 1 << 12,
    PROBE = 1 << 13,
    SENDER_TOLD = 1 << 14,
    RECEIVER_TOLD = 1 << 15,
    PORT_CLASSES = 16 /* from this bit on */
};

/* What a row's octets say, from which all traits but its subjects' and ports' follow. */
enum {
    OF_TCP = 1 << 0,
    OF_UDP = 1 << 1,
    OF_EXACT = 1 << 2,
    HAS_SYN = 1 << 3,
    HAS_ACK = 1 << 4,
    HAS_FLAGS = 1 << 5, /* the exporter told them */
    SEVERAL = 1 << 6, /* more than one packet, as the exporter saw them */
    FEW = 1 << 7, /* at most two */
    DOWNWARD = 1 << 8, /* to a port below the one it comes from */
    SHAPES = 1 << 9
};

static u32 shape_traits(u32 shape)
{
    u32 t = 0;
    if (shape & OF_UDP && !(shape & OF_EXACT))
        t |= SAMPLED_UDP;
    if (!(shape & OF_TCP))
        return t;
    t |= IS_TCP;
    if (shape & OF_EXACT)
        return t;
    t |= SAMPLED_TCP;
    if (!(shape & HAS_FLAGS))
        return shape & FEW && shape & DOWNWARD ? t | PROBE : t;
    t |= KNOWN;
    if (shape & HAS_SYN)
        t |= shape & HAS_ACK ? ACCEPTING : SYN | OPENING | PROBE;
    if (shape & HAS_SYN && shape & SEVERAL)
        t |= OPENING;
    return t;
}

/* Fill the table of the traits of each shape. */
void sk_shapes(u16 *shapes)
{
    for (u32 shape = 0; shape < SHAPES; shape++)
        shapes[shape] = (u16)shape_traits(shape);
}

static inline u32 traits_of(const gathered *g, const columns *c, i64 i, i32 from, i32 to, double weight)
{
    u32 exact = c->exact[i] != 0, flags = c->tcp_flags[i], protocol = c->protocol[i];
    u32 source = c->src_port[i], destination = c->dst_port[i];
    double packets = c->packets[i];
    u32 shape = (u32)(protocol == TCP) | (u32)(protocol == UDP) << 1 | exact << 2 | (flags >> 1 & 1) << 3 |
                (flags >> 4 & 1) << 4 | (flags >> 15 & 1) << 5 | (u32)(packets > 1.5 * weight) << 6 |
                (u32)(packets < 2.5 * weight) << 7 | (u32)(destination < source) << 8;
    u32 t = g->shapes[shape];
    t |= (((u32)~from >> 31) | ((u32)~to >> 31) << 1) << 2 * exact;
    t |= (u32)(c->dst_internet[i] != 0) << 4 | (u32)(c->src_internet[i] != 0) << 5;
    t |= ((u32)from & IS_TOLD) << 14 | ((u32)to & IS_TOLD) << 15;
    t |= (u32)g->classes[g->pages[source >> 8] << 8 | (source & 0xFF)] << PORT_CLASSES;
    return t | (u32)g->classes[g->pages[256 + (destination >> 8)] << 8 | (destination & 0xFF)] << (PORT_CLASSES + 8);
}

/* The picks of one side that take such rows: none where whoever is on that side is nobody's. */
static u64 matching(u32 traits, const pick *picks, i64 count, u32 outward)
{
    u64 found = 0;
    if (!(traits & (outward ? EGRESS | EXACT_EGRESS : INGRESS | EXACT_INGRESS)))
        return 0;
    for (i64 p = 0; p < count; p++)
        for (u32 term = 0; term < picks[p].terms; term++)
            if (picks[p].outward == outward && (traits & picks[p].need[term]) == picks[p].need[term] &&
                !(traits & picks[p].lack[term]))
                found |= 1ull << p;
    return found;
}

/* The number of a kind, a new one where there is none; -1 where there is no room. */
static i64 kind_of(gathered *g, u64 found, int syn)
{
    if (!found)
        return 0;
    for (i64 k = 1; k < g->kinds_used; k++)
        if (g->kinds[k].found == found && g->kinds[k].syn == syn)
            return k;
    if (g->kinds_used == g->kinds_room)
        return -1;
    u64 apart = 0;
    for (u64 left = found; left; left &= left - 1)
        apart |= g->picks[__builtin_ctzll(left)].item ? left & -left : 0;
    g->kinds[g->kinds_used] = (kind){found, apart, syn, 0};
    return g->kinds_used++;
}

static __attribute__((noinline)) int learn(gathered *g, u32 traits, memory *known)
{
    u16 kinds[2];
    for (u32 outward = 0; outward < 2; outward++) {
        i64 k = kind_of(g, matching(traits, g->picks, g->count, outward), (traits & SYN) != 0);
        if (k < 0)
            return 0;
        kinds[outward] = (u16)k;
    }
    *known = (memory){traits, {kinds[0], kinds[1]}};
    return 1;
}

enum { BLOCK = 32 };

/* What is known of a row before anything is counted. */
typedef struct {
    i32 code[2]; /* receiver's, sender's */
    u16 kind[2];
    double weight;
} seen_row;

/* 0 where there are more kinds of rows than there is room for. */
static inline int see_row(gathered *g, const columns *c, i64 i, const roster *r, seen_row *row)
{
    i32 from = code_of(r, c->sender[i]), to = code_of(r, c->receiver[i]);
    double weight = weight_of(c, i);
    u32 traits = traits_of(g, c, i, from, to, weight);
    memory *known = g->known + ((traits * 0x9E3779B1u) >> 22);
    if (__builtin_expect(known->traits != traits, 0) && !learn(g, traits, known))
        return 0;
    *row = (seen_row){{to, from}, {known->kind[0], known->kind[1]}, weight};
    return 1;
}

static inline entry *entry_of(gathered *g, i64 slot, i32 k)
{
    i32 first = g->head[slot];
    for (i32 at = first; at >= 0; at = g->entries[at].next)
        if (g->entries[at].kind == k)
            return g->entries + at;
    entry *made = g->entries + g->used;
    *made = (entry){.kind = k, .next = first};
    g->head[slot] = (i32)g->used++;
    return made;
}

static inline void add(entry *e, const columns *c, i64 i, double weight)
{
    double bytes = c->bytes[i], packets = c->packets[i];
    e->rows += 1.0;
    e->amount[BYTES] += bytes;
    e->amount[PACKETS] += packets;
    e->amount[EVENTS] += weight;
    if (weight == 1.0)
        return;
    /* (1 - 1/weight) / the packets that the exporter saw, at least one */
    double spread = (weight - 1.0) / (packets > weight ? packets : weight);
    e->variance[BYTES] += spread * bytes * bytes;
    e->variance[PACKETS] += spread * packets * packets;
    e->variance[EVENTS] += weight * (weight - 1.0);
}

/* List a row for the distinct counts that take it, with what they tell apart. */
static inline void list(gathered *g, const columns *c, i64 i, u64 apart, i64 slot)
{
    u64 hi = c->dst_hi[i], address = ((hi ^ (hi >> 31)) * 0x9E3779B97F4A7C15ull) ^ c->dst_lo[i];
    for (; apart; apart &= apart - 1) {
        pick *p = g->picks + __builtin_ctzll(apart);
        p->slots[p->listed] = slot;
        p->items[p->listed++] = p->item == PORT ? c->dst_port[i] : address;
    }
}

static inline u64 take(gathered *g, const columns *c, i64 i, const seen_row *row, int side)
{
    i32 number = row->kind[side];
    if (!number)
        return 0;
    kind *of = g->kinds + number;
    i64 slot = row->code[side] >> SLOT_FROM;
    of->rows++;
    if (row->code[side] & IS_SUSPECT)
        for (u64 left = of->found & g->suspects[slot]; left; left &= left - 1)
            g->suspected[__builtin_ctzll(left)]++;
    add(entry_of(g, slot, number), c, i, row->weight);
    if (of->apart)
        list(g, c, i, of->apart, slot);
    return of->found;
}

/* Gather rows of a batch from `first` on, and tell in `found` which picks take each; gives the row after the last one.
 *
 * That is not the end where there is no more room: pour out, and go on. In blocks, so that what is far is on its
 * way from memory for many rows at once. */
i64 sk_gather(gathered *g, const columns *c, i64 first, i64 n, const roster *r, u64 *found)
{
    seen_row rows[BLOCK];
    i64 done = first;
    int room = 1;
    for (i64 p = 0; p < g->count && !first; p++)
        g->matched[p] = g->suspected[p] = g->picks[p].listed = 0;
    while (done < n && room && g->used + 2 * BLOCK <= g->room) {
        i64 size = least(BLOCK, n - done), k = 0;
        while (k < size && (room = see_row(g, c, done + k, r, rows + k))) {
            for (int side = 0; side < 2; side++)
                if (rows[k].kind[side])
                    __builtin_prefetch(g->head + (rows[k].code[side] >> SLOT_FROM));
            k++;
        }
        size = k;
        for (k = 0; k < size; k++)
            for (int side = 0; side < 2; side++)
                if (rows[k].kind[side]) {
                    i32 head = g->head[rows[k].code[side] >> SLOT_FROM];
                    __builtin_prefetch(g->entries + (head >= 0 ? head : 0), 1);
                }
        for (k = 0; k < size; k++)
            found[done + k] = take(g, c, done + k, rows + k, 0) | take(g, c, done + k, rows + k, 1);
        done += size;
    }
    for (kind *k = g->kinds; k < g->kinds + g->kinds_used; k++) {
        for (u64 left = k->rows ? k->found : 0; left; left &= left - 1)
            g->matched[__builtin_ctzll(left)] += k->rows;
        k->rows = 0;
    }
    return done;
}

/* Pour what was gathered into the picks' sums, slot by slot, and begin anew. */
void sk_pour(gathered *g)
{
    for (i64 slot = 0; slot < g->slots && g->used; slot++) {
        for (i32 at = g->head[slot]; at >= 0; at = g->entries[at].next) {
            const entry *e = g->entries + at;
            const kind *k = g->kinds + e->kind;
            for (u64 left = k->found; left; left &= left - 1) {
                const pick *p = g->picks + __builtin_ctzll(left);
                if (!p->sums)
                    continue;
                int worth = p->worth == SIGNED_PACKETS ? PACKETS : (int)p->worth;
                double *sum = p->sums + slot * p->stride;
                sum[0] += p->worth == SIGNED_PACKETS && !k->syn ? -e->amount[worth] : e->amount[worth];
                sum[1] += e->variance[worth];
                p->samples[slot * p->stride] += e->rows;
            }
        }
        g->head[slot] = -1;
    }
    g->used = 0;
    g->kinds_used = 1;
    memset(g->known, 0xFF, REMEMBERED * sizeof *g->known); /* no row is all of it */
}

/* How many of n rows have a subject; in `span` when the first and the last of them arrived. */
i64 sk_glance(const columns *c, i64 n, double *span)
{
    i64 nobody = 0;
    double first = n ? c->time[0] : 0.0, last = first;
    for (i64 i = 0; i < n; i++)
        nobody += (c->sender[i] & c->receiver[i]) < 0;
    for (i64 i = 0; i < n; i++) {
        first = c->time[i] < first ? c->time[i] : first;
        last = c->time[i] > last ? c->time[i] : last;
    }
    span[0] = first;
    span[1] = last;
    return n - nobody;
}
