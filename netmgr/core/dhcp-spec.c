/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See dhcp-spec.h. */

#include "core/dhcp-spec.h"

#include <linux/rtnetlink.h>
#include <stdio.h>

/* RFC 2132, 9.14: the first byte says what the rest is. 0: no hardware address, but a name. */
#define CLIENT_ID_SIZE 255U

InAddr dhcp_in_addr(uint32_t a) {
        if (!a)
                return (InAddr) { .family = AF_UNSPEC };
        return (InAddr) { .family = AF_INET,
                          .bytes = { (uint8_t) (a >> 24), (uint8_t) (a >> 16), (uint8_t) (a >> 8),
                                     (uint8_t) a } };
}

uint32_t dhcp_from_in_addr(const InAddr *a) {
        if (a->family != AF_INET)
                return 0;
        return (uint32_t) a->bytes[0] << 24 | (uint32_t) a->bytes[1] << 16 |
               (uint32_t) a->bytes[2] << 8 | a->bytes[3];
}

/* --- what is sent ------------------------------------------------------------------------------ */

static int provide(DhcpRequest *q, uint8_t code, const char *value, size_t size, Error *e) {
        if (dhcp_request_provide(q, code, value, size) < 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "ipam.provide: DHCP option %u with %zu bytes has no room: one "
                                  "option has at most 255, all together %u",
                                  code, size, DHCP_PROVIDE_MAX);
        return 0;
}

static int provide_client_id(DhcpRequest *q, const char *container_id, const char *network,
                             const char *ifname, Error *e) {
        char id[CLIENT_ID_SIZE + 1] = { 0 };

        /* Cut where it has to be, as the reference plugin does: a server shall know the client by it. */
        int n = snprintf(id + 1, sizeof(id) - 1, "%s/%s/%s", container_id, network, ifname);
        return provide(q, DHCP_OPTION_CLIENT_ID, id,
                       1U + MIN_OF((size_t) n, (size_t) CLIENT_ID_SIZE - 1), e);
}

static int provide_one(DhcpRequest *q, const NetDhcpOption *o, const char *cni_args, Error *e) {
        _cleanup_free_ char *arg = NULL;
        const char *value = o->value;

        if (!isempty(o->from_arg) && cni_args_find(cni_args, o->from_arg, &arg) < 0)
                return error_oom(e);
        if (arg)
                value = arg;
        return isempty(value) ? 0 : provide(q, o->code, value, strlen(value), e);
}

static void want(DhcpRequest *q, uint8_t code) {
        if (!memchr(q->wanted, code, q->wanted_size) && q->wanted_size + 1 < sizeof(q->wanted))
                q->wanted[q->wanted_size++] = code;
}

int dhcp_spec_options(const NetDhcp *conf, const char *cni_args, const char *container_id,
                      const char *network, const char *ifname, DhcpRequest *q, Error *e) {
        /* 121 goes before the others, as RFC 3442 has it. */
        static const uint8_t defaults[] = { DHCP_OPTION_SUBNET_MASK,  DHCP_OPTION_CLASSLESS_ROUTE,
                                            DHCP_OPTION_ROUTER,       DHCP_OPTION_STATIC_ROUTE,
                                            DHCP_OPTION_DNS,          DHCP_OPTION_DOMAIN,
                                            DHCP_OPTION_SEARCH,       DHCP_OPTION_MTU,
                                            DHCP_OPTION_RENEWAL_TIME, DHCP_OPTION_REBINDING_TIME };
        bool own_id = false;
        int r = 0;

        q->provide_size = q->wanted_size = 0;
        for (size_t i = 0; i < conf->n_provide && r >= 0; i++) {
                uint32_t before = q->provide_size;
                r = provide_one(q, &conf->provide[i], cni_args, e);
                own_id |= conf->provide[i].code == DHCP_OPTION_CLIENT_ID &&
                          q->provide_size > before;
        }
        if (r >= 0 && !own_id)
                r = provide_client_id(q, container_id, network, ifname, e);
        for (size_t i = 0; i < ELEMENTSOF(defaults) && !conf->skip_default; i++)
                want(q, defaults[i]);
        for (size_t i = 0; i < conf->n_request; i++)
                want(q, conf->request[i]);
        /* Without a mask there is no lease, whatever the configuration skips. */
        want(q, DHCP_OPTION_SUBNET_MASK);
        return r;
}

