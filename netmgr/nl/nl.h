/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * rtnetlink as typed operations. A plan is an array of NlOp; a Kernel carries arrays of them out in
 * one send and can be asked what is there. There are two kernels with the same table: the real one
 * (rtnetlink, messages built by libnl) and a fake one in memory for tests, which checks the same
 * preconditions (nl-fake.h).
 *
 * Links are named by interface name, and by index once the kernel has told it: a veth's indices
 * are unknown when its plan is made, so addresses, routes and neighbours say NL_HOST_END or
 * NL_POD_END and the executor puts in what NL_VETH_ADD reported.
 *
 * Threads: an NlSocket belongs to one thread. Nothing here keeps state beyond the socket.
 */

#include "base/error.h"
#include "base/inaddr.h"

#define NL_HOST_END (-1)
#define NL_POD_END  (-2)
#define NL_IFB_END  (-3)

#define NL_ALIAS_MAX 255U /* the kernel's, bytes */

typedef enum NlOpType {
        NL_VETH_ADD,   /* host end here, peer born in the target netns with its final name */
        NL_BRIDGE_ADD, /* -EEXIST when the name is taken */
        NL_LINK_SET,   /* by name or index: fields in `mask` */
        NL_LINK_DEL,   /* by name or index; ENODEV is the caller's success */
        NL_GROUP_DEL,  /* every link of the group */
        NL_ADDR_ADD,   /* NLM_F_REPLACE: idempotent; NODAD for IPv6 unless `dad` */
        NL_ADDR_DEL,
        NL_ROUTE_ADD, /* -EEXIST when there is one, unless `replace` or `append` */
        NL_ROUTE_DEL,
        NL_NEIGH_ADD, /* permanent, replace */
        NL_NEIGH_DEL,
        NL_IFB_ADD, /* one queue, down; its index is NL_IFB_END from then on. -EEXIST */
        NL_TBF_SET, /* token bucket as root qdisc; replaces what is there, a new rate holds at once */
        NL_TBF_DEL,      /* root qdisc; the caller takes ENOENT for success */
        NL_CLSACT_ADD,   /* idempotent */
        NL_CLSACT_DEL,   /* with its filters */
        NL_REDIRECT_ADD, /* what comes in by the link goes out by another; needs NL_CLSACT_ADD */
        NL_REDIRECT_DEL, /* that one filter; the classifier may be somebody else's, with filters of his */
        NL_LINK_ADD, /* a link of one of NlLinkKind, here or born in another netns. -EEXIST */
        NL_BRIDGE_VLAN_ADD, /* VLANs of a bridge's port, or of the bridge itself with `self` */
        NL_BRIDGE_VLAN_DEL, /* succeeds when they are not there */
        NL_RULE_ADD,        /* -EEXIST when there is an equal one */
        NL_RULE_DEL,        /* -ENOENT */
        _NL_OP_MAX,
} NlOpType;

typedef enum NlLinkMask {
        NL_LINK_UP = 1 << 0, /* `up` */
        NL_LINK_MTU = 1 << 1,
        NL_LINK_GROUP = 1 << 2,
        NL_LINK_MASTER = 1 << 3,       /* `master_ifindex`, 0: none */
        NL_LINK_ADDRGEN_NONE = 1 << 4, /* IPv6 addr_gen_mode none: no link-local address, no RS */
        NL_LINK_IPV4_CONF =
                        1 << 5, /* accept_redirects=0, send_redirects=0, rp_filter as `rp_filter` */
        NL_LINK_HAIRPIN =
                        1
                        << 6, /* bridge port hairpin as `hairpin`; not together with NL_LINK_GROUP */
        NL_LINK_PROMISC = 1 << 7, /* IFF_PROMISC as `promisc` */
        NL_LINK_MAC = 1 << 8,
        NL_LINK_ROUTE_LOCALNET = 1 << 9, /* route_localnet as `route_localnet` */
        NL_LINK_NAME = 1 << 10,          /* `new_name`; the link must be down before Linux 6.2 */
        NL_LINK_ALIAS = 1 << 11,         /* `alias`; NULL or "": none from then on */
        NL_LINK_TXQLEN = 1 << 12,        /* `txqlen`, packets */
        NL_LINK_ALLMULTI = 1 << 13,      /* IFF_ALLMULTI as `allmulti` */
        NL_LINK_ISOLATED = 1 << 14, /* bridge port isolated as `isolated`; not with NL_LINK_GROUP */
        NL_LINK_NETNS = 1 << 15,    /* move to `netns_fd`; with NL_LINK_NAME under the new name */
        NL_LINK_VLAN_FILTERING = 1 << 16, /* of a bridge; not with NL_LINK_GROUP */
} NlLinkMask;

