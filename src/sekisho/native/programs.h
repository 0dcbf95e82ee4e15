/* Templates of NetFlow v9 and IPFIX as programs: which octets of a record go to which column. */

#ifndef SEKISHO_PROGRAMS_H
#define SEKISHO_PROGRAMS_H

#include "native.h"

/* Where a value goes; flows/wire/programs.py has the same in Into. */
enum {
    IN_IF,
    OUT_IF,
    POINT,
    PROTOCOL,
    SRC_MAC,
    DST_MAC,
    VLAN,
    SRC_V4,
    DST_V4,
    SRC_V6,
    DST_V6,
    VERSION,
    SRC_PORT,
    DST_PORT,
    ICMP,
    FLAGS,
    PACKETS,
    BYTES
};

/* One value of a record: `size` octets at `offset` of a segment. Where `size2` is not 0, a second value stands
 * there; `only` is ICMP's protocol, or 0 for any. */
typedef struct {
    i32 into, segment, offset, size, segment2, offset2, size2, only;
} step;

typedef struct {
    const i64 *segments; /* size of each; a value of variable length stands between two */
    i64 count, minimum; /* segments, and the octets of the shortest record */
    const step *steps;
    i64 length; /* steps */
    i64 version; /* of IP, where the template has its addresses; else 0 */
    i64 counts_packets; /* 0: a record is one packet */
    i64 direction_segment, direction_offset; /* Open vSwitch's flowDirection; -1: none */
} program;

enum { SEGMENTS = 256 };

/* Step over one record that begins at `at`: where its segments begin, and where it ends; beyond `end` if it lies. `end` lies
 * within the slab. */
static inline i64 record_end(slab octets, const program *p, i64 at, i64 end, i64 *begins)
{
    const i64 last = p->count - 1;
    for (i64 s = 0; s < last; s++) {
        begins[s] = at;
        at += p->segments[s];
        if (at >= end)
            return end + 1;
        i64 size = octets.at[at];
        if (size < 255)
            at += 1 + size;
        else
            at = at + 3 <= end ? at + 3 + be16(octets.at + at + 1) : end + 1;
    }
    begins[last] = at;
    return at + p->segments[last];
}

static inline int is_output(slab octets, const program *p, const i64 *begins)
{
    return be(octets, begins[p->direction_segment] + p->direction_offset, 1) == 1;
}

/* Write n records of a program of one segment, the first at `here` and each behind the one before, to rows first.. of
 * columns of zeros. */
void rows_of(slab octets, const columns *c, const program *p, i64 here, i64 first, i64 n)
    __attribute__((visibility("hidden")));

/* Write one record, whose segments begin at `begins`. */
void row_of(slab octets, const columns *c, const program *p, const i64 *begins, i64 row)
    __attribute__((visibility("hidden")));

#endif
