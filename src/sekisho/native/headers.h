/* Packet headers as sFlow carries them. */

#ifndef SEKISHO_HEADERS_H
#define SEKISHO_HEADERS_H

#include "native.h"

/* Fill a row from a raw header record at body..end, and tell the frame's length. Counts: records too short, headers
 * longer than their record, headers of a protocol we do not know. */
void header_of(slab octets, i64 body, i64 end, const columns *c, i64 row, double *length, i64 *counts)
    __attribute__((visibility("hidden")));

#endif
