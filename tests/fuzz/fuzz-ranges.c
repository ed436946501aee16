/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The range parser alone: the input is the array of ipam.ranges. Without the frame of a
 * configuration the fuzzer gets to the arithmetic at the ends of the address families.
 */

#include "cri/netconf-internal.h"
#include "fuzz-invariants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(range_sets_clear) RangeSets s = { .unknown = JSON_UNKNOWN_REFUSE };
        _cleanup_json_ json_object *value = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        InPrefix everything4, everything6;

        if (json_parse((const char *) data, size, "ranges", &value, &e) < 0 || !value)
                return 0;
        if (range_sets_read(value, "ranges", &s, &e) < 0) {
                require(error_is_set(&e));
                return 0;
        }
        if (range_sets_check_overlap(s.sets, s.n_sets, "ranges", &e) < 0) {
                require(error_is_set(&e));
                return 0;
        }
        require_sets(s.sets, s.n_sets);

        /* An exclude of everything is refused as soon as there is a range. */
        require(in_prefix_parse("0.0.0.0/0", &everything4) >= 0);
        require(in_prefix_parse("::/0", &everything6) >= 0);
        if (s.n_sets > 0)
                require(range_sets_exclude(s.sets, s.n_sets, &everything4, NULL) < 0 ||
                        range_sets_exclude(s.sets, s.n_sets, &everything6, NULL) < 0);
        return 0;
}
