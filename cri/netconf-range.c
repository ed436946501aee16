/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Address ranges, with the meaning that host-local's documentation gives them:
 *
 *   subnet      no host bits, at least two hosts besides network and broadcast address
 *   rangeStart  default: first host
 *   rangeEnd    default: last address, in IPv4 the one before the broadcast address
 *   gateway     default: first host; never given out
 *   exclude     ours: prefixes and addresses that are never given out
 *
 * Two ranges of one network may share a subnet, but never an address. Nothing here allocates
 * addresses: that is netmgrd's part.
 */

#include <stdio.h>

#include "base/limits.h"
#include "cri/netconf-internal.h"

/* Addresses that no interface of a sandbox can have, whatever the kind. */
static const struct {
        const char *prefix, *what;
} reserved_prefixes[] = {
        { "0.0.0.0/8", "\"this network\"" }, { "127.0.0.0/8", "loopback" },
        { "224.0.0.0/4", "multicast" },      { "::/127", "unspecified and loopback" },
        { "fe80::/10", "link-local" },       { "ff00::/8", "multicast" },
};

void range_sets_free(NetRangeSet *sets, size_t n_sets) {
        for (size_t i = 0; i < n_sets; i++) {
                for (size_t j = 0; j < sets[i].n_ranges; j++)
                        free(sets[i].ranges[j].excludes);
                free(sets[i].ranges);
        }
        free(sets);
}

void range_sets_clear(RangeSets *s) {
        range_sets_free(s->sets, s->n_sets);
        *s = (RangeSets) { .unknown = s->unknown, .lenient = s->lenient };
}

/* ---- prefixes -------------------------------------------------------------------------------- */

static int prefix_read_element(json_object *value, const char *path, void *target, Error *e) {
        Prefixes *p = target;
        _cleanup_free_ char *text = NULL;
        InPrefix prefix;
        int r;

        r = json_read_string(value, path, &text, e);
        if (r < 0)
                return r;
        if (in_prefix_parse_auto(text, &prefix) < 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is neither an address nor a subnet", path,
                                  JSON_SHORT(value));
        if (in_prefix_has_host_bits(&prefix)) {
                InPrefix net = { .address = in_prefix_first(&prefix), .length = prefix.length };

                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s has bits set behind the prefix; the subnet is %s",
                                  path, JSON_SHORT(value), IN_PREFIX_STR(&net));
        }

        if (GREEDY_REALLOC(p->items, p->allocated, p->n_items + 1) < 0)
                return error_oom(e);
        p->items[p->n_items++] = prefix;
        return 0;
}

int prefixes_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, EXCLUDES_MAX, prefix_read_element, target, e);
}

/* containerd sends all four keys of a range, the unset ones as "". */
int optional_addr_read(json_object *value, const char *path, void *target, Error *e) {
        if (json_object_is_type(value, json_type_string) && json_object_get_string_len(value) == 0)
                return 0;
        return json_read_in_addr(value, path, target, e);
}

/* ---- one range ------------------------------------------------------------------------------- */

typedef struct RangeInput {
        NetRange range; /* start, end, gateway: AF_UNSPEC until given or completed */
        Prefixes excludes;
        bool has_subnet;
} RangeInput;

static void range_input_clear(RangeInput *in) {
        prefixes_clear(&in->excludes);
}

/* The reader of "subnet"; target is the RangeInput. */
static int subnet_read(json_object *value, const char *path, void *target, Error *e) {
        RangeInput *in = target;
        InPrefix subnet;
        int r;

        r = json_read_in_prefix(value, path, &subnet, e);
        if (r < 0)
                return r;

        if (in_prefix_has_host_bits(&subnet)) {
                InPrefix net = { .address = in_prefix_first(&subnet), .length = subnet.length };

                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s has host bits set; the subnet is %s", path,
                                  JSON_SHORT(value), IN_PREFIX_STR(&net));
        }
        if (subnet.length > family_bits(subnet.address.family) - 2)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is too small to give out addresses; "
                                  "the smallest possible subnet is a /%u",
                                  path, JSON_SHORT(value), family_bits(subnet.address.family) - 2);
        for (size_t i = 0; i < ELEMENTSOF(reserved_prefixes); i++) {
                InPrefix reserved;

                if (in_prefix_parse(reserved_prefixes[i].prefix, &reserved) >= 0 &&
                    in_prefix_overlaps(&subnet, &reserved))
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "\"%s\": %s contains addresses of %s (%s), which no "
                                          "sandbox can have",
                                          path, JSON_SHORT(value), reserved_prefixes[i].prefix,
                                          reserved_prefixes[i].what);
        }

        in->range.subnet = subnet;
        in->has_subnet = true;
        return 0;
}

