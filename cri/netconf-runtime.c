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

int requested_ip_read(json_object *value, const char *path, void *target, Error *e) {
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
        if (!strchr(text, '/'))
                q->bare |= 1U << q->n_items;
        q->items[q->n_items++] = wanted;
        return 0;
}

static int requests_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, RANGE_SETS_MAX, requested_ip_read, target, e);
}

/* Type static has no ranges that could say how long a prefix is. */
static int check_cidr(json_object *list, const char *path, Error *e) {
        size_t n = list ? json_object_array_length(list) : 0;

        for (size_t i = 0; i < n; i++) {
                json_object *value = json_object_array_get_idx(list, i);

                if (!strchr(json_object_get_string(value), '/'))
                        return error_setf(
                                        e, ERROR_INVALID_ARGUMENT,
                                        "\"%s[%zu]\": %s has no prefix length, which ipam of type "
                                        "static needs",
                                        path, i, JSON_SHORT(value));
        }
        return 0;
}

/* args.cni.ips and runtimeConfig.ips come to one list of wishes, in this order as in host-local; of type
 * static the later list replaces the earlier one. */
static int read_ips(json_object *args, json_object *runtime, NetConf *c, Error *e) {
        static const char *const paths[] = { "args.cni.ips", "runtimeConfig.ips" };
        json_object *lists[] = { json_get(args, "ips"), json_get(runtime, "ips") };
        Requests all = { 0 }, last = { 0 };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(lists) && r >= 0; i++) {
                if (!lists[i])
                        continue;
                r = requests_read(lists[i], paths[i], &all, e);
                if (r >= 0 && c->ipam == NET_IPAM_STATIC)
                        r = check_cidr(lists[i], paths[i], e);
                if (r < 0 || json_object_array_length(lists[i]) == 0)
                        continue;
                last.n_items = 0;
                r = requests_read(lists[i], paths[i], &last, e);
        }
        c->requested = all.items;
        c->n_requested = all.n_items;
        c->overrides = last.items;
        c->n_overrides = last.n_items;
        return r;
}

static int read_mac(json_object *object, const char *path, NetConf *c, Error *e) {
        json_object *value = json_get(object, "mac");

        return value ? mac_addr_read(value, path, &c->mac, e) : 0;
}

/* The later one wins; tuning has it the other way round. */
static int read_macs(json_object *args, json_object *runtime, NetConf *c, Error *e) {
        int r = 0;

        if (c->plugin == NET_PLUGIN_TUNING)
                r = read_mac(runtime, "runtimeConfig.mac", c, e);
        if (r >= 0)
                r = read_mac(args, "args.cni.mac", c, e);
        if (r >= 0 && c->plugin != NET_PLUGIN_TUNING)
                r = read_mac(runtime, "runtimeConfig.mac", c, e);
        return r;
}

static int read_ranges(json_object *runtime, NetConf *c, Error *e) {
        _cleanup_(range_sets_clear) RangeSets in = { .unknown = JSON_UNKNOWN_IGNORE,
                                                     .lenient = netconf_is_drop_in(c) };
        json_object *value = json_get(runtime, "ipRanges");
        int r;

        if (!value)
                return 0;
        r = range_sets_read(value, "runtimeConfig.ipRanges", &in, e);
        if (r < 0)
                return r;
        r = range_sets_check_overlap(in.sets, in.n_sets, "runtimeConfig.ipRanges", e);
        if (r < 0)
                return r;
        c->runtime_sets = TAKE_PTR(in.sets);
        c->n_runtime_sets = in.n_sets;
        in.n_sets = 0;
        return 0;
}

static int object_get(json_object *object, const char *key, const char *path, json_object **ret,
                      Error *e) {
        json_object *value = json_get(object, key);

        if (value && !json_object_is_type(value, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %s is not an object", path,
                                  JSON_SHORT(value));
        *ret = value;
        return 0;
}

/* What one reader with a path of its own makes of a key of runtimeConfig. */
static int read_part(json_object *runtime, const char *key, JsonReader read, void *target,
                     Error *e) {
        json_object *value = json_get(runtime, key);
        _cleanup_free_ char *path = NULL;

        if (!value)
                return 0;
        path = strf("runtimeConfig.%s", key);
        return path ? read(value, path, target, e) : error_oom(e);
}

static int read_annotations(json_object *runtime, NetConf *c, Error *e) {
        json_object *value = NULL;

        int r = object_get(runtime, CAPABILITY_ANNOTATIONS, "runtimeConfig." CAPABILITY_ANNOTATIONS,
                           &value, e);
        if (r >= 0 && value)
                c->annotations = json_object_get(value);
        return r;
}

int netconf_read_runtime(json_object *top, RuntimeParts parts, NetConf *c, Error *e) {
        json_object *args = NULL, *runtime = NULL;
        int r;

        if ((r = object_get(top, "args", "args", &args, e)) < 0 ||
            (r = object_get(args, "cni", "args.cni", &args, e)) < 0 ||
            (r = object_get(top, "runtimeConfig", "runtimeConfig", &runtime, e)) < 0)
                return r;
        if (!netconf_is_drop_in(c) && (r = read_annotations(runtime, c, e)) < 0)
                return r;
        if ((parts & RUNTIME_IPS) && (r = read_ips(args, runtime, c, e)) < 0)
                return r;
        if ((parts & RUNTIME_MAC) && (r = read_macs(args, runtime, c, e)) < 0)
                return r;
        if ((parts & RUNTIME_RANGES) && (r = read_ranges(runtime, c, e)) < 0)
                return r;
        if ((parts & RUNTIME_BANDWIDTH) &&
            (r = read_part(runtime, "bandwidth", runtime_bandwidth_read, &c->runtime_bandwidth,
                           e)) < 0)
                return r;
        if ((parts & RUNTIME_PORTS) &&
            (r = read_part(runtime, "portMappings", port_mappings_read, c, e)) < 0)
                return r;
        if ((parts & RUNTIME_DNS) &&
            (r = read_part(runtime, "dns", runtime_dns_read, &c->runtime_dns, e)) < 0)
                return r;
        if ((parts & RUNTIME_DEVICE) && json_get(runtime, "deviceID")) {
                r = read_part(runtime, "deviceID", device_id_read, &c->device.pci_bus_id, e);
                c->device.by_runtime =
                                !isempty(json_object_get_string(json_get(runtime, "deviceID")));
                return r;
        }
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
