/* A hash table from 64-bit keys to rows, made by sk_table_fill. */

#ifndef SEKISHO_LOOKUP_H
#define SEKISHO_LOOKUP_H

#include "native.h"

/* `mask` + 1 places, a power of two; a free place has row NONE, and one at least is free. Who sends us what keys are made
 * of does not know `salt`, so that no keys can be chosen that all want one place. */
typedef struct {
    u64 *keys;
    i32 *rows;
    u64 mask, salt;
} table;

static inline u64 place_of(const table *t, u64 key) { return mixed(key ^ t->salt) & t->mask; }

static inline i32 find(const table *t, u64 key)
{
    for (u64 at = place_of(t, key); t->rows[at] != NONE; at = (at + 1) & t->mask)
        if (t->keys[at] == key)
            return t->rows[at];
    return NONE;
}

#endif