/* Settings that only RTM_NEWLINK changes; see nl-encode-link.c for why they go alone. */
#define NL_LINK_BY_NEWLINK (NL_LINK_HAIRPIN | NL_LINK_ISOLATED | NL_LINK_VLAN_FILTERING)

typedef enum NlLinkKind {
        NL_KIND_MACVLAN,
        NL_KIND_IPVLAN,
        NL_KIND_VLAN,
        NL_KIND_DUMMY,
        NL_KIND_VXLAN,
        NL_KIND_VRF,
        _NL_KIND_MAX,
        _NL_KIND_INVALID = -EINVAL,
} NlLinkKind;

/* What `ip link` calls it: "macvlan". NULL for what is none. */
const char *nl_link_kind_to_string(NlLinkKind kind);

typedef struct NlOp {
        NlOpType type;
        const char *what; /* static text for sentences: "create the veth pair" */
        union {
                struct {
                        char name[16], peer[16];
                        MacAddr mac, peer_mac;
                        uint32_t mtu, group;
                        int peer_netns_fd;       /* borrowed while the op runs */
                        uint32_t master_ifindex; /* bridge of the host end, 0: none */
                } veth;
                struct {
                        char name[16];
                        MacAddr mac;
                        uint32_t mtu, group;
                        bool mcast_snooping;  /* off by default: MLD reports flood */
                        bool vlan_filtering;  /* a kernel without it ignores this: probe */
                        bool no_default_pvid; /* ports are in no VLAN until one is added */
                } bridge;
                struct {
                        NlLinkKind kind;
                        char name[16];
                        int netns_fd; /* borrowed; born there with this name. -EBADF: here */
                        uint32_t link_ifindex; /* what it stands on, in the socket's netns; 0: nothing */
                        MacAddr mac;
                        bool has_mac;                        /* else the kernel chooses */
                        uint32_t mtu, group, master_ifindex; /* 0: unset */
                        union {
                                struct {
                                        uint32_t mode; /* MACVLAN_MODE_* */
                                        uint32_t bcqueuelen;
                                        bool has_bcqueuelen;
                                } macvlan;
                                struct {
                                        uint16_t mode; /* IPVLAN_MODE_* */
                                } ipvlan;
                                struct {
                                        uint16_t id;
                                } vlan;
                                struct {
                                        uint32_t vni;
                                        uint16_t port; /* 0: the kernel's 8472 */
                                        InAddr remote; /* or multicast group; AF_UNSPEC: none */
                                        InAddr local;
                                        uint8_t ttl; /* 0: inherit */
                                        bool learning;
                                } vxlan;
                                struct {
                                        uint32_t table;
                                } vrf;
                        };
                } newlink;
                struct {
                        char name[16];
                        int32_t ifindex; /* or NL_HOST_END, NL_POD_END; when name is "" */
                        NlLinkMask mask;
                        bool up, hairpin, promisc, route_localnet;
                        bool allmulti, isolated, vlan_filtering;
                        uint32_t mtu, group, master_ifindex, rp_filter, txqlen;
                        MacAddr mac;
                        char new_name[16];
                        const char *alias; /* borrowed; up to 255 bytes */
                        int netns_fd;      /* borrowed; NL_LINK_NETNS */
                } link;
                struct {
                        int32_t ifindex;       /* or NL_HOST_END */
                        bool self;             /* the bridge's own, not a port's */
                        uint16_t vid, vid_end; /* vid_end 0: one */
                        bool pvid, untagged;   /* pvid: not of a range */
                } bvlan;
                struct {
                        int family;
                        InPrefix src, dst; /* dst: AF_UNSPEC for any */
                        bool has_src;
                        uint32_t table;
                        uint32_t priority;     /* 0: the kernel chooses; to delete: any */
                        char iif[16], oif[16]; /* "": any */
                } rule;
                struct {
                        int32_t ifindex; /* or NL_HOST_END, NL_POD_END */
                        InPrefix address;
                        bool noprefixroute;
                        bool dad;      /* IPv6: usable only once nobody else answers for it */
                        uint8_t scope; /* RT_SCOPE_*; 0 universe */
                } addr;
                struct {
                        int32_t ifindex; /* or NL_HOST_END, NL_POD_END */
                        InPrefix dst;
                        InAddr gw, prefsrc; /* AF_UNSPEC: none */
                        bool onlink, replace;
                        bool append; /* one more beside what is there: IPv6 makes it multipath */
                        uint32_t mtu, advmss, priority, table; /* 0: unset, main */
                        uint8_t scope;
                        uint8_t type; /* RTN_*; 0: unicast. ifindex 0 for what goes nowhere */
                } route;
                struct {
                        int32_t ifindex; /* or NL_HOST_END, NL_POD_END */
                        InAddr address;
                        MacAddr mac;
                } neigh;
                uint32_t group; /* NL_GROUP_DEL */
                struct {
                        char name[16];
                        uint32_t mtu;
                } ifb;
                struct {
                        int32_t ifindex; /* or NL_HOST_END, NL_IFB_END */
                        uint64_t rate;   /* bytes per second */
                        uint32_t burst;  /* bytes */
                        uint32_t latency_us;
                } tbf;
                struct {
                        int32_t ifindex, to_ifindex; /* clsact: to_ifindex unused */
                } redirect;
        };
} NlOp;