/* --- what comes of it -------------------------------------------------------------------------- */

static NetRoute route_of(const DhcpRoute *r, uint32_t priority) {
        NetRoute route = { .gw = dhcp_in_addr(r->router),
                           .priority = priority,
                           .table = -1,
                           .scope = r->router ? -1 : RT_SCOPE_LINK };

        route.dst.address = dhcp_in_addr(r->destination);
        route.dst.address.family = AF_INET;
        route.dst.length = (uint8_t) r->length;
        return route;
}

static char **strv_new(size_t n) {
        return new0(char *, n + 1);
}

static int dns_of(const DhcpLease *l, NetDns *ret) {
        _cleanup_free_ char *search = strdup(l->search);
        char *rest = search, *domain;
        NetDns dns = { 0 };
        size_t n = 0;

        dns.nameservers = l->n_dns > 0 ? strv_new(l->n_dns) : NULL;
        dns.search = l->search[0] ? strv_new(strlen(l->search) / 2 + 1) : NULL;
        dns.domain = l->domain[0] ? strdup(l->domain) : NULL;
        bool failed = !search || (l->n_dns > 0 && !dns.nameservers) ||
                      (l->search[0] && !dns.search) || (l->domain[0] && !dns.domain);
        for (uint32_t i = 0; i < l->n_dns && !failed; i++) {
                InAddr a = dhcp_in_addr(l->dns[i]);
                failed = !(dns.nameservers[i] = strdup(IN_ADDR_STR(&a)));
        }
        while (!failed && dns.search && (domain = strsep(&rest, " ")))
                failed = !(dns.search[n++] = strdup(domain));
        if (failed) {
                net_dns_clear(&dns);
                return -ENOMEM;
        }
        *ret = dns;
        return 0;
}

int dhcp_spec_apply(const DhcpLease *l, uint32_t priority, bool own_dns, AttachmentSpec *s) {
        SpecAddress *addresses = new0(SpecAddress, 1);
        NetRoute *routes = new0(NetRoute, l->n_routes + 1);
        NetDns dns = { 0 };
        size_t n_routes = 0;

        if (!addresses || !routes || (!own_dns && dns_of(l, &dns) < 0)) {
                free(addresses);
                free(routes);
                return -ENOMEM;
        }
        addresses[0].address.address = dhcp_in_addr(l->address);
        addresses[0].address.length = (uint8_t) l->length;
        if (l->n_routers > 0)
                addresses[0].gateway = dhcp_in_addr(l->routers[0]);
        for (uint32_t i = 0; i < l->n_routes; i++) {
                routes[n_routes] = route_of(&l->routes[i], priority);
                if (routes[n_routes].dst.length == 0 && s->no_default4)
                        continue; /* another interface has it */
                spec_set_metric(s, &routes[n_routes++]);
        }
        free(s->addresses);
        free(s->routes);
        s->addresses = addresses;
        s->n_addresses = 1;
        s->routes = routes;
        s->n_routes = n_routes;
        s->lease_over = false;
        if (!own_dns) {
                net_dns_clear(&s->dns);
                s->dns = dns;
        }
        return 0;
}

void dhcp_spec_end(AttachmentSpec *s) {
        s->n_addresses = s->n_routes = 0;
        s->lease_over = true;
}

