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
#include "base/limits.h"

/* The program of the chain that is called: the name under which the plugin was executed, which is the
 * "type" of the configuration. All but NET_PLUGIN_NETMGR read the keys of the reference plugin of that
 * name and, as those do, ignore keys that they do not know. */
typedef enum NetPlugin {
        NET_PLUGIN_NETMGR,
        /* they make an interface */
        NET_PLUGIN_LOOPBACK,
        NET_PLUGIN_BRIDGE,
        NET_PLUGIN_PTP,
        NET_PLUGIN_MACVLAN,
        NET_PLUGIN_IPVLAN,
        NET_PLUGIN_VLAN,
        NET_PLUGIN_HOST_DEVICE,
        NET_PLUGIN_TAP,
        NET_PLUGIN_DUMMY,
        NET_PLUGIN_VXLAN,
        /* the same under the keys of two container services */
        NET_PLUGIN_ECS_ENI,
        NET_PLUGIN_ECS_BRIDGE,
        NET_PLUGIN_VPC_ENI,
        NET_PLUGIN_VPC_BRIDGE,
        NET_PLUGIN_VPC_BRANCH_ENI,
        /* they give addresses to the interface of another plugin */
        NET_PLUGIN_HOST_LOCAL,
        NET_PLUGIN_STATIC,
        NET_PLUGIN_DHCP,
        /* they change what the plugins before them have made */
        NET_PLUGIN_PORTMAP,
        NET_PLUGIN_BANDWIDTH,
        NET_PLUGIN_FIREWALL,
        NET_PLUGIN_TUNING,
        NET_PLUGIN_SBR,
        NET_PLUGIN_VRF,
        _NET_PLUGIN_MAX,
        _NET_PLUGIN_INVALID = -EINVAL,
} NetPlugin;

const char *net_plugin_to_string(NetPlugin plugin);
NetPlugin net_plugin_from_string(const char *s);
bool net_plugin_has_version(NetPlugin plugin, const char *version);
/* A program that may be looked for in CNI_PATH: no slash, as libcni has it, and none of our own names, which
 * would call themselves. */
bool delegate_name_is_valid(const char *name);
static inline bool net_plugin_makes_interface(NetPlugin p) {
        return p <= NET_PLUGIN_VPC_BRANCH_ENI;
}
static inline bool net_plugin_is_ipam(NetPlugin p) {
        return p >= NET_PLUGIN_HOST_LOCAL && p <= NET_PLUGIN_DHCP;
}
static inline bool net_plugin_is_chained(NetPlugin p) {
        return p >= NET_PLUGIN_PORTMAP;
}
/* The oldest version of the specification whose configurations the plugin takes; "0.1.0" for most. */
const char *net_plugin_min_version(NetPlugin plugin);

typedef enum NetKind {
        NET_KIND_ROUTED, /* default */
        NET_KIND_BRIDGE,
        NET_KIND_LOOPBACK,
        NET_KIND_PTP,
        NET_KIND_MACVLAN,
        NET_KIND_IPVLAN,
        NET_KIND_VLAN,
        NET_KIND_HOST_DEVICE,
        NET_KIND_TAP,
        NET_KIND_DUMMY,
        NET_KIND_VXLAN,   /* a bridge with a port that leads to the other nodes */
        NET_KIND_FOREIGN, /* the interface belongs to a plugin that is not ours */
        _NET_KIND_MAX,
        _NET_KIND_INVALID = -EINVAL,
} NetKind;

const char *net_kind_to_string(NetKind kind);
NetKind net_kind_from_string(const char *s);
/* The kind of interface that a configuration of the plugin describes; FOREIGN for the plugins that make
 * none; ROUTED for netmgr, whose "kind" says it. */
NetKind net_plugin_kind(NetPlugin plugin);

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
        InPrefix dst; /* no host bits */
        InAddr gw;    /* AF_UNSPEC: the network's own gateway of that family */
        bool onlink; /* of a specification: gw is on the link, whatever the subnets of the interface say */
        bool gw_implied; /* of a specification: gw is that one, and nobody has asked for it by name */
        uint32_t mtu;    /* bytes, 0: unset */
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

/* vlanTrunk of the bridge plugin: tagged VLANs first..last. */
typedef struct NetVlanRange {
        uint16_t first, last;
} NetVlanRange;

#define VLAN_TRUNKS_MAX 32

typedef enum NetIpvlanMode { NET_IPVLAN_L2, NET_IPVLAN_L3, NET_IPVLAN_L3S } NetIpvlanMode;

