/* Keeping: of each pick some rows of a batch, so that evidence can name destinations, ports and exporters.
 *
 * The same as Recent does in columns (detect/recent.py). */

#include "count.h"

enum { STEPS = 17, SOON = 3, BLOCK = 64 };

static inline void remember(const columns *c, i64 i, i64 slot, const pick *p, double now)
{
    recent *ring = p->ring;
    double amount = p->worth == BYTES ? c->bytes[i] : p->worth == EVENTS ? weight_of(c, i) : c->packets[i];
    ring->rows[ring->next] = (kept){
        .time = now,
        .far_hi = p->outward ? c->dst_hi[i] : c->src_hi[i],
        .far_lo = p->outward ? c->dst_lo[i] : c->src_lo[i],
        .amount = p->worth == SIGNED_PACKETS && !is_syn(c, i) ? -amount : amount,
        .slot = (i32)slot,
        .exporter = c->exporter[i],
        .port = p->source_port ? c->src_port[i] : c->dst_port[i],
    };
    ring->next = ring->next + 1 < ring->size ? ring->next + 1 : 0;
    __builtin_prefetch(ring->rows + ring->next + SOON, 1);
}

/* How often a row is left out so that `most` of `there` stay: the power of two of _every in detect/recent.py. */
static int steps_of(i64 there, i64 most)
{
    int power = 0;
    while (power < STEPS - 1 && most << power < there)
        power++;
    return power;
}

static inline u32 hash_of(i64 i) { return (u32)i * 0x9E3779B1u >> 16; }

/* How many zeros end the hash of a row's place: rows that stay where every 2^zeros-th stays. */
static inline int zeros_of(i64 i)
{
    u32 hash = hash_of(i);
    return hash ? __builtin_ctz(hash) : STEPS - 1;
}

/* Have what a row is remembered by on its way from memory. */
static inline void fetch(const columns *c, i64 i)
{
    __builtin_prefetch(c->dst_hi + i);
    __builtin_prefetch(c->dst_lo + i);
    __builtin_prefetch(c->bytes + i);
    __builtin_prefetch(c->packets + i);
    __builtin_prefetch(c->rate + i);
    __builtin_prefetch(c->exporter + i);
    __builtin_prefetch(c->dst_port + i);
}

/* Keep in the rings some rows of suspects, or of the others, at most room[pick] each. */
static void keep_some(const gathered *g, const columns *c, i64 n, const roster *r, const u64 *found, u64 of,
                      const i64 *there, i64 *room, u64 suspects, double now)
{
    u64 stay[STEPS] = {0}; /* by zeros: the picks whose rows stay */
    u32 none = 0; /* rows with one of these bits in their hash stay for nobody */
    for (u64 left = of; left; left &= left - 1) {
        int p = __builtin_ctzll(left);
        for (int zeros = steps_of(there[p], room[p]); room[p] > 0 && zeros < STEPS; zeros++)
            stay[zeros] |= 1ull << p;
    }
    for (int zeros = 0; zeros < STEPS - 1 && !stay[zeros]; zeros++)
        none |= 1u << zeros;
    for (i64 first = 0; first < n; first += BLOCK) {
        i64 rows[BLOCK], end = least(first + BLOCK, n);
        int maybe = 0, many = 0;
        for (i64 i = first; i < end; i++) {
            rows[maybe] = i;
            maybe += !(hash_of(i) & none);
        }
        for (int k = 0; k < maybe; k++)
            if (found[rows[k]] & stay[zeros_of(rows[k])])
                fetch(c, rows[many++] = rows[k]);
        for (int k = 0; k < many; k++) {
            i64 i = rows[k];
            u32 code[2] = {code_of(*r, c->receiver[i]), code_of(*r, c->sender[i])};
            for (u64 left = found[i] & stay[zeros_of(i)]; left; left &= left - 1) {
                int number = __builtin_ctzll(left);
                const pick *p = g->picks + number;
                i64 slot = code[p->outward] >> SLOT_FROM;
                u64 mine = code[p->outward] & IS_SUSPECT ? g->suspects[slot] : 0;
                if (room[number] <= 0 || ((mine ^ suspects) >> number & 1))
                    continue;
                remember(c, i, slot, p, now);
                room[number]--;
            }
        }
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
