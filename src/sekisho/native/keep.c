/* Counting a batch, and keeping: of each pick some rows, so that evidence can name destinations, ports and exporters.
 *
 * The same as Recent does in columns (detect/recent.py). */

#include "count.h"
#include "windows.h"

enum { STEPS = 17, SOON = 3, FAR = 6, SELECTED = 64 };

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
    ring->allowed -= 1.0;
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

/* Which half of a stretch of rows stands for it: the row that stands for 2^k rows does so by k such choices. Recent has the
 * same in columns. */
static inline u32 half_of(u32 stretch) { return (stretch * 0x9E3779B1u + 0x7F4A7C15u) >> 31; }

/* The row that stands for the stretch of 2^steps rows of that number. */
static inline i64 row_for(i64 stretch, int steps)
{
    u32 row = (u32)stretch;
    while (steps-- > 0)
        row = row << 1 | half_of(row);
    return row;
}

/* For how many rows a row stands: the power of two. */
static inline int steps_for(i64 row)
{
    u32 left = (u32)row;
    int steps = 0;
    for (; steps < STEPS - 1 && (left & 1) == half_of(left >> 1); left >>= 1)
        steps++;
    return steps;
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
    __builtin_prefetch(c->sender + i);
    __builtin_prefetch(c->receiver + i);
}

/* Whose rows are kept: those of suspects or of the others, at most room[pick] each; stay: of which picks, by the number of
 * rows a row stands for. */
typedef struct {
    const gathered *g;
    const columns *c;
    const roster *r;
    const u64 *found;
    u64 stay[STEPS], suspects;
    i64 *room;
    double now;
    i64 rows[SELECTED], many;
} keeping;

static void keep_selected(keeping *k)
{
    const columns *c = k->c;
    u32 code[SELECTED][2];
    for (i64 m = 0; m < k->many; m++) {
        code[m][0] = code_of(*k->r, c->receiver[k->rows[m]]);
        code[m][1] = code_of(*k->r, c->sender[k->rows[m]]);
    }
    for (i64 m = 0; m < k->many; m++) {
        i64 i = k->rows[m];
        for (u64 left = k->found[i] & k->stay[steps_for(i)]; left; left &= left - 1) {
            int number = __builtin_ctzll(left);
            const pick *p = k->g->picks + number;
            i64 slot = code[m][p->outward] >> SLOT_FROM;
            u64 mine = code[m][p->outward] & IS_SUSPECT ? suspects_of(k->g, slot) : 0;
            if (k->room[number] <= 0 || ((mine ^ k->suspects) >> number & 1))
                continue;
            remember(c, i, slot, p, k->now);
            k->room[number]--;
        }
    }
    k->many = 0;
}

/* Keep rows of `of`, of which `there` are how many. Blocks that have none are passed over, and of the others only the rows
 * are looked at that stand for enough. */
static void keep_some(keeping *k, i64 n, u64 of, const i64 *there)
{
    const u64 *marks = k->found + n + (k->suspects ? 0 : 1);
    memset(k->stay, 0, sizeof k->stay);
    for (u64 left = of; left; left &= left - 1) {
        int p = __builtin_ctzll(left);
        for (int steps = steps_of(there[p], k->room[p]); k->room[p] > 0 && steps < STEPS; steps++)
            k->stay[steps] |= 1ull << p;
    }
    for (i64 block = 0; block * BLOCK < n; block++) {
        int steps = 0;
        while (steps < BLOCK_STEPS && !(k->stay[steps] & marks[2 * block]))
            steps++;
        i64 stretches = BLOCK >> steps;
        __builtin_prefetch(k->found + least(n - 1, row_for(block + FAR, BLOCK_STEPS)));
        for (i64 stretch = block * stretches; stretch < (block + 1) * stretches; stretch++) {
            i64 i = row_for(stretch, steps);
            if (i >= n || !(k->found[i] & k->stay[steps_for(i)]))
                continue;
            fetch(k->c, i);
            k->rows[k->many++] = i;
        }
        if (k->many > SELECTED - BLOCK)
            keep_selected(k);
    }
    keep_selected(k);
}

/* How many rows a ring may take that came until `arrived`. */
static i64 room_of(recent *ring, double arrived)
{
    double passed = arrived - ring->since;
    if (passed > 0) {
        double allowed = ring->allowed + passed * ring->pace;
        ring->allowed = allowed < (double)ring->share ? allowed : (double)ring->share;
    }
    ring->since = arrived;
    return (i64)ring->allowed;
}

/* Keep the rows each pick took in its ring, or so many of them as it may take now: suspects first. */
static void keep(const gathered *g, const columns *c, i64 n, const roster *r, const u64 *found, double now)
{
    i64 room[64], others[64];
    u64 suspects = 0, of = 0;
    double arrived = n ? c->time[n - 1] : 0.0;
    for (i64 p = 0; p < g->count; p++) {
        if (!g->picks[p].ring || !g->matched[p])
            continue;
        room[p] = room_of(g->picks[p].ring, arrived);
        others[p] = g->matched[p] - g->suspected[p];
        of |= room[p] ? 1ull << p : 0;
        suspects |= room[p] && g->suspected[p] ? 1ull << p : 0;
    }
    keeping k = {.g = g, .c = c, .r = r, .found = found, .room = room, .now = now};
    if (suspects) {
        k.suspects = ~0ull;
        keep_some(&k, n, suspects, g->suspected);
    }
    if (of) {
        k.suspects = 0;
        keep_some(&k, n, of, others);
    }
}

/* What the items of a pick are told apart in, and how many slots of the last batch have no row there yet: then nothing
 * of it was seen. */
typedef struct {
    distinct *in;
    i64 pick, missing;
} sight;

/* What a batch is counted with; Gathered in detect/counting.py. */
typedef struct {
    gathered *g;
    const roster *r;
    u64 *found; /* of each row the picks that take it, and the marks behind them; sk_gather */
    sight *sights;
    i64 many, unseen; /* sights, and those that miss any */
} counting;

/* Count rows of a batch, as of now, from `first` on; gives the row after the last one. That is not the end where there is no more
 * room: pour out, and go on. At the end rows are kept, and what is told apart is seen. */
i64 sk_count(counting *with, const columns *c, i64 first, i64 n, double now)
{
    gathered *g = with->g;
    i64 done = sk_gather(g, c, first, n, with->r, with->found);
    with->unseen = 0;
    if (done < n)
        return done;
    keep(g, c, n, with->r, with->found, now);
    for (sight *s = with->sights; s < with->sights + with->many; s++) {
        const pick *p = g->picks + s->pick;
        s->missing = p->listed ? sk_see(s->in, p->slots, p->items, p->listed) : 0;
        with->unseen += s->missing != 0;
    }
    return done;
}
