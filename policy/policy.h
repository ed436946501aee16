/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the rule tables have to say about one network and about one attachment, as plain values. The
 * tables are a function of these structs and of nothing else: they are made from the ledger.
 *
 * Strings and arrays are borrowed; whoever keeps a struct makes a clone.
 */

#include <net/if.h>

#include "base/error.h"
#include "base/inaddr.h"

/* A rate limit: 0 means none. */
typedef struct PolicyLimit {
        uint64_t rate;  /* bytes per second */
        uint32_t burst; /* bytes */
} PolicyLimit;

/* One host port of one family. */
typedef struct PolicyPort {
        InAddr host;      /* 0.0.0.0 or ::: every address of the host */
        InAddr target;    /* the sandbox's address, same family */
        uint8_t protocol; /* IPPROTO_* */
        uint16_t host_port, container_port;
} PolicyPort;

/* What is checked of what comes out of the sandbox. */
typedef enum PolicySpoof {
        POLICY_SPOOF_ADDRESS, /* MAC and addresses are the sandbox's */
        POLICY_SPOOF_MAC, /* its MAC; other addresses may be behind it. Without a bridge: nothing */
        POLICY_SPOOF_NONE,
} PolicySpoof;

/* Who may open connections to the sandbox; what was asked for by a host port may always. */
typedef enum PolicyIngress {
        POLICY_INGRESS_OPEN,
        POLICY_INGRESS_INSIDE, /* its bridge, its network and those that the network allows */
        POLICY_INGRESS_CLOSED, /* nobody but the host itself */
} PolicyIngress;

typedef struct PolicyAttachment {
        uint64_t id;
        const char *network, *sandbox, *ifname; /* for comments: who a rule element belongs to */
        char host_ifname[IF_NAMESIZE];          /* "": the host has no end of it */
        char bridge[IF_NAMESIZE]; /* that the host end is a port of; "": none, or not known */
        bool bridged;             /* the host end is a bridge port: the inet tables never see it */
        /* The host end was made by somebody else, under a name of his: what passes it is not checked, and
         * the elements of its bridge belong to no network. */
        bool foreign;
        PolicySpoof spoof;
        PolicyIngress ingress;
        MacAddr mac; /* of the sandbox's end */
        InAddr *addresses;
        size_t n_addresses;
        bool dhcp; /* it may send from 0.0.0.0, as who asks for an address does, and from nowhere else */
        PolicyPort *ports;
        size_t n_ports;
        bool no_metadata; /* nothing of it reaches the cloud's metadata service */
        bool masquerade;  /* what leaves the node leaves with the node's address */
        bool snat;        /* host ports can be reached from the sandbox itself and by 127.0.0.1 */
        bool masquerade_ports; /* whoever comes through a host port is seen with the node's address */
        uint32_t condition_group; /* host ports belong to this group's conditions; 0: none */
        PolicyLimit from, to;     /* police: out of the sandbox, into it */
} PolicyAttachment;

/* One condition of portmap's conditionsV4 and conditionsV6. */
typedef struct PolicyCondition {
        enum { POLICY_SOURCE, POLICY_DESTINATION, POLICY_INPUT } what;
        bool negate;
        InPrefix prefix;          /* POLICY_SOURCE, POLICY_DESTINATION */
        char ifname[IF_NAMESIZE]; /* POLICY_INPUT */
} PolicyCondition;

typedef struct PolicyNetwork {
        const char *name;
        uint32_t group; /* link group of its interfaces: routed host ends, or the bridge */
        char bridge[IF_NAMESIZE]; /* "" for kinds without one */
        bool isolated;            /* other networks' sandboxes may not open connections into it */
        uint32_t *allow;          /* groups that may all the same */
        size_t n_allow;
        bool snat;
        InPrefix *subnets; /* nobody masquerades towards these */
        size_t n_subnets;
        InPrefix *excludes; /* this network does not masquerade towards these */
        size_t n_excludes;
        PolicyCondition *conditions[2]; /* of IPv4 and of IPv6; all of them must hold */
        size_t n_conditions[2];
} PolicyNetwork;

/* What concerns the whole node. */
typedef struct PolicyConfig {
        bool owner; /* [Nftables] Owner=: tables that nobody else can change */
        InAddr node4, node6; /* source of what netmgr masquerades towards sandboxes; unset: the kernel's choice */
} PolicyConfig;

PolicyAttachment *policy_attachment_clone(const PolicyAttachment *a);
PolicyAttachment *policy_attachment_free(PolicyAttachment *a);
DEFINE_CLEANUP(PolicyAttachment *, policy_attachment_free)
PolicyNetwork *policy_network_clone(const PolicyNetwork *n);
PolicyNetwork *policy_network_free(PolicyNetwork *n);
DEFINE_CLEANUP(PolicyNetwork *, policy_network_free)
