/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * IPv4 and IPv6 addresses, prefixes and arithmetic on them. Values, no allocation. An address of
 * family AF_UNSPEC means "none".
 */

#include <netinet/in.h>
#include <sys/socket.h>

#include "base/macro.h"

typedef struct InAddr {
        int family;        /* AF_INET, AF_INET6 or AF_UNSPEC */
        uint8_t bytes[16]; /* network order; the first 4 for AF_INET, the rest zero */
} InAddr;

typedef struct InPrefix {
        InAddr address; /* may have host bits: "10.0.0.5/24" as an interface address */
        uint8_t length; /* bits: 0..32 or 0..128 */
} InPrefix;

#define IN_ADDR_STR_MAX   (INET6_ADDRSTRLEN)
#define IN_PREFIX_STR_MAX (INET6_ADDRSTRLEN + 4)

static inline bool in_addr_is_set(const InAddr *a) {
        return a->family != AF_UNSPEC;
}
static inline unsigned family_bits(int family) {
        return family == AF_INET ? 32 : 128;
}
static inline unsigned family_bytes(int family) {
        return family == AF_INET ? 4 : 16;
}

/* "10.0.0.1" or "fd00::1". Canonical dotted quad only (no 10.1, no octal); IPv4-mapped IPv6
 * ("::ffff:10.0.0.1") becomes IPv4 as Go does. */
int in_addr_parse(const char *s, InAddr *ret);
/* "10.0.0.1/24"; the length is required. */
int in_prefix_parse(const char *s, InPrefix *ret);
/* Address with or without length; without gets the full length of the family. */
int in_prefix_parse_auto(const char *s, InPrefix *ret);

const char *in_addr_format(const InAddr *a, char buf[static IN_ADDR_STR_MAX]);
const char *in_prefix_format(const InPrefix *p, char buf[static IN_PREFIX_STR_MAX]);
/* For use inside one expression: IN_ADDR_STR(&a). */
#define IN_ADDR_STR(a)   in_addr_format((a), (char[IN_ADDR_STR_MAX]) { 0 })
#define IN_PREFIX_STR(p) in_prefix_format((p), (char[IN_PREFIX_STR_MAX]) { 0 })

bool in_addr_equal(const InAddr *a, const InAddr *b);
/* Orders by family, then numerically. */
int in_addr_compare(const InAddr *a, const InAddr *b);

InAddr in_prefix_first(const InPrefix *p); /* network address: host bits cleared */
InAddr in_prefix_last(const InPrefix *p);  /* all host bits set: IPv4's broadcast */
bool in_prefix_has_host_bits(const InPrefix *p);
bool in_prefix_contains(const InPrefix *p, const InAddr *a);
bool in_prefix_overlaps(const InPrefix *a, const InPrefix *b);

/* a + n and a - n; false (and *ret untouched) on overflow of the family. */
bool in_addr_add(const InAddr *a, uint64_t n, InAddr *ret);
bool in_addr_sub(const InAddr *a, uint64_t n, InAddr *ret);
/* b - a + 1 for a <= b of one family, saturated at UINT64_MAX; 0 when a > b. */
uint64_t in_addr_span(const InAddr *a, const InAddr *b);

bool in_addr_is_multicast(const InAddr *a);
bool in_addr_is_loopback(const InAddr *a);
bool in_addr_is_link_local(const InAddr *a);
bool in_addr_is_unspecified(const InAddr *a); /* 0.0.0.0 or :: */

typedef struct MacAddr {
        uint8_t bytes[6];
} MacAddr;
#define MAC_STR_MAX 18
const char *mac_format(const MacAddr *m, char buf[static MAC_STR_MAX]);
#define MAC_STR(m) mac_format((m), (char[MAC_STR_MAX]) { 0 })
int mac_parse(const char *s, MacAddr *ret);
/* Locally administered unicast, 02: and five random bytes. */
int mac_random(MacAddr *ret);
bool mac_is_zero(const MacAddr *m);
