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
enum { BYTES, PACKETS, EVENTS, SIGNED_PACKETS, WORTHS };

/* A ring of rows that evidence is told from; Recent in detect/recent.py. */
typedef struct {
    i64 *slot;
    double *time;
    u64 *far_hi, *far_lo;
    i64 *port, *exporter;
    double *amount;
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
    const u8 *suspects; /* by slot */
    recent *ring;
    i64 source_port; /* which port the ring keeps */
    i32 *rows; /* room for all; suspects from the front, the others from the back; null: they are not asked for */
    i64 suspected, others;
} pick;

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

static inline u64 matching(u32 traits, const pick *picks, i64 count)
{
    u64 found = 0;
    for (i64 p = 0; p < count; p++)
        for (u32 term = 0; term < picks[p].terms; term++)
            if ((traits & picks[p].need[term]) == picks[p].need[term] && !(traits & picks[p].lack[term]))
                found |= 1ull << p;
    return found;
}

/* Sums of FEW subjects are near anyway. */
enum { BLOCK = 32, REMEMBERED = 1024, FEW = 4096 };

/* Which picks some traits match, remembered: few kinds of rows are most of all rows. */
typedef struct {
    u32 traits[REMEMBERED];
    u64 found[REMEMBERED];
} matches;

/* What is known of a row before anything is counted. */
typedef struct {
    i64 slot[2]; /* receiver's, sender's */
    u64 found;
    int sampled;
    double amount[WORTHS], variance[WORTHS];
} seen_row;

static void weigh(const columns *c, i64 i, seen_row *row, double weight, double packets, int syn)
{
    row->amount[BYTES] = c->bytes[i];
    row->amount[PACKETS] = c->packets[i];
    row->amount[EVENTS] = weight;
    row->amount[SIGNED_PACKETS] = syn ? c->packets[i] : -c->packets[i];
    row->sampled = weight != 1.0;
    if (!row->sampled)
        return;
    double spread = (1.0 - 1.0 / weight) / packets;
    row->variance[BYTES] = spread * c->bytes[i] * c->bytes[i];
    row->variance[PACKETS] = row->variance[SIGNED_PACKETS] = spread * c->packets[i] * c->packets[i];
    row->variance[EVENTS] = weight * (weight - 1.0);
}

static void see_row(const columns *c, i64 i, const roster *r, const u8 *by_source, const u8 *by_destination,
                    const pick *picks, i64 count, matches *known, seen_row *row)
{
    i64 from = c->sender[i], to = c->receiver[i];
    from = from >= 0 && from < r->rows ? from : r->rows;
    to = to >= 0 && to < r->rows ? to : r->rows;
    row->slot[0] = r->slot[to];
    row->slot[1] = r->slot[from];
    row->found = 0;
    if (row->slot[0] < 0 && row->slot[1] < 0)
        return;
    double weight = weight_of(c, i), packets = c->packets[i];
    if (weight != 1.0)
        packets /= weight;
    packets = packets > 1.0 ? packets : 1.0;
    u32 traits = traits_of(c, i, row->slot[1], row->slot[0], packets, by_source, by_destination);
    traits |= (r->told[from] ? SENDER_TOLD : 0) | (r->told[to] ? RECEIVER_TOLD : 0);
    u32 place = (traits * 0x9E3779B1u) >> 22;
    if (known->traits[place] != traits) {
        known->traits[place] = traits;
        known->found[place] = matching(traits, picks, count);
    }
    row->found = known->found[place];
    if (row->found)
        weigh(c, i, row, weight, packets, (traits & SYN) != 0);
}

static inline void add(const seen_row *row, const pick *p, i64 slot)
{
    double *sum = p->sums + slot * p->stride;
    sum[0] += row->amount[p->worth];
    if (row->sampled)
        sum[1] += row->variance[p->worth];
    p->samples[slot * p->stride] += 1.0;
}

/* Count n rows for up to 64 picks. by_source and by_destination give each port's classes, a bit each.
 *
 * In blocks, so that the sums of many rows are on their way from memory at once where they are far. */
