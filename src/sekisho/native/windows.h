/* Distinct counts: what windows.c and whoever lists items for it share. */

#ifndef SEKISHO_WINDOWS_H
#define SEKISHO_WINDOWS_H

#include "native.h"

/* What is known of a row, and of it in one bucket: SEEN and PART in detect/distinct.py. Side by side, as whoever wants one
 * wants all: each is a line of its own, far from the last. */
typedef struct {
    double samples;
    i32 filled;
} seen;

typedef struct {
    float sighted;
    u16 hits;
} part;

/* A table of distinct counts; Distinct in detect/distinct.py says what its columns are. */
typedef struct {
    const i64 *row_of; /* by slot, -1 none */
    u8 *table;
    seen *seen;
    part *parts;
    i64 rows, cells, stamps; /* capacity, cells to a row, stamps until they come round */
    i64 size, index, number, oldest; /* buckets in the ring, the one that fills, its number, the oldest's */
    u64 seed;
} distinct;

i64 sk_see(distinct *d, const i64 *slots, const u64 *items, i64 n);

#endif
