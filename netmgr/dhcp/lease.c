/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From options to a lease; see lease.h. */

#include "dhcp/lease.h"

#include <stdio.h>

static uint32_t get32(const uint8_t *p) {
        return (uint32_t) p[0] << 24 | (uint32_t) p[1] << 16 | (uint32_t) p[2] << 8 | p[3];
}

/* An address that a host can have: no 0/8, no loopback, no multicast, nothing above. */
static bool is_host(uint32_t a) {
        return a >> 24 != 0 && a >> 24 != 127 && a < 0xe0000000U;
}

/* --- names ------------------------------------------------------------------------------------- */

/* Host name characters: such a name can be put into resolv.conf and shown on a terminal. */
static bool label_is_valid(const char *s, size_t n) {
        if (n == 0 || n > 63)
                return false;
        for (size_t i = 0; i < n; i++)
                if (!((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= 'A' && s[i] <= 'Z') ||
                      (s[i] >= '0' && s[i] <= '9') || s[i] == '-' || s[i] == '_'))
                        return false;
        return true;
}

static bool domain_is_valid(const char *s, size_t n) {
        size_t start = 0;

        if (n == 0 || n > 253)
                return false;
        for (size_t i = 0; i <= n; i++)
                if (i == n || s[i] == '.') {
                        if (!label_is_valid(s + start, i - start))
                                return false;
                        start = i + 1;
                }
        return true;
}

static void read_domain(const DhcpMessage *m, DhcpLease *l) {
        size_t n;
        const char *s = (const char *) dhcp_message_get(m, DHCP_OPTION_DOMAIN, &n);

        /* Some servers count a NUL in, some a dot at the end. */
        while (s && n > 0 && s[n - 1] == '\0')
                n--;
        if (s && n > 0 && s[n - 1] == '.')
                n--;
        if (s && n < sizeof(l->domain) && domain_is_valid(s, n)) {
                memcpy(l->domain, s, n);
                l->domain[n] = '\0';
        }
}

/*
 * One name of a search list, in DNS's compressed form (RFC 3397), written to `name` with dots. Returns
 * where the next one begins, or 0. Pointers lead backwards only, further each time: that ends.
 */
static size_t read_name(const uint8_t *p, size_t size, size_t at, char name[static 254]) {
        size_t next = 0, n = 0, limit = at;

        for (;;) {
                if (at >= size)
                        return 0;
                uint8_t len = p[at];

                if (len == 0) {
                        if (n == 0)
                                return 0;
                        name[n - 1] = '\0'; /* in place of the last dot */
                        return next ? next : at + 1;
                }
                if (len >= 0xc0) {
                        if (at + 1 >= size)
                                return 0;
                        size_t to = (size_t) (len & 0x3fU) << 8 | p[at + 1];

                        if (to >= limit)
                                return 0;
                        next = next ? next : at + 2;
                        limit = at = to;
                        continue;
                }
                if (len > 63 || at + 1 + len > size || n + len + 1 > 254)
                        return 0;
                memcpy(name + n, p + at + 1, len);
                name[n + len] = '.';
                n += len + 1U;
                at += len + 1U;
        }
}

/* A list with anything wrong in it is no list: its rest could mean something else. */
static void read_search(const DhcpMessage *m, DhcpLease *l) {
        size_t size, used = 0;
        const uint8_t *p = dhcp_message_get(m, DHCP_OPTION_SEARCH, &size);
        char name[254], all[DHCP_SEARCH_SIZE];

        for (size_t at = 0; p && at < size;) {
                at = read_name(p, size, at, name);
                size_t n = at ? strlen(name) : 0;
                if (!domain_is_valid(name, n) || used + n + 2 > sizeof(all))
                        return;
                used += (size_t) snprintf(all + used, sizeof(all) - used, "%s%s", used ? " " : "",
                                          name);
        }
        if (used > 0)
                memcpy(l->search, all, used + 1);
}

/* --- addresses and routes ---------------------------------------------------------------------- */

