/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The hash that tells whether two configurations describe the same network. It is taken over what
 * was understood, not over the text: order and case of keys, white space, defaults written out and
 * "isGateway" beside "isDefaultGateway" make no difference. A field with its default value adds
 * nothing, so fields that later versions bring do not change the hash of what exists.
 */

#include <stdio.h>

#include "base/hash.h"
#include "cri/netconf-internal.h"

/* Length first, so that no text can look like the next field. */
static void put_text(FILE *f, const char *field, const char *text) {
        if (text)
                fprintf(f, "%s=%zu:%s\n", field, strlen(text), text);
}

static void put_number(FILE *f, const char *field, int64_t value, int64_t unset) {
        if (value != unset)
                fprintf(f, "%s=%lld\n", field, (long long) value);
}

static void put_texts(FILE *f, const char *field, char **texts) {
        for (char **t = texts; t && *t; t++)
                put_text(f, field, *t);
}

static void put_range(FILE *f, const NetRange *range) {
        fprintf(f, "range=%s %s-%s gw %s\n", IN_PREFIX_STR(&range->subnet),
                IN_ADDR_STR(&range->start), IN_ADDR_STR(&range->end), IN_ADDR_STR(&range->gateway));
        for (size_t i = 0; i < range->n_excludes; i++)
                fprintf(f, "exclude=%s\n", IN_PREFIX_STR(&range->excludes[i]));
}

static void put_route(FILE *f, const NetRoute *route) {
        fprintf(f, "route=%s\n", IN_PREFIX_STR(&route->dst));
        if (in_addr_is_set(&route->gw))
                fprintf(f, "gw=%s\n", IN_ADDR_STR(&route->gw));
        put_number(f, "mtu", route->mtu, 0);
        put_number(f, "advmss", route->advmss, 0);
        put_number(f, "priority", route->priority, 0);
        put_number(f, "table", route->table, -1);
        put_number(f, "scope", route->scope, -1);
}

static void put_conditions(FILE *f, const char *field, const NetCondition *list, size_t n) {
        for (size_t i = 0; i < n; i++)
                fprintf(f, "%s=%d%s %s %s\n", field, (int) list[i].what, list[i].negate ? "!" : "",
                        in_addr_is_set(&list[i].prefix.address) ? IN_PREFIX_STR(&list[i].prefix)
                                                                : "",
                        list[i].ifname);
}

static void put_firewall(FILE *f, const NetConf *c) {
        put_number(f, "ipMasq", c->ip_masq, 0);
        put_number(f, "ingressPolicy", c->ingress_policy, NET_INGRESS_OPEN);
        for (size_t i = 0; i < c->n_masq_excludes; i++)
                fprintf(f, "ipMasqExclude=%s\n", IN_PREFIX_STR(&c->masq_excludes[i]));
        put_number(f, "shaping", c->shaping_mode, NET_SHAPING_POLICE);
        put_number(f, "ingressRate", (int64_t) c->bandwidth.ingress_rate, 0);
        put_number(f, "ingressBurst", (int64_t) c->bandwidth.ingress_burst, 0);
        put_number(f, "egressRate", (int64_t) c->bandwidth.egress_rate, 0);
        put_number(f, "egressBurst", (int64_t) c->bandwidth.egress_burst, 0);
        put_number(f, "isolation", c->isolation, -1);
        for (size_t i = 0; i < c->n_allow; i++)
                put_text(f, "allow", c->allow[i]);
        put_number(f, "snat", c->snat, 1);
        put_number(f, "masqAll", c->masq_all, 0);
        put_conditions(f, "conditionsV4", c->conditions4, c->n_conditions4);
        put_conditions(f, "conditionsV6", c->conditions6, c->n_conditions6);
        for (size_t i = 0; i < c->n_sysctls; i++) {
                put_text(f, "sysctl", c->sysctls[i].name);
                put_text(f, "value", c->sysctls[i].value);
        }
}

static void put_dhcp(FILE *f, const NetDhcp *d) {
        for (size_t i = 0; i < d->n_provide; i++) {
                put_number(f, "provide", d->provide[i].code, 0);
                put_text(f, "value", d->provide[i].value);
                put_text(f, "fromArg", d->provide[i].from_arg);
        }
        for (size_t i = 0; i < d->n_request; i++)
                put_number(f, "request", d->request[i], 0);
        put_number(f, "skipDefault", d->skip_default, 0);
        put_number(f, "priority", d->priority, 0);
}

static void put_mac(FILE *f, const char *field, const MacAddr *mac) {
        if (!mac_is_zero(mac))
                put_text(f, field, MAC_STR(mac));
}

static void put_addr(FILE *f, const char *field, const InAddr *a) {
        if (in_addr_is_set(a))
                put_text(f, field, IN_ADDR_STR(a));
}

static void put_name(FILE *f, const char *field, const char *name) {
        put_text(f, field, name[0] ? name : NULL);
}

