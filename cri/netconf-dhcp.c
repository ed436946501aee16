/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ipam of type dhcp: which options the server is sent (provide) and asked for (request). Options are
 * named as ISC's client names them, where the reference plugin knows a name, or by their number.
 */

#include <strings.h>

#include "base/limits.h"
#include "base/parse.h"
#include "cri/netconf-internal.h"

#define OPTION_VALUE_MAX 255U

static const struct {
        const char *name;
        uint8_t code;
} option_names[] = {
        { "subnet-mask", 1 },
        { "routers", 3 },
        { "host-name", 12 },
        { "vendor-class-identifier", 60 },
        { "dhcp-client-identifier", 61 },
        { "user-class", 77 },
};

void net_dhcp_clear(NetDhcp *d) {
        for (size_t i = 0; i < d->n_provide; i++) {
                free(d->provide[i].value);
                free(d->provide[i].from_arg);
        }
        free(d->provide);
        *d = (NetDhcp) { 0 };
}

/* A JsonReader: a name, a number, or a number as text, as Go's decoder takes it for this key. */
static int code_read(json_object *value, const char *path, void *target, Error *e) {
        uint8_t *ret = target;
        uint32_t code = 0;

        if (json_object_is_type(value, json_type_string)) {
                const char *s = json_object_get_string(value);

                for (size_t i = 0; i < ELEMENTSOF(option_names); i++)
                        if (strcasecmp(option_names[i].name, s) == 0)
                                code = option_names[i].code;
                if (code == 0 && parse_u32(s, 1, 254, &code) < 0)
                        code = 0;
        } else if (json_object_is_type(value, json_type_int)) {
                int64_t v = json_object_get_int64(value);

                code = v >= 1 && v <= 254 ? (uint32_t) v : 0;
        }
        if (code == 0)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"%s\": %s is not a DHCP option; wanted is a number from 1 to 254, "
                                "or one of subnet-mask, routers, host-name, vendor-class-identifier, "
                                "dhcp-client-identifier and user-class",
                                path, JSON_SHORT(value));
        *ret = (uint8_t) code;
        return 0;
}

/* A JsonReader for a value that goes into one option. */
static int value_read(json_object *value, const char *path, void *target, Error *e) {
        int r = json_read_string(value, path, target, e);

        if (r >= 0 && strlen(*(char **) target) > OPTION_VALUE_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s has %zu bytes; a DHCP option has room for %u", path,
                                  JSON_SHORT(value), strlen(*(char **) target), OPTION_VALUE_MAX);
        return r;
}

static JsonUnknown unknown_keys(const NetConf *c) {
        return netconf_is_drop_in(c) ? JSON_UNKNOWN_IGNORE : JSON_UNKNOWN_REFUSE;
}

/* What belongs to the exchange itself, or to the form of a message. */
static bool is_reserved(uint8_t code) {
        return code >= 50 && code <= 57 && code != 51 && code != 56;
}

static int provide_read(json_object *value, const char *path, void *target, Error *e) {
        static const JsonField fields[] = {
                { "option", code_read, offsetof(NetDhcpOption, code), JSON_REQUIRED },
                { "value", value_read, offsetof(NetDhcpOption, value), 0 },
                { "fromArg", json_read_string, offsetof(NetDhcpOption, from_arg), 0 },
                { 0 },
        };
        NetConf *c = target;
        NetDhcpOption *more = reallocarray(c->dhcp.provide, c->dhcp.n_provide + 1, sizeof(*more));

        if (!more)
                return error_oom(e);
        c->dhcp.provide = more;
        NetDhcpOption *o = &more[c->dhcp.n_provide++];
        *o = (NetDhcpOption) { 0 };
        int r = json_read_object(value, path, fields, unknown_keys(c), o, e);
        if (r >= 0 && is_reserved(o->code))
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"%s.option\": %s: DHCP option %u is part of the exchange itself "
                                "and cannot be provided",
                                path, JSON_SHORT(json_get(value, "option")), o->code);
        return r;
}

typedef struct RequestInput {
        uint8_t code;
        bool skip_default;
} RequestInput;

static int request_read(json_object *value, const char *path, void *target, Error *e) {
        static const JsonField fields[] = {
                { "option", code_read, offsetof(RequestInput, code), 0 },
                { "skipDefault", json_read_bool, offsetof(RequestInput, skip_default), 0 },
                { 0 },
        };
        NetConf *c = target;
        RequestInput in = { 0 };

        int r = json_read_object(value, path, fields, unknown_keys(c), &in, e);
        if (r < 0)
                return r;
        /* An entry may stand there for skipDefault alone. */
        if (in.code == 0 && !in.skip_default)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": %s names no \"option\" to ask for", path,
                                  JSON_SHORT(value));
        if (in.skip_default)
                c->dhcp.skip_default = true;
        if (in.code)
                c->dhcp.request[c->dhcp.n_request++] = in.code;
        return 0;
}

/* The daemon of the reference plugin listens there; ours is found by netmgrd's own option. */
static int socket_path_ignore(json_object *value, const char *path, void *target _unused_,
                              Error *e) {
        _cleanup_free_ char *s = NULL;

        return json_read_string(value, path, &s, e);
}

int netconf_read_dhcp(json_object *ipam, NetConf *c, Error *e) {
        static const JsonField fields[] = {
                { "type", NULL, 0, 0 },
                { "provide", NULL, 0, 0 },
                { "request", NULL, 0, 0 },
                { "daemonSocketPath", socket_path_ignore, 0, 0 },
                { "priority", json_read_u32, offsetof(NetConf, dhcp.priority), 0 },
                { 0 },
        };
        json_object *value;

        int r = json_read_object(ipam, "ipam", fields, unknown_keys(c), c, e);
        if (r >= 0 && (value = json_get(ipam, "provide")))
                r = json_read_array(value, "ipam.provide", DHCP_CONF_OPTIONS_MAX, provide_read, c,
                                    e);
        if (r >= 0 && (value = json_get(ipam, "request")))
                r = json_read_array(value, "ipam.request", DHCP_CONF_OPTIONS_MAX, request_read, c,
                                    e);
        return r;
}
