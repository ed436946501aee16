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
int netconf_read_prev_result(json_object *top, NetConf *c, Error *e);
/* What netconf-plugins.c calls for NET_PLUGIN_NETMGR, and for the others that describe an interface. */
int netconf_read_netmgr(json_object *top, NetConf *c, Error *e);
int netconf_read_interface(json_object *top, NetConf *c, Error *e);
/* What the keys mean together; the last thing that a reader of a network does. */
int netconf_check_network(NetConf *c, json_object *top, Error *e);
int netconf_check_name(const char *name, Error *e);
int netconf_check_version(const char *version, Error *e);
/* A JsonReader: the name of a network of netmgrd (char *). */
int network_name_read(json_object *value, const char *path, void *target, Error *e);

/* network-group.c */

/* anyOf and choose. */
int netconf_read_group(json_object *top, NetConf *c, Error *e);

/* netconf-list.c */

/* A JsonReader for cniVersions; the target is the newest that we speak so far (const char *, of cni_versions). */
int versions_read(json_object *value, const char *path, void *target, Error *e);
/* The newest of cniVersions that we speak (NULL: none was there), else *version, which then has to be one. */
int netconf_choose_version(char **version, const char *best, Error *e);

/* netconf-plugins.c */

/* Sets plugin, type and kind: the program's name, else what "type" says. */
int netconf_choose_plugin(NetPlugin program, NetConf *c, Error *e);
/* Everything of an object whose envelope and plugin are known. */
int netconf_read_body(json_object *top, NetConf *c, Error *e);

/* netconf-keys.c */

/* Refuses the keys of the top level that do not exist or that the network's kind does not have; needs
 * c->network and c->kind. */
int netconf_check_keys(json_object *top, const NetConf *c, Error *e);
/* Reads all keys of c->kind that have a reader in the table; of a reference plugin, only its own. */
int netconf_read_keys(json_object *top, NetConf *c, Error *e);
/* Does the kind have the key, in the dialect of c->plugin? For keys that others read. */
bool netconf_has_key(const NetConf *c, const char *key);
/* "routed and bridge", for a mask of KIND_BIT(). */
#define NET_KINDS_TEXT_SIZE 160
const char *net_kinds_to_text(unsigned kinds, char *buf, size_t size);

/* netconf-link.c: JsonReaders, and what the values mean together */

int ifname_read(json_object *value, const char *path, void *target, Error *e);       /* char[16] */
int ifname_dup_read(json_object *value, const char *path, void *target, Error *e);   /* char * */
int path_read(json_object *value, const char *path, void *target, Error *e);         /* char * */
int mtu_read(json_object *value, const char *path, void *target, Error *e);          /* uint32_t */
int flag_read(json_object *value, const char *path, void *target, Error *e);         /* int: 0, 1 */
int queue_length_read(json_object *value, const char *path, void *target, Error *e); /* int64_t */
int user_id_read(json_object *value, const char *path, void *target, Error *e);      /* uint32_t */
int bcqueuelen_read(json_object *value, const char *path, void *target, Error *e);
int vni_read(json_object *value, const char *path, void *target, Error *e);      /* uint32_t */
int udp_port_read(json_object *value, const char *path, void *target, Error *e); /* uint16_t */
int ttl_read(json_object *value, const char *path, void *target, Error *e);      /* uint8_t */
int mac_addr_read(json_object *value, const char *path, void *target, Error *e); /* MacAddr */
int vlan_id_read(json_object *value, const char *path, void *target, Error *e);  /* uint16_t */
int vlan_trunk_read(json_object *value, const char *path, void *target, Error *e);
int macvlan_mode_read(json_object *value, const char *path, void *target, Error *e); /* uint32_t */
int ipvlan_mode_read(json_object *value, const char *path, void *target, Error *e);  /* uint32_t */
int kernel_path_read(json_object *value, const char *path, void *target, Error *e);  /* char * */
int device_id_read(json_object *value, const char *path, void *target, Error *e);    /* char * */
int selinux_context_read(json_object *value, const char *path, void *target, Error *e);
int ingress_policy_read(json_object *value, const char *path, void *target, Error *e);
/* A string that nobody needs. */
int text_ignore(json_object *value, const char *path, void *target, Error *e);
/* A MAC address that an interface can have, in one of the forms that Go takes. */
int mac_addr_parse(const char *s, MacAddr *ret);
/* The defaults of the kind that are not zero; before netconf_read_keys(). */
void netconf_link_defaults(NetConf *c);
int netconf_check_link(const NetConf *c, json_object *top, Error *e);

