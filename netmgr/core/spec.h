/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Everything that one attachment should be, as plain values: what the ledger's row says, what the
 * kernel must show and what the runtime is told all derive from this struct and from nothing else.
 * It is complete before the kernel is touched.
 */

#include <net/if.h>

#include "cri/netconf.h"
#include "cri/result.h"

typedef struct SpecAddress {
        InPrefix address; /* as the interface has it: /32 and /128 for kind routed */
        InAddr gateway;   /* AF_UNSPEC: none */
} SpecAddress;

/* A host port of one family; the sandbox's address of that family is where it leads. */
typedef struct SpecPort {
        InAddr host; /* family set; unspecified: every address of the host */
        uint8_t protocol;
        uint16_t host_port, container_port;
} SpecPort;

/* What leaves from this address goes by that table. */
typedef struct AdjustRule {
        InAddr source;
        uint32_t table;
} AdjustRule;

/* A route of the interface that is somewhere else than its maker put it. */
typedef struct AdjustRoute {
        NetRoute route; /* `table` is always set */
        InAddr prefsrc; /* AF_UNSPEC: none */
        bool onlink;
} AdjustRoute;

/* What the chained plugins tuning, sbr and vrf make of the interface inside of the sandbox (adjust.h). */
typedef struct SpecAdjust {
        bool has_tuning;  /* `tuned` holds something */
        bool has_sysctls; /* a plugin of the chain wrote some: CHECK compares them */
        NetTuning tuned;  /* its mac is the specification's, too */
        NetTuning before; /* what the interface had, of the keys that `tuned` has */
        AdjustRule *rules;
        size_t n_rules;
        AdjustRoute *routes; /* on-link ones first: the gateways of the others are behind them */
        size_t n_routes;
        bool routes_moved;     /* of every family that has a rule; all of them with a VRF */
        char vrf[IF_NAMESIZE]; /* "": none */
        uint32_t vrf_table;
} SpecAdjust;
typedef struct NicState NicState; /* nic.h */

typedef struct AttachmentSpec {
        uint64_t id;
        NetKind kind;
        char ifname[IF_NAMESIZE];      /* in the sandbox */
        char host_ifname[IF_NAMESIZE]; /* "": no host end (loopback) */
        char bridge[IF_NAMESIZE];      /* kind bridge */
        MacAddr host_mac, mac, bridge_mac;
        uint32_t mtu;        /* bytes */
        uint32_t bridge_mtu; /* for the result only; 0: unknown */
        bool hairpin;
        bool unforeseen; /* addresses of no range of the network: ADD sees to their forwarding and gateways */
        bool is_gateway;        /* kind bridge: the bridge holds the gateways' addresses */
        SpecAddress *addresses; /* owned */
        size_t n_addresses;
        NetRoute *routes; /* owned; gateways filled in, the default route among them */
        size_t n_routes;
        NetDns dns;          /* owned */
        InAddr node4, node6; /* preferred source of the host towards the sandbox, or unset */
        bool block_metadata; /* metadata_address() is out of the sandbox's reach */
        uint32_t group;      /* link group of the network */
        bool snat;           /* host ports work by 127.0.0.1 and from the sandbox itself */
        SpecPort *ports;     /* owned; columns of the ledger's table port */
        size_t n_ports;
        NetBandwidth bandwidth; /* table shaping */
        NetShapingMode shaping_mode;
        NetSysctl *sysctls; /* owned; IFNAME replaced; written at ADD */
        size_t n_sysctls;
        bool dhcp;       /* addresses and routes are those of a lease of a DHCP server */
        bool lease_dns;  /* and the DNS settings */
        bool lease_over; /* there is none at the moment: the interface is down */
        char *cni_name;  /* "name" of the CNI configuration; owned */
        /* Its place among the interfaces of the sandbox (place.h). */
        char parent[IF_NAMESIZE]; /* the runtime's own interface that takes it along; "": this is one */
        uint32_t position;        /* 0: the default network */
        char *called;    /* CNI network name of the runtime\'s call; NULL: cni_name; owned */
        char *reference; /* as network-status names the network; NULL: by cni_name; owned */
        char *choice;    /* why this network of a group; NULL: it was named; owned */
        bool hot;        /* attached while the sandbox ran */
        bool imported;   /* taken over (import.h): all of it is what its delegates have made */
        /* Of its routes (add-routes.c): added where none is said, 0: none; which defaults it must not have, and
         * which are those of the sandbox. */
        uint32_t metric;
        bool no_default4, no_default6, has_default4, has_default6;
        NetIngressPolicy ingress;
        char *portmap; /* what a chained portmap was configured with; NULL: none was; owned */
        /* kind foreign: of what another program has made; addresses are in the JSON, not in their table */
        char foreign_ifname[IF_NAMESIZE]; /* the host's end; "": not known */
        bool set_localnet; /* route_localnet towards it was off before it had host ports */
        SpecAdjust adjust;
        /* NULL: everything unset (always for routed and loopback); owned. The master is decided: never "",
         * where the kind has one. */
        NetLinkConf *link;
        /* By a name of the reference plugins: the inside of the sandbox is left as they leave it, with
         * IPv6 and its autoconfiguration as the kernel has them. */
        bool drop_in;
        NicState *nic; /* kind host-device: what it was before; owned. NULL: user space drives it */
} AttachmentSpec;

