/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which keys a configuration of type netmgr may have at its top level. A key that nobody reads is a
 * wish that is not granted, so it is refused, with a sentence that tells the three cases apart: no
 * such key, a key of other kinds, a key that this version cannot serve.
 */

#include <stdio.h>
#include <strings.h>

#include "cri/netconf-internal.h"

#define ROUTED   KIND_BIT(NET_KIND_ROUTED)
#define BRIDGE   KIND_BIT(NET_KIND_BRIDGE)
#define LOOPBACK KIND_BIT(NET_KIND_LOOPBACK)
#define ALL      (ROUTED | BRIDGE | LOOPBACK)

typedef enum KeyFlags {
        KEY_NETWORK = 1 << 0, /* describes the network: cannot stand beside "network" */
        KEY_MISSING = 1 << 1, /* not built: only the value that means "off" is accepted */
} KeyFlags;

typedef struct KeyRule {
        const char *key;
        unsigned kinds;
        KeyFlags flags;
} KeyRule;

static const KeyRule key_rules[] = {
        /* of CNI itself */
        { "cniVersion", ALL, 0 },
        { "cniVersions", ALL, 0 },
        { "name", ALL, 0 },
        { "type", ALL, 0 },
        { "disableCheck", ALL, 0 },
        { "disableGC", ALL, 0 },
        { "loadOnlyInlinedPlugins", ALL, 0 },
        { "capabilities", ALL, 0 },
        { "runtimeConfig", ALL, 0 },
        { "args", ALL, 0 },
        { "prevResult", ALL, 0 },
        /* ours */
        { "network", ALL, 0 },
        { "kind", ALL, KEY_NETWORK },
        { "dns", ALL, KEY_NETWORK },
        { "mtu", ROUTED | BRIDGE, KEY_NETWORK },
        { "ipam", ROUTED | BRIDGE, KEY_NETWORK },
        { "ipMasq", ROUTED | BRIDGE, KEY_NETWORK },
        { "ipMasqBackend", ROUTED | BRIDGE, KEY_NETWORK },
        { "ipMasqExclude", ROUTED | BRIDGE, KEY_NETWORK },
        { "isolation", ROUTED | BRIDGE, KEY_NETWORK },
        { "allow", ROUTED | BRIDGE, KEY_NETWORK },
        { "ingressPolicy", ROUTED | BRIDGE, KEY_NETWORK },
        { "shaping", ROUTED | BRIDGE, KEY_NETWORK },
        { "ingressRate", ROUTED | BRIDGE, KEY_NETWORK },
        { "ingressBurst", ROUTED | BRIDGE, KEY_NETWORK },
        { "egressRate", ROUTED | BRIDGE, KEY_NETWORK },
        { "egressBurst", ROUTED | BRIDGE, KEY_NETWORK },
        { "backend", ROUTED | BRIDGE, KEY_NETWORK },
        { "snat", ROUTED | BRIDGE, KEY_NETWORK },
        { "masqAll", ROUTED | BRIDGE, KEY_NETWORK },
        { "markMasqBit", ROUTED | BRIDGE, KEY_NETWORK },
        { "externalSetMarkChain", ROUTED | BRIDGE, KEY_NETWORK | KEY_MISSING },
        { "conditionsV4", ROUTED | BRIDGE, KEY_NETWORK },
        { "conditionsV6", ROUTED | BRIDGE, KEY_NETWORK },
        { "sysctl", ROUTED | BRIDGE, KEY_NETWORK },
        { "bridge", BRIDGE, KEY_NETWORK },
        { "isGateway", BRIDGE, KEY_NETWORK },
        { "isDefaultGateway", BRIDGE, KEY_NETWORK },
        { "forceAddress", BRIDGE, KEY_NETWORK },
        { "hairpinMode", BRIDGE, KEY_NETWORK },
        { "promiscMode", BRIDGE, KEY_NETWORK },
        { "vlan", BRIDGE, KEY_NETWORK | KEY_MISSING },
        { "vlanTrunk", BRIDGE, KEY_NETWORK | KEY_MISSING },
        { "preserveDefaultVlan", BRIDGE, KEY_NETWORK | KEY_MISSING },
        { "macspoofchk", BRIDGE, KEY_NETWORK }, /* always on */
        { "portIsolation", BRIDGE, KEY_NETWORK | KEY_MISSING },
        { "enabledad", BRIDGE, KEY_NETWORK | KEY_MISSING },
        { "disableContainerInterface", BRIDGE, KEY_NETWORK | KEY_MISSING },
};