void sk_count(const columns *c, i64 n, const roster *r, const u8 *by_source, const u8 *by_destination, pick *picks,
              i64 count)
{
    matches known;
    seen_row rows[BLOCK];
    i32 *front[64], *back[64];
    int ahead = r->rows > FEW;
    memset(known.traits, 0xFF, sizeof known.traits); /* no row is all of it */
    for (i64 p = 0; p < count; p++) {
        front[p] = picks[p].rows;
        back[p] = picks[p].rows ? picks[p].rows + n : NULL;
    }
    for (i64 begin = 0; begin < n; begin += BLOCK) {
        i64 size = least(BLOCK, n - begin);
        for (i64 k = 0; k < size; k++) {
            see_row(c, begin + k, r, by_source, by_destination, picks, count, &known, rows + k);
            for (u64 left = ahead ? rows[k].found : 0; left; left &= left - 1) {
                const pick *p = picks + __builtin_ctzll(left);
                if (p->sums)
                    __builtin_prefetch(p->sums + rows[k].slot[p->outward] * p->stride, 1);
            }
        }
        for (i64 k = 0; k < size; k++)
            for (u64 left = rows[k].found; left; left &= left - 1) {
                int number = __builtin_ctzll(left);
                const pick *p = picks + number;
                i64 slot = rows[k].slot[p->outward];
                if (p->sums)
                    add(rows + k, p, slot);
                if (!front[number])
                    continue;
                if (p->suspects[slot])
                    *front[number]++ = (i32)(begin + k);
                else
                    *--back[number] = (i32)(begin + k);
            }
    }
    for (i64 p = 0; p < count; p++)
        if (front[p]) {
            picks[p].suspected = front[p] - picks[p].rows;
            picks[p].others = picks[p].rows + n - back[p];
        }
}

/* The slot of each chosen row, and the item it is told apart by: the destination's address, or its port. */
void sk_items(const columns *c, const i32 *chosen, i64 n, const roster *r, i64 outward, i64 by_port, i64 *slots,
              u64 *items)
{
    for (i64 k = 0; k < n; k++) {
        i64 i = chosen[k];
        i64 row = outward ? c->sender[i] : c->receiver[i];
        slots[k] = r->slot[row >= 0 && row < r->rows ? row : r->rows];
        u64 hi = c->dst_hi[i];
        items[k] = by_port ? c->dst_port[i] : ((hi ^ (hi >> 31)) * 0x9E3779B97F4A7C15ull) ^ c->dst_lo[i];
    }
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

void sk_see(distinct *d, const i64 *rows, const u64 *items, i64 n)
{
    u8 stamp = (u8)(1 + d->number % d->stamps);
    for (i64 k = 0; k < n; k++) {
        i64 row = rows[k];
        d->samples[row] += 1.0;
        d->sighted[d->index * d->rows + row] += 1.0f;
        u8 *cell = d->table + row * d->cells + (i64)(mixed(items[k] + d->seed) % (u64)d->cells);
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
    i64 at = ring->next;
    u32 flags = c->tcp_flags[i];
    int syn = c->protocol[i] == TCP && !c->exact[i] && flags & FLAGS_KNOWN && (flags & 0x12) == 0x02;
    double amount = p->worth == BYTES ? c->bytes[i] : p->worth == EVENTS ? weight_of(c, i) : c->packets[i];
    ring->slot[at] = slot;
    ring->time[at] = now;
    ring->far_hi[at] = p->outward ? c->dst_hi[i] : c->src_hi[i];
    ring->far_lo[at] = p->outward ? c->dst_lo[i] : c->src_lo[i];
    ring->port[at] = p->source_port ? c->src_port[i] : c->dst_port[i];
    ring->exporter[at] = c->exporter[i];
    ring->amount[at] = p->worth == SIGNED_PACKETS && !syn ? -amount : amount;
    ring->next = at + 1 < ring->size ? at + 1 : 0;
}

/* Keep the rows each pick took in its ring, or so many of them as one batch may fill: suspects first, evenly. */
void sk_remember(const columns *c, i64 n, const roster *r, const pick *picks, i64 count, double now)
{
    for (const pick *p = picks; p < picks + count; p++) {
        if (!p->rows)
            continue;
        i64 room = p->ring->share, taken = 0;
        for (int others = 0; others < 2; others++) {
            i64 there = others ? p->others : p->suspected, wanted = least(there, room - taken);
            for (i64 k = 0; k < wanted; k++) {
                i64 nth = wanted < there ? k * there / wanted : k;
                i64 i = others ? p->rows[n - 1 - nth] : p->rows[nth];
                i64 row = p->outward ? c->sender[i] : c->receiver[i];
                remember(c, i, r->slot[row >= 0 && row < r->rows ? row : r->rows], p, now);
            }
            taken += wanted;
        }
    }
}
