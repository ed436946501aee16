/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What this kernel and this build can do; see features.h. */

#include "core/features.h"

#include "base/log.h"
#include "base/parse.h"
#include "base/strv.h"

/* Nothing of this depends on the kernel. */
static const char *const always[] = {
        "kind-routed", "kind-loopback", "kind-ptp",   "kind-host-device", "ipam-local",     "ipv4",
        "ipv6",        "ports",         "masquerade", "isolation",        "shaping-police",
};

static const char *lacks(bool found, const char *why) {
        return found ? NULL : why;
}

const char *manager_lacks_kind(const Manager *m, NetKind kind) {
        const NlLinkFeatures *f = &m->link_features;

        switch (kind) {
        case NET_KIND_BRIDGE:
                return lacks(m->firewall_features.bridge, m->firewall_features.why);
        case NET_KIND_MACVLAN:
                return lacks(f->macvlan, "this kernel has no macvlan (CONFIG_MACVLAN)");
        case NET_KIND_IPVLAN:
                return lacks(f->ipvlan, "this kernel has no ipvlan (CONFIG_IPVLAN)");
        case NET_KIND_VLAN:
                return lacks(f->vlan, "this kernel has no 802.1Q VLANs (CONFIG_VLAN_8021Q)");
        case NET_KIND_DUMMY:
                return lacks(f->dummy, "this kernel has no dummy (CONFIG_DUMMY)");
        case NET_KIND_TAP:
                return lacks(f->tun, "there is no /dev/net/tun (CONFIG_TUN)");
        case NET_KIND_VXLAN:
                if (!m->firewall_features.bridge)
                        return m->firewall_features.why;
                return lacks(f->vxlan, "this kernel has no vxlan (CONFIG_VXLAN)");
        default:
                return NULL;
        }
}

const char *manager_lacks_vlan_filtering(const Manager *m) {
        return lacks(m->link_features.bridge_vlan_filtering,
                     "this kernel's bridges have no VLANs (CONFIG_BRIDGE_VLAN_FILTERING)");
}

const char *manager_lacks_vrf(const Manager *m) {
        return lacks(m->link_features.vrf, "this kernel has no vrf (CONFIG_NET_VRF)");
}

static const char *lacks_shape(const Manager *m) {
        const NlTcFeatures *tc = &m->tc_features;

        return lacks(tc->tbf && tc->ifb && tc->clsact && tc->mirred,
                     "this kernel lacks one of ifb, sch_tbf, sch_ingress and act_mirred");
}

/* What there is goes by its name to the one list, what is missing with its reason to the other. */
static int note(char ***found, char ***missing, const char *name, const char *why) {
        if (!why)
                return strv_append(found, name);
        _cleanup_free_ char *text = strf("%s: %s", name, why);
        return text ? strv_append(missing, text) : -ENOMEM;
}

static int list_features(const Manager *m, char ***found, char ***missing) {
        static const NetKind kinds[] = { NET_KIND_BRIDGE, NET_KIND_VXLAN, NET_KIND_MACVLAN,
                                         NET_KIND_IPVLAN, NET_KIND_VLAN,  NET_KIND_DUMMY,
                                         NET_KIND_TAP };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(always); i++)
                r = strv_append(found, always[i]);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(kinds); i++) {
                _cleanup_free_ char *name = strf("kind-%s", net_kind_to_string(kinds[i]));
                r = name ? note(found, missing, name, manager_lacks_kind(m, kinds[i])) : -ENOMEM;
        }
        if (r >= 0)
                r = note(found, missing, "bridge-vlans", manager_lacks_vlan_filtering(m));
        if (r >= 0)
                r = note(found, missing, "vrf", manager_lacks_vrf(m));
        if (r >= 0)
                r = note(found, missing, "shaping-shape", lacks_shape(m));
        if (r >= 0)
                r = strv_append(found,
                                m->firewall_features.owner ? "nftables-owner" : "nftables-plain");
        return r;
}

int manager_find_features(Manager *m) {
        char **found = NULL, **missing = NULL;

        int r = kernel_probe_tc(m->nl, &m->tc_features);
        if (r < 0)
                log_warning("finding out what traffic control this kernel has: %s", strerror(-r));
        r = kernel_probe_links(m->nl, &m->link_features);
        if (r < 0)
                log_warning("finding out what kinds of links this kernel has: %s", strerror(-r));
        r = list_features(m, &found, &missing);
        if (r < 0) {
                strv_free(found);
                strv_free(missing);
                return r;
        }
        manager_forget_features(m);
        m->features = found;
        m->features_missing = missing;
        return 0;
}

void manager_forget_features(Manager *m) {
        strv_free(m->features);
        strv_free(m->features_missing);
        m->features = m->features_missing = NULL;
}
