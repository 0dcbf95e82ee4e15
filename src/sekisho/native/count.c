/* Counting: which rows a detector takes, and the sums and distinct counts they go to.
 *
 * The same as Rows, Stream and Distinct do in columns (detect/), a row at a time. */

#include <stddef.h>

#include "native.h"

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

/* What a row is worth to a pick. */
enum { BYTES, PACKETS, EVENTS, SIGNED_PACKETS };

/* One of the rows that evidence is told from; ROW in detect/recent.py. */
typedef struct {
    i64 slot;
    double time;
    u64 far_hi, far_lo;
    i64 port, exporter;
    double amount;
} kept;

typedef struct {
    kept *rows;
    i64 size, share, next; /* rows, how many one batch may fill, where the next one goes */
} recent;

/* One part of a detector's take; PICK in detect/counting.py. */
typedef struct {
    u32 need[2], lack[2];
    u32 terms;
    u32 outward; /* whose rows: the sender's or the receiver's */
    u32 worth;
    u32 unused;
    double *sums; /* totals of slot 0: amount, variance; null for distinct counts */
    i64 stride; /* doubles from one slot to the next */
    double *samples;
    recent *ring; /* null: its rows are not asked for */
    i64 source_port; /* which port the ring keeps */
} pick;

/* A kind of row: the picks of one side that take it. */
typedef struct {
    u64 found;
    i64 syn;
    i64 rows; /* of the batch */
} kind;

/* What the rows of one kind were worth for one slot: a line of the cache. */
typedef struct {
    i32 kind, next; /* next: of the same slot, -1 none */
    double rows, amount[3], variance[3]; /* bytes, packets, events */
} entry;

enum { REMEMBERED = 1024 };

/* Which kinds some traits are, remembered: few kinds of rows are most of all rows. */
typedef struct {
    u32 traits[REMEMBERED];
    i32 kind[2][REMEMBERED]; /* of the receiver's side, of the sender's */
} memory;

/* What gathers until it is poured out; Gathered in detect/counting.py. */
typedef struct {
    entry *entries;
    i64 room, used;
    i32 *head; /* by slot, -1 none */
    const u64 *suspects; /* by slot: of which picks */
    kind *kinds;
    i64 kinds_room, kinds_used;
    memory *known;
    const pick *picks;
    i64 count;
    const u8 *by_source, *by_destination; /* each port's classes, a bit each */
    i64 *matched, *suspected; /* by pick: rows of the batch, and of them those of suspects */
    i64 slots;
} gathered;

typedef struct {
    const i64 *slot; /* by inventory row, rows + 1 of them */
    const u8 *told;
    i64 rows;
} roster;

/* How many events a row stands for; 1 where nothing was sampled. */
static inline double weight_of(const columns *c, i64 i)
{
    return c->exact[i] || !(c->rate[i] > 1.0f) ? 1.0 : (double)c->rate[i];
}

