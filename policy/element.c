/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which elements an attachment and the networks have; see element.h. */

#include "policy/element.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>

static_assert(sizeof(Element) == 8 + SET_KEY_MAX + SET_DATA_MAX + 16, "an Element has no holes");

void element_list_clear(ElementList *l) {
        free(l->items);
        *l = (ElementList) { 0 };
}

int element_list_append(ElementList *l, const Element *e) {
        if (l->error < 0)
                return l->error;
        if (GREEDY_REALLOC(l->items, l->allocated, l->n + 1) < 0)
                return l->error = -ENOMEM;
        l->items[l->n++] = *e;
        return 0;
}

static int compare(const void *a, const void *b) {
        return memcmp(a, b, sizeof(Element));
}

void element_list_sort(ElementList *l) {
        size_t n = 0;

        if (l->n > 1)
                qsort(l->items, l->n, sizeof(Element), compare);
        for (size_t i = 0; i < l->n; i++)
                if (n == 0 || compare(&l->items[n - 1], &l->items[i]) != 0)
                        l->items[n++] = l->items[i];
        l->n = n;
}

int elements_diff(const ElementList *from, const ElementList *to, ElementList *gone,
                  ElementList *added) {
        size_t i = 0, k = 0;

        while (i < from->n || k < to->n) {
                int c = i >= from->n ? 1
                        : k >= to->n ? -1
                                     : compare(&from->items[i], &to->items[k]);
                if (c < 0)
                        (void) element_list_append(gone, &from->items[i]);
                else if (c > 0)
                        (void) element_list_append(added, &to->items[k]);
                i += c <= 0;
                k += c >= 0;
        }
        return gone->error < 0 ? gone->error : added->error;
}

/* ---- parts of keys ---------------------------------------------------------------------------- */

static void put_name(uint8_t *at, const char *name) {
        size_t n = strlen(name);
        memcpy(at, name, MIN_OF(n, (size_t) IF_NAMESIZE - 1));
}

static size_t put_address(uint8_t *at, const InAddr *a) {
        memcpy(at, a->bytes, family_bytes(a->family));
        return family_bytes(a->family);
}

static size_t put_port(uint8_t *at, uint16_t port) {
        uint16_t v = htons(port);
        memcpy(at, &v, sizeof(v));
        return 4;
}

static void add_name(ElementList *l, PolicySet set, const char *name) {
        Element e = { .set = set };

        put_name(e.key, name);
        (void) element_list_append(l, &e);
}

static void add_name_pair(ElementList *l, PolicySet set, const char *name) {
        Element e = { .set = set };

        put_name(e.key, name);
        put_name(e.key + IF_NAMESIZE, name);
        (void) element_list_append(l, &e);
}

static void add_source(ElementList *l, PolicySet set, const char *name, const InAddr *a) {
        Element e = { .set = set };

        put_name(e.key, name);
        put_address(e.key + IF_NAMESIZE, a);
        (void) element_list_append(l, &e);
}

static void add_address(ElementList *l, PolicySet set, const InAddr *a) {
        Element e = { .set = set };

        put_address(e.key, a);
        (void) element_list_append(l, &e);
}

static void add_self(ElementList *l, const InAddr *a) {
        Element e = { .set = a->family == AF_INET ? SET_SELF4 : SET_SELF6 };

        put_address(e.key + put_address(e.key, a), a);
        (void) element_list_append(l, &e);
}

static void add_limit(ElementList *l, PolicySet set, const char *name, const PolicyLimit *limit) {
        Element e = { .set = set, .rate = limit->rate, .burst = limit->burst };

        if (limit->rate == 0)
                return;
        put_name(e.key, name);
        (void) element_list_append(l, &e);
}

static void add_group_pair(ElementList *l, uint32_t from, uint32_t to) {
        Element e = { .set = SET_ALLOWED };

        memcpy(e.key, &from, sizeof(from));
        memcpy(e.key + 4, &to, sizeof(to));
        (void) element_list_append(l, &e);
}

static void add_group(ElementList *l, PolicySet set, uint32_t group) {
        Element e = { .set = set };

        memcpy(e.key, &group, sizeof(group));
        (void) element_list_append(l, &e);
}

/* ---- attachments ------------------------------------------------------------------------------ */

static void add_host_port(ElementList *l, const PolicyAttachment *a, const PolicyPort *p) {
        bool v6 = p->target.family == AF_INET6, any = in_addr_is_unspecified(&p->host);
        Element e = { .set = any ? (v6 ? SET_HOST6 : SET_HOST4) : (v6 ? SET_HOSTIP6 : SET_HOSTIP4),
                      .group = a->condition_group };
        uint8_t *at = e.key;

        if (!any)
                at += put_address(at, &p->host);
        *at = p->protocol;
        put_port(at + 4, p->host_port);
        put_port(e.data + put_address(e.data, &p->target), p->container_port);
        (void) element_list_append(l, &e);
}

/* The host's link towards the sandbox. */
static const char *way_in(const PolicyAttachment *a) {
        return a->bridge[0] ? a->bridge : a->host_ifname;
}

