/* Packet headers as sFlow carries them. */

#ifndef SEKISHO_HEADERS_H
#define SEKISHO_HEADERS_H

#include "native.h"

enum { HEADER_ETHERNET = 1 };
enum { USUAL = 14 + 20 + 14 }; /* octets of Ethernet, IPv4 without options, TCP up to its flags */

/* Fill from an untagged Ethernet frame of a whole TCP or UDP header over IPv4, as nearly all are: the same as
 * header_of does, without asking of each field whether it is there, and all that it may fill is written, but for the VLAN.
 * 0 and nothing done where the frame is not such a one. */
static inline int fill_usual(const columns *c, i64 row, const u8 *p, i64 room)
{
    if (room < USUAL || be16(p + 12) != 0x0800 || p[14] != 0x45 || (be16(p + 20) & 0x1FFF))
        return 0;
    u32 total = be16(p + 16), protocol = p[23];
    if ((total >= 20 && total < USUAL - 14) || (protocol != TCP && protocol != UDP))
        return 0;
    c->dst_mac[row] = be64(p) >> 16;
    c->src_mac[row] = be64(p + 4) & 0xFFFFFFFFFFFFull;
    c->ip_version[row] = 4;
    c->protocol[row] = (u8)protocol;
    c->src_hi[row] = c->dst_hi[row] = 0;
    c->src_lo[row] = be32(p + 26) | V4_MAPPED;
    c->dst_lo[row] = be32(p + 30) | V4_MAPPED;
    c->src_port[row] = be16(p + 34);
    c->dst_port[row] = be16(p + 36);
    c->tcp_flags[row] = protocol == TCP ? (be16(p + 46) & 0xFFF) | FLAGS_KNOWN : 0;
    return 1;
}

/* Fill a row from a raw header record at body..end, and tell the frame's length. Counts: records too short, headers
 * longer than their record, headers of a protocol we do not know. */
void header_of(slab octets, i64 body, i64 end, const columns *c, i64 row, double *length, i64 *counts)
    __attribute__((visibility("hidden")));

#endif
