/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a server's acknowledgement grants, as plain values of fixed size: this is what netmgr-dhcp
 * tells netmgrd. Addresses are numbers in host byte order, 0 is "none".
 */

#include "dhcp/packet.h"

#define DHCP_ROUTERS_MAX 8U
#define DHCP_ROUTES_MAX  64U
#define DHCP_SERVERS_MAX 8U
/* A domain name with its NUL, and a search list: what an option of 255 bytes can say, several times. */
#define DHCP_DOMAIN_SIZE 256U
#define DHCP_SEARCH_SIZE 1024U

#define DHCP_LEASE_FOREVER UINT32_MAX
/* Half of it is the shortest time to wait that there is in whole seconds: less would be renewed without end. */
#define DHCP_LEASE_MIN_SEC 2U

typedef struct DhcpRoute {
        uint32_t destination, router; /* router 0: the destination is on the link */
        uint32_t length;              /* bits */
} DhcpRoute;

typedef struct DhcpLease {
        uint32_t address, length; /* of the interface, and its subnet's bits */
        uint32_t server;
        uint8_t server_mac[6];
        uint16_t mtu;                       /* 0: unsaid */
        uint32_t lease_sec, t1_sec, t2_sec; /* 0 < t1 <= t2 < lease, unless for ever */
        uint32_t n_routers, n_routes, n_dns;
        uint32_t routers[DHCP_ROUTERS_MAX];
        DhcpRoute routes[DHCP_ROUTES_MAX]; /* classless ones, else static and default routes */
        uint32_t dns[DHCP_SERVERS_MAX];
        char domain[DHCP_DOMAIN_SIZE]; /* "": unsaid; host name characters only, as below */
        char search[DHCP_SEARCH_SIZE]; /* domains with single spaces between */
        uint32_t options_size;
        uint8_t options[DHCP_OPTIONS_MAX + 3 * 64]; /* code, size (two bytes), bytes, ... */
} DhcpLease;

/*
 * Reads an offer or an acknowledgement. NULL, or a static sentence that says what is missing or wrong:
 * server id, address, mask, time. What is no part of the lease itself and cannot be read (a broken
 * search list) is left out.
 */
const char *dhcp_lease_read(const DhcpMessage *m, DhcpLease *ret);

/* True when a lease of foreign origin (a packet, a row) is one that dhcp_lease_read() could have made. */
bool dhcp_lease_is_valid(const DhcpLease *l);
