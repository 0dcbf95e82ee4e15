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
    HAS_FLAGS = 1 << 0, /* the exporter told them */
    HAS_SYN = 0x02,
    OF_TCP = 1 << 2,
    OF_UDP = 1 << 3,
    HAS_ACK = 0x10,
    OF_EXACT = 1 << 5,
    OUT_THERE = 1 << 6, /* sent to the internet */
    FROM_THERE = 1 << 7,
    DOWNWARD = 1 << 8, /* to a port below the one it comes from */
    SEVERAL = 1 << 9, /* more than one packet, as the exporter saw them */
    FEW = 1 << 10, /* at most two */
    SHAPES = 1 << 11
};

/* The sort of a row is its port classes, the traits of its shape, and below them what is known of its subjects. */
enum { SENDER_SIDE = 0, RECEIVER_SIDE = 2, EXACT_SORT = 1 << 14, OF_SHAPE = 0x7FF0 };

static u32 shape_traits(u32 shape)
{
    u32 t = (shape & OUT_THERE ? TO_INTERNET : 0) | (shape & FROM_THERE ? FROM_INTERNET : 0);
    if (shape & OF_EXACT)
        return t | EXACT_SORT | (shape & OF_TCP ? IS_TCP : 0);
    if (shape & OF_UDP)
        return t | SAMPLED_UDP;
    if (!(shape & OF_TCP))
        return t;
    t |= IS_TCP | SAMPLED_TCP;
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

static u32 traits_of(u32 sort)
{
    u32 sender = sort >> SENDER_SIDE, receiver = sort >> RECEIVER_SIDE, exact = (sort & EXACT_SORT) != 0;
    u32 t = sort & (0xFFFF0000u | (OF_SHAPE & ~EXACT_SORT));
    t |= ((sender & IS_OURS ? EGRESS : 0) | (receiver & IS_OURS ? INGRESS : 0)) << 2 * exact;
    return t | (sender & IS_TOLD ? SENDER_TOLD : 0) | (receiver & IS_TOLD ? RECEIVER_TOLD : 0);
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

static __attribute__((noinline)) int learn(gathered *g, u32 sort, memory *known)
{
    u32 traits = traits_of(sort);
    u16 kinds[2];
    for (u32 outward = 0; outward < 2; outward++) {
        i64 k = kind_of(g, matching(traits, g->picks, g->count, outward), (traits & SYN) != 0);
        if (k < 0)
            return 0;
        kinds[outward] = (u16)k;
    }
    *known = (memory){sort, {kinds[0], kinds[1]}};
    return 1;
}

/* What is known of some rows before anything is counted, column by column. */
typedef struct {
    double weight[BLOCK];
    i64 size[BLOCK]; /* SEVERAL and FEW */
    u32 code[2][BLOCK]; /* receivers', senders' */
    u16 kind[BLOCK][2];
    u16 shape[BLOCK], source[BLOCK], destination[BLOCK]; /* shape: without size */
    u8 octets[BLOCK];
    u64 suspected[BLOCK]; /* of which picks each is a row of a suspect */
} block;

/* Look at rows from i on. A loop for each few columns, because such loops work on many rows at once. */
static inline void look(block *restrict b, const gathered *g, const columns *c, i64 i, i64 n)
{
    const u8 *restrict exact = c->exact + i, *restrict protocol = c->protocol + i;
    const u8 *restrict out = c->dst_internet + i, *restrict in = c->src_internet + i;
    const u16 *restrict flags = c->tcp_flags + i;
    const u16 *restrict source = c->src_port + i, *restrict destination = c->dst_port + i;
    const float *restrict rate = c->rate + i;
    const double *restrict packets = c->packets + i;
    u16 last_source = (u16)g->last_source, last_destination = (u16)g->last_destination;
    u8 any = 0;
    for (i64 k = 0; k < n; k++) {
        any |= exact[k];
        b->octets[k] = (u8)((protocol[k] == TCP ? OF_TCP : 0) | (protocol[k] == UDP ? OF_UDP : 0) |
                            (exact[k] ? OF_EXACT : 0) | (out[k] ? OUT_THERE : 0) | (in[k] ? FROM_THERE : 0));
    }
    for (i64 k = 0; k < n; k++) {
        b->shape[k] = (u16)((flags[k] & (HAS_SYN | HAS_ACK)) | flags[k] >> 15 | b->octets[k] |
                            (destination[k] < source[k] ? DOWNWARD : 0));
        b->source[k] = source[k] < last_source ? source[k] : last_source;
        b->destination[k] = destination[k] < last_destination ? destination[k] : last_destination;
    }
    for (i64 k = 0; k < n; k++) {
        double told = rate[k];
        b->weight[k] = told > 1.0 ? told : 1.0;
    }
    for (i64 k = 0; any && k < n; k++)
        b->weight[k] = exact[k] ? 1.0 : b->weight[k];
    for (i64 k = 0; k < n; k++)
        b->size[k] = (packets[k] > 1.5 * b->weight[k] ? SEVERAL : 0) | (packets[k] < 2.5 * b->weight[k] ? FEW : 0);
}

/* Find out whose the rows are, and of which kinds; gives how many, fewer than n where there are more kinds of rows
 * than there is room for. */
static inline i64 sort(block *b, gathered *g, const columns *c, i64 i, i64 n, roster r)
{
    const i32 *sender = c->sender + i, *receiver = c->receiver + i;
    const u16 *shapes = g->shapes;
    const u8 *by_source = g->by_source, *by_destination = g->by_destination;
    memory *known = g->known;
    /* First all of them: what is far then comes for many at once. */
    for (i64 k = 0; k < n; k++) {
        b->code[0][k] = code_of(r, receiver[k]);
        b->code[1][k] = code_of(r, sender[k]);
    }
    for (i64 k = 0; k < n; k++) {
        u32 to = b->code[0][k], from = b->code[1][k];
        u32 s = shapes[b->shape[k] | (u32)b->size[k]];
        s |= (from & (IS_OURS | IS_TOLD)) << SENDER_SIDE | (to & (IS_OURS | IS_TOLD)) << RECEIVER_SIDE;
        s |= (u32)by_source[b->source[k]] << PORT_CLASSES;
        s |= (u32)by_destination[b->destination[k]] << (PORT_CLASSES + 8);
        memory *of = known + ((s * 0x9E3779B1u) >> 22);
        if (__builtin_expect(of->sort != s, 0) && !learn(g, s, of))
            return k;
        memcpy(b->kind[k], of->kind, sizeof of->kind);
        __builtin_prefetch(g->entries + (from >> SLOT_FROM), 1);
        __builtin_prefetch(g->entries + (to >> SLOT_FROM), 1);
    }
    return n;
}

static inline entry *entry_of(gathered *g, i64 slot, i32 k)
{
    entry *first = g->entries + slot;
    if (first->kind == k)
        return first;
    if (!first->kind) {
        first->kind = k;
        return first;
    }
    for (i64 at = first->next; at; at = g->entries[at].next)
        if (g->entries[at].kind == k)
            return g->entries + at;
    entry *made = g->entries + g->used;
    *made = (entry){.kind = k, .next = first->next};
    first->next = (i32)g->used++;
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

static inline u64 take(gathered *g, const columns *c, i64 i, block *b, i64 k, int side)
{
    i32 number = b->kind[k][side];
    if (!number)
        return 0;
    kind *of = g->kinds + number;
    u32 code = b->code[side][k];
    i64 slot = code >> SLOT_FROM;
    of->rows++;
    if (code & IS_SUSPECT)
        b->suspected[k] |= of->found & suspects_of(g, slot);
    add(entry_of(g, slot, number), c, i, b->weight[k]);
    if (of->apart)
        list(g, c, i, of->apart, slot);
    return of->found;
}

/* Count the rows of suspects, of the picks that have any. */
static inline void count_suspected(gathered *g, const block *b, i64 n, u64 any)
{
    for (; any; any &= any - 1) {
        int p = __builtin_ctzll(any);
        u64 rows = 0;
        for (i64 k = 0; k < n; k++)
            rows += b->suspected[k] >> p & 1;
        g->suspected[p] += (i64)rows;
    }
}

/* Tell of each block of rows which picks take any of them: of suspects, which are given too, and of the others. */
static inline u64 mark(u64 *marks, const u64 *found, const block *b, i64 first, i64 n)
{
    u64 suspects = 0, others = 0;
    for (i64 k = 0; k < n; k++) {
        suspects |= b->suspected[k];
        others |= found[first + k] & ~b->suspected[k];
    }
    /* Rows that begin elsewhere, as somebody poured out in between, may be of two blocks. */
    for (i64 at = first >> BLOCK_STEPS; at <= (first + n - 1) >> BLOCK_STEPS; at++) {
        marks[2 * at] |= suspects;
        marks[2 * at + 1] |= others;
    }
    return suspects;
}

/* Gather rows of a batch from `first` on, and tell in `found` which picks take each, and behind all n rows the marks of
 * their blocks; gives the row after the last one.
 *
 * That is not the end where there is no more room: pour out, and go on. In blocks, so that what is far is on its
 * way from memory for many rows at once. */
FOR_WIDE i64 sk_gather(gathered *g, const columns *c, i64 first, i64 n, const roster *r, u64 *found)
{
    block b;
    i64 done = first;
    int room = 1;
    u64 *marks = found + n;
    g->full |= n > first;
    memset(marks, 0, first ? 0 : 2 * (size_t)(n / BLOCK + 1) * sizeof *marks);
    for (i64 p = 0; p < g->count && !first; p++)
        g->matched[p] = g->suspected[p] = g->picks[p].listed = 0;
    while (done < n && room && g->used + 2 * BLOCK <= g->room) {
        i64 wanted = least(BLOCK, n - done);
        look(&b, g, c, done, wanted);
        i64 size = sort(&b, g, c, done, wanted, *r);
        room = size == wanted;
        memset(b.suspected, 0, sizeof b.suspected);
        for (i64 k = 0; k < size; k++)
            found[done + k] = take(g, c, done + k, &b, k, 0) | take(g, c, done + k, &b, k, 1);
        count_suspected(g, &b, size, mark(marks, found, &b, done, size));
        done += size;
    }
    for (kind *k = g->kinds; k < g->kinds + g->kinds_used; k++) {
        g->touched |= k->rows ? k->found : 0;
        for (u64 left = k->rows ? k->found : 0; left; left &= left - 1)
            g->matched[__builtin_ctzll(left)] += k->rows;
        k->rows = 0;
    }
    return done;
}

/* Pour what rows of one kind were worth into the sums of the picks that take them. */
static inline void pour_entry(const gathered *g, i64 slot, const entry *e)
{
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

/* Pour what was gathered into the picks' sums, slot by slot, and begin anew. */
void sk_pour(gathered *g)
{
    for (i64 slot = 0; slot < g->slots && g->full; slot++) {
        entry *first = g->entries + slot;
        if (!first->kind)
            continue;
        pour_entry(g, slot, first);
        for (i64 at = first->next; at; at = g->entries[at].next)
            pour_entry(g, slot, g->entries + at);
        memset(first, 0, sizeof *first);
    }
    g->full = 0;
    g->used = g->slots;
    g->kinds_used = 1;
    memset(g->known, 0xFF, REMEMBERED * sizeof *g->known); /* no row is all of it */
}

/* Number the different sets of picks that slots are suspects of: few sets are those of most. */
void sk_suspects(gathered *g)
{
    enum { PLACES = 1024 };
    u8 numbers[PLACES] = {0};
    i64 used = 1;
    g->masks[0] = 0;
    for (i64 slot = 0; slot < g->slots; slot++) {
        u64 mask = g->suspects[slot], at = mixed(mask) % PLACES;
        while (numbers[at] && g->masks[numbers[at]] != mask)
            at = (at + 1) % PLACES;
        if (mask && !numbers[at] && used < ALONE) {
            numbers[at] = (u8)used;
            g->masks[used++] = mask;
        }
        g->groups[slot] = !mask ? 0 : numbers[at] ? numbers[at] : ALONE;
    }
}

/* How many of n rows have a subject; in `span` when the first and the last of them arrived. */
FOR_WIDE i64 sk_glance(const columns *c, i64 n, double *span)
{
    i64 nobody = 0;
    double first = n ? c->time[0] : 0.0, last = first;
    u64 differ = 0, one, other; /* octets: nearly always all are one time, and they are compared many at once */
    memcpy(&one, &first, sizeof one);
    for (i64 i = 0; i < n; i++)
        nobody += (c->sender[i] & c->receiver[i]) < 0;
    for (i64 i = 0; i < n; i++) {
        memcpy(&other, c->time + i, sizeof other);
        differ |= one ^ other;
    }
    for (i64 i = 0; differ && i < n; i++) {
        first = c->time[i] < first ? c->time[i] : first;
        last = c->time[i] > last ? c->time[i] : last;
    }
    span[0] = first;
    span[1] = last;
    return n - nobody;
}