/* A veth pair: its host end, nmg + id, is what rules, reconcile and DEL know the attachment by. Of the
 * other kinds the host has nothing; their link is in the sandbox and ends with it. */
bool kind_has_host_end(NetKind kind);
/* The host end is a port of the network's bridge. */
bool kind_has_bridge(NetKind kind);
/* The host routes to each sandbox by its host end. */
bool kind_is_routed(NetKind kind);
/* The link stands upon another one: NetLinkConf.master. */
bool kind_has_master(NetKind kind);
/* The link is in the sandbox and the host has no part of it, but it is ours to delete (or, as for lo, to
 * lower). */
bool kind_is_inside(NetKind kind);
/* "tun" for a tap: IFLA_INFO_KIND. */
const char *kind_in_kernel(NetKind kind);
/* It has the MAC address of its master, whatever we wish. */
bool kind_shares_mac(NetKind kind);
/* The same, unless the network has chosen one. */
bool spec_shares_mac(const AttachmentSpec *s);

void spec_clear(AttachmentSpec *s);
/* For threads, who never see the attachment itself. */
int spec_copy(const AttachmentSpec *from, AttachmentSpec *ret);

/* What the typed columns of the row do not hold, as JSON: bridge, hairpin, routes, dns, node
 * addresses, CNI name. */
int spec_to_json(const AttachmentSpec *s, char **ret);
int spec_from_json(const char *text, AttachmentSpec *s, Error *e);

/* The CNI result in the given version. netns_path as CNI_NETNS said it. */
int spec_to_result(const AttachmentSpec *s, const char *netns_path, const char *version, char **ret,
                   Error *e);

/* The interface that delays what leaves the sandbox (shaping mode shape): "nmi" + id in hex. */
void spec_ifb_name(const AttachmentSpec *s, char ret[static IF_NAMESIZE]);
/* True when the limit of that direction is kept by tc. */
bool spec_shapes_ingress(const AttachmentSpec *s);
bool spec_shapes_egress(const AttachmentSpec *s);
/* The host has to accept 127.0.0.1 as a source towards the sandbox. */
bool spec_needs_route_localnet(const AttachmentSpec *s);
/* The bridge has to send frames back to the port they came from: asked for, or where br_netfilter
 * translates a host port's address before the host's routing would see the packet. */
bool spec_needs_hairpin(const AttachmentSpec *s);

/* The host's end, whoever made it; "": none. */
const char *spec_host_end(const AttachmentSpec *s);
/* The link by which the host routes to it: its bridge, or the host's end. */
const char *spec_way_in(const AttachmentSpec *s);

/* False: a device that user space drives, which has no link. */
bool spec_has_link(const AttachmentSpec *s);
bool spec_has_family(const AttachmentSpec *s, int family);
/* Of the sandbox's end. */
uint32_t spec_sandbox_mtu(const AttachmentSpec *s);
/* The routes of that family are those of `adjust`, not `routes`. */
bool spec_routes_moved(const AttachmentSpec *s, int family);

/* A metric as the kernel counts it: IPv6 has 1024 for "none". */
uint32_t spec_metric(int family, uint32_t metric);
/* Gives a route of the interface that has no metric the one that its place asks for. */
void spec_set_metric(const AttachmentSpec *s, NetRoute *route);

/* The next hop that a routed sandbox sees. Nobody holds these addresses: permanent neighbour entries
 * on both sides answer for them. */
InAddr routed_gateway(int family);

/* Where a cloud's machines ask who they are; AF_INET or AF_INET6. The whole address. */
InPrefix metadata_address(int family);

/* "IFNAME" in a sysctl's name is replaced once, as tuning does. Owned by caller. */
char *spec_sysctl_name(const char *name, const char *ifname);

/* Copies; -ENOMEM leaves *ret cleared. */
int net_dns_copy(const NetDns *from, NetDns *ret);
