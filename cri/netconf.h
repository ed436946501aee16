/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The runtime's side of a network: a CNI plugin object ("network configuration") read into a plain
 * struct, and CNI_ARGS. Everything here is input from outside: limits.h holds, keys match without
 * case, and a sentence names key and value. Source: CNI specification 1.1.0, sections 1 and 2, and
 * host-local's documentation for the ipam object.
 *
 * A NetConf owns everything it points to and refers to nothing outside.
 */

#include "base/error.h"
#include "base/inaddr.h"
#include "base/json.h"

typedef enum NetKind {
        NET_KIND_ROUTED, /* default */
        NET_KIND_BRIDGE,
        NET_KIND_LOOPBACK,
        _NET_KIND_MAX,
        _NET_KIND_INVALID = -EINVAL,
} NetKind;

const char *net_kind_to_string(NetKind kind);
NetKind net_kind_from_string(const char *s);

typedef struct NetRange {
        InPrefix subnet;   /* no host bits */
        InAddr start, end; /* inclusive; defaults filled in: first host .. last host */
        InAddr gateway;    /* filled in: first host, unless configured */
        InPrefix *excludes;
        size_t n_excludes;
} NetRange;

/* One address is given out per set. All ranges of a set have one family. */
typedef struct NetRangeSet {
        NetRange *ranges;
        size_t n_ranges;
} NetRangeSet;

typedef struct NetRoute {
        InPrefix dst;      /* no host bits */
        InAddr gw;         /* AF_UNSPEC: the network's own gateway of that family */
        uint32_t mtu;      /* bytes, 0: unset */
        uint32_t advmss;   /* bytes, 0: unset */
        uint32_t priority; /* metric, 0: unset */
        int64_t table;     /* -1: unset (main) */
        int32_t scope;     /* -1: unset */
} NetRoute;

typedef struct NetDns {
        char **nameservers; /* NULL-terminated arrays or NULL; owned */
        char *domain;
        char **search;
        char **options;
} NetDns;
void net_dns_clear(NetDns *d);

/* One of runtimeConfig.portMappings (portmap plugin). */
typedef struct NetPort {
        uint8_t protocol; /* IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP */
        uint16_t host_port, container_port;
        InAddr host; /* AF_UNSPEC: every address of both families; unspecified: every of that family */
} NetPort;

/* "tcp", "udp" or "sctp", in any case; -EINVAL. */
int net_protocol_parse(const char *s, uint8_t *ret);

/* Rates in bit/s and bursts in bits, as CNI has them. Rate 0: no limit; burst 0: unset. */
typedef struct NetBandwidth {
        uint64_t ingress_rate, ingress_burst; /* into the sandbox */
        uint64_t egress_rate, egress_burst;   /* out of it */
} NetBandwidth;

/* Bursts that mean "unset" become 0: runtimes send 2^32 - 1 where nobody asked for one, and a burst
 * of 4 s of the rate or more is no limit. */
void net_bandwidth_normalise(NetBandwidth *b);

typedef enum NetShapingMode {
        NET_SHAPING_POLICE, /* nftables: what is over the limit is dropped; default */
        NET_SHAPING_SHAPE,  /* tc: what is over the limit waits */
        _NET_SHAPING_MAX,
        _NET_SHAPING_INVALID = -EINVAL,
} NetShapingMode;
const char *net_shaping_mode_to_string(NetShapingMode mode);
NetShapingMode net_shaping_mode_from_string(const char *s);

/* One condition of conditionsV4 or conditionsV6; all of them must hold. */
typedef struct NetCondition {
        enum { NET_CONDITION_SOURCE, NET_CONDITION_DESTINATION, NET_CONDITION_INPUT } what;
        bool negate;
        InPrefix prefix; /* SOURCE, DESTINATION */
        char ifname[16]; /* INPUT */
} NetCondition;

/* One of tuning's sysctls. */
typedef struct NetSysctl {
        char *name;  /* "net/core/somaxconn"; a literal IFNAME stands for the interface */
        char *value; /* both owned */
} NetSysctl;