static const JsonField range_fields[] = {
        { "subnet", subnet_read, 0, 0 },
        { "rangeStart", optional_addr_read, offsetof(RangeInput, range.start), 0 },
        { "rangeEnd", optional_addr_read, offsetof(RangeInput, range.end), 0 },
        { "gateway", optional_addr_read, offsetof(RangeInput, range.gateway), 0 },
        { "exclude", prefixes_read, offsetof(RangeInput, excludes), 0 },
        {},
};

/* The same without "exclude", which beside ipam.subnet is the list for all ranges. */
static const JsonField single_range_fields[] = {
        { "subnet", subnet_read, 0, 0 },
        { "rangeStart", optional_addr_read, offsetof(RangeInput, range.start), 0 },
        { "rangeEnd", optional_addr_read, offsetof(RangeInput, range.end), 0 },
        { "gateway", optional_addr_read, offsetof(RangeInput, range.gateway), 0 },
        {},
};

static int check_member(const NetRange *range, const InAddr *a, bool lenient, const char *path,
                        const char *key, Error *e) {
        InAddr first = in_prefix_first(&range->subnet), last = in_prefix_last(&range->subnet);

        if (!in_prefix_contains(&range->subnet, a))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s.%s\": %s is not in the subnet %s", path, key,
                                  IN_ADDR_STR(a), IN_PREFIX_STR(&range->subnet));
        if (!lenient && a->family == AF_INET &&
            (in_addr_equal(a, &first) || in_addr_equal(a, &last)))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s.%s\": %s is the %s address of the subnet %s, which no host "
                                  "can have",
                                  path, key, IN_ADDR_STR(a),
                                  in_addr_equal(a, &first) ? "network" : "broadcast",
                                  IN_PREFIX_STR(&range->subnet));
        return 0;
}

/* host-local takes a range that begins at the network address or ends at the broadcast address of its
 * subnet, and gives these out. Here the range is taken, and they are not. */
static void range_clamp(NetRange *range, const InAddr *first, const InAddr *last) {
        if (in_addr_compare(&range->start, first) < 0)
                range->start = *first;
        if (in_addr_compare(&range->end, last) > 0)
                range->end = *last;
}

/* Fills in the defaults and checks what was given. */
static int range_complete(NetRange *range, bool lenient, const char *path, Error *e) {
        InAddr first = in_prefix_first(&range->subnet), last = in_prefix_last(&range->subnet);
        int r;

        /* Neither can fail: the subnet has room for four addresses. */
        (void) in_addr_add(&first, 1, &first);
        if (last.family == AF_INET)
                (void) in_addr_sub(&last, 1, &last);

        if (!in_addr_is_set(&range->start))
                range->start = first;
        else if ((r = check_member(range, &range->start, lenient, path, "rangeStart", e)) < 0)
                return r;
        if (!in_addr_is_set(&range->end))
                range->end = last;
        else if ((r = check_member(range, &range->end, lenient, path, "rangeEnd", e)) < 0)
                return r;
        if (!in_addr_is_set(&range->gateway))
                range->gateway = first;
        else if ((r = check_member(range, &range->gateway, lenient, path, "gateway", e)) < 0)
                return r;

        if (range->subnet.address.family == AF_INET)
                range_clamp(range, &first, &last);
        if (in_addr_compare(&range->start, &range->end) > 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": rangeStart %s is behind rangeEnd %s", path,
                                  IN_ADDR_STR(&range->start), IN_ADDR_STR(&range->end));
        if (in_addr_equal(&range->start, &range->end) &&
            in_addr_equal(&range->start, &range->gateway))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": the only address of the range, %s, is the gateway's",
                                  path, IN_ADDR_STR(&range->start));
        return 0;
}