/* netconf-ipam.c */

/* ipam.type, which decides what else is read; before netconf_read_runtime(). */
int netconf_read_ipam_type(json_object *top, NetConf *c, Error *e);
/* The rest of the object. */
int netconf_read_ipam(json_object *top, NetConf *c, Error *e);
/* A JsonReader: an array of routes, to a NetRoutes. */
typedef struct NetRoutes {
        JsonUnknown unknown;
        NetRoute *items; /* owned */
        size_t n_items, allocated;
} NetRoutes;
int routes_read(json_object *value, const char *path, void *target, Error *e);

/* netconf-static.c: type static */

int netconf_read_static(json_object *ipam, NetConf *c, Error *e);

/* netconf-chain.c, netconf-tuning.c: the plugins that change what others have made */

int netconf_read_portmap(json_object *top, NetConf *c, Error *e);
int netconf_read_bandwidth(json_object *top, NetConf *c, Error *e);
int netconf_read_firewall(json_object *top, NetConf *c, Error *e);
int netconf_read_sbr(json_object *top, NetConf *c, Error *e);
/* A JsonReader: the key "sbr" of type netmgr, to a NetOwnSbr. */
int own_sbr_read(json_object *value, const char *path, void *target, Error *e);
int netconf_read_vrf(json_object *top, NetConf *c, Error *e);
int netconf_read_tuning(json_object *top, NetConf *c, Error *e);
/* args.cni.{mtu,promisc,allmulti,txQLen,sysctl} to args_tuning and args_sysctls. */
int netconf_read_tuning_args(json_object *top, NetConf *c, Error *e);

/* netconf-profiles.c, netconf-ecs-bridge.c: the keys of two container services */

int netconf_read_ecs_eni(json_object *top, NetConf *c, Error *e);
int netconf_read_ecs_bridge(json_object *top, NetConf *c, Error *e);
int netconf_read_vpc_eni(json_object *top, NetConf *c, Error *e);
int netconf_read_vpc_bridge(json_object *top, NetConf *c, Error *e);
int netconf_read_vpc_branch_eni(json_object *top, NetConf *c, Error *e);

/* netconf-dhcp.c */

/* The keys of ipam of type dhcp. */
int netconf_read_dhcp(json_object *ipam, NetConf *c, Error *e);

/* netconf-range.c */

/* Range sets under construction: an array that grows, and how unknown keys of a range are taken. */
typedef struct RangeSets {
        JsonUnknown unknown;
        bool lenient;      /* host-local's rules, where ours are stricter */
        NetRangeSet *sets; /* owned */
        size_t n_sets, allocated;
} RangeSets;

void range_sets_clear(RangeSets *s);
void range_sets_free(NetRangeSet *sets, size_t n_sets);
/* A JsonReader: an array of arrays of ranges, appended to the RangeSets at target. */
int range_sets_read(json_object *value, const char *path, void *target, Error *e);
/* Appends a set of the one range that stands in `object` itself, beside other keys. */
int range_sets_read_single(json_object *object, const char *path, RangeSets *s, Error *e);
/* Appends a set of one range, the whole of the subnet at `path`. */
int range_sets_read_subnet(json_object *subnet, const char *path, const InAddr *gateway,
                           RangeSets *s, Error *e);
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

