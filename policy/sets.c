/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The one list of sets; types as Debian's nft names them, so that its listing reads them back. */

#include "policy/sets.h"

#include <linux/netfilter.h>
#include <stdio.h>

/* Data types of nft (enum datatypes of its sources): only for the listing, the kernel ignores them. */
#define T_IP4     7U
#define T_IP6     8U
#define T_MAC     9U
#define T_PROTO   12U
#define T_SERVICE 13U
#define T_GROUP   35U
#define T_IFNAME  41U
/* Concatenation: six bits per part. */
#define CAT2(a, b)    ((a) << 6 | (b))
#define CAT3(a, b, c) ((a) << 12 | (b) << 6 | (c))

const NftTable policy_tables[_TABLE_MAX] = {
        [TABLE_NP] = { NFPROTO_INET, "netmgr_np" },
        [TABLE_NAT] = { NFPROTO_INET, "netmgr_nat" },
        [TABLE_BR] = { NFPROTO_BRIDGE, "netmgr_br" },
};

#define NAME_SET(t, n)                                                                             \
        { .table = t, .name = n, .key_type = T_IFNAME, .key_size = 16, .host_order = true }
#define SRC_SET(t, n, type, size)                                                                  \
        {                                                                                          \
                .table = t, .name = n, .key_type = CAT2(T_IFNAME, type), .key_size = 16 + (size),  \
                .fields = {                                                                        \
                        16,                                                                        \
                        size                                                                       \
                }                                                                                  \
        }
#define LIMIT_SET(t, n)                                                                            \
        {                                                                                          \
                .table = t, .name = n, .key_type = T_IFNAME, .key_size = 16, .limit = true,        \
                .host_order = true                                                                 \
        }