static bool routes_equal(const NetRoute *a, const NetRoute *b) {
        return a->dst.length == b->dst.length && in_addr_equal(&a->dst.address, &b->dst.address) &&
               in_addr_equal(&a->gw, &b->gw) && a->priority == b->priority &&
               a->table == b->table && a->scope == b->scope;
}

static bool strv_equal(char **a, char **b) {
        for (; a && *a && b && *b; a++, b++)
                if (!streq(*a, *b))
                        return false;
        return (!a || !*a) && (!b || !*b);
}

bool dhcp_spec_equal(const AttachmentSpec *a, const AttachmentSpec *b) {
        if (a->n_addresses != b->n_addresses || a->n_routes != b->n_routes ||
            a->lease_over != b->lease_over)
                return false;
        for (size_t i = 0; i < a->n_addresses; i++)
                if (a->addresses[i].address.length != b->addresses[i].address.length ||
                    !in_addr_equal(&a->addresses[i].address.address,
                                   &b->addresses[i].address.address) ||
                    !in_addr_equal(&a->addresses[i].gateway, &b->addresses[i].gateway))
                        return false;
        for (size_t i = 0; i < a->n_routes; i++)
                if (!routes_equal(&a->routes[i], &b->routes[i]))
                        return false;
        return strv_equal(a->dns.nameservers, b->dns.nameservers) &&
               strv_equal(a->dns.search, b->dns.search) && streq_ptr(a->dns.domain, b->dns.domain);
}

/* --- rows -------------------------------------------------------------------------------------- */

static int bytes_copy(const uint8_t *from, size_t size, uint8_t **ret, size_t *ret_size) {
        uint8_t *copy = malloc(size + 1);

        if (!copy)
                return -ENOMEM;
        if (size > 0)
                memcpy(copy, from, size);
        free(*ret);
        *ret = copy;
        *ret_size = size;
        return 0;
}

int dhcp_row_update(LeaseRow *row, const DhcpLease *l, uint64_t realtime_usec, uint64_t boot_usec) {
        if (bytes_copy(l->options, l->options_size, &row->options, &row->options_size) < 0)
                return -ENOMEM;
        row->address = dhcp_in_addr(l->address);
        row->server = dhcp_in_addr(l->server);
        memcpy(row->server_mac, l->server_mac, sizeof(row->server_mac));
        row->obtained_usec = realtime_usec;
        row->obtained_boot_usec = boot_usec;
        row->lease_sec = l->lease_sec;
        row->t1_sec = l->t1_sec;
        row->t2_sec = l->t2_sec;
        row->expired = false;
        return 0;
}

int dhcp_row_copy(const LeaseRow *from, LeaseRow *ret) {
        LeaseRow row = *from;

        row.provide = row.wanted = row.options = NULL;
        if (bytes_copy(from->provide, from->provide_size, &row.provide, &row.provide_size) < 0 ||
            bytes_copy(from->wanted, from->wanted_size, &row.wanted, &row.wanted_size) < 0 ||
            bytes_copy(from->options, from->options_size, &row.options, &row.options_size) < 0) {
                lease_row_clear(&row);
                return -ENOMEM;
        }
        *ret = row;
        return 0;
}

void dhcp_row_request(const LeaseRow *row, DhcpOperation operation, DhcpRequest *q) {
        q->magic = DHCP_MAGIC;
        q->operation = operation;
        q->address = dhcp_from_in_addr(&row->address);
        q->server = dhcp_from_in_addr(&row->server);
        memcpy(q->server_mac, row->server_mac, sizeof(q->server_mac));
        /* A row that somebody has made larger is no reason to write beyond; netmgr-dhcp checks the rest. */
        q->provide_size = (uint32_t) MIN_OF(row->provide_size, sizeof(q->provide));
        q->wanted_size = (uint32_t) MIN_OF(row->wanted_size, sizeof(q->wanted) - 1);
        memcpy(q->provide, row->provide, q->provide_size);
        memcpy(q->wanted, row->wanted, q->wanted_size);
}
