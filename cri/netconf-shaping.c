/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Rate limits: the network's own ("shaping", or the bandwidth plugin's keys at the top level) and what
 * the runtime sends as runtimeConfig.bandwidth, where the Kubernetes annotations
 * kubernetes.io/ingress-bandwidth and egress-bandwidth arrive.
 */

#include "cri/netconf-internal.h"

/* Bursts from here on are what runtimes send when nobody asked for one (2^32 - 1). */
#define BURST_UNSET_BITS (1ULL << 31)
/* A burst of that many seconds of the rate is no limit for anything that ends. */
#define BURST_UNSET_SEC 4U

static const char *const mode_names[_NET_SHAPING_MAX] = {
        [NET_SHAPING_POLICE] = "police",
        [NET_SHAPING_SHAPE] = "shape",
};

const char *net_shaping_mode_to_string(NetShapingMode mode) {
        return mode >= 0 && mode < _NET_SHAPING_MAX ? mode_names[mode] : "unknown";
}

NetShapingMode net_shaping_mode_from_string(const char *s) {
        for (NetShapingMode m = 0; s && m < _NET_SHAPING_MAX; m++)
                if (streq(mode_names[m], s))
                        return m;
        return _NET_SHAPING_INVALID;
}

static void burst_normalise(uint64_t rate, uint64_t *burst) {
        if (rate == 0 || *burst >= BURST_UNSET_BITS || *burst / BURST_UNSET_SEC >= rate)
                *burst = 0;
}

void net_bandwidth_normalise(NetBandwidth *b) {
        burst_normalise(b->ingress_rate, &b->ingress_burst);
        burst_normalise(b->egress_rate, &b->egress_burst);
}

const JsonField net_bandwidth_fields[] = {
        { "ingressRate", json_read_u64, offsetof(NetBandwidth, ingress_rate), 0 },
        { "ingressBurst", json_read_u64, offsetof(NetBandwidth, ingress_burst), 0 },
        { "egressRate", json_read_u64, offsetof(NetBandwidth, egress_rate), 0 },
        { "egressBurst", json_read_u64, offsetof(NetBandwidth, egress_burst), 0 },
        {},
};

static int burst_check(uint64_t rate, uint64_t burst, const char *path, const char *direction,
                       Error *e) {
        const char *dot = path[0] ? "." : "";

        if (burst == 0 || rate > 0)
                return 0;
        return error_setf(e, ERROR_INVALID_ARGUMENT,
                          "\"%s%s%sBurst\" without \"%s%s%sRate\": give the rate too, or leave the "
                          "burst out",
                          path, dot, direction, path, dot, direction);
}

static int bandwidth_check(const NetBandwidth *b, const char *path, Error *e) {
        int r = burst_check(b->ingress_rate, b->ingress_burst, path, "ingress", e);
        return r < 0 ? r : burst_check(b->egress_rate, b->egress_burst, path, "egress", e);
}

static bool bandwidth_is_set(const NetBandwidth *b) {
        return b->ingress_rate || b->ingress_burst || b->egress_rate || b->egress_burst;
}

int runtime_bandwidth_read(json_object *value, const char *path, void *target, Error *e) {
        NetBandwidth *b = target;

        int r = json_read_object(value, path, net_bandwidth_fields, JSON_UNKNOWN_IGNORE, b, e);
        if (r >= 0)
                net_bandwidth_normalise(b);
        return r;
}

int net_bandwidth_read(json_object *value, const char *path, void *target, Error *e) {
        NetBandwidth *b = target;

        int r = json_read_object(value, path, net_bandwidth_fields, JSON_UNKNOWN_IGNORE, b, e);
        if (r >= 0)
                r = bandwidth_check(b, path, e);
        if (r >= 0)
                net_bandwidth_normalise(b);
        return r;
}

/* What TBF can be told is a number of bytes of 32 bits. */
static int burst_check_strict(uint64_t rate, uint64_t burst, const char *path,
                              const char *direction, Error *e) {
        const char *dot = path[0] ? "." : "";

        if (rate > 0 && burst == 0)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"%s%s%sRate\": %llu without \"%s%s%sBurst\": give the burst too, "
                                "or leave the rate out",
                                path, dot, direction, (unsigned long long) rate, path, dot,
                                direction);
        if (burst / 8 >= UINT32_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s%s%sBurst\": %llu is too large; wanted are less than "
                                  "34359738360 bits (4 GB)",
                                  path, dot, direction, (unsigned long long) burst);
        return burst_check(rate, burst, path, direction, e);
}

int net_bandwidth_read_strict(json_object *value, const char *path, void *target, Error *e) {
        NetBandwidth *b = target;

        int r = json_read_object(value, path, net_bandwidth_fields, JSON_UNKNOWN_IGNORE, b, e);
        if (r >= 0)
                r = burst_check_strict(b->ingress_rate, b->ingress_burst, path, "ingress", e);
        if (r >= 0)
                r = burst_check_strict(b->egress_rate, b->egress_burst, path, "egress", e);
        /* What a runtime sends where nobody asked is no burst; what a configuration says counts. */
        if (r >= 0 && path[0]) {
                if (b->ingress_burst >= BURST_UNSET_BITS)
                        b->ingress_burst = 0;
                if (b->egress_burst >= BURST_UNSET_BITS)
                        b->egress_burst = 0;
        }
        return r;
}

static int mode_read(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *s = NULL;

        int r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        NetShapingMode mode = isempty(s) ? NET_SHAPING_POLICE : net_shaping_mode_from_string(s);
        if (mode < 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s is no mode; wanted is police or shape", path,
                                  JSON_SHORT(value));
        *(NetShapingMode *) target = mode;
        return 0;
}

typedef struct ShapingInput {
        NetShapingMode mode;
        NetBandwidth bandwidth;
} ShapingInput;

#define SHAPING_RATE(key, field)                                                                   \
        { key, json_read_u64, offsetof(ShapingInput, bandwidth) + offsetof(NetBandwidth, field), 0 }

static const JsonField shaping_fields[] = {
        { "mode", mode_read, offsetof(ShapingInput, mode), 0 },
        SHAPING_RATE("ingressRate", ingress_rate),
        SHAPING_RATE("ingressBurst", ingress_burst),
        SHAPING_RATE("egressRate", egress_rate),
        SHAPING_RATE("egressBurst", egress_burst),
        {},
};

int netconf_read_shaping(json_object *top, NetConf *c, Error *e) {
        json_object *value = json_get(top, "shaping");
        ShapingInput in = { .mode = NET_SHAPING_POLICE };
        NetBandwidth flat = { 0 };

        int r = json_read_object(top, "", net_bandwidth_fields, JSON_UNKNOWN_IGNORE, &flat, e);
        if (r >= 0)
                r = bandwidth_check(&flat, "", e);
        if (r >= 0 && value)
                r = json_read_object(value, "shaping", shaping_fields, JSON_UNKNOWN_REFUSE, &in, e);
        if (r >= 0)
                r = bandwidth_check(&in.bandwidth, "shaping", e);
        if (r < 0)
                return r;
        if (bandwidth_is_set(&flat) && bandwidth_is_set(&in.bandwidth))
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"shaping\" and the bandwidth plugin's keys both give rates; wanted is "
                                "one of them");
        c->shaping_mode = in.mode;
        c->bandwidth = bandwidth_is_set(&flat) ? flat : in.bandwidth;
        net_bandwidth_normalise(&c->bandwidth);
        return 0;
}