const PolicySetInfo policy_sets[_SET_MAX] = {
        [SET_PORTS] = NAME_SET(TABLE_NP, "ports"),
        [SET_BRIDGES] = NAME_SET(TABLE_NP, "bridges"),
        [SET_SRC4] = SRC_SET(TABLE_NP, "src4", T_IP4, 4),
        [SET_SRC6] = SRC_SET(TABLE_NP, "src6", T_IP6, 16),
        [SET_NETWORKS] = { .table = TABLE_NP,
                           .name = "networks",
                           .key_type = T_GROUP,
                           .key_size = 4,
                           .host_order = true },
        [SET_ISOLATED] = { .table = TABLE_NP,
                           .name = "isolated",
                           .key_type = T_GROUP,
                           .key_size = 4,
                           .host_order = true },
        [SET_ALLOWED] = { .table = TABLE_NP,
                          .name = "allowed",
                          .key_type = CAT2(T_GROUP, T_GROUP),
                          .key_size = 8,
                          .fields = { 4, 4 } },
        [SET_POLICE_FROM] = LIMIT_SET(TABLE_NP, "police_from"),
        [SET_POLICE_TO] = LIMIT_SET(TABLE_NP, "police_to"),
        [SET_FREE] = NAME_SET(TABLE_NP, "free"),
        [SET_CLOSED4] = SRC_SET(TABLE_NP, "closed4", T_IP4, 4),
        [SET_CLOSED6] = SRC_SET(TABLE_NP, "closed6", T_IP6, 16),
        [SET_INNER4] = SRC_SET(TABLE_NP, "inner4", T_IP4, 4),
        [SET_INNER6] = SRC_SET(TABLE_NP, "inner6", T_IP6, 16),
        [SET_INSIDE4] = SRC_SET(TABLE_NP, "inside4", T_IP4, 4),
        [SET_INSIDE6] = SRC_SET(TABLE_NP, "inside6", T_IP6, 16),
        [SET_NOMETA4] = { .table = TABLE_NP, .name = "nometa4", .key_type = T_IP4, .key_size = 4 },
        [SET_NOMETA6] = { .table = TABLE_NP, .name = "nometa6", .key_type = T_IP6, .key_size = 16 },

        [SET_HOSTIP4] = { .table = TABLE_NAT,
                          .name = "hostip4",
                          .key_type = CAT3(T_IP4, T_PROTO, T_SERVICE),
                          .key_size = 12,
                          .data_type = CAT2(T_IP4, T_SERVICE),
                          .data_size = 8,
                          .fields = { 4, 4, 4 } },
        [SET_HOSTIP6] = { .table = TABLE_NAT,
                          .name = "hostip6",
                          .key_type = CAT3(T_IP6, T_PROTO, T_SERVICE),
                          .key_size = 24,
                          .data_type = CAT2(T_IP6, T_SERVICE),
                          .data_size = 20,
                          .fields = { 16, 4, 4 } },
        [SET_HOST4] = { .table = TABLE_NAT,
                        .name = "host4",
                        .key_type = CAT2(T_PROTO, T_SERVICE),
                        .key_size = 8,
                        .data_type = CAT2(T_IP4, T_SERVICE),
                        .data_size = 8,
                        .fields = { 4, 4 } },
        [SET_HOST6] = { .table = TABLE_NAT,
                        .name = "host6",
                        .key_type = CAT2(T_PROTO, T_SERVICE),
                        .key_size = 8,
                        .data_type = CAT2(T_IP6, T_SERVICE),
                        .data_size = 20,
                        .fields = { 4, 4 } },
        [SET_MASQ4] = { .table = TABLE_NAT, .name = "masq4", .key_type = T_IP4, .key_size = 4 },
        [SET_MASQ6] = { .table = TABLE_NAT, .name = "masq6", .key_type = T_IP6, .key_size = 16 },
        [SET_KEEP4] = { .table = TABLE_NAT,
                        .name = "keep4",
                        .key_type = T_IP4,
                        .key_size = 4,
                        .interval = true },
        [SET_KEEP6] = { .table = TABLE_NAT,
                        .name = "keep6",
                        .key_type = T_IP6,
                        .key_size = 16,
                        .interval = true },
        [SET_KEEPNET4] = { .table = TABLE_NAT,
                           .name = "keepnet4",
                           .key_type = CAT2(T_GROUP, T_IP4),
                           .key_size = 8,
                           .fields = { 4, 4 },
                           .interval = true },
        [SET_KEEPNET6] = { .table = TABLE_NAT,
                           .name = "keepnet6",
                           .key_type = CAT2(T_GROUP, T_IP6),
                           .key_size = 20,
                           .fields = { 4, 16 },
                           .interval = true },
        [SET_HAIRPIN] = { .table = TABLE_NAT,
                          .name = "hairpin",
                          .key_type = CAT2(T_IFNAME, T_IFNAME),
                          .key_size = 32,
                          .fields = { 16, 16 } },
        [SET_SELF4] = { .table = TABLE_NAT,
                        .name = "self4",
                        .key_type = CAT2(T_IP4, T_IP4),
                        .key_size = 8,
                        .fields = { 4, 4 } },
        [SET_SELF6] = { .table = TABLE_NAT,
                        .name = "self6",
                        .key_type = CAT2(T_IP6, T_IP6),
                        .key_size = 32,
                        .fields = { 16, 16 } },
        [SET_LOCALNET] = NAME_SET(TABLE_NAT, "localnet"),
        [SET_MASQPORT4] = { .table = TABLE_NAT,
                            .name = "masqport4",
                            .key_type = T_IP4,
                            .key_size = 4 },
        [SET_MASQPORT6] = { .table = TABLE_NAT,
                            .name = "masqport6",
                            .key_type = T_IP6,
                            .key_size = 16 },

        [SET_BR_PORTS] = NAME_SET(TABLE_BR, "ports"),
        [SET_BR_MAC] = { .table = TABLE_BR,
                         .name = "mac",
                         .key_type = CAT2(T_IFNAME, T_MAC),
                         .key_size = 24,
                         .fields = { 16, 6 } },
        [SET_BR_L2] = NAME_SET(TABLE_BR, "l2"),
        [SET_BR_SRC4] = SRC_SET(TABLE_BR, "src4", T_IP4, 4),
        [SET_BR_SRC6] = SRC_SET(TABLE_BR, "src6", T_IP6, 16),
        [SET_BR_POLICE_FROM] = LIMIT_SET(TABLE_BR, "police_from"),
        [SET_BR_POLICE_TO] = LIMIT_SET(TABLE_BR, "police_to"),
        [SET_BR_FREE] = NAME_SET(TABLE_BR, "free"),
        [SET_BR_MAC_ONLY] = NAME_SET(TABLE_BR, "mac_only"),
        [SET_BR_CLOSED] = NAME_SET(TABLE_BR, "closed"),
};

bool policy_set_is_host_map(PolicySet set) {
        return set >= SET_HOSTIP4 && set <= SET_HOST6;
}

void policy_set_name(PolicySet set, uint32_t group, char ret[static NFT_NAME_MAX]) {
        if (group != 0 && policy_set_is_host_map(set))
                snprintf(ret, NFT_NAME_MAX, "%s_%x", policy_sets[set].name, group);
        else
                snprintf(ret, NFT_NAME_MAX, "%s", policy_sets[set].name);
}
