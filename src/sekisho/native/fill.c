/* Filling a block of the archive: rows of a batch go to where the block's columns stand; archive/filling.py. */

#include <stddef.h>
#ifdef __SSE2__
#include <emmintrin.h>
#endif

#include "native.h"

enum { COLUMNS = 26 };

/* Octets of a row in each column of `columns`. */
static const u8 WIDTHS[COLUMNS] = {8, 4, 4, 4, 1, 4, 1, 8, 8, 8, 8, 1, 2, 2, 2, 8, 8, 2, 4, 8, 8, 4, 4, 1, 1, 1};

/* A block that fills: where its columns stand, at any alignment, and which of them have other rows than zeros. */
typedef struct {
    u8 *places[COLUMNS]; /* as in `columns`; of the exporter rows, of sender and receiver keys */
    u8 *there;
    const u64 *subjects; /* keys by inventory row, and nobody's after the last one */
    i64 nobody;
} filling;

#define AT(column) offsetof(columns, column) / sizeof(void *)
enum {
    AT_TIME = AT(time),
    AT_IN_IF = AT(in_if), /* the first column of which decoders tell whether all is zero */
    AT_RATE = AT(rate),
    AT_BYTES = AT(bytes), /* the last one */
    AT_SENDER = AT(sender),
    AT_RECEIVER = AT(receiver)
};
#undef AT

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

/* Whether any octet is something else than zero. */
static int any(const u8 *octets, i64 n)
{
    enum { AT_ONCE = 256 };
    for (; n >= AT_ONCE; n -= AT_ONCE, octets += AT_ONCE) {
        u64 found = 0;
        for (int i = 0; i < AT_ONCE; i += 8) {
            u64 word;
            memcpy(&word, octets + i, 8);
            found |= word;
        }
        if (found)
            return 1;
    }
    for (; n > 0; n--)
        if (*octets++)
            return 1;
    return 0;
}

static int anybody(const i32 *rows, i64 n, const filling *f)
{
    for (i64 i = 0; i < n; i++)
        if ((u32)rows[i] < (u64)f->nobody)
            return 1;
    return 0;
}

/* Whether rows of a column say anything. */
static int says(int k, const columns *given, const u8 *source, i64 n, const filling *f)
{
    if (k == AT_SENDER || k == AT_RECEIVER)
        return anybody((const i32 *)source, n, f);
    if (given->dirty && k >= AT_IN_IF && k <= AT_BYTES && k != AT_RATE && !given->dirty[k])
        return 0;
    return any(source, WIDTHS[k] * n);
}

/* Put n rows of a batch, from `first` on, into a block, from its row `at` on. */
void sk_fill(const columns *given, i64 first, i64 n, const filling *f, i64 at)
{
    const u8 *sources[COLUMNS];
    memcpy(sources, given, sizeof sources);
    for (int k = 0; k < COLUMNS; k++) {
        int is_key = k == AT_SENDER || k == AT_RECEIVER;
        i64 width = k == AT_TIME || is_key ? 8 : WIDTHS[k];
        const u8 *source = sources[k] + WIDTHS[k] * first;
        u8 *to = f->places[k] + width * at;
        if (!f->there[k]) {
            if (!says(k, given, source, n, f))
                continue;
            f->there[k] = 1;
            memset(f->places[k], 0, (size_t)(width * at));
        }
        if (k == AT_TIME)
            fill_time(to, given->time + first, n);
        else if (is_key)
            fill_keys(to, (const i32 *)source, n, f);
        else
            copy_past(to, source, WIDTHS[k] * n);
    }
#ifdef __SSE2__
    _mm_sfence(); /* another thread writes the block out */
#endif
}
