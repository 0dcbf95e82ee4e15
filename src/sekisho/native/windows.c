/* Windows: the distinct counts and sums that rows go to, bucket by bucket.
 *
 * The same as Distinct and Sums do in columns (detect/). */

#include "windows.h"

enum { AHEAD = 16 };

/* See n items of slots; how many of them have no row yet: then nothing has been done. */
i64 sk_see(distinct *d, const i64 *slots, const u64 *items, i64 n)
{
    const i64 *row_of = d->row_of;
    u8 stamp = (u8)(1 + d->number % d->stamps);
    struct {
        i64 row;
        u8 *cell;
    } ahead[AHEAD] = {0}; /* on their way from memory */
    part *parts = d->parts + d->index * d->rows;
    u64 cells = (u64)d->cells, mask = cells & (cells - 1) ? 0 : cells - 1; /* a division takes as long as all else */
    i64 missing = 0;
    for (i64 k = 0; k < n; k++)
        missing += row_of[slots[k]] < 0;
    if (missing)
        return missing;
    for (i64 k = 0; k < n + AHEAD; k++) {
        i64 row = ahead[k % AHEAD].row;
        u8 *cell = ahead[k % AHEAD].cell;
        if (k < n) {
            i64 next = row_of[slots[k]];
            u64 hash = mixed(items[k] + d->seed);
            u8 *place = d->table + next * d->cells + (i64)(mask ? hash & mask : hash % cells);
            ahead[k % AHEAD].row = next;
            ahead[k % AHEAD].cell = place;
            __builtin_prefetch(place, 1);
            __builtin_prefetch(d->seen + next, 1);
            __builtin_prefetch(parts + next, 1);
        }
        if (k < AHEAD)
            continue;
        d->seen[row].samples += 1.0;
        parts[row].sighted += 1.0f;
        if (*cell == stamp)
            continue;
        i64 age = ((i64)stamp - *cell + d->stamps) % d->stamps;
        if (*cell && age <= d->number - d->oldest)
            d->parts[((d->number - age) % d->size) * d->rows + row].hits -= 1;
        else
            d->seen[row].filled += 1;
        parts[row].hits += 1;
        *cell = stamp;
    }
    return 0;
}

/* Add n rows of amounts, planes side by side, to the running total and the bucket that fills; Sums in detect/sums.py.
 * total and filling are plane by plane, `width` to a plane. */
void sk_sums_pour(double *total, double *filling, i64 width, i64 planes, const i64 *rows, const double *amounts, i64 n)
{
    for (i64 k = 0; k < n; k++)
        for (i64 plane = 0; plane < planes; plane++) {
            total[plane * width + rows[k]] += amounts[k * planes + plane];
            filling[plane * width + rows[k]] += amounts[k * planes + plane];
        }
}

/* Take out the amounts of the slots that have samples (the last plane), leaving zeros; how many they are. */
i64 sk_sums_take(double *fresh, i64 planes, i64 n, i64 *slots, double *amounts)
{
    i64 many = 0;
    for (i64 slot = 0; slot < n; slot++) {
        double *mine = fresh + slot * planes;
        if (mine[planes - 1] == 0.0)
            continue;
        slots[many] = slot;
        for (i64 plane = 0; plane < planes; plane++) {
            amounts[many * planes + plane] = mine[plane];
            mine[plane] = 0.0;
        }
        many++;
    }
    return many;
}

/* Take a bucket that has left the window from the total. */
void sk_sums_leave(double *restrict total, const float *restrict bucket, i64 n)
{
    for (i64 k = 0; k < n; k++)
        total[k] -= bucket[k];
}

/* Close the bucket that fills: what it holds is rounded, and the total must hold the same. */
void sk_sums_turn(double *restrict total, double *restrict filling, float *restrict bucket, i64 n, double most)
{
    for (i64 k = 0; k < n; k++) {
        double held = filling[k] > most ? most : filling[k] < -most ? -most : filling[k];
        bucket[k] = (float)held;
        total[k] += bucket[k] - filling[k];
        filling[k] = 0.0;
    }
}