/* What is there. Arrays are owned by the dump. */
typedef struct NlLink {
        uint32_t ifindex;
        char name[16];
        char kind[16];                     /* "veth", "bridge", … or "" */
        uint32_t flags;                    /* IFF_* */
        uint32_t mtu, group, master, link; /* link: IFLA_LINK, the peer's index for a veth */
        bool hairpin, isolated;            /* of a bridge port */
        MacAddr mac;
        MacAddr perm_mac; /* burnt in; what identifies a NIC under any name */
        bool has_perm_mac;
        uint32_t txqlen, promiscuity; /* promiscuity: by how many it was asked for */
        int32_t link_netnsid;         /* of `link`, in the socket's netns; -1: the same netns */
        uint32_t mode;                /* MACVLAN_MODE_*, IPVLAN_MODE_* */
        uint32_t table;               /* of a VRF */
        uint32_t vni;                 /* of a VXLAN */
        uint16_t vlan_id;             /* of a VLAN */
        bool vlan_filtering, has_vlan_filtering; /* of a bridge; has_: the kernel knows it */
        char parent_name[32];                    /* "0000:00:05.0", "virtio0"; "": none */
        char parent_bus[32];                     /* "pci", "virtio" */
        char *alias; /* only in dumps, theirs; NULL: none. Of one link: kernel_get_alias() */
} NlLink;
typedef struct NlAddr {
        uint32_t ifindex;
        InPrefix address;
        uint8_t scope;
        uint32_t flags; /* IFA_F_* */
} NlAddr;
typedef struct NlRoute {
        uint32_t ifindex; /* 0: none (blackhole); a multipath route is told once per next hop */
        InPrefix dst;     /* length 0: default */
        InAddr gw, prefsrc;
        uint32_t table, priority, mtu, advmss;
        uint8_t scope, type, protocol;
} NlRoute;
typedef struct NlNeigh {
        uint32_t ifindex;
        InAddr address;
        MacAddr mac;
        uint16_t state; /* NUD_* */
} NlNeigh;

typedef struct NlRule {
        int family;
        InPrefix src, dst; /* dst: AF_UNSPEC for any */
        bool has_src;
        uint32_t table, priority;
        char iif[16], oif[16];
        uint8_t action; /* FR_ACT_* */
} NlRule;
typedef struct NlBridgeVlan {
        uint32_t ifindex; /* a port's or the bridge's */
        uint16_t vid, vid_end;
        bool pvid, untagged;
} NlBridgeVlan;

/* Counters of a link since it was made. */
typedef struct NlStat {
        uint32_t ifindex;
        uint64_t rx_bytes, tx_bytes;
} NlStat;

typedef enum NlDumpMask {
        NL_DUMP_LINKS = 1 << 0,
        NL_DUMP_ADDRS = 1 << 1,
        NL_DUMP_ROUTES = 1 << 2, /* unicast, table main only unless NL_DUMP_ALL_TABLES */
        NL_DUMP_NEIGHS = 1 << 3,
        NL_DUMP_ALL_TABLES = 1 << 4,
        NL_DUMP_RULES = 1 << 5,
        NL_DUMP_BRIDGE_VLANS = 1 << 6, /* nothing where the kernel has no vlan_filtering */
        NL_DUMP_COUNTERS = 1 << 7,
} NlDumpMask;
typedef struct NlDump {
        NlLink *links;
        size_t n_links;
        NlAddr *addrs;
        size_t n_addrs;
        NlRoute *routes;
        size_t n_routes;
        NlNeigh *neighs;
        size_t n_neighs;
        NlRule *rules;
        size_t n_rules;
        NlBridgeVlan *bridge_vlans;
        size_t n_bridge_vlans;
        NlStat *stats;
        size_t n_stats;
} NlDump;
void kernel_dump_clear(NlDump *d);

