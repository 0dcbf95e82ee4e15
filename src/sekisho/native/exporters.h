/* Exporters by identity, and the sequence numbers of their datagrams; as Exporters (flows/) has both. */

#ifndef SEKISHO_EXPORTERS_H
#define SEKISHO_EXPORTERS_H

#include "native.h"

/* The columns are Exporters' own, by row. */
typedef struct {
    const u8 *identities; /* IDENTITY, packed: address, agent, domain, protocol */
    i64 width;
    const u64 *salt; /* six */
    i32 *places; /* a hash table of rows, NONE where free */
    u64 mask;
    i64 *datagrams;
    double *last_seen, *seen;
} exporters;

/* Sequence numbers by row; Exporters says what each column is. The last four are what one burst needs, by row:
 * `open` all zeros before and after. */
typedef struct {
    u32 *next;
    u8 *in_step;
    i64 *lost, *late, *restarted;
    i64 reorder, reset_from, reset_to;
    i64 *expected, *base, *high;
    u8 *open;
} sequences;

enum { DOMAIN_AT = 32, PROTOCOL_AT = 36 };

static inline u64 hashed(const exporters *e, const u64 *halves, u32 domain, u8 protocol)
{
    u64 key = 0;
    for (int i = 0; i < 4; i++)
        key = mixed(key ^ halves[i] ^ e->salt[i]);
    return mixed(key ^ ((u64)protocol << 32 | domain) ^ e->salt[4]) ^ e->salt[5];
}

/* The row of an exporter by address and agent, an upper and a lower half each; NONE of one that is not known. */
static inline i32 exporter_of(const exporters *e, const u64 *halves, u32 domain, u8 protocol)
{
    for (u64 at = hashed(e, halves, domain, protocol) & e->mask; e->places[at] != NONE; at = (at + 1) & e->mask) {
        const u8 *identity = e->identities + e->places[at] * e->width;
        if (!memcmp(identity, halves, 32) && !memcmp(identity + DOMAIN_AT, &domain, 4) &&
            identity[PROTOCOL_AT] == protocol)
            return e->places[at];
    }
    return NONE;
}

/* The exporter of the datagram before: mostly of the next one too. Begins as {.row = NONE}. */
typedef struct {
    u64 halves[4];
    u32 domain;
    i32 row;
} latest;

/* The same as exporter_of, which is only asked where the exporter is another than before. */
static inline i32 exporter_after(const exporters *e, latest *before, const u64 *halves, u32 domain, u8 protocol)
{
    u64 differs = before->domain ^ domain;
    for (int i = 0; i < 4; i++)
        differs |= before->halves[i] ^ halves[i];
    if (before->row == NONE || differs) {
        memcpy(before->halves, halves, sizeof before->halves);
        before->domain = domain;
        before->row = exporter_of(e, halves, domain, protocol);
    }
    return before->row;
}

static inline void heard_of(const exporters *e, i32 row, double now, double clock)
{
    e->datagrams[row]++;
    e->last_seen[row] = now;
    e->seen[row] = clock;
}

void sk_sequence(sequences *s, const i32 *rows, const u32 *numbers, const u32 *steps, i64 n);

#endif
