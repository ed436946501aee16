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

typedef enum NlOpType {
        NL_VETH_ADD,   /* host end here, peer born in the target netns with its final name */
        NL_BRIDGE_ADD, /* -EEXIST when the name is taken */
        NL_LINK_SET,   /* by name: fields in `mask` */
        NL_LINK_DEL,   /* by name; ENODEV is the caller's success */
        NL_GROUP_DEL,  /* every link of the group */
        NL_ADDR_ADD, /* NLM_F_REPLACE: idempotent; NODAD for IPv6, no prefix route when `noprefixroute` */
        NL_ADDR_DEL,
        NL_ROUTE_ADD, /* -EEXIST when there is one, unless `replace` */
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
} NlLinkMask;

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
                        bool mcast_snooping; /* off by default: MLD reports flood */
                } bridge;
                struct {
                        char name[16];
                        NlLinkMask mask;
                        bool up, hairpin, promisc, route_localnet;
                        uint32_t mtu, group, master_ifindex, rp_filter;
                        MacAddr mac;
                } link;
                struct {
                        int32_t ifindex; /* or NL_HOST_END, NL_POD_END */
                        InPrefix address;
                        bool noprefixroute;
                        uint8_t scope; /* RT_SCOPE_*; 0 universe */
                } addr;
                struct {
                        int32_t ifindex; /* or NL_HOST_END, NL_POD_END */
                        InPrefix dst;
                        InAddr gw, prefsrc; /* AF_UNSPEC: none */
                        bool onlink, replace;
                        uint32_t mtu, advmss, priority, table; /* 0: unset, main */
                        uint8_t scope;
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
        bool hairpin;                      /* of a bridge port */
        MacAddr mac;
} NlLink;
typedef struct NlAddr {
        uint32_t ifindex;
        InPrefix address;
        uint8_t scope;
        uint32_t flags; /* IFA_F_* */
} NlAddr;
typedef struct NlRoute {
        uint32_t ifindex; /* 0: none (blackhole, multipath) */
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

typedef enum NlDumpMask {
        NL_DUMP_LINKS = 1 << 0,
        NL_DUMP_ADDRS = 1 << 1,
        NL_DUMP_ROUTES = 1 << 2, /* unicast, table main only unless NL_DUMP_ALL_TABLES */
        NL_DUMP_NEIGHS = 1 << 3,
        NL_DUMP_ALL_TABLES = 1 << 4,
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
} NlDump;
void kernel_dump_clear(NlDump *d);

typedef struct Kernel Kernel;     /* real or fake */
typedef struct NlSocket NlSocket; /* one rtnetlink socket in one netns */

/* What an apply reports besides success. */
typedef struct NlApplied {
        uint32_t host_ifindex, pod_ifindex; /* of the last NL_VETH_ADD, else 0 */
        uint32_t ifb_ifindex;               /* of the last NL_IFB_ADD, else 0 */
        size_t failed;     /* index of the op that failed first, when apply failed */
        char message[128]; /* the kernel's own words for it, "" when it had none */
} NlApplied;

struct KernelOps {
        /* Wraps an rtnetlink socket (opened by us, or by netmgr-nsd in a pod); takes the fd on success. */
        int (*socket_from_fd)(Kernel *k, int fd, NlSocket **ret);
        NlSocket *(*socket_free)(NlSocket *s);
        /* All ops in one send, acknowledged by the last; 0, or the errno of the first that failed.
         * A failed op does not keep those after it from being done. */
        int (*apply)(NlSocket *s, const NlOp *ops, size_t n_ops, NlApplied *ret);
        int (*dump)(NlSocket *s, NlDumpMask mask, NlDump *ret);
        /* One link; -ENODEV when there is none. */
        int (*get_link)(NlSocket *s, const char *name, NlLink *ret);
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

/* Opens an rtnetlink socket in the caller's own netns (real kernel). */
int kernel_open_fd(void);

int kernel_socket_from_fd(Kernel *k, int fd, NlSocket **ret);
NlSocket *kernel_socket_free(NlSocket *s); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(NlSocket *, kernel_socket_free)
int kernel_apply(NlSocket *s, const NlOp *ops, size_t n_ops, NlApplied *ret);
int kernel_dump(NlSocket *s, NlDumpMask mask, NlDump *ret);
int kernel_get_link(NlSocket *s, const char *name, NlLink *ret);
int kernel_get_route(NlSocket *s, const InAddr *dst, uint32_t *ret_ifindex, InAddr *ret_source);

/* Puts the indices of what was made where the plan said NL_HOST_END, NL_POD_END, NL_IFB_END. */
void nl_ops_resolve(NlOp *ops, size_t n_ops, const NlApplied *made);

/* "create the veth pair nmg1f": the op in words, for sentences; owned by caller. */
char *nl_op_describe(const NlOp *op);