/* CNI keeps this prefix for itself (specification, section 1). */
#define CNI_RESERVED_PREFIX "cni.dev/"

static const KeyRule *key_rule_find(const char *key) {
        for (size_t i = 0; i < ELEMENTSOF(key_rules); i++)
                if (strcasecmp(key_rules[i].key, key) == 0)
                        return &key_rules[i];
        return NULL;
}

/* null, false, 0, "", [] and {}: what Go's decoder makes of an absent key. */
static bool value_is_off(json_object *value) {
        switch (json_object_get_type(value)) {
        case json_type_null:
                return true;
        case json_type_boolean:
                return !json_object_get_boolean(value);
        case json_type_int:
                return json_object_get_int64(value) == 0;
        case json_type_string:
                return json_object_get_string_len(value) == 0;
        case json_type_array:
                return json_object_array_length(value) == 0;
        case json_type_object:
                return json_object_object_length(value) == 0;
        default:
                return false;
        }
}

/* "routed and bridge"; size of buf: all names and separators fit by far. */
static const char *kinds_to_text(unsigned kinds, char *buf, size_t size) {
        FILE *f = fmemopen(buf, size, "w");
        bool first = true;

        if (!f)
                return "other kinds";
        for (NetKind k = 0; k < _NET_KIND_MAX; k++) {
                if (!(kinds & KIND_BIT(k)))
                        continue;
                kinds &= ~KIND_BIT(k);
                fprintf(f, "%s%s", first ? "" : kinds ? ", " : " and ", net_kind_to_string(k));
                first = false;
        }
        fclose(f);
        return buf;
}

static int check_key(const char *key, json_object *value, const NetConf *c, Error *e) {
        const KeyRule *rule = key_rule_find(key);
        char kinds[128] = { 0 };

        if (!rule) {
                if (strncasecmp(key, CNI_RESERVED_PREFIX, strlen(CNI_RESERVED_PREFIX)) == 0)
                        return 0;
                return error_setf(
                                e, ERROR_UNKNOWN_OPTION,
                                "unknown key \"%.64s\": %s; a configuration of type netmgr has no "
                                "such key",
                                key, JSON_SHORT(value));
        }
        if (!value) /* null is absence */
                return 0;
        if (c->network) {
                if (rule->flags & KEY_NETWORK)
                        return error_setf(e, ERROR_UNKNOWN_OPTION,
                                          "\"%s\": %s cannot stand beside \"network\": \"%s\": it "
                                          "belongs into the description of that network",
                                          rule->key, JSON_SHORT(value), c->network);
                return 0;
        }
        if (!(rule->kinds & KIND_BIT(c->kind)))
                return error_setf(e, ERROR_UNKNOWN_OPTION,
                                  "\"%s\": %s has no meaning for the kind %s; it is a key of the "
                                  "kind %s",
                                  rule->key, JSON_SHORT(value), net_kind_to_string(c->kind),
                                  kinds_to_text(rule->kinds, kinds, sizeof(kinds)));
        if ((rule->flags & KEY_MISSING) && !value_is_off(value))
                return error_setf(e, ERROR_NOT_SUPPORTED,
                                  "\"%s\": %s is not available in this version of netmgr",
                                  rule->key, JSON_SHORT(value));
        return 0;
}

int netconf_check_keys(json_object *top, const NetConf *c, Error *e) {
        json_object_object_foreach(top, key, value) {
                int r = check_key(key, value, c, e);

                if (r < 0)
                        return r;
        }
        return 0;
}
