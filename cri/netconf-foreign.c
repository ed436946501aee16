/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The little that is known of a network whose interfaces others make, and the names of ingress policies. */

#include "cri/netconf-internal.h"
#include "cri/result.h"

static const char *const ingress_policies[_NET_INGRESS_MAX] = {
        [NET_INGRESS_OPEN] = "open",
        [NET_INGRESS_SAME_BRIDGE] = "same-bridge",
        [NET_INGRESS_ISOLATED] = "isolated",
};

const char *net_ingress_policy_to_string(NetIngressPolicy policy) {
        return policy >= 0 && policy < _NET_INGRESS_MAX ? ingress_policies[policy] : "unknown";
}

NetIngressPolicy net_ingress_policy_from_string(const char *s) {
        for (NetIngressPolicy p = 0; s && p < _NET_INGRESS_MAX; p++)
                if (streq(ingress_policies[p], s))
                        return p;
        return _NET_INGRESS_INVALID;
}

int netconf_new_foreign(const char *name, NetConf **ret) {
        _cleanup_(netconf_freep) NetConf *c = netconf_new();

        if (!c)
                return -ENOMEM;
        c->kind = NET_KIND_FOREIGN;
        c->plugin = NET_PLUGIN_NETMGR;
        c->cni_version = strdup(CNI_VERSION_DEFAULT);
        c->name = strdup(name);
        c->type = strdup(net_plugin_to_string(c->plugin));
        if (!c->cni_version || !c->name || !c->type || netconf_hash(c, &c->hash) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(c);
        return 0;
}