/* Which of the runtime's additions are read; the others may be anything, as in Go. */
typedef enum RuntimeParts {
        RUNTIME_IPS = 1 << 0, /* args.cni.ips, runtimeConfig.ips */
        RUNTIME_RANGES = 1 << 1,
        RUNTIME_PORTS = 1 << 2,
        RUNTIME_BANDWIDTH = 1 << 3,
        RUNTIME_MAC = 1 << 4, /* args.cni.mac, runtimeConfig.mac */
        RUNTIME_DNS = 1 << 5,
        RUNTIME_DEVICE = 1 << 6,
        RUNTIME_ALL = (1 << 7) - 1,
} RuntimeParts;
/* A JsonReader: an address with or without a length, appended to the Requests unless it is there already. */
typedef struct Requests {
        InPrefix *items; /* owned */
        size_t n_items, allocated;
        uint32_t bare; /* bit i: items[i] was written without a length */
} Requests;
int requested_ip_read(json_object *value, const char *path, void *target, Error *e);
int netconf_read_runtime(json_object *top, RuntimeParts parts, NetConf *c, Error *e);
int netconf_read_valid_attachments(json_object *top, NetConf *c, Error *e);

/* netconf-portmap.c */

/* A JsonReader for runtimeConfig.portMappings; the target is the NetConf. */
int port_mappings_read(json_object *value, const char *path, void *target, Error *e);
/* A JsonReader for one mapping that has to have both ports, appended to the NetPorts. */
typedef struct NetPorts {
        NetPort *items; /* owned */
        size_t n_items;
} NetPorts;
extern const JsonField net_port_fields[];
int net_port_read(json_object *value, const char *path, void *target, Error *e);
int netconf_read_conditions(json_object *top, NetConf *c, Error *e);
/* JsonReaders that only check: nothing is kept. */
int backend_read(json_object *value, const char *path, void *target, Error *e);
int mark_bit_read(json_object *value, const char *path, void *target, Error *e);
int mark_chain_refuse(json_object *value, const char *path, void *target, Error *e);

/* netconf-shaping.c */

/* A JsonReader for runtimeConfig.bandwidth; the target is a NetBandwidth. */
int runtime_bandwidth_read(json_object *value, const char *path, void *target, Error *e);
/* The same where a burst needs its rate. */
extern const JsonField net_bandwidth_fields[];
int net_bandwidth_read(json_object *value, const char *path, void *target, Error *e);
/* The reference plugin's reading of its keys in any object: a rate needs a burst. */
int net_bandwidth_read_strict(json_object *value, const char *path, void *target, Error *e);
/* "shaping" and the bandwidth plugin's keys. */
int netconf_read_shaping(json_object *top, NetConf *c, Error *e);

/* netconf-sysctl.c */

/* The object `sysctl` at `path`, to c->sysctls, in order of their names. */
int netconf_read_sysctls(json_object *object, const char *path, NetConf *c, Error *e);
/* The same to c->args_sysctls. */
int netconf_read_args_sysctls(json_object *object, const char *path, NetConf *c, Error *e);
/* Puts the n entries of `over` before those of the list that have their name, or beside them. */
int sysctls_override(NetSysctl **list, size_t *ret_n, const NetSysctl *over, size_t n);
/* JSON has no rule for a key that stands twice in an object, and what reads it keeps one: this finds it
 * in the text. */
int netconf_check_duplicate_sysctls(const char *text, size_t size, Error *e);

/* netconf-dns.c */

int net_dns_read(json_object *value, const char *path, void *target, Error *e);
/* The same object where unknown keys are ignored, and runtimeConfig.dns with its own names. */
int net_dns_read_lenient(json_object *value, const char *path, void *target, Error *e);
int runtime_dns_read(json_object *value, const char *path, void *target, Error *e);

/* netconf-hash.c */

int netconf_hash(const NetConf *c, uint64_t *ret);
