/* Filling a block of the archive: rows of a batch go to where the block's columns stand; archive/filling.py. */

#include <stddef.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "native.h"

enum { COLUMNS = 26 };

/* Octets of a row in each column of `columns`. */
static const u8 WIDTHS[COLUMNS] = {8, 4, 4, 4, 1, 4, 1, 8, 8, 8, 8, 1, 2, 2, 2, 8, 8, 2, 4, 8, 8, 4, 4, 1, 1, 1};

/* A block that fills: where its columns stand, at any alignment. */
typedef struct {
    u8 *places[COLUMNS]; /* as in `columns`; of the exporter rows, of sender and receiver keys */
    const u64 *subjects; /* keys by inventory row, and nobody's after the last one */
    i64 nobody;
} filling;

enum {
    AT_TIME = offsetof(columns, time) / sizeof(void *),
    AT_SENDER = offsetof(columns, sender) / sizeof(void *),
    AT_RECEIVER = offsetof(columns, receiver) / sizeof(void *)
};

/* Copy what is not looked at again soon: the caches stay with those who count. */
static void copy_past(u8 *to, const u8 *from, i64 octets)
{
#ifdef __SSE2__
    i64 ahead = least(-(uintptr_t)to & 15, octets);
    memcpy(to, from, (size_t)ahead);
    for (octets -= ahead, to += ahead, from += ahead; octets >= 16; octets -= 16, to += 16, from += 16)
        _mm_stream_si128((__m128i *)to, _mm_loadu_si128((const __m128i *)from));
#endif
    memcpy(to, from, (size_t)octets);
}

/* Unix seconds as whole microseconds, rounded down. */
static void fill_time(u8 *to, const double *time, i64 n)
{
    for (i64 i = 0; i < n; i++) {
        double exact = time[i] * 1e6;
        i64 whole = (i64)exact;
        whole -= (double)whole > exact;
        memcpy(to + 8 * i, &whole, 8);
    }
}

static void fill_keys(u8 *to, const i32 *rows, i64 n, const filling *f)
{
    for (i64 i = 0; i < n; i++) {
        u32 row = (u32)rows[i]; /* -1 is beyond all others */
        memcpy(to + 8 * i, f->subjects + (row < (u64)f->nobody ? (i64)row : f->nobody), 8);
    }
}

/* Put n rows of a batch, from `first` on, into a block, from its row `at` on. */
void sk_fill(const columns *given, i64 first, i64 n, const filling *f, i64 at)
{
    const void *sources[COLUMNS];
    memcpy(sources, given, sizeof sources);
    for (int k = 0; k < COLUMNS; k++)
        if (k == AT_TIME)
            fill_time(f->places[k] + 8 * at, given->time + first, n);
        else if (k == AT_SENDER || k == AT_RECEIVER)
            fill_keys(f->places[k] + 8 * at, (const i32 *)sources[k] + first, n, f);
        else
            copy_past(f->places[k] + WIDTHS[k] * at, (const u8 *)sources[k] + WIDTHS[k] * first, WIDTHS[k] * n);
#ifdef __SSE2__
    _mm_sfence(); /* another thread writes the block out */
#endif
}
