/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the harnesses assert of everything that was accepted; abort() is a finding. */

#include "base/limits.h"
#include "cri/netconf.h"

static inline void require(bool condition) {
        if (!condition)
                abort();
}

static inline void require_range(const NetRange *range) {
        int family = range->subnet.address.family;

        require(family == AF_INET || family == AF_INET6);
        require(range->subnet.length <= family_bits(family) - 2);
        require(!in_prefix_has_host_bits(&range->subnet));
        require(in_prefix_contains(&range->subnet, &range->start));
        require(in_prefix_contains(&range->subnet, &range->end));
        require(in_prefix_contains(&range->subnet, &range->gateway));
        require(in_addr_compare(&range->start, &range->end) <= 0);
        for (size_t i = 0; i < range->n_excludes; i++)
                require(in_prefix_overlaps(&range->excludes[i], &range->subnet));
}

static inline void require_sets(const NetRangeSet *sets, size_t n_sets) {
        require(n_sets <= RANGE_SETS_MAX);
        for (size_t i = 0; i < n_sets; i++) {
                require(sets[i].n_ranges > 0 && sets[i].n_ranges <= RANGES_PER_SET_MAX);
                for (size_t j = 0; j < sets[i].n_ranges; j++) {
                        require_range(&sets[i].ranges[j]);
                        require(sets[i].ranges[j].subnet.address.family ==
                                sets[i].ranges[0].subnet.address.family);
                }
        }
        require(range_sets_check_overlap(sets, n_sets, "sets", NULL) >= 0);
}

/* A failure says why, and leaves nothing behind; a success says nothing. */
static inline void require_answer(int r, const void *result, const Error *e) {
        require((r < 0) == error_is_set(e));
        require((r < 0) == (result == NULL));
        if (r < 0)
                require(error_message(e)[0] != 0);
}