static inline u32 traits_of(const columns *c, i64 i, i64 sender, i64 receiver, double seen, const u8 *by_source,
                            const u8 *by_destination)
{
    u32 t = 0, exact = c->exact[i] != 0, flags = c->tcp_flags[i];
    if (sender >= 0)
        t |= exact ? EXACT_EGRESS : EGRESS;
    if (receiver >= 0)
        t |= exact ? EXACT_INGRESS : INGRESS;
    if (c->dst_internet[i])
        t |= TO_INTERNET;
    if (c->src_internet[i])
        t |= FROM_INTERNET;
    if (c->protocol[i] == TCP) {
        t |= IS_TCP;
        if (!exact) {
            t |= SAMPLED_TCP;
            if (flags & FLAGS_KNOWN) {
                t |= KNOWN;
                if ((flags & 0x12) == 0x02)
                    t |= SYN | OPENING | PROBE;
                else if ((flags & 0x12) == 0x12)
                    t |= ACCEPTING;
                if (flags & 0x02 && seen > 1.5)
                    t |= OPENING;
            } else if (seen < 2.5 && c->dst_port[i] < c->src_port[i])
                t |= PROBE;
        }
    } else if (c->protocol[i] == UDP && !exact)
        t |= SAMPLED_UDP;
    return t | (u32)by_source[c->src_port[i]] << PORT_CLASSES | (u32)by_destination[c->dst_port[i]] << (PORT_CLASSES + 8);
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
static i32 kind_of(gathered *g, u64 found, int syn)
{
    for (i64 k = 0; k < g->kinds_used; k++)
        if (g->kinds[k].found == found && g->kinds[k].syn == syn)
            return (i32)k;
    if (g->kinds_used == g->kinds_room)
        return -1;
    g->kinds[g->kinds_used] = (kind){found, syn, 0};
    return (i32)g->kinds_used++;
}

static int learn(gathered *g, u32 traits, u32 place)
{
    for (u32 outward = 0; outward < 2; outward++) {
        i32 k = kind_of(g, matching(traits, g->picks, g->count, outward), (traits & SYN) != 0);
        if (k < 0)
            return 0;
        g->known->kind[outward][place] = k;
    }
    g->known->traits[place] = traits;
    return 1;
}

enum { BLOCK = 32 };

/* What is known of a row before anything is counted. */
typedef struct {
    i64 slot[2]; /* receiver's, sender's */
    i32 kind[2]; /* -1: nobody asks */
    double weight, packets; /* packets: as the exporter saw them */
} seen_row;

static inline i64 slot_of(const roster *r, i64 row) { return r->slot[row >= 0 && row < r->rows ? row : r->rows]; }

/* 0 where there are more kinds of rows than there is room for. */
static inline int see_row(gathered *g, const columns *c, i64 i, const roster *r, seen_row *row)
{
    i64 from = c->sender[i], to = c->receiver[i];
    from = from >= 0 && from < r->rows ? from : r->rows;
    to = to >= 0 && to < r->rows ? to : r->rows;
    row->slot[0] = r->slot[to];
    row->slot[1] = r->slot[from];
    row->kind[0] = row->kind[1] = -1;
    if (row->slot[0] < 0 && row->slot[1] < 0)
        return 1;
    double weight = weight_of(c, i), packets = c->packets[i];
    if (weight != 1.0)
        packets /= weight;
    row->weight = weight;
    row->packets = packets > 1.0 ? packets : 1.0;
    u32 traits = traits_of(c, i, row->slot[1], row->slot[0], row->packets, g->by_source, g->by_destination);
    traits |= (r->told[from] ? SENDER_TOLD : 0) | (r->told[to] ? RECEIVER_TOLD : 0);
    u32 place = (traits * 0x9E3779B1u) >> 22;
    if (g->known->traits[place] != traits && !learn(g, traits, place))
        return 0;
    for (int side = 0; side < 2; side++) {
        i32 k = g->known->kind[side][place];
        if (g->kinds[k].found && row->slot[side] < g->slots) {
            row->kind[side] = k;
            __builtin_prefetch(g->head + row->slot[side]);
            __builtin_prefetch(g->suspects + row->slot[side]);
        }
    }
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

static inline void add(entry *e, const columns *c, i64 i, const seen_row *row)
{
    double bytes = c->bytes[i], packets = c->packets[i], weight = row->weight;
    e->rows += 1.0;
    e->amount[BYTES] += bytes;
    e->amount[PACKETS] += packets;
    e->amount[EVENTS] += weight;
    if (weight == 1.0)
        return;
    double spread = (1.0 - 1.0 / weight) / row->packets;
    e->variance[BYTES] += spread * bytes * bytes;
    e->variance[PACKETS] += spread * packets * packets;
    e->variance[EVENTS] += weight * (weight - 1.0);
}

/* Gather rows from `first` on, and tell in `found` which picks take each; gives the row after the last one.
 *
 * That is not the end where there is no more room: pour out, and go on. In blocks, so that what is far is on its
 * way from memory for many rows at once. */
i64 sk_gather(gathered *g, const columns *c, i64 first, i64 n, const roster *r, u64 *found)
{
    seen_row rows[BLOCK];
    i64 done = first;
    int room = 1;
    while (done < n && room && g->used + 2 * BLOCK <= g->room) {
        i64 size = least(BLOCK, n - done), k = 0;
        while (k < size && (room = see_row(g, c, done + k, r, rows + k)))
            k++;
        size = k;
        for (k = 0; k < size; k++)
            for (int side = 0; side < 2; side++)
                if (rows[k].kind[side] >= 0 && g->head[rows[k].slot[side]] >= 0)
                    __builtin_prefetch(g->entries + g->head[rows[k].slot[side]], 1);
        for (k = 0; k < size; k++) {
            u64 taken = 0;
            for (int side = 0; side < 2; side++) {
                i32 number = rows[k].kind[side];
                if (number < 0)
                    continue;
                kind *of = g->kinds + number;
                i64 slot = rows[k].slot[side];
                taken |= of->found;
                of->rows++;
                for (u64 left = of->found & g->suspects[slot]; left; left &= left - 1)
                    g->suspected[__builtin_ctzll(left)]++;
                add(entry_of(g, slot, number), c, done + k, rows + k);
            }
            found[done + k] = taken;
        }
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
    g->used = g->kinds_used = 0;
    memset(g->known->traits, 0xFF, sizeof g->known->traits); /* no row is all of it */
}

/* The slot of each row a pick takes, and the item it is told apart by: the destination's address, or its port. */
i64 sk_items(const columns *c, const u64 *found, i64 n, const roster *r, i64 number, i64 outward, i64 by_port,
             i64 *slots, u64 *items)
{
    i64 many = 0;
    for (i64 i = 0; i < n; i++) {
        if (!(found[i] >> number & 1))
            continue;
        slots[many] = slot_of(r, outward ? c->sender[i] : c->receiver[i]);
        u64 hi = c->dst_hi[i];
        items[many++] = by_port ? c->dst_port[i] : ((hi ^ (hi >> 31)) * 0x9E3779B97F4A7C15ull) ^ c->dst_lo[i];
    }
    return many;
}

/* A table of distinct counts; Distinct in detect/distinct.py says what its columns are. */
typedef struct {
    u8 *table;
    u16 *hits;
    i32 *filled;
    float *sighted;
    double *samples;
    i64 rows, cells, stamps; /* capacity, cells to a row, stamps until they come round */
    i64 size, index, number, oldest; /* buckets in the ring, the one that fills, its number, the oldest's */
    u64 seed;
} distinct;

enum { AHEAD = 16 };

void sk_see(distinct *d, const i64 *rows, const u64 *items, i64 n)
{
    u8 stamp = (u8)(1 + d->number % d->stamps);
    u8 *cells[AHEAD] = {0}; /* on their way from memory */
    for (i64 k = 0; k < n + AHEAD; k++) {
        u8 **place = cells + k % AHEAD, *cell = *place;
        if (k < n) {
            i64 row = rows[k];
            *place = d->table + row * d->cells + (i64)(mixed(items[k] + d->seed) % (u64)d->cells);
            __builtin_prefetch(*place, 1);
            __builtin_prefetch(d->samples + row, 1);
            __builtin_prefetch(d->filled + row, 1);
            __builtin_prefetch(d->sighted + d->index * d->rows + row, 1);
            __builtin_prefetch(d->hits + d->index * d->rows + row, 1);
        }
        if (k < AHEAD)
            continue;
        i64 row = rows[k - AHEAD];
        d->samples[row] += 1.0;
        d->sighted[d->index * d->rows + row] += 1.0f;
        if (*cell == stamp)
            continue;
        i64 age = ((i64)stamp - *cell + d->stamps) % d->stamps;
        if (*cell && age <= d->number - d->oldest)
            d->hits[((d->number - age) % d->size) * d->rows + row] -= 1;
        else
            d->filled[row] += 1;
        d->hits[d->index * d->rows + row] += 1;
        *cell = stamp;
    }
}

static void remember(const columns *c, i64 i, i64 slot, const pick *p, double now)
{
    recent *ring = p->ring;
    u32 flags = c->tcp_flags[i];
    int syn = c->protocol[i] == TCP && !c->exact[i] && flags & FLAGS_KNOWN && (flags & 0x12) == 0x02;
    double amount = p->worth == BYTES ? c->bytes[i] : p->worth == EVENTS ? weight_of(c, i) : c->packets[i];
    ring->rows[ring->next] = (kept){
        .slot = slot,
        .time = now,
        .far_hi = p->outward ? c->dst_hi[i] : c->src_hi[i],
        .far_lo = p->outward ? c->dst_lo[i] : c->src_lo[i],
        .port = p->source_port ? c->src_port[i] : c->dst_port[i],
        .exporter = c->exporter[i],
        .amount = p->worth == SIGNED_PACKETS && !syn ? -amount : amount,
    };
    ring->next = ring->next + 1 < ring->size ? ring->next + 1 : 0;
}

enum { STEPS = 17 };

/* How often a row is left out so that `most` of `there` stay: the power of two of _every in detect/recent.py. */
static int steps_of(i64 there, i64 most)
{
    int power = 0;
    while (power < STEPS - 1 && most << power < there)
        power++;
    return power;
}

/* How many zeros end the hash of a row's place: rows that stay where every 2^zeros-th stays. */
static inline int zeros_of(i64 i)
{
    u32 hash = (u32)i * 0x9E3779B1u >> 16;
    return hash ? __builtin_ctz(hash) : STEPS - 1;
}

/* Keep in the rings some rows of suspects, or of the others, at most room[pick] each. */
static void keep_some(const gathered *g, const columns *c, i64 n, const roster *r, const u64 *found, u64 of,
                      const i64 *there, i64 *room, u64 suspects, double now)
{
    u64 stay[STEPS] = {0}; /* by zeros: the picks whose rows stay */
    for (u64 left = of; left; left &= left - 1) {
        int p = __builtin_ctzll(left);
        for (int zeros = steps_of(there[p], room[p]); room[p] > 0 && zeros < STEPS; zeros++)
            stay[zeros] |= 1ull << p;
    }
    for (i64 i = 0; i < n; i++)
        for (u64 left = found[i] & stay[zeros_of(i)]; left; left &= left - 1) {
            int number = __builtin_ctzll(left);
            const pick *p = g->picks + number;
            i64 slot = slot_of(r, p->outward ? c->sender[i] : c->receiver[i]);
            if (room[number] <= 0 || ((g->suspects[slot] ^ suspects) >> number & 1))
                continue;
            remember(c, i, slot, p, now);
            room[number]--;
        }
}

/* Keep the rows each pick took in its ring, or so many of them as one batch may fill: suspects first. */
void sk_keep(const gathered *g, const columns *c, i64 n, const roster *r, const u64 *found, double now)
{
    i64 room[64], others[64];
    u64 suspects = 0, of = 0;
    for (i64 p = 0; p < g->count; p++) {
        if (!g->picks[p].ring || !g->matched[p])
            continue;
        of |= 1ull << p;
        suspects |= g->suspected[p] ? 1ull << p : 0;
        room[p] = g->picks[p].ring->share;
        others[p] = g->matched[p] - g->suspected[p];
    }
    if (suspects)
        keep_some(g, c, n, r, found, suspects, g->suspected, room, ~0ull, now);
    if (of)
        keep_some(g, c, n, r, found, of, others, room, 0, now);
}

/* Add n rows of amounts, planes side by side, to the running total and the bucket that fills; Sums in detect/sums.py.
 * total and filling are plane by plane, `width` to a plane. */
void sk_sums_pour(double *total, double *filling, i64 width, i64 planes, const i64 *rows, const double *amounts, i64 n)
{
    for (i64 k = 0; k < n; k++)
        for (i64 plane = 0; plane < planes; plane++) {
            total[plane * width + rows[k]] += amounts[k * planes + plane];
            filling[plane * width + rows[k]] += amounts[k * planes + plane];
        }
}

/* Take out the amounts of the slots that have samples (the last plane), leaving zeros; how many they are. */
i64 sk_sums_take(double *fresh, i64 planes, i64 n, i64 *slots, double *amounts)
{
    i64 many = 0;
    for (i64 slot = 0; slot < n; slot++) {
        double *mine = fresh + slot * planes;
        if (mine[planes - 1] == 0.0)
            continue;
        slots[many] = slot;
        for (i64 plane = 0; plane < planes; plane++) {
            amounts[many * planes + plane] = mine[plane];
            mine[plane] = 0.0;
        }
        many++;
    }
    return many;
}

/* Take a bucket that has left the window from the total. */
void sk_sums_leave(double *restrict total, const float *restrict bucket, i64 n)
{
    for (i64 k = 0; k < n; k++)
        total[k] -= bucket[k];
}

/* Close the bucket that fills: what it holds is rounded, and the total must hold the same. */
void sk_sums_turn(double *restrict total, double *restrict filling, float *restrict bucket, i64 n, double most)
{
    for (i64 k = 0; k < n; k++) {
        double held = filling[k] > most ? most : filling[k] < -most ? -most : filling[k];
        bucket[k] = (float)held;
        total[k] += bucket[k] - filling[k];
        filling[k] = 0.0;
    }
}
