/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the files of the configuration reader share. Each reader takes the JSON value and fills its
 * part of a NetConf; on failure the NetConf stays in a state that netconf_free() accepts.
 */

#include "cri/netconf.h"

/* One bit per NetKind, for keys that only some kinds have. */
#define KIND_BIT(kind) (1U << (kind))

/* netconf.c */

/* Makes an empty NetConf with the values that mean "unset". NULL when out of memory. */
NetConf *netconf_new(void);
/* cniVersion (checked; default 0.1.0), name (checked) and type of one object. */
int netconf_read_envelope(json_object *top, NetConf *c, Error *e);
/* Everything else of an object whose envelope is known. */
int netconf_read_body(json_object *top, NetConf *c, Error *e);
int netconf_check_name(const char *name, Error *e);
int netconf_check_version(const char *version, Error *e);

/* netconf-keys.c */

/* Refuses the keys of the top level that do not exist, that the network's kind does not have, or
 * that are not built yet; needs c->network and c->kind. */
int netconf_check_keys(json_object *top, const NetConf *c, Error *e);

/* netconf-ipam.c */

int netconf_read_ipam(json_object *ipam, NetConf *c, Error *e);

/* netconf-dhcp.c */

/* The keys of ipam of type dhcp. */
int netconf_read_dhcp(json_object *ipam, NetConf *c, Error *e);

/* netconf-range.c */

/* Range sets under construction: an array that grows, and how unknown keys of a range are taken. */
typedef struct RangeSets {
        JsonUnknown unknown;
        NetRangeSet *sets; /* owned */
        size_t n_sets, allocated;
} RangeSets;

void range_sets_clear(RangeSets *s);
void range_sets_free(NetRangeSet *sets, size_t n_sets);
/* A JsonReader: an array of arrays of ranges, appended to the RangeSets at target. */
int range_sets_read(json_object *value, const char *path, void *target, Error *e);
/* Appends a set of the one range that stands in `object` itself, beside other keys. */
int range_sets_read_single(json_object *object, const char *path, RangeSets *s, Error *e);
/* Adds the prefix to every range of the sets that it touches. */
int range_sets_exclude(NetRangeSet *sets, size_t n_sets, const InPrefix *prefix, Error *e);
/* The two arrays together, without making one of them first. */
int range_sets_check_overlap2(const NetRangeSet *a, size_t n_a, const NetRangeSet *b, size_t n_b,
                              const char *path, Error *e);

/* A JsonReader: array of CIDRs or addresses, appended to the Prefixes at target. */
typedef struct Prefixes {
        InPrefix *items; /* owned */
        size_t n_items, allocated;
} Prefixes;
int prefixes_read(json_object *value, const char *path, void *target, Error *e);
static inline void prefixes_clear(Prefixes *p) {
        free(p->items);
        *p = (Prefixes) { 0 };
}

/* A JsonReader: json_read_in_addr(), where "" means unset, as Go reads it. */
int optional_addr_read(json_object *value, const char *path, void *target, Error *e);

/* netconf-runtime.c */

/* args.cni.ips, runtimeConfig.{ips,ipRanges}, and the list of valid attachments of a GC. */
int netconf_read_runtime(json_object *top, NetConf *c, Error *e);
int netconf_read_valid_attachments(json_object *top, NetConf *c, Error *e);

/* netconf-portmap.c */

/* A JsonReader for runtimeConfig.portMappings; the target is the NetConf. */
int port_mappings_read(json_object *value, const char *path, void *target, Error *e);
int netconf_read_conditions(json_object *top, NetConf *c, Error *e);
/* JsonReaders that only check: nothing is kept. */
int backend_read(json_object *value, const char *path, void *target, Error *e);
int mark_bit_read(json_object *value, const char *path, void *target, Error *e);

/* netconf-shaping.c */

/* A JsonReader for runtimeConfig.bandwidth; the target is a NetBandwidth. */
int runtime_bandwidth_read(json_object *value, const char *path, void *target, Error *e);
/* "shaping" and the bandwidth plugin's keys. */
int netconf_read_shaping(json_object *top, NetConf *c, Error *e);

/* netconf-sysctl.c */

int netconf_read_sysctls(json_object *top, NetConf *c, Error *e);

/* netconf-dns.c */

int net_dns_read(json_object *value, const char *path, void *target, Error *e);

/* netconf-hash.c */

int netconf_hash(const NetConf *c, uint64_t *ret);
