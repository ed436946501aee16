/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the harnesses assert of everything that was accepted; abort() is a finding. */

#include <netinet/in.h>

#include "base/limits.h"
#include "base/parse.h"
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

static inline bool hosts_share(const InAddr *a, const InAddr *b) {
        if (a->family == AF_UNSPEC || b->family == AF_UNSPEC)
                return true;
        return a->family == b->family &&
               (in_addr_is_unspecified(a) || in_addr_is_unspecified(b) || in_addr_equal(a, b));
}

/* No two entries are about the same port of one address. Quadratic: the harness has small inputs. */
static inline void require_ports(const NetPort *ports, size_t n_ports) {
        require(n_ports <= PORTS_PER_ATTACHMENT_MAX);
        for (size_t i = 0; i < n_ports; i++) {
                require(ports[i].host_port > 0 && ports[i].container_port > 0);
                require(ports[i].protocol == IPPROTO_TCP || ports[i].protocol == IPPROTO_UDP ||
                        ports[i].protocol == IPPROTO_SCTP);
                for (size_t j = 0; j < i; j++)
                        require(ports[i].protocol != ports[j].protocol ||
                                ports[i].host_port != ports[j].host_port ||
                                !hosts_share(&ports[i].host, &ports[j].host));
        }
}

static inline void require_bandwidth(const NetBandwidth *b) {
        NetBandwidth again = *b;

        net_bandwidth_normalise(&again);
        require(memcmp(&again, b, sizeof(again)) == 0);
        require(b->ingress_rate > 0 || b->ingress_burst == 0);
        require(b->egress_rate > 0 || b->egress_burst == 0);
}

/* The bandwidth plugin takes the bursts of a configuration as they are. */
static inline void require_bandwidth_strict(const NetBandwidth *b, bool of_runtime) {
        require((b->ingress_rate > 0) || b->ingress_burst == 0);
        require((b->egress_rate > 0) || b->egress_burst == 0);
        require(b->ingress_burst / 8 < UINT32_MAX && b->egress_burst / 8 < UINT32_MAX);
        if (!of_runtime)
                require((b->ingress_rate > 0) == (b->ingress_burst > 0) &&
                        (b->egress_rate > 0) == (b->egress_burst > 0));
}

static inline void require_link(const NetConf *c) {
        const NetLinkConf *l = &c->link;

        require(!l->master[0] || ifname_is_valid(l->master));
        require(!l->tap_bridge[0] || ifname_is_valid(l->tap_bridge));
        require(!c->bridge || ifname_is_valid(c->bridge));
        require(!c->device.name[0] || ifname_is_valid(c->device.name));
        require(!c->vrf.name[0] || ifname_is_valid(c->vrf.name));
        require(l->vlan <= 4094 && l->vlan_id <= 4094 && l->n_trunks <= VLAN_TRUNKS_MAX);
        require(l->vlan == 0 || l->n_trunks == 0);
        for (size_t i = 0; i < l->n_trunks; i++)
                require(l->trunks[i].first >= 1 && l->trunks[i].first <= l->trunks[i].last &&
                        l->trunks[i].last <= 4094 &&
                        (i == 0 || l->trunks[i - 1].last + 1 < l->trunks[i].first));
        /* One that was moved has its addresses in the result. */
        require(!l->no_container_interface || c->ipam == NET_IPAM_NONE ||
                (c->kind == NET_KIND_HOST_DEVICE && c->ipam == NET_IPAM_STATIC));
        require(!l->own_mac || (c->kind == NET_KIND_VLAN && !mac_is_zero(&c->conf_mac)));
        require(l->vni < 1U << 24);
        require(!c->device.kernel_path ||
                (strncmp(c->device.kernel_path, "/sys/devices/", 13) == 0 &&
                 !strstr(c->device.kernel_path, "/../")));
        require(!c->device.pci_bus_id ||
                (c->device.pci_bus_id[0] != '.' && !strchr(c->device.pci_bus_id, '/')));
        require(!(c->mac.bytes[0] & 1) && !(c->conf_mac.bytes[0] & 1) &&
                !(c->tuning.mac.bytes[0] & 1) && !(c->device.mac.bytes[0] & 1) &&
                !(l->master_mac.bytes[0] & 1));
        require(c->mtu == 0 || (c->mtu >= 68 && c->mtu <= 65535));
        require(c->tuning.tx_queue_len >= -1 && c->tuning.tx_queue_len <= INT32_MAX);
}

static inline void require_ipam(const NetConf *c) {
        require((c->ipam == NET_IPAM_NONE) == (c->ipam_type == NULL));
        require(c->ipam != NET_IPAM_FOREIGN || delegate_name_is_valid(c->ipam_type));
        require(c->ipam == NET_IPAM_LOCAL || c->n_sets == 0);
        require(c->ipam == NET_IPAM_STATIC || c->n_addresses == 0);
        require(c->n_addresses <= STATIC_ADDRESSES_MAX && c->n_overrides <= RANGE_SETS_MAX);
        require((!c->data_dir || c->data_dir[0] == '/') &&
                (!c->resolv_conf || c->resolv_conf[0] == '/'));
        for (size_t i = 0; i < c->n_addresses; i++)
                require(in_addr_is_set(&c->addresses[i].address.address) &&
                        (!in_addr_is_set(&c->addresses[i].gateway) ||
                         c->addresses[i].gateway.family == c->addresses[i].address.address.family));
}

static inline void require_conditions(const NetCondition *list, size_t n, int family) {
        require(n <= CONDITION_WORDS_MAX / 2);
        for (size_t i = 0; i < n; i++) {
                const NetCondition *c = &list[i];

                if (c->what == NET_CONDITION_INPUT)
                        require(ifname_is_valid(c->ifname));
                else
                        require(c->prefix.address.family == family &&
                                !in_prefix_has_host_bits(&c->prefix));
        }
}

static inline void require_sysctls(const NetSysctl *list, size_t n) {
        require(n <= SYSCTLS_MAX);
        for (size_t i = 0; i < n; i++) {
                require(strncmp(list[i].name, "net/", 4) == 0 && !strstr(list[i].name, "/../"));
                require(strlen(list[i].name) <= SYSCTL_NAME_MAX);
                require(list[i].value[0] && strlen(list[i].value) <= SYSCTL_VALUE_MAX &&
                        !strchr(list[i].value, '\n'));
                require(i == 0 || strcmp(list[i - 1].name, list[i].name) < 0);
        }
}

/* A failure says why, and leaves nothing behind; a success says nothing. */
static inline void require_answer(int r, const void *result, const Error *e) {
        require((r < 0) == error_is_set(e));
        require((r < 0) == (result == NULL));
        if (r < 0)
                require(error_message(e)[0] != 0);
}
