/* Datagrams: who sent them, what got lost between them, and which sets they hold; as Exporters (flows/) and
 * sets.walk (flows/wire/) do it in columns. */

#include "exporters.h"

void sk_exporters_fill(const exporters *e, const i32 *rows, i64 n)
{
    for (i64 i = 0; i < n; i++) {
        const u8 *identity = e->identities + rows[i] * e->width;
        u64 halves[4];
        u32 domain;
        memcpy(halves, identity, sizeof halves);
        memcpy(&domain, identity + DOMAIN_AT, sizeof domain);
        u64 at = hashed(e, halves, domain, identity[PROTOCOL_AT]) & e->mask;
        while (e->places[at] != NONE)
            at = (at + 1) & e->mask;
        e->places[at] = rows[i];
    }
}

/* The row of each of n datagrams that came from a known exporter, NONE of the others; how many those are. */
i64 sk_exporters_find(const exporters *e, i64 protocol, const u64 *address_hi, const u64 *address_lo,
                      const u64 *agent_hi, const u64 *agent_lo, const u32 *domain, i64 n, double now, double clock,
                      i32 *found)
{
    i64 unknown = 0;
    for (i64 i = 0; i < n; i++) {
        u64 halves[4] = {address_hi[i], address_lo[i], agent_hi[i], agent_lo[i]};
        i32 row = exporter_of(e, halves, domain[i], (u8)protocol);
        found[i] = row;
        if (row == NONE) {
            unknown++;
            continue;
        }
        heard_of(e, row, now, clock);
    }
    return unknown;
}

static inline i64 wrapped(i64 difference) { return (i64)(i32)(u32)(u64)difference; }

void sk_sequence(sequences *s, const i32 *rows, const u32 *numbers, const u32 *steps, i64 n)
{
    for (i64 i = 0; i < n; i++) {
        i64 row = rows[i], number = numbers[i], step = steps[i];
        if (row < 0)
            continue;
        if (!s->open[row]) {
            s->open[row] = 1;
            s->expected[row] = s->in_step[row] ? s->next[row] : number;
            s->base[row] = s->expected[row];
            s->high[row] = 0;
        }
        i64 jump = wrapped(number - s->expected[row]);
        if (jump < -s->reorder * most(step, 1) || (jump > s->reset_from && number < s->reset_to)) {
            s->restarted[row]++;
            s->base[row] = number;
            s->high[row] = 0;
        }
        i64 ahead = wrapped(number - s->base[row]), gap = ahead - s->high[row];
        if (gap < 0) {
            s->late[row]++;
            s->lost[row] -= step;
        } else
            s->lost[row] += gap;
        s->high[row] = most(s->high[row], ahead + step);
        s->expected[row] = number + step;
    }
    for (i64 i = 0; i < n; i++) {
        i64 row = rows[i];
        if (row < 0 || !s->open[row])
            continue;
        s->open[row] = 0;
        s->in_step[row] = 1;
        s->next[row] = (u32)(s->base[row] + s->high[row]);
        s->lost[row] = most(s->lost[row], 0);
    }
}

/* Sets of n messages that lie at start..end, at most `limit` of each; a set that lies about its length ends its
 * message. Without `id` they are only counted. Counts: lies, messages with more than `limit`. */
i64 sk_walk(const u8 *at, i64 size, const i64 *start, const i64 *end, i64 n, i64 limit, i64 *id, i64 *begins, i64 *ends,
            i64 *message, i64 *counts)
{
    slab octets = {at, size};
    i64 found = 0;
    for (i64 i = 0; i < n; i++) {
        i64 here = start[i], sets = 0;
        for (; sets < limit && here + 4 <= end[i]; sets++) {
            i64 length = (i64)be(octets, here + 2, 2);
            if (length < 4 || here + length > end[i]) {
                counts[0]++;
                here = end[i];
                break;
            }
            if (id) {
                id[found] = (i64)be(octets, here, 2);
                begins[found] = here + 4;
                ends[found] = here + length;
                message[found] = i;
            }
            found++;
            here += length;
        }
        if (here + 4 <= end[i])
            counts[1]++;
    }
    return found;
}

enum { AHEAD = 8 };

/* Protocols, and which datagrams are of which: `rows` has `room` places for each of `kinds`. Decoder in flows/decode.py. */
typedef struct {
    burst in;
    const u32 *marks; /* mask and value of each */
    i64 kinds, room;
    i64 *rows, *found; /* found: how many are filled; behind them those too short to tell, and unknown ones */
} shares;

/* Which datagrams of a burst are of which protocol: the first whose mask and value their first word has. */
void sk_kinds(const shares *s)
{
    i64 kinds = s->kinds, n = s->in.n, *found = s->found;
    memset(found, 0, (size_t)(kinds + 2) * sizeof *found);
    slab octets = {s->in.at, s->in.size};
    for (i64 i = 0; i < n; i++) {
        /* Each is in another line, far from the last: ask for it some datagrams before it is read. */
        __builtin_prefetch(s->in.at + least(i + AHEAD, n - 1) * s->in.slot);
        u32 word = (u32)be(octets, i * s->in.slot, 4);
        i64 kind = 0;
        while (kind < kinds && (word & s->marks[2 * kind]) != s->marks[2 * kind + 1])
            kind++;
        if (s->in.length[i] < 4)
            found[kinds]++;
        else if (kind == kinds)
            found[kinds + 1]++;
        else
            s->rows[kind * s->room + found[kind]++] = i;
    }
}
