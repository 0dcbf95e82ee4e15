/* Datagrams in the memory that a program in the kernel puts them into: Ring in flows/ring.py. */

#include <errno.h>
#include <unistd.h>
#ifdef __linux__
#include <sys/syscall.h>
#endif

#include "native.h"

/* A record as the kernel has it (kernel/bpf/ringbuf.c): its length and two bits of state, and eight octets on what was
 * put there; of that RECORD in flows/ring.py has the first fields. */
enum { KERNEL = 8, LENGTH = 8, PORT = 12, VERSION = 14, CUT = 15, ADDRESS = 16, PAYLOAD = 32 };
enum { IPV6 = 6 };
#define BEING_WRITTEN (1u << 31)

/* flows/ring.py has the same order. */
typedef struct {
    u64 *consumed; /* a page that the kernel reads; behind it what is in hand: of whoever takes over when we are gone */
    const u64 *produced;
    const u8 *records; /* behind the last octet the first ones come again: no record has a break */
    u64 octets, stride;
    i64 most, most_octets; /* datagrams of a burst, and their payload */
    i32 *length;
    u64 *address_hi, *address_lo;
    u16 *port;
    /* Out: the first payload, from the first record on; payload and datagrams that were cut. */
    u64 first;
    i64 total, cut;
} ring;

enum { IN_HAND = 8 }; /* words behind `consumed`: not in the line that the kernel looks at */
enum { RECORDS_AHEAD = 4 };

/* Give back what was in hand. */
void sk_ring_release(ring *r)
{
    u64 taken = r->consumed[IN_HAND];
    r->consumed[IN_HAND] = 0;
    __atomic_store_n(r->consumed, *r->consumed + taken, __ATOMIC_RELEASE);
}

/* Give back what was in hand, and take up the datagrams that have come since; how many. */
i64 sk_ring_take(ring *r)
{
    sk_ring_release(r);
    u64 at = *r->consumed, behind = __atomic_load_n(r->produced, __ATOMIC_ACQUIRE);
    u64 to_end = r->octets - (at & (r->octets - 1));
    i64 n = 0, rows = least(r->most, (i64)((to_end + r->stride - 1) / r->stride));
    r->first = (at & (r->octets - 1)) + PAYLOAD;
    r->total = r->cut = 0;
    for (; n < rows && r->total < r->most_octets && at < behind; n++, at += r->stride) {
        const u8 *record = r->records + (at & (r->octets - 1));
        soon(r->records + ((at + RECORDS_AHEAD * r->stride) & (r->octets - 1)), LINE);
        u32 state = __atomic_load_n((const u32 *)record, __ATOMIC_ACQUIRE), length;
        if (state & BEING_WRITTEN)
            break;
        memcpy(&length, record + LENGTH, sizeof length);
        r->total += r->length[n] = (i32)length;
        r->cut += record[CUT] != 0;
        r->port[n] = be16(record + PORT);
        r->address_hi[n] = record[VERSION] == IPV6 ? be64(record + ADDRESS) : 0;
        r->address_lo[n] = record[VERSION] == IPV6 ? be64(record + ADDRESS + 8) : be32(record + ADDRESS) | V4_MAPPED;
    }
    r->consumed[IN_HAND] = (u64)n * r->stride;
    return n;
}

/* bpf(2), which the C library has no name for: what it gives, or an error's number below 0. */
i64 sk_bpf(i64 command, void *attributes, i64 size)
{
#ifdef __NR_bpf
    long given = syscall(__NR_bpf, (int)command, attributes, (unsigned)size);
    return given < 0 ? -errno : given;
#else
    (void)command, (void)attributes, (void)size;
    return -ENOSYS;
#endif
}