/* A range that a single exclude leaves empty is a mistake in the configuration; several excludes
 * that do so together are found when an address is wanted. */
static int range_check_exclude(const NetRange *range, const InPrefix *prefix, const char *path,
                               Error *e) {
        if (in_prefix_contains(prefix, &range->start) && in_prefix_contains(prefix, &range->end))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "%s: exclude %s leaves nothing of the range %s-%s", path,
                                  IN_PREFIX_STR(prefix), IN_ADDR_STR(&range->start),
                                  IN_ADDR_STR(&range->end));
        return 0;
}

/* Appends to the last set of s; takes the excludes out of `in`. */
static int range_append(RangeInput *in, const char *path, RangeSets *s, Error *e) {
        NetRangeSet *set = &s->sets[s->n_sets - 1];
        NetRange *ranges;
        int r;

        r = range_complete(&in->range, s->lenient, path, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < in->excludes.n_items; i++) {
                const InPrefix *x = &in->excludes.items[i];

                if (!in_prefix_overlaps(x, &in->range.subnet))
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "\"%s.exclude[%zu]\": %s is not in the subnet %s", path,
                                          i, IN_PREFIX_STR(x), IN_PREFIX_STR(&in->range.subnet));
                r = range_check_exclude(&in->range, x, path, e);
                if (r < 0)
                        return r;
        }
        if (set->n_ranges > 0 &&
            set->ranges[0].subnet.address.family != in->range.subnet.address.family)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is of another family than %s; a set gives out one "
                                  "address, so IPv4 and IPv6 need a set each",
                                  path, IN_PREFIX_STR(&in->range.subnet),
                                  IN_PREFIX_STR(&set->ranges[0].subnet));

        ranges = reallocarray(set->ranges, set->n_ranges + 1, sizeof(NetRange));
        if (!ranges)
                return error_oom(e);
        set->ranges = ranges;
        in->range.excludes = TAKE_PTR(in->excludes.items);
        in->range.n_excludes = in->excludes.n_items;
        set->ranges[set->n_ranges++] = in->range;
        return 0;
}

/* ---- sets ------------------------------------------------------------------------------------ */

static int range_sets_add_set(RangeSets *s, Error *e) {
        if (GREEDY_REALLOC(s->sets, s->allocated, s->n_sets + 1) < 0)
                return error_oom(e);
        s->sets[s->n_sets++] = (NetRangeSet) { 0 };
        return 0;
}

int range_sets_read_subnet(json_object *subnet, const char *path, const InAddr *gateway,
                           RangeSets *s, Error *e) {
        _cleanup_(range_input_clear) RangeInput in = { .range.gateway = *gateway };

        int r = subnet_read(subnet, path, &in, e);
        if (r >= 0)
                r = range_sets_add_set(s, e);
        return r < 0 ? r : range_append(&in, path, s, e);
}

static int range_read_element(json_object *value, const char *path, void *target, Error *e) {
        RangeSets *s = target;
        _cleanup_(range_input_clear) RangeInput in = { 0 };
        int r;

        r = json_read_object(value, path, range_fields, s->unknown, &in, e);
        if (r < 0)
                return r;
        if (!in.has_subnet)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s has no \"subnet\", which every range needs", path,
                                  JSON_SHORT(value));
        return range_append(&in, path, s, e);
}

static int range_set_read_element(json_object *value, const char *path, void *target, Error *e) {
        RangeSets *s = target;
        int r;

        r = range_sets_add_set(s, e);
        if (r < 0)
                return r;
        r = json_read_array(value, path, RANGES_PER_SET_MAX, range_read_element, s, e);
        if (r < 0)
                return r;
        if (s->sets[s->n_sets - 1].n_ranges == 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": [] is a set without a range",
                                  path);
        return 0;
}

int range_sets_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, RANGE_SETS_MAX, range_set_read_element, target, e);
}