static void put_link(FILE *f, const NetConf *c) {
        const NetLinkConf *l = &c->link;

        put_name(f, "master", l->master);
        put_mac(f, "masterMac", &l->master_mac);
        put_number(f, "ownMac", l->own_mac, 0);
        put_number(f, "linkInContainer", l->link_in_container, 0);
        put_number(f, "mode", l->mode, 0);
        put_number(f, "bcqueuelen", l->has_bcqueuelen ? (int64_t) l->bcqueuelen : -1, -1);
        put_number(f, "vlanId", l->vlan_id, 0);
        put_number(f, "vlan", l->vlan, 0);
        for (size_t i = 0; i < l->n_trunks; i++)
                fprintf(f, "vlanTrunk=%u-%u\n", l->trunks[i].first, l->trunks[i].last);
        put_number(f, "preserveDefaultVlan", l->preserve_default_vlan, 0);
        put_number(f, "portIsolation", l->port_isolation, 0);
        /* Of type netmgr it makes no difference. */
        put_number(f, "macspoofchk", netconf_is_drop_in(c) && l->mac_spoof_check, 0);
        put_number(f, "enabledad", l->enable_dad, 0);
        put_number(f, "disableContainerInterface", l->no_container_interface, 0);
        put_number(f, "multiQueue", l->multi_queue, 0);
        put_number(f, "owner", l->owner, UINT32_MAX);
        put_number(f, "group", l->group, UINT32_MAX);
        put_name(f, "selinuxContext", l->selinux_context);
        put_name(f, "tapBridge", l->tap_bridge);
        put_number(f, "vni", l->vni, 0);
        put_number(f, "port", l->port, 0);
        put_addr(f, "remote", &l->remote);
        put_addr(f, "local", &l->local);
        put_number(f, "ttl", l->ttl, 0);
        put_number(f, "learning", l->learning, 0);
        put_name(f, "device", c->device.name);
        put_mac(f, "hwaddr", &c->device.mac);
        put_text(f, "kernelpath", c->device.kernel_path);
        put_text(f, "pciBusID", c->device.by_runtime ? NULL : c->device.pci_bus_id);
        put_mac(f, "mac", &c->conf_mac);
}

static void put_chain(FILE *f, const NetConf *c) {
        put_mac(f, "tuningMac", &c->tuning.mac);
        put_number(f, "tuningMtu", c->tuning.mtu, 0);
        put_number(f, "promisc", c->tuning.promisc, -1);
        put_number(f, "allmulti", c->tuning.allmulti, -1);
        put_number(f, "txQLen", c->tuning.tx_queue_len, -1);
        put_number(f, "sbrTable", c->sbr.table, -1);
        put_addr(f, "sbrGateway4", &c->sbr.gateway4);
        put_addr(f, "sbrGateway6", &c->sbr.gateway6);
        put_number(f, "sbr", c->own_sbr.wanted, -1);
        put_number(f, "sbrOwnTable", c->own_sbr.table, 0);
        put_number(f, "addSourceHints", c->sbr.add_source_hints, 0);
        put_name(f, "vrfname", c->vrf.name);
        put_number(f, "vrfTable", c->vrf.table, 0);
        put_number(f, "ingressPolicy", c->ingress_policy, NET_INGRESS_OPEN);
}

static void put_network(FILE *f, const NetConf *c) {
        put_text(f, "network", c->network);
        if (c->network)
                return;
        if (c->any_of) {
                put_texts(f, "anyOf", c->any_of);
                put_text(f, "choose", net_choose_to_string(c->choose));
                return;
        }
        /* What an interface of a reference plugin is like differs from that of type netmgr. loopback has
         * no such difference, and was here before there were names. */
        if (netconf_is_drop_in(c) && c->plugin != NET_PLUGIN_LOOPBACK)
                put_text(f, "plugin", net_plugin_to_string(c->plugin));
        put_text(f, "kind", net_kind_to_string(c->kind));
        put_number(f, "mtu", c->mtu, 0);
        put_text(f, "bridge", c->bridge);
        put_number(f, "isGateway", c->is_gateway, 0);
        put_number(f, "isDefaultGateway", c->is_default_gateway, 0);
        put_number(f, "hairpinMode", c->hairpin, 0);
        put_number(f, "promiscMode", c->promisc, 0);
        put_number(f, "forceAddress", c->force_address, 0);
        put_number(f, "blockInstanceMetadata", c->block_metadata, 0);
        put_link(f, c);
        put_firewall(f, c);
        put_chain(f, c);
        put_text(f, "ipam", c->ipam_type);
        put_dhcp(f, &c->dhcp);
        for (size_t i = 0; i < c->n_addresses; i++) {
                put_text(f, "address", IN_PREFIX_STR(&c->addresses[i].address));
                put_addr(f, "gateway", &c->addresses[i].gateway);
        }
        put_text(f, "dataDir", c->data_dir);
        put_text(f, "resolvConf", c->resolv_conf);
        for (size_t i = 0; i < c->n_sets; i++) {
                fputs("set\n", f);
                for (size_t j = 0; j < c->sets[i].n_ranges; j++)
                        put_range(f, &c->sets[i].ranges[j]);
        }
        put_number(f, "stickySec", c->sticky_sec, 0);
        put_number(f, "quarantineSec", c->has_quarantine ? (int64_t) c->quarantine_sec : -1, -1);
        for (size_t i = 0; i < c->n_routes; i++)
                put_route(f, &c->routes[i]);
        put_texts(f, "nameserver", c->dns.nameservers);
        put_text(f, "domain", c->dns.domain);
        put_texts(f, "search", c->dns.search);
        put_texts(f, "option", c->dns.options);
}

int netconf_hash(const NetConf *c, uint64_t *ret) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        FILE *f;
        bool failed;

        f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        put_network(f, c);
        failed = ferror(f);
        if (fclose(f) != 0 || failed)
                return -ENOMEM;
        *ret = hash64(text, size);
        return 0;
}