static uint32_t read_addresses(const DhcpMessage *m, uint8_t code, uint32_t max, uint32_t *ret) {
        size_t size;
        const uint8_t *p = dhcp_message_get(m, code, &size);
        uint32_t n = 0;

        if (!p || size % 4)
                return 0;
        for (size_t i = 0; i < size && n < max; i += 4)
                if (is_host(get32(p + i)))
                        ret[n++] = get32(p + i);
        return n;
}

static void add_route(DhcpLease *l, uint32_t destination, uint32_t length, uint32_t router) {
        if (l->n_routes < DHCP_ROUTES_MAX)
                l->routes[l->n_routes++] = (DhcpRoute) { .destination = destination,
                                                         .length = length,
                                                         .router = router };
}

static uint32_t mask_of(uint32_t length) {
        return length ? UINT32_MAX << (32 - length) : 0;
}

/* RFC 3442: length, as many bytes of the destination as it needs, router. Host bits that are set all
 * the same are cut off, as that RFC wants. False: broken, and none of it is used. */
static bool read_classless(const uint8_t *p, size_t size, DhcpLease *l) {
        for (size_t i = 0; i < size;) {
                uint8_t length = p[i++];
                size_t n = (length + 7U) / 8U;
                uint32_t destination = 0;

                if (length > 32 || n + 4 > size - i)
                        return false;
                for (size_t k = 0; k < n; k++)
                        destination |= (uint32_t) p[i + k] << (24 - 8 * k);
                uint32_t router = get32(p + i + n);
                if (router && !is_host(router))
                        return false;
                add_route(l, destination & mask_of(length), length, router);
                i += n + 4;
        }
        return true;
}

/* RFC 2132, 5.8: pairs of destination and router from before masks were sent: the class says. */
static void read_static(const DhcpMessage *m, DhcpLease *l) {
        size_t size;
        const uint8_t *p = dhcp_message_get(m, DHCP_OPTION_STATIC_ROUTE, &size);

        if (!p || size % 8)
                return;
        for (size_t i = 0; i < size; i += 8) {
                uint32_t to = get32(p + i), router = get32(p + i + 4);
                uint32_t length = to >> 31 == 0 ? 8 : to >> 30 == 2 ? 16 : 24;

                /* 0.0.0.0 is no destination here; an address with host bits is a host. */
                if (!is_host(to) || !is_host(router))
                        continue;
                if (to & ~mask_of(length))
                        length = 32;
                add_route(l, to, length, router);
        }
}

/* Classless routes take the place of all others, the default route by option 3 among them (RFC 3442). */
static void read_routes(const DhcpMessage *m, DhcpLease *l) {
        size_t size;
        const uint8_t *p = dhcp_message_get(m, DHCP_OPTION_CLASSLESS_ROUTE, &size);

        l->n_routers = read_addresses(m, DHCP_OPTION_ROUTER, DHCP_ROUTERS_MAX, l->routers);
        if (p && read_classless(p, size, l))
                return;
        l->n_routes = 0;
        read_static(m, l);
        if (l->n_routers > 0)
                add_route(l, 0, 0, l->routers[0]);
}

/* --- the lease --------------------------------------------------------------------------------- */

static bool read_mask(const DhcpMessage *m, DhcpLease *l) {
        uint32_t mask;

        if (!dhcp_message_get_u32(m, DHCP_OPTION_SUBNET_MASK, &mask) || mask == 0 ||
            (~mask & (~mask + 1U)) != 0)
                return false;
        l->length = (uint32_t) __builtin_popcount(mask);
        return true;
}

/* Half and seven eighths of the time, unless the server says something that makes sense. */
static void read_times(const DhcpMessage *m, DhcpLease *l) {
        if (l->lease_sec == DHCP_LEASE_FOREVER) {
                l->t1_sec = l->t2_sec = DHCP_LEASE_FOREVER;
                return;
        }
        if (!dhcp_message_get_u32(m, DHCP_OPTION_REBINDING_TIME, &l->t2_sec) || l->t2_sec == 0 ||
            l->t2_sec >= l->lease_sec)
                l->t2_sec = (uint32_t) ((uint64_t) l->lease_sec * 7 / 8);
        if (!dhcp_message_get_u32(m, DHCP_OPTION_RENEWAL_TIME, &l->t1_sec) || l->t1_sec == 0 ||
            l->t1_sec >= l->t2_sec)
                l->t1_sec = MIN_OF(l->lease_sec / 2, l->t2_sec);
}