static void add_ports(ElementList *l, const PolicyAttachment *a) {
        bool v4 = false, shown = a->bridged || (a->foreign && a->bridge[0]);

        for (size_t i = 0; i < a->n_ports; i++) {
                const PolicyPort *p = &a->ports[i];

                add_host_port(l, a, p);
                if (p->target.family == AF_INET)
                        v4 = true;
                if (shown && a->snat)
                        add_self(l, &p->target);
                if (a->masquerade_ports)
                        add_address(l, p->target.family == AF_INET ? SET_MASQPORT4 : SET_MASQPORT6,
                                    &p->target);
        }
        /* For our bridges these elements are the network's: its ports share one interface. */
        if (a->n_ports == 0 || !a->snat || a->bridged || !way_in(a)[0])
                return;
        add_name_pair(l, SET_HAIRPIN, way_in(a));
        if (v4)
                add_name(l, SET_LOCALNET, way_in(a));
        /* It gets route_localnet; of ours, netmgr_np knows it by their names. */
        if (v4 && a->foreign)
                add_name(l, SET_BRIDGES, way_in(a));
}

static void add_mac(ElementList *l, const PolicyAttachment *a) {
        Element e = { .set = SET_BR_MAC };

        put_name(e.key, a->host_ifname);
        memcpy(e.key + IF_NAMESIZE, a->mac.bytes, sizeof(a->mac.bytes));
        (void) element_list_append(l, &e);
}

static void add_sources(ElementList *l, const PolicyAttachment *a) {
        const InAddr nobody = { .family = AF_INET };

        if (a->dhcp && a->bridged)
                add_source(l, SET_BR_SRC4, a->host_ifname, &nobody);
        for (size_t i = 0; i < a->n_addresses; i++) {
                bool v4 = a->addresses[i].family == AF_INET;

                add_source(l,
                           a->bridged ? (v4 ? SET_BR_SRC4 : SET_BR_SRC6)
                           : v4       ? SET_SRC4
                                      : SET_SRC6,
                           a->host_ifname, &a->addresses[i]);
        }
}

/* Who the host end lets out. */
static void add_host_end(ElementList *l, const PolicyAttachment *a) {
        add_name(l, a->bridged ? SET_BR_PORTS : SET_PORTS, a->host_ifname);
        add_limit(l, a->bridged ? SET_BR_POLICE_FROM : SET_POLICE_FROM, a->host_ifname, &a->from);
        add_limit(l, a->bridged ? SET_BR_POLICE_TO : SET_POLICE_TO, a->host_ifname, &a->to);
        if (a->spoof == POLICY_SPOOF_NONE || (a->spoof == POLICY_SPOOF_MAC && !a->bridged)) {
                add_name(l, a->bridged ? SET_BR_FREE : SET_FREE, a->host_ifname);
                return;
        }
        if (a->bridged)
                add_mac(l, a);
        if (a->spoof == POLICY_SPOOF_MAC)
                add_name(l, SET_BR_MAC_ONLY, a->host_ifname);
        else if (a->bridged && a->n_addresses == 0 && !a->dhcp)
                add_name(l, SET_BR_L2, a->host_ifname);
        else
                add_sources(l, a);
}

static void add_ingress(ElementList *l, const PolicyAttachment *a) {
        bool closed = a->ingress == POLICY_INGRESS_CLOSED;

        if (a->ingress == POLICY_INGRESS_OPEN || !way_in(a)[0])
                return;
        for (size_t i = 0; i < a->n_addresses; i++) {
                const InAddr *address = &a->addresses[i];
                bool v4 = address->family == AF_INET;

                add_source(l,
                           closed ? (v4 ? SET_CLOSED4 : SET_CLOSED6)
                           : v4   ? SET_INNER4
                                  : SET_INNER6,
                           way_in(a), address);
                if (!closed && a->bridge[0])
                        add_source(l, v4 ? SET_INSIDE4 : SET_INSIDE6, a->bridge, address);
        }
        if (closed && a->bridge[0] && a->host_ifname[0])
                add_name(l, SET_BR_CLOSED, a->host_ifname);
}

int elements_of_attachment(const PolicyAttachment *a, ElementList *ret) {
        ElementList l = { 0 };

        if (a->host_ifname[0] && !a->foreign)
                add_host_end(&l, a);
        for (size_t i = 0; i < a->n_addresses && a->masquerade; i++)
                add_address(&l, a->addresses[i].family == AF_INET ? SET_MASQ4 : SET_MASQ6,
                            &a->addresses[i]);
        for (size_t i = 0; i < a->n_addresses && a->no_metadata && a->host_ifname[0]; i++)
                add_address(&l, a->addresses[i].family == AF_INET ? SET_NOMETA4 : SET_NOMETA6,
                            &a->addresses[i]);
        add_ports(&l, a);
        add_ingress(&l, a);
        if (l.error < 0) {
                element_list_clear(&l);
                return -ENOMEM;
        }
        element_list_sort(&l);
        *ret = l;
        return 0;
}

/* ---- networks --------------------------------------------------------------------------------- */

int elements_of_networks(PolicyNetwork *const *networks, size_t n, ElementList *ret) {
        ElementList l = { 0 };

        for (size_t i = 0; i < n; i++) {
                const PolicyNetwork *net = networks[i];

                if (net->group != 0) {
                        add_group(&l, SET_NETWORKS, net->group);
                        add_group_pair(&l, net->group, net->group);
                        for (size_t k = 0; k < net->n_allow; k++)
                                add_group_pair(&l, net->allow[k], net->group);
                        if (net->isolated)
                                add_group(&l, SET_ISOLATED, net->group);
                }
                if (!net->bridge[0])
                        continue;
                add_name(&l, SET_BRIDGES, net->bridge);
                if (net->snat) {
                        add_name_pair(&l, SET_HAIRPIN, net->bridge);
                        add_name(&l, SET_LOCALNET, net->bridge);
                }
        }
        if (l.error < 0) {
                element_list_clear(&l);
                return -ENOMEM;
        }
        element_list_sort(&l);
        *ret = l;
        return 0;
}
