/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the runtime adds to a configuration for one attachment (`runtimeConfig`, `args.cni`) or for
 * a garbage collection (`cni.dev/valid-attachments`). Unknown keys are ignored here, as the CNI
 * specification demands: a runtime sends what other plugins understand too.
 */

#include "base/limits.h"
#include "base/parse.h"
#include "cri/netconf-internal.h"

/* ---- requested addresses --------------------------------------------------------------------- */

typedef struct Requests {
        InPrefix *items; /* owned */
        size_t n_items, allocated;
} Requests;

static int request_read_element(json_object *value, const char *path, void *target, Error *e) {
        Requests *q = target;
        _cleanup_free_ char *text = NULL;
        InPrefix wanted;
        int r;

        r = json_read_string(value, path, &text, e);
        if (r < 0)
                return r;
        if (in_prefix_parse_auto(text, &wanted) < 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is not an address, with or without a prefix length",
                                  path, JSON_SHORT(value));

        /* The same wish by two ways is one wish. */
        for (size_t i = 0; i < q->n_items; i++)
                if (in_addr_equal(&q->items[i].address, &wanted.address))
                        return 0;
        if (q->n_items >= RANGE_SETS_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is one address too many; %u can be requested", path,
                                  JSON_SHORT(value), RANGE_SETS_MAX);
        if (GREEDY_REALLOC(q->items, q->allocated, q->n_items + 1) < 0)
                return error_oom(e);
        q->items[q->n_items++] = wanted;
        return 0;
}

static int requests_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, RANGE_SETS_MAX, request_read_element, target, e);
}

typedef struct RuntimeInput {
        Requests requests; /* args.cni.ips and runtimeConfig.ips come to one list */
        NetBandwidth bandwidth;
        RangeSets ranges;
} RuntimeInput;

static void runtime_input_clear(RuntimeInput *in) {
        free(in->requests.items);
        range_sets_clear(&in->ranges);
}

static const JsonField args_cni_fields[] = {
        { "ips", requests_read, offsetof(RuntimeInput, requests), 0 },
        {},
};

static int args_cni_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_object(value, path, args_cni_fields, JSON_UNKNOWN_IGNORE, target, e);
}

static const JsonField args_fields[] = {
        { "cni", args_cni_read, 0, 0 },
        {},
};

static int args_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_object(value, path, args_fields, JSON_UNKNOWN_IGNORE, target, e);
}

static const JsonField runtime_config_fields[] = {
        { "ips", requests_read, offsetof(RuntimeInput, requests), 0 },
        { "ipRanges", range_sets_read, offsetof(RuntimeInput, ranges), 0 },
        { "bandwidth", runtime_bandwidth_read, offsetof(RuntimeInput, bandwidth), 0 },
        {},
};

static int runtime_config_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_object(value, path, runtime_config_fields, JSON_UNKNOWN_IGNORE, target, e);
}

int netconf_read_runtime(json_object *top, NetConf *c, Error *e) {
        _cleanup_(runtime_input_clear) RuntimeInput in = { .ranges.unknown = JSON_UNKNOWN_IGNORE };
        json_object *value;
        int r;

        /* The requests of args come before those of runtimeConfig, as in host-local. */
        value = json_get(top, "args");
        if (value) {
                r = args_read(value, "args", &in, e);
                if (r < 0)
                        return r;
        }
        value = json_get(top, "runtimeConfig");
        if (value) {
                r = runtime_config_read(value, "runtimeConfig", &in, e);
                if (r < 0)
                        return r;
                c->runtime_bandwidth = in.bandwidth;
                value = json_get(value, "portMappings");
                if (value)
                        r = port_mappings_read(value, "runtimeConfig.portMappings", c, e);
                if (r < 0)
                        return r;
        }
        r = range_sets_check_overlap(in.ranges.sets, in.ranges.n_sets, "runtimeConfig.ipRanges", e);
        if (r < 0)
                return r;

        c->requested = TAKE_PTR(in.requests.items);
        c->n_requested = in.requests.n_items;
        c->runtime_sets = TAKE_PTR(in.ranges.sets);
        c->n_runtime_sets = in.ranges.n_sets;
        in.ranges.n_sets = 0;
        return 0;
}

/* ---- garbage collection ---------------------------------------------------------------------- */

/* The specification's name, and the one that libcni 1.2 and 1.3 send beside it. */
static const char *const valid_attachments_keys[] = {
        "cni.dev/valid-attachments",
        "cni.dev/attachments",
};

typedef struct ValidAttachment ValidAttachment;

static const JsonField valid_attachment_fields[] = {
        { "containerID", json_read_string, offsetof(ValidAttachment, container_id), JSON_REQUIRED },
        { "ifname", json_read_string, offsetof(ValidAttachment, ifname), JSON_REQUIRED },
        {},
};

/* What is not in this list loses its network, so an entry that cannot be understood fails the whole
 * call rather than costing a living sandbox its interface. */
static int valid_attachment_read_element(json_object *value, const char *path, void *target,
                                         Error *e) {
        NetConf *c = target;
        ValidAttachment *list, *a;
        int r;

        list = reallocarray(c->valid_attachments, c->n_valid_attachments + 1, sizeof(*list));
        if (!list)
                return error_oom(e);
        c->valid_attachments = list;
        a = &list[c->n_valid_attachments++];
        *a = (ValidAttachment) { 0 };

        r = json_read_object(value, path, valid_attachment_fields, JSON_UNKNOWN_IGNORE, a, e);
        if (r < 0)
                return r;
        if (!cni_id_is_valid(a->container_id, CONTAINER_ID_MAX))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s.containerID\": %s is not a container ID", path,
                                  JSON_SHORT(json_get(value, "containerID")));
        if (!ifname_is_valid(a->ifname))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s.ifname\": %s is not an interface name", path,
                                  JSON_SHORT(json_get(value, "ifname")));
        return 0;
}

int netconf_read_valid_attachments(json_object *top, NetConf *c, Error *e) {
        for (size_t i = 0; i < ELEMENTSOF(valid_attachments_keys); i++) {
                json_object *list;
                int r;

                if (!json_has(top, valid_attachments_keys[i], &list))
                        continue;
                c->has_valid_attachments = true; /* null says "none", absence says nothing */
                if (!list)
                        continue;
                r = json_read_array(list, valid_attachments_keys[i], ATTACHMENTS_MAX,
                                    valid_attachment_read_element, c, e);
                if (r < 0)
                        return r;
        }
        return 0;
}