typedef struct NetConf {
        char *cni_version; /* never NULL; "0.1.0" when the object says nothing */
        char *name; /* network name, valid; NULL only when parsed without one (D-Bus, file gives it) */
        char *type;    /* "netmgr" or "loopback" */
        char *network; /* "network": NAME of a network of networks.d; NULL: inline */

        /* inline network; meaningful only when network == NULL */
        NetKind kind;
        uint32_t mtu; /* bytes, 0: default */
        char *bridge; /* name of the bridge; NULL: derived from the network's name */
        bool is_gateway, is_default_gateway, hairpin, promisc, force_address;

        char *ipam_type; /* NULL: none; "local" otherwise ("host-local" is refused by name for now) */
        NetRangeSet *sets; /* of ipam.subnet, then ipam.ranges; without runtimeConfig.ipRanges */
        size_t n_sets;
        NetRoute *routes;
        size_t n_routes;
        NetDns dns;

        bool ip_masq;
        InPrefix *masq_excludes; /* ipMasqExclude: not masqueraded towards these */
        size_t n_masq_excludes;
        NetShapingMode shaping_mode;
        NetBandwidth bandwidth; /* the network's own: wins over what the runtime sends */
        int isolation;          /* -1: unset */
        char **allow;           /* names of networks; NULL-terminated or NULL; owned */
        size_t n_allow;
        bool snat, masq_all;                     /* portmap's */
        NetCondition *conditions4, *conditions6; /* portmap's conditionsV4, conditionsV6 */
        size_t n_conditions4, n_conditions6;
        NetSysctl *sysctls; /* tuning's */
        size_t n_sysctls;

        /* per attachment */
        NetPort *ports; /* runtimeConfig.portMappings */
        size_t n_ports;
        NetBandwidth runtime_bandwidth; /* runtimeConfig.bandwidth */
        InPrefix *requested; /* args.cni.ips, then runtimeConfig.ips; CNI_ARGS IP is not in here */
        size_t n_requested;
        NetRangeSet *runtime_sets; /* runtimeConfig.ipRanges: they come before `sets` */
        size_t n_runtime_sets;
        json_object *prev_result; /* owned; NULL when absent */

        /* GC: cni.dev/valid-attachments or cni.dev/attachments */
        bool has_valid_attachments;
        struct ValidAttachment {
                char *container_id, *ifname;
        } * valid_attachments;
        size_t n_valid_attachments;

        /* The keys that describe the network itself, canonical (sorted, without name, cniVersion,
         * prevResult, runtimeConfig, args, capabilities, cni.dev/): hash64 of it tells drift. */
        uint64_t hash;
} NetConf;

NetConf *netconf_free(NetConf *c); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(NetConf *, netconf_free)

/*
 * Reads one plugin object (stdin of the plugin, or the object inside a conflist merged with the
 * list's name and cniVersion). Checks everything that can be checked without a host: version known,
 * name valid, kind known, ranges possible and disjoint, no unknown key, addresses in range.
 * Errors: ERROR_DECODE, ERROR_INVALID_ARGUMENT, ERROR_INCOMPATIBLE_VERSION, ERROR_UNKNOWN_OPTION,
 * ERROR_NOT_SUPPORTED, ERROR_NO_MEMORY.
 */
int netconf_parse(const char *text, size_t size, NetConf **ret, Error *e);

/*
 * What DEL and GC need of an object, and no more: cniVersion, name, type (any; "loopback" sets kind),
 * prevResult, cni.dev/valid-attachments. They have to succeed with a configuration that has changed
 * since ADD or that a newer version of netmgr no longer accepts, so the rest is not looked at and a
 * prevResult that is not an object counts as absent. hash stays 0.
 */
int netconf_parse_envelope(const char *text, size_t size, NetConf **ret, Error *e);

/* The same as netconf_parse() for a whole conflist file that must hold exactly one plugin of type netmgr. expected_name:
 * the name that the file's name promises; NULL: any. */
int netconf_parse_list(const char *text, size_t size, const char *expected_name, NetConf **ret,
                       Error *e);

/* True when two sets of the array (or two ranges anywhere in it) share an address; says which. */
int range_sets_check_overlap(const NetRangeSet *sets, size_t n_sets, const char *path, Error *e);

/* CNI_ARGS, "K=V;K=V", keys with case. What we understand; the rest needs IgnoreUnknown=1. */
typedef struct CniArgs {
        InPrefix ips[16]; /* IP=addr[/len],... */
        size_t n_ips;
        char *pod_namespace, *pod_name, *pod_uid, *infra_container_id; /* K8S_POD_*; owned */
} CniArgs;
int cni_args_parse(const char *s, CniArgs *ret, Error *e);
void cni_args_clear(CniArgs *a);
