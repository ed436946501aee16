/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The sets and maps of the three tables: names, types of key and data. Everything that changes with
 * an attachment is an element of one of them; rules never change. See ruleset.h for the rules.
 */

#include "policy/nft-batch.h"

typedef enum PolicyTable {
        TABLE_NP,  /* inet netmgr_np: source protection, isolation, limits, policy */
        TABLE_NAT, /* inet netmgr_nat: host ports, masquerade */
        TABLE_BR,  /* bridge netmgr_br: bridge ports */
        _TABLE_MAX,
} PolicyTable;

typedef enum PolicySet {
        /* inet netmgr_np */
        SET_PORTS,   /* complete routed host ends */
        SET_BRIDGES, /* bridges of our networks */
        SET_SRC4,    /* host end . IPv4 address that may come from there */
        SET_SRC6,
        SET_NETWORKS,    /* link groups of our networks */
        SET_ISOLATED,    /* those with isolation */
        SET_ALLOWED,     /* from group . to group */
        SET_POLICE_FROM, /* host end, with a limit: out of the sandbox */
        SET_POLICE_TO,
        SET_FREE,    /* host ends whose sources are not checked */
        SET_CLOSED4, /* out interface . address that nobody may connect to */
        SET_CLOSED6,
        SET_INNER4, /* the same, for those that only their bridge may connect to */
        SET_INNER6,
        SET_INSIDE4, /* bridge . address: in interfaces that may all the same */
        SET_INSIDE6,
        SET_NOMETA4, /* source addresses that the metadata service never sees */
        SET_NOMETA6,
        /* inet netmgr_nat */
        SET_HOSTIP4, /* address . protocol . port : address . port */
        SET_HOSTIP6,
        SET_HOST4, /* protocol . port : address . port */
        SET_HOST6,
        SET_MASQ4, /* addresses that are masqueraded */
        SET_MASQ6,
        SET_KEEP4, /* ranges that nobody masquerades towards */
        SET_KEEP6,
        SET_KEEPNET4, /* from group . range that this group does not masquerade towards */
        SET_KEEPNET6,
        SET_HAIRPIN, /* in . out interface: a host port reached from where its sandbox is */
        SET_SELF4, /* address . the same: reached by itself, where a bridge hides the interfaces */
        SET_SELF6,
        SET_LOCALNET,  /* out interface that 127.0.0.1 may reach through a host port */
        SET_MASQPORT4, /* sandbox addresses whose host ports are always masqueraded */
        SET_MASQPORT6,
        /* bridge netmgr_br */
        SET_BR_PORTS,
        SET_BR_MAC, /* port . source MAC */
        SET_BR_L2,  /* ports of sandboxes whose addresses netmgr does not know */
        SET_BR_SRC4,
        SET_BR_SRC6,
        SET_BR_POLICE_FROM,
        SET_BR_POLICE_TO,
        SET_BR_FREE,     /* ports whose sources are not checked */
        SET_BR_MAC_ONLY, /* ports of which only the MAC is */
        SET_BR_CLOSED,   /* ports that other ports may not send to */
        _SET_MAX,
} PolicySet;

#define SET_KEY_MAX  36
#define SET_DATA_MAX 20

typedef struct PolicySetInfo {
        PolicyTable table;
        const char *name;
        uint32_t key_type, key_size, data_type, data_size; /* data_size 0: a set, no map */
        uint8_t fields[4]; /* sizes of a concatenation's parts; 0 ends */
        bool interval, limit;
        bool host_order; /* a key of one part that is in the host's byte order: nft asks for it */
} PolicySetInfo;

extern const PolicySetInfo policy_sets[_SET_MAX];
extern const NftTable policy_tables[_TABLE_MAX];

/* "host4", or "host4_6e6d0101" for the maps that belong to a group's conditions (group != 0). */
void policy_set_name(PolicySet set, uint32_t group, char ret[static NFT_NAME_MAX]);
/* True for the four maps of host ports, which exist once per group with conditions. */
bool policy_set_is_host_map(PolicySet set);
