/* sFlow: structures behind one another, and packet headers to columns; as wire/sflow.py and wire/headers.py do. */

#include "headers.h"

/* Walk n sequences of (type, length, contents): items of `count` each, at most `limit`, between body and end.
 * Counts: over the limit, items that are missing, items whose length lies. How many items were found. */
i64 sk_items_of(const u8 *at, i64 size, const i64 *body, const i64 *end, const i64 *count, i64 n, i64 limit, i64 *owner,
                u32 *kind, i64 *begins, i64 *ends, i64 *counts)
{
    slab octets = {at, size};
    i64 found = 0;
    for (i64 i = 0; i < n; i++) {
        i64 here = body[i], left = least(count[i], limit);
        counts[0] += count[i] > limit;
        for (; left > 0; left--) {
            if (here + 8 > end[i]) {
                counts[1]++;
                break;
            }
            i64 after = here + 8 + (i64)be(octets, here + 4, 4);
            if (after > end[i]) {
                counts[2]++;
                break;
            }
            owner[found] = i;
            kind[found] = (u32)be(octets, here, 4);
            begins[found] = here + 8;
            ends[found++] = after;
            here = after;
        }
    }
    return found;
}

enum { HEADER_IPV4 = 11, HEADER_IPV6 = 12 };
enum { ICMP4 = 1, DCCP = 33, FRAGMENT = 44, AUTHENTICATION = 51, ICMP6 = 58, SCTP = 132, UDP_LITE = 136 };
enum { EXTENSIONS = 8 };

static int has_ports(u32 protocol)
{
    return protocol == TCP || protocol == UDP || protocol == DCCP || protocol == SCTP || protocol == UDP_LITE;
}

/* Hop-by-hop, routing, fragment, authentication, destination, mobility, HIP, shim6. */
static int is_extension(u32 protocol)
{
    return protocol == 0 || protocol == 43 || protocol == FRAGMENT || protocol == AUTHENTICATION || protocol == 60 ||
           protocol == 135 || protocol == 139 || protocol == 140;
}

static int is_tag(u64 kind) { return kind == 0x8100 || kind == 0x88A8 || kind == 0x9100; }

static void fill_transport(const columns *c, i64 row, slab octets, i64 at, i64 end, u32 protocol)
{
    i64 room = end - at;
    if (protocol == ICMP4 || protocol == ICMP6) {
        if (room >= 2)
            c->dst_port[row] = (u16)be(octets, at, 2);
        return;
    }
    if (!has_ports(protocol))
        return;
    if (room >= 2)
        c->src_port[row] = (u16)be(octets, at, 2);
    if (room >= 4)
        c->dst_port[row] = (u16)be(octets, at + 2, 2);
    if (protocol == TCP && room >= 14)
        c->tcp_flags[row] = (u16)((be(octets, at + 12, 2) & 0xFFF) | FLAGS_KNOWN);
}

static void fill_ipv4(const columns *c, i64 row, slab octets, i64 at, i64 end)
{
    u64 first = be(octets, at, 1), protocol = be(octets, at + 9, 1);
    if (first >> 4 != 4 && end > at)
        return;
    i64 total = (i64)be(octets, at + 2, 2), header = (i64)(first & 15) * 4;
    /* A total length of 0 is what segmentation offload shows; behind the length is padding. */
    if (total >= 20 && end - at >= 4)
        end = least(end, at + total);
    i64 room = end - at;
    c->ip_version[row] = 4;
    if (room >= 10)
        c->protocol[row] = (u8)protocol;
    if (room >= 16) {
        c->src_hi[row] = 0;
        c->src_lo[row] = be(octets, at + 12, 4) | V4_MAPPED;
    }
    if (room >= 20) {
        c->dst_hi[row] = 0;
        c->dst_lo[row] = be(octets, at + 16, 4) | V4_MAPPED;
    }
    if (!(be(octets, at + 6, 2) & 0x1FFF) && header >= 20 && room > header)
        fill_transport(c, row, octets, at + header, end, (u32)protocol);
}

static void fill_ipv6(const columns *c, i64 row, slab octets, i64 at, i64 end)
{
    if (be(octets, at, 1) >> 4 != 6 && end > at)
        return;
    i64 payload = (i64)be(octets, at + 4, 2);
    if (payload > 0 && end - at >= 6)
        end = least(end, at + 40 + payload);
    i64 room = end - at, here = at + 40;
    c->ip_version[row] = 6;
    if (room >= 16)
        c->src_hi[row] = be(octets, at + 8, 8);
    if (room >= 24)
        c->src_lo[row] = be(octets, at + 16, 8);
    if (room >= 32)
        c->dst_hi[row] = be(octets, at + 24, 8);
    if (room >= 40)
        c->dst_lo[row] = be(octets, at + 32, 8);
    u32 protocol = (u32)be(octets, at + 6, 1);
    int first = 1;
    for (int i = 0; i < EXTENSIONS && is_extension(protocol) && first && here + 8 <= end; i++) {
        u32 kind = protocol;
        i64 length = (i64)be(octets, here + 1, 1);
        first = kind != FRAGMENT || !(be(octets, here + 2, 2) & 0xFFF8);
        protocol = (u32)be(octets, here, 1);
        here += kind == FRAGMENT ? 8 : kind == AUTHENTICATION ? (length + 2) * 4 : (length + 1) * 8;
    }
    if (room >= 7)
        c->protocol[row] = (u8)protocol;
    if (first && here < end && !is_extension(protocol))
        fill_transport(c, row, octets, here, end, protocol);
}

static void fill_ip(const columns *c, i64 row, slab octets, i64 at, i64 end, u64 kind)
{
    if (kind == 0x0800)
        fill_ipv4(c, row, octets, at, end);
    else if (kind == 0x86DD)
        fill_ipv6(c, row, octets, at, end);
}

static void fill_ethernet(const columns *c, i64 row, slab octets, i64 at, i64 end)
{
    i64 room = end - at, packet = at + 14;
    if (room >= 6)
        c->dst_mac[row] = be(octets, at, 6);
    if (room >= 12)
        c->src_mac[row] = be(octets, at + 6, 6);
    u64 kind = room >= 14 ? be(octets, at + 12, 2) : 0;
    if (is_tag(kind) && room >= 16)
        c->vlan[row] = (u16)be(octets, at + 14, 2) & 0xFFF;
    for (i64 tag = 16; tag <= 20 && is_tag(kind); tag += 4) {
        kind = room >= tag + 2 ? be(octets, at + tag, 2) : 0;
        packet += 4;
    }
    fill_ip(c, row, octets, packet, end, kind);
}

void header_of(slab octets, i64 body, i64 end, const columns *c, i64 row, double *length, i64 *counts)
{
    if (end - body < 16) {
        counts[0]++;
        return;
    }
    i64 begin = body + 16, stop = begin + (i64)be(octets, body + 12, 4);
    u64 protocol = be(octets, body, 4);
    *length = (double)be(octets, body + 4, 4);
    if (stop > end) {
        counts[1]++;
        stop = end;
    }
    if (protocol == HEADER_ETHERNET && stop <= octets.size && fill_usual(c, row, octets.at + begin, stop - begin))
        return;
    if (protocol == HEADER_ETHERNET)
        fill_ethernet(c, row, octets, begin, stop);
    else if (protocol == HEADER_IPV4)
        fill_ipv4(c, row, octets, begin, stop);
    else if (protocol == HEADER_IPV6)
        fill_ipv6(c, row, octets, begin, stop);
    else
        counts[2]++;
}
