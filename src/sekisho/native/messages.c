/* Datagrams: who sent them, what got lost between them, and which sets they hold; as Exporters (flows/) and
 * sets.walk (flows/wire/) do it in columns. */

#include "native.h"

/* Exporters by identity; the columns are Exporters' own, by row. */
typedef struct {
    const u8 *identities; /* IDENTITY, packed: address, agent, domain, protocol */
    i64 width;
    const u64 *salt; /* six */
    i32 *places; /* a hash table of rows, NONE where free */
    u64 mask;
    i64 *datagrams;
    double *last_seen, *seen;
} exporters;

enum { DOMAIN_AT = 32, PROTOCOL_AT = 36 };

static u64 hashed(const exporters *e, const u64 *halves, u32 domain, u8 protocol)
{
    u64 key = 0;
    for (int i = 0; i < 4; i++)
        key = mixed(key ^ halves[i] ^ e->salt[i]);
    return mixed(key ^ ((u64)protocol << 32 | domain) ^ e->salt[4]) ^ e->salt[5];
}

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
        u64 at = hashed(e, halves, domain[i], (u8)protocol) & e->mask;
        for (; e->places[at] != NONE; at = (at + 1) & e->mask) {
            const u8 *identity = e->identities + e->places[at] * e->width;
            if (!memcmp(identity, halves, sizeof halves) && !memcmp(identity + DOMAIN_AT, domain + i, 4) &&
                identity[PROTOCOL_AT] == (u8)protocol)
                break;
        }
        i32 row = e->places[at];
        found[i] = row;
        if (row == NONE) {
            unknown++;
            continue;
        }
        e->datagrams[row]++;
        e->last_seen[row] = now;
        e->seen[row] = clock;
    }
    return unknown;
}

/* Sequence numbers by row; Exporters says what each column is. The last three are what one burst needs, by row:
 * `open` all zeros before and after. */
typedef struct {
    u32 *next;
    u8 *in_step;
    i64 *lost, *late, *restarted;
    i64 reorder, reset_from, reset_to;
    i64 *expected, *base, *high;
    u8 *open;
} sequences;

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