/*
 * What makes an interface of one kind different from the others of its kind. Plain values, so that
 * the specification of an attachment takes it over as it is (and an old attachment keeps it when the
 * network changes).
 */
typedef struct NetLinkConf {
        /* macvlan, ipvlan, vlan, vxlan; vpc-bridge: the interface that answers for the sandboxes */
        char master[16];        /* the link below; "": that of the default route */
        MacAddr master_mac;     /* says which instead of the name; zero: unset */
        bool link_in_container; /* it is in the sandbox */
        uint32_t mode;          /* MACVLAN_MODE_*, NetIpvlanMode */
        uint32_t bcqueuelen;    /* macvlan */
        bool has_bcqueuelen;
        uint16_t vlan_id; /* kind vlan */
        bool own_mac;     /* kind vlan: not that of the link below */

        /* bridge and vxlan: the port */
        uint16_t vlan; /* untagged here; 0: none */
        NetVlanRange trunks[VLAN_TRUNKS_MAX];
        size_t n_trunks;
        bool preserve_default_vlan;
        bool port_isolation;
        bool mac_spoof_check; /* asked for; netmgr always checks unless the type is drop-in */
        bool enable_dad;      /* duplicate address detection in the sandbox */
        bool no_container_interface; /* disableContainerInterface: it stays down, without addresses */

        /* tap */
        bool multi_queue;
        uint32_t owner, group; /* UINT32_MAX: unset */
        char selinux_context[128];
        char tap_bridge[16]; /* in the sandbox */

        /* vxlan */
        uint32_t vni;
        uint16_t port;        /* UDP, 0: 4789 */
        InAddr remote, local; /* remote: a node or a multicast group; unset: none */
        uint8_t ttl;          /* 0: the kernel's choice */
        bool learning;
} NetLinkConf;
/* Everything unset. */
void net_link_conf_init(NetLinkConf *l);

/* host-device: one of them says which interface of the host. */
typedef struct NetDevice {
        char name[16];     /* "device" */
        MacAddr mac;       /* "hwaddr"; zero: unset */
        char *kernel_path; /* below /sys/devices; owned */
        char *pci_bus_id; /* "0000:3b:00.1", or runtimeConfig.deviceID, which may be auxiliary; owned */
        bool by_runtime; /* pci_bus_id is runtimeConfig.deviceID: of the attachment, not of the network */
} NetDevice;

/* One of ipam.addresses of type static. */
typedef struct NetStaticAddress {
        InPrefix address;
        InAddr gateway; /* AF_UNSPEC: none */
} NetStaticAddress;

/* One of ipam.provide of type dhcp: an option that the server is sent. */
typedef struct NetDhcpOption {
        uint8_t code;
        char *value;    /* owned; NULL: none but the next */
        char *from_arg; /* owned; the value of this key of CNI_ARGS goes before; NULL: unset */
} NetDhcpOption;

typedef struct NetDhcp {
        NetDhcpOption *provide; /* owned */
        size_t n_provide;
        uint8_t request[DHCP_CONF_OPTIONS_MAX]; /* codes of options asked for beside the default ones */
        size_t n_request;
        bool skip_default; /* not even those */
        uint32_t priority; /* metric of the lease's routes, 0: unset */
} NetDhcp;
void net_dhcp_clear(NetDhcp *d);

typedef enum NetIpam {
        NET_IPAM_NONE,
        NET_IPAM_LOCAL, /* "local" and "host-local" */
        NET_IPAM_STATIC,
        NET_IPAM_DHCP,
        NET_IPAM_FOREIGN, /* ipam_type names a plugin of others */
} NetIpam;

/* firewall's ingressPolicy. */
typedef enum NetIngressPolicy {
        NET_INGRESS_OPEN,
        NET_INGRESS_SAME_BRIDGE,
        NET_INGRESS_ISOLATED,
        _NET_INGRESS_MAX,
        _NET_INGRESS_INVALID = -EINVAL,
} NetIngressPolicy;

const char *net_ingress_policy_to_string(NetIngressPolicy policy);
NetIngressPolicy net_ingress_policy_from_string(const char *s);

/* How a network of several is chosen. */
typedef enum NetChoose {
        NET_CHOOSE_FIRST_FIT,      /* the first that has a free address; default */
        NET_CHOOSE_FREE_ADDRESSES, /* the one that has most */
        NET_CHOOSE_LEAST_TRAFFIC,  /* the one whose sandboxes send and receive least */
        _NET_CHOOSE_MAX,
        _NET_CHOOSE_INVALID = -EINVAL,
} NetChoose;