static void keep_options(const DhcpMessage *m, DhcpLease *l) {
        for (unsigned code = 1; code < DHCP_OPTION_END; code++) {
                uint32_t n = m->size[code];

                if (n == 0 || l->options_size + 3 + n > sizeof(l->options))
                        continue;
                uint8_t *p = l->options + l->options_size;
                p[0] = (uint8_t) code;
                p[1] = (uint8_t) (n >> 8);
                p[2] = (uint8_t) n;
                memcpy(p + 3, m->bytes + m->offset[code], n);
                l->options_size += 3 + n;
        }
}

const char *dhcp_lease_read(const DhcpMessage *m, DhcpLease *ret) {
        DhcpLease l = { .address = m->address };

        memcpy(l.server_mac, m->source.bytes, sizeof(l.server_mac));
        if (!is_host(l.address))
                return "it grants no address that a host can have";
        if (!dhcp_message_get_u32(m, DHCP_OPTION_SERVER_ID, &l.server) || !is_host(l.server))
                return "it does not say who the server is (option 54)";
        if (!read_mask(m, &l))
                return "it has no valid subnet mask (option 1)";
        if (!dhcp_message_get_u32(m, DHCP_OPTION_LEASE_TIME, &l.lease_sec))
                return "it does not say for how long (option 51)";
        if (l.lease_sec < DHCP_LEASE_MIN_SEC)
                return "it is for less than 2 seconds (option 51)";
        read_times(m, &l);
        /* Below it, IPv4 does not work (RFC 2132, 5.1). */
        if (!dhcp_message_get_u16(m, DHCP_OPTION_MTU, &l.mtu) || l.mtu < 68)
                l.mtu = 0;
        read_routes(m, &l);
        l.n_dns = read_addresses(m, DHCP_OPTION_DNS, DHCP_SERVERS_MAX, l.dns);
        read_domain(m, &l);
        read_search(m, &l);
        keep_options(m, &l);
        *ret = l;
        return NULL;
}

static bool text_is_valid(const char *s, size_t size) {
        size_t n = strnlen(s, size);

        if (n == size)
                return false;
        for (size_t start = 0, i = 0; n > 0 && i <= n; i++)
                if (i == n || s[i] == ' ') {
                        if (!domain_is_valid(s + start, i - start))
                                return false;
                        start = i + 1;
                }
        return true;
}

bool dhcp_lease_is_valid(const DhcpLease *l) {
        bool forever = l->lease_sec == DHCP_LEASE_FOREVER;

        if (!is_host(l->address) || !is_host(l->server) || l->length == 0 || l->length > 32 ||
            l->lease_sec < DHCP_LEASE_MIN_SEC || l->n_routers > DHCP_ROUTERS_MAX ||
            l->n_routes > DHCP_ROUTES_MAX || l->n_dns > DHCP_SERVERS_MAX ||
            l->options_size > sizeof(l->options))
                return false;
        if (forever ? l->t1_sec != l->lease_sec || l->t2_sec != l->lease_sec
                    : l->t1_sec == 0 || l->t1_sec > l->t2_sec || l->t2_sec > l->lease_sec)
                return false;
        for (uint32_t i = 0; i < l->n_routers; i++)
                if (!is_host(l->routers[i]))
                        return false;
        for (uint32_t i = 0; i < l->n_dns; i++)
                if (!is_host(l->dns[i]))
                        return false;
        for (uint32_t i = 0; i < l->n_routes; i++) {
                const DhcpRoute *r = &l->routes[i];
                if (r->length > 32 || r->destination & ~mask_of(r->length) ||
                    (r->router && !is_host(r->router)))
                        return false;
        }
        return text_is_valid(l->domain, sizeof(l->domain)) &&
               text_is_valid(l->search, sizeof(l->search)) && !strchr(l->domain, ' ');
}