typedef struct Kernel Kernel;     /* real or fake */
typedef struct NlSocket NlSocket; /* one rtnetlink socket in one netns */

/* What an apply reports besides success. */
typedef struct NlApplied {
        uint32_t host_ifindex; /* of the last NL_VETH_ADD, else 0 */
        uint32_t pod_ifindex;  /* its peer's, or what the last NL_LINK_ADD made; else 0 */
        uint32_t ifb_ifindex;  /* of the last NL_IFB_ADD, else 0 */
        size_t failed;         /* index of the op that failed first, when apply failed */
        char message[128];     /* the kernel's own words for it, "" when it had none */
} NlApplied;

struct KernelOps {
        /* Wraps an rtnetlink socket (opened by us, or by netmgr-nsd in a pod); takes the fd on success. */
        int (*socket_from_fd)(Kernel *k, int fd, NlSocket **ret);
        NlSocket *(*socket_free)(NlSocket *s);
        /* All ops in one send, acknowledged by the last; 0, or the errno of the first that failed.
         * A failed op does not keep those after it from being done. */
        int (*apply)(NlSocket *s, const NlOp *ops, size_t n_ops, NlApplied *ret);
        int (*dump)(NlSocket *s, NlDumpMask mask, NlDump *ret);
        /* One link, by name, or by index when name is NULL; -ENODEV when there is none. With ret_alias
         * also its alias (NULL: none), the caller's. */
        int (*get_link)(NlSocket *s, const char *name, uint32_t ifindex, NlLink *ret,
                        char **ret_alias);
        /* Route lookup towards an address: outgoing link and chosen source. -ENETUNREACH: none. */
        int (*get_route)(NlSocket *s, const InAddr *dst, uint32_t *ret_ifindex, InAddr *ret_source);
};
struct Kernel {
        const struct KernelOps *ops;
};

extern Kernel kernel_real;

/* What of traffic control this kernel has, found by trying it on a scratch link that goes again. */
typedef struct NlTcFeatures {
        bool tbf, ifb, clsact, mirred;
} NlTcFeatures;
int kernel_probe_tc(NlSocket *s, NlTcFeatures *ret);

/* Kinds of links. Found by asking for what no kind grants: who has the kind says why not, who has it
 * not says so, and nothing is made (but one bridge, for vlan_filtering). `tun`: its device opens. */
typedef struct NlLinkFeatures {
        bool macvlan, ipvlan, vlan, dummy, vrf, vxlan, tun, bridge_vlan_filtering;
} NlLinkFeatures;
int kernel_probe_links(NlSocket *s, NlLinkFeatures *ret);

/* Opens an rtnetlink socket in the caller's own netns (real kernel). */
int kernel_open_fd(void);

int kernel_socket_from_fd(Kernel *k, int fd, NlSocket **ret);
NlSocket *kernel_socket_free(NlSocket *s); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(NlSocket *, kernel_socket_free)
int kernel_apply(NlSocket *s, const NlOp *ops, size_t n_ops, NlApplied *ret);
int kernel_dump(NlSocket *s, NlDumpMask mask, NlDump *ret);
int kernel_get_link(NlSocket *s, const char *name, NlLink *ret);
int kernel_get_link_by_index(NlSocket *s, uint32_t ifindex, NlLink *ret);
/* Owned by caller; NULL: it has none. */
int kernel_get_alias(NlSocket *s, uint32_t ifindex, char **ret);
int kernel_get_route(NlSocket *s, const InAddr *dst, uint32_t *ret_ifindex, InAddr *ret_source);

/* Puts the indices of what was made where the plan said NL_HOST_END, NL_POD_END, NL_IFB_END. */
void nl_ops_resolve(NlOp *ops, size_t n_ops, const NlApplied *made);

/* "create the veth pair nmg1f": the op in words, for sentences; owned by caller. */
char *nl_op_describe(const NlOp *op);
