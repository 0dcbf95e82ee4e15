/* What counting and keeping share: picks, and what gathers for them. */

#ifndef SEKISHO_COUNT_H
#define SEKISHO_COUNT_H

#include "native.h"

/* What a row is worth to a pick. */
enum { BYTES, PACKETS, EVENTS, SIGNED_PACKETS };

/* What is told apart: ITEMS in detect/counting.py. */
enum { NO_ITEM, ADDRESS, PORT };

/* One of the rows that evidence is told from; ROW in detect/recent.py. */
typedef struct {
    double time;
    u64 far_hi, far_lo;
    double amount;
    i32 slot, exporter;
    u16 port;
} kept;

/* Rows, how many one batch may fill, where the next one goes; how many may be kept now, since when, and how many more
 * with each second: Recent in detect/recent.py. */
typedef struct {
    kept *rows;
    i64 size, share, next;
    double allowed, since, pace;
} recent;

/* One part of a detector's take; PICK in detect/counting.py. */
typedef struct {
    u32 need[2], lack[2];
    u32 terms;
    u32 outward; /* whose rows: the sender's or the receiver's */
    u32 worth;
    u32 item;
    double *sums; /* totals of slot 0: amount, variance; null for distinct counts */
    i64 stride; /* doubles from one slot to the next */
    double *samples;
    recent *ring; /* null: its rows are not asked for */
    i64 source_port; /* which port the ring keeps */
    i64 *slots; /* of a distinct count: whose rows of the batch, and what they are told apart by */
    u64 *items;
    i64 listed;
} pick;

/* A kind of row: the picks of one side that take it. Number 0 is what nobody takes. */
typedef struct {
    u64 found, apart; /* apart: of these, the distinct counts */
    i64 syn;
    i64 rows; /* of the batch */
} kind;

/* What the rows of one kind were worth for one slot: a line of the cache. All of it is 0 where there were none. */
typedef struct {
    i32 kind, next; /* next: of the same slot, 0 none */
    double rows, amount[3], variance[3]; /* bytes, packets, events */
} entry;

enum { BLOCK_STEPS = 5, BLOCK = 1 << BLOCK_STEPS }; /* rows that are looked at together */
enum { ALONE = 255 };
enum { REMEMBERED = 1024 }; /* a power of two */

/* Which kinds rows of some sort are: few sorts of rows are most of all rows. */
typedef struct {
    u32 sort;
    u16 kind[2]; /* of the receiver's side, of the sender's */
} memory;

/* What gathers until it is poured out; Gathered in detect/counting.py. */
typedef struct {
    entry *entries; /* by slot the first of each, behind them those that follow */
    i64 room, used, full; /* full: whether there is anything */
    const u64 *suspects; /* by slot: of which picks */
    u8 *groups; /* by slot the number of these among `masks`, ALONE where that would be too many: short, and so near */
    u64 *masks;
    kind *kinds;
    i64 kinds_room, kinds_used;
    memory *known;
    const u16 *shapes; /* traits by what a row's octets say; sk_shapes */
    pick *picks;
    i64 count;
    const u8 *by_source, *by_destination; /* each port's classes, a bit each; none from the last port on */
    i64 last_source, last_destination;
    i64 *matched, *suspected; /* by pick: rows of the batch, and of them those of suspects */
    i64 slots;
    u64 touched; /* picks that took any rows since it was asked last */
} gathered;

/* Whose rows: by inventory row, eight times the slot and the bits below; 0 is nobody. The last of rows + 1 is for
 * whoever is not in the inventory. */
typedef struct {
    const u32 *codes;
    i64 rows;
} roster;

/* Of which picks a slot is a suspect. */
static inline u64 suspects_of(const gathered *g, i64 slot)
{
    u8 group = g->groups[slot];
    return group == ALONE ? g->suspects[slot] : g->masks[group];
}

enum { IS_OURS = 1, IS_TOLD = 2, IS_SUSPECT = 4, SLOT_FROM = 3 };

static inline u32 code_of(roster r, i32 row)
{
    u32 last = (u32)r.rows, at = (u32)row; /* a row below 0 is a large number */
    return r.codes[at < last ? at : last];
}

/* How many events a row stands for; 1 where nothing was sampled. */
static inline double weight_of(const columns *c, i64 i)
{
    double rate = c->rate[i];
    rate = rate > 1.0 ? rate : 1.0;
    return c->exact[i] ? 1.0 : rate;
}

static inline int is_syn(const columns *c, i64 i)
{
    return c->protocol[i] == TCP && !c->exact[i] && (c->tcp_flags[i] & (FLAGS_KNOWN | 0x12)) == (FLAGS_KNOWN | 0x02);
}

i64 sk_gather(gathered *g, const columns *c, i64 first, i64 n, const roster *r, u64 *found);

#endif
