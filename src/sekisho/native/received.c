/* What recvmmsg wrote of datagrams, to columns: as Receiver (flows/receive.py) does it. */

#include "native.h"

/* In octets, as Linux has them on machines of 64 bits; MMSGHDR, NAME_ROOM, CMSG and CONTROL_ROOM in flows/receive.py. */
enum { HEADER = 64, NAME_LENGTH = 8, CONTROL_LENGTH = 40, FLAGS = 48, LENGTH = 56 };
enum { NAME = 28, CONTROL = 24, DROPS = 16 };
enum { TRUNCATED = 0x20, IPV4 = 2 }; /* MSG_TRUNC, AF_INET */
enum { OCTETS, CUT, DROPPED };

/* Read n headers, addresses and control messages, and make their room ready for the next. Told: octets of all, how many
 * are longer than their slot, and the drops that were told last, -1 if none were. */
void sk_received(u8 *headers, const u8 *names, const u8 *controls, i64 n, i32 *restrict length, u64 *restrict hi,
                 u64 *restrict lo, u16 *restrict port, i64 *restrict told)
{
    i64 octets = 0, cut = 0, dropped = -1;
    for (i64 i = 0; i < n; i++) {
        u8 *header = headers + i * HEADER;
        const u8 *name = names + i * NAME;
        u32 flags, size, drops, name_room = NAME;
        u64 control, control_room = CONTROL;
        u16 family;
        memcpy(&size, header + LENGTH, sizeof size);
        memcpy(&flags, header + FLAGS, sizeof flags);
        memcpy(&control, header + CONTROL_LENGTH, sizeof control);
        memcpy(&family, name, sizeof family);
        memcpy(&drops, controls + i * CONTROL + DROPS, sizeof drops);
        octets += length[i] = (i32)size;
        cut += (flags & TRUNCATED) != 0;
        if (control >= CONTROL - 4)
            dropped = drops;
        port[i] = be16(name + 2);
        hi[i] = family == IPV4 ? 0 : be64(name + 8);
        lo[i] = family == IPV4 ? be32(name + 4) | V4_MAPPED : be64(name + 16);
        memcpy(header + NAME_LENGTH, &name_room, sizeof name_room);
        memcpy(header + CONTROL_LENGTH, &control_room, sizeof control_room);
    }
    told[OCTETS] = octets;
    told[CUT] = cut;
    told[DROPPED] = dropped;
}
