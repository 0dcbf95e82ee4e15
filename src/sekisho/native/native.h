/* What the files of the compiled core share: columns as FlowBatch has them, and bounded big-endian reads.
 *
 * Everything here works on memory that its caller in Python owns and has measured. Octets that came over the
 * network are read through `be`, which reads nothing beyond the slab. */

#ifndef SEKISHO_NATIVE_H
#define SEKISHO_NATIVE_H

#include <stdint.h>
#include <string.h>

/* Python writes eight octets for each field of a structure. */
_Static_assert(sizeof(void *) == 8, "the compiled core is for machines of 64 bits");

typedef uint8_t u8;
typedef uint16_t u16;
typedef uint32_t u32;
typedef uint64_t u64;
typedef int32_t i32;
typedef int64_t i64;

/* The columns of tables.FlowBatch, in its order; behind them, of columns that decoders fill, how many first rows of each
 * may be something else than zero. */
typedef struct {
    double *time;
    i32 *exporter;
    u32 *in_if, *out_if;
    u8 *out_format;
    u32 *point;
    u8 *ip_version;
    u64 *src_hi, *src_lo, *dst_hi, *dst_lo;
    u8 *protocol;
    u16 *src_port, *dst_port, *tcp_flags;
    u64 *src_mac, *dst_mac;
    u16 *vlan;
    float *rate;
    double *packets, *bytes;
    i32 *sender, *receiver;
    u8 *exact, *src_internet, *dst_internet;
    i64 *dirty;
} columns;

enum { TCP = 6, UDP = 17 };
enum { FLAGS_KNOWN = 0x8000 };
enum { OUT_SINGLE = 0, OUT_MULTIPLE = 2 };
enum { NONE = -1, AMBIGUOUS = -2 };
#define V4_MAPPED 0xFFFF00000000ull

typedef struct {
    const u8 *at;
    i64 size;
} slab;

/* Datagrams of a burst as they came: rows of a slab, their lengths, whose they are; which of them, or all where that is
 * missing. PLACES and Datagrams in flows/wire/datagrams.py point it; it is the first thing in what takes a burst. */
typedef struct {
    const u8 *at;
    i64 size, slot;
    const i32 *length;
    const u64 *address_hi, *address_lo;
    const i64 *chosen;
    i64 n;
} burst;

static inline i64 row_in(const burst *b, i64 i) { return b->chosen ? b->chosen[i] : i; }

static inline u16 be16(const u8 *p)
{
    u16 v;
    memcpy(&v, p, 2);
    return __builtin_bswap16(v);
}

static inline u32 be32(const u8 *p)
{
    u32 v;
    memcpy(&v, p, 4);
    return __builtin_bswap32(v);
}

static inline u64 be64(const u8 *p)
{
    u64 v;
    memcpy(&v, p, 8);
    return __builtin_bswap64(v);
}

/* A big-endian number of up to eight octets; 0 where it does not lie within the slab. */
static inline u64 be(slab octets, i64 at, i64 width)
{
    if (at < 0 || width < 0 || width > octets.size || at > octets.size - width)
        return 0;
    const u8 *p = octets.at + at;
    switch (width) {
    case 1:
        return p[0];
    case 2:
        return be16(p);
    case 4:
        return be32(p);
    case 8:
        return be64(p);
    default: {
        u64 v = 0;
        for (i64 i = 0; i < width; i++)
            v = v << 8 | p[i];
        return v;
    }
    }
}

/* splitmix64's finaliser. */
static inline u64 mixed(u64 x)
{
    x = (x ^ (x >> 30)) * 0xBF58476D1CE4E5B9ull;
    x = (x ^ (x >> 27)) * 0x94D049BB133111EBull;
    return x ^ (x >> 31);
}

enum { LINE = 64 }; /* octets that come into a cache at once */

/* Ask for octets that are read soon: none of it is a promise that they are there. */
static inline void soon(const u8 *at, i64 octets)
{
    for (i64 line = 0; line < octets; line += LINE)
        __builtin_prefetch(at + line);
}

/* Built for processors with wide registers and for all others; which one runs is found out when it is loaded. */
#if defined(__x86_64__) && defined(__GLIBC__) /* clang says gnu_linux of musl too */
#define FOR_WIDE __attribute__((target_clones("avx2", "default")))
#else
#define FOR_WIDE
#endif

static inline void fill_double(double *restrict at, double value, i64 n)
{
    for (i64 i = 0; i < n; i++)
        at[i] = value;
}

static inline void fill_i32(i32 *restrict at, i32 value, i64 n)
{
    for (i64 i = 0; i < n; i++)
        at[i] = value;
}

static inline i64 least(i64 a, i64 b) { return a < b ? a : b; }
static inline i64 most(i64 a, i64 b) { return a > b ? a : b; }

#endif