int range_sets_read_single(json_object *object, const char *path, RangeSets *s, Error *e) {
        _cleanup_(range_input_clear) RangeInput in = { 0 };
        int r;

        r = json_read_object(object, path, single_range_fields, JSON_UNKNOWN_IGNORE, &in, e);
        if (r < 0)
                return r;
        if (!in.has_subnet) {
                const char *key = in_addr_is_set(&in.range.start)     ? "rangeStart"
                                  : in_addr_is_set(&in.range.end)     ? "rangeEnd"
                                  : in_addr_is_set(&in.range.gateway) ? "gateway"
                                                                      : NULL;
                if (!key || s->lenient)
                        return 0;
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s.%s\": %s needs \"%s.subnet\" beside it; a range inside "
                                  "\"%s.ranges\" has its own",
                                  path, key, JSON_SHORT(json_get(object, key)), path, path);
        }

        r = range_sets_add_set(s, e);
        if (r < 0)
                return r;
        return range_append(&in, path, s, e);
}

int range_sets_exclude(NetRangeSet *sets, size_t n_sets, const InPrefix *prefix, Error *e) {
        int r;

        for (size_t i = 0; i < n_sets; i++)
                for (size_t j = 0; j < sets[i].n_ranges; j++) {
                        NetRange *range = &sets[i].ranges[j];
                        InPrefix *p;

                        if (!in_prefix_overlaps(prefix, &range->subnet))
                                continue;
                        r = range_check_exclude(range, prefix, "\"ipam.exclude\"", e);
                        if (r < 0)
                                return r;
                        p = reallocarray(range->excludes, range->n_excludes + 1, sizeof(InPrefix));
                        if (!p)
                                return error_oom(e);
                        range->excludes = p;
                        p[range->n_excludes++] = *prefix;
                }
        return 0;
}

/* ---- overlap --------------------------------------------------------------------------------- */

static int compare_starts(const void *a, const void *b) {
        const NetRange *const *x = a, *const *y = b;

        return in_addr_compare(&(*x)->start, &(*y)->start);
}

/*
 * Sorted by start, two ranges overlap when one starts before the farthest end so far: n log n even
 * for the largest configuration that the limits allow.
 */
int range_sets_check_overlap2(const NetRangeSet *a, size_t n_a, const NetRangeSet *b, size_t n_b,
                              const char *path, Error *e) {
        _cleanup_free_ const NetRange **sorted = NULL;
        const NetRange *farthest = NULL;
        size_t n = 0;

        for (size_t i = 0; i < n_a + n_b; i++)
                n += (i < n_a ? &a[i] : &b[i - n_a])->n_ranges;
        if (n < 2)
                return 0;
        sorted = new0(const NetRange *, n);
        if (!sorted)
                return error_oom(e);
        n = 0;
        for (size_t i = 0; i < n_a + n_b; i++) {
                const NetRangeSet *set = i < n_a ? &a[i] : &b[i - n_a];

                for (size_t j = 0; j < set->n_ranges; j++)
                        sorted[n++] = &set->ranges[j];
        }
        qsort(sorted, n, sizeof(*sorted), compare_starts);

        for (size_t i = 0; i < n; i++) {
                const NetRange *range = sorted[i];

                if (farthest && farthest->start.family == range->start.family &&
                    in_addr_compare(&range->start, &farthest->end) <= 0)
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "\"%s\": the range %s-%s (subnet %s) overlaps the range "
                                          "%s-%s (subnet %s)",
                                          path, IN_ADDR_STR(&farthest->start),
                                          IN_ADDR_STR(&farthest->end),
                                          IN_PREFIX_STR(&farthest->subnet),
                                          IN_ADDR_STR(&range->start), IN_ADDR_STR(&range->end),
                                          IN_PREFIX_STR(&range->subnet));
                if (!farthest || farthest->start.family != range->start.family ||
                    in_addr_compare(&range->end, &farthest->end) > 0)
                        farthest = range;
        }
        return 0;
}

int range_sets_check_overlap(const NetRangeSet *sets, size_t n_sets, const char *path, Error *e) {
        return range_sets_check_overlap2(sets, n_sets, NULL, 0, path, e);
}
