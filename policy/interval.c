/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See interval.h. */

#include "policy/interval.h"

AddressRange address_range_of(const InPrefix *p) {
        return (AddressRange) { .first = in_prefix_first(p), .last = in_prefix_last(p) };
}

static int compare(const void *a, const void *b) {
        const AddressRange *x = a, *y = b;
        int c = in_addr_compare(&x->first, &y->first);
        return c ? c : in_addr_compare(&x->last, &y->last);
}

/* b begins inside a or right behind it. */
static bool touches(const AddressRange *a, const AddressRange *b) {
        InAddr next;

        if (a->first.family != b->first.family)
                return false;
        if (in_addr_compare(&b->first, &a->last) <= 0)
                return true;
        return in_addr_add(&a->last, 1, &next) && in_addr_equal(&next, &b->first);
}

size_t address_ranges_merge(AddressRange *ranges, size_t n) {
        size_t k = 0;

        if (n == 0)
                return 0;
        qsort(ranges, n, sizeof(*ranges), compare);
        for (size_t i = 1; i < n; i++) {
                if (!touches(&ranges[k], &ranges[i]))
                        ranges[++k] = ranges[i];
                else if (in_addr_compare(&ranges[i].last, &ranges[k].last) > 0)
                        ranges[k].last = ranges[i].last;
        }
        return k + 1;
}