const char *net_choose_to_string(NetChoose choose);
NetChoose net_choose_from_string(const char *s);

/* tuning's keys beside sysctl. */
typedef struct NetTuning {
        MacAddr mac;           /* zero: unset */
        uint32_t mtu;          /* 0: unset */
        int promisc, allmulti; /* -1: unset */
        int64_t tx_queue_len;  /* -1: unset */
} NetTuning;

/* sbr's and vrf's keys. */
typedef struct NetSbr {
        int64_t table;             /* -1: the first free one from 100 on */
        InAddr gateway4, gateway6; /* AF_UNSPEC: those of the routes */
        bool add_source_hints;
} NetSbr;
/* The key "sbr" of a network of type netmgr. */
typedef struct NetOwnSbr {
        int wanted;     /* -1: unset */
        uint32_t table; /* 0: the first free one */
} NetOwnSbr;
typedef struct NetVrf {
        char name[16];
        uint32_t table; /* 0: the first free one */
} NetVrf;

/* What containerd and CRI-O pass in runtimeConfig to a configuration that declares the capability of this name. */
#define CAPABILITY_ANNOTATIONS "io.kubernetes.cri.pod-annotations"

typedef struct NetConf {
        NetPlugin plugin;
        char *cni_version; /* never NULL; "0.1.0" when the object says nothing */
        char *name; /* network name, valid; NULL only when parsed without one (D-Bus, file gives it) */
        char *type;    /* that of `plugin` */
        char *network; /* "network": NAME of a network of networks.d; NULL: inline */
        /* "anyOf": names of networks of which one is chosen for each attachment; NULL-terminated or NULL; owned. kind
         * is FOREIGN then: there are no interfaces of this one. */
        char **any_of;
        size_t n_any_of;
        NetChoose choose;

        /* inline network; meaningful only when network == NULL and any_of == NULL */
        NetKind kind;
        uint32_t mtu; /* bytes, 0: default */
        char *bridge; /* name of the bridge; NULL: derived from the network's name */
        bool is_gateway, is_default_gateway, hairpin, promisc, force_address;
        NetLinkConf link;
        NetDevice device;    /* kind host-device */
        bool block_metadata; /* the sandbox does not reach the cloud's metadata service */
        MacAddr conf_mac;    /* "mac" of the network itself: CNI_ARGS goes before it; zero: unset */

        NetIpam ipam;
        char *ipam_type;             /* as written; NULL: none */
        NetStaticAddress *addresses; /* of type static */
        size_t n_addresses;
        NetDhcp dhcp; /* of type dhcp */
        char *data_dir; /* host-local's: where the reference plugin kept what it gave out; NULL: unset */
        char *resolv_conf; /* host-local's: file that `dns` is read from, by the plugin; NULL: unset */
        NetRangeSet *sets; /* of ipam.subnet, then ipam.ranges; without runtimeConfig.ipRanges */
        size_t n_sets;
        /* Of type local, in a network of type netmgr: for so long the owner of an address gets it again (0: nobody
         * does), and others wait for it. */
        uint32_t sticky_sec, quarantine_sec;
        bool has_quarantine; /* else the daemon's CooldownSec */
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
        NetTuning tuning;
        NetSbr sbr;
        NetOwnSbr own_sbr;
        NetVrf vrf;
        NetIngressPolicy ingress_policy;

        /* per attachment */
        MacAddr mac;    /* args.cni.mac, runtimeConfig.mac (the later one wins); zero: unset */
        NetPort *ports; /* runtimeConfig.portMappings */
        size_t n_ports;
        NetBandwidth runtime_bandwidth; /* runtimeConfig.bandwidth */
        InPrefix *requested; /* args.cni.ips, then runtimeConfig.ips; CNI_ARGS IP is not in here */
        size_t n_requested;
        InPrefix *overrides; /* runtimeConfig.ips, else args.cni.ips: instead of `addresses` */
        size_t n_overrides;
        NetDns runtime_dns;        /* runtimeConfig.dns; of type netmgr only */
        NetRangeSet *runtime_sets; /* runtimeConfig.ipRanges: they come before `sets` */
        size_t n_runtime_sets;
        /* args.cni of type netmgr: they go before the network's. (In plugin tuning they are in `tuning` and
         * `sysctls` already.) */
        NetTuning args_tuning;
        NetSysctl *args_sysctls;
        size_t n_args_sysctls;
        json_object *prev_result; /* owned; NULL when absent */
        /* runtimeConfig.CAPABILITY_ANNOTATIONS, of type netmgr only; owned; NULL when absent */
        json_object *annotations;

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

/* Of a reference plugin's name: what is not said here is as that plugin does it. */
static inline bool netconf_is_drop_in(const NetConf *c) {
        return c->plugin != NET_PLUGIN_NETMGR;
}

/*
 * Reads one plugin object (stdin of the plugin, or the object inside a conflist merged with the
 * list's name and cniVersion). Checks everything that can be checked without a host: version known,
 * name valid, kind known, ranges possible and disjoint, no unknown key, addresses in range.
 * Errors: ERROR_DECODE, ERROR_INVALID_ARGUMENT, ERROR_INCOMPATIBLE_VERSION, ERROR_UNKNOWN_OPTION,
 * ERROR_NOT_SUPPORTED, ERROR_NO_MEMORY.
 */
int netconf_parse(const char *text, size_t size, NetConf **ret, Error *e);
/* The same for the program of that name: the configuration that an IPAM plugin gets has the "type" of
 * the plugin that calls it. _NET_PLUGIN_INVALID: by "type". */
int netconf_parse_as(NetPlugin plugin, const char *text, size_t size, NetConf **ret, Error *e);

/* The network of attachments whose interface a plugin that is not ours has made. */
int netconf_new_foreign(const char *name, NetConf **ret);

/*
 * What DEL and GC need of an object, and no more: cniVersion, name, type (any; "loopback" sets kind),
 * prevResult, cni.dev/valid-attachments. They have to succeed with a configuration that has changed
 * since ADD or that a newer version of netmgr no longer accepts, so the rest is not looked at and a
 * prevResult that is not an object counts as absent. hash stays 0. plugin and kind are those of the
 * program, else of "type", else NET_PLUGIN_NETMGR.
 */
int netconf_parse_envelope(const char *text, size_t size, NetConf **ret, Error *e);
int netconf_parse_envelope_as(NetPlugin plugin, const char *text, size_t size, NetConf **ret,
                              Error *e);

/* The same as netconf_parse() for a whole conflist file that must hold exactly one plugin of type netmgr. expected_name:
 * the name that the file's name promises; NULL: any. */
int netconf_parse_list(const char *text, size_t size, const char *expected_name, NetConf **ret,
                       Error *e);

/* True when two sets of the array (or two ranges anywhere in it) share an address; says which. */
int range_sets_check_overlap(const NetRangeSet *sets, size_t n_sets, const char *path, Error *e);

/* CNI_ARGS, "K=V;K=V", keys with case. What we understand; the rest needs IgnoreUnknown=1. */
typedef struct CniArgs {
        InPrefix ips[16];  /* IP=addr[/len],... */
        uint32_t bare_ips; /* bit i: ips[i] was written without a length, and has the full one */
        size_t n_ips;
        MacAddr mac;         /* MAC=; zero: unset */
        InAddr gateways[16]; /* GATEWAY=addr,... (static) */
        size_t n_gateways;
        char *pod_namespace, *pod_name, *pod_uid, *infra_container_id; /* K8S_POD_*; owned */
} CniArgs;
int cni_args_parse(const char *s, CniArgs *ret, Error *e);
void cni_args_clear(CniArgs *a);
/* The value of any key of a string that cni_args_parse() took, the last one of several; owned by the
 * caller. *ret is NULL when there is none. */
int cni_args_find(const char *s, const char *key, char **ret);

/* The MAC address that the sandbox's interface is to have: "mac" of `network`, CNI_ARGS, then what the
 * runtime says in `request`, the later one winning. Zero: any. */
MacAddr netconf_choose_mac(const NetConf *network, const NetConf *request, const CniArgs *args);

/* tuning's settings of one attachment: those of the network, with what args.cni of `request` says in their
 * place or beside them. The sysctls are the caller's, at most SYSCTLS_MAX. */
NetTuning netconf_choose_tuning(const NetConf *network, const NetConf *request);
int netconf_choose_sysctls(const NetConf *network, const NetConf *request, NetSysctl **ret,
                           size_t *ret_n, Error *e);
void net_sysctls_free(NetSysctl *list, size_t n);

/*
 * The addresses of an attachment to a network with ipam of type static: those of the network and of
 * CNI_ARGS IP, with CNI_ARGS GATEWAY in the subnets that contain it; or, instead of all these, those
 * that the runtime asks for in `request`. The array is the caller's. ERROR_INVALID_ARGUMENT,
 * ERROR_BAD_ENVIRONMENT.
 */
int netconf_static_addresses(const NetConf *network, const NetConf *request, const CniArgs *args,
                             NetStaticAddress **ret, size_t *ret_n, Error *e);
