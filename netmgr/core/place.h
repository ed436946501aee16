/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The place of one interface among those of its sandbox: what the sandbox's choice of networks says about
 * it, beside the configuration of the network and of the runtime. op-networks.c fills it in for each member of
 * an ADD; what lasts of it goes into the specification (AttachmentSpec.parent and the following).
 */

#include "core/network.h"

typedef struct RequestPlace {
        const char *network; /* Network.name where it hangs, whatever the configuration's "name" is; NULL */
        /* Interface of the runtime's own ADD whose DEL ends this one, too; NULL: this is it. */
        const char *parent;
        const char *called; /* CNI network name that the runtime knows it by; NULL: its configuration's */
        const char *annotations; /* of the sandbox, as net_selections_keep() leaves them; NULL: none */
        const char *reference; /* "NAMESPACE/NAME" as network-status has it; NULL: the CNI name */
        unsigned position;     /* among the sandbox's interfaces; 0: the default network */
        bool hot;              /* attached while it ran */
        const char *choice;    /* why this network of a group; NULL: it was named */
        const char *owner; /* of a sticky address: "NAMESPACE/NAME" of the pod or what stands for it, "claim/…";
                              NULL: nobody */
        bool owner_is_claim; /* it lasts until it is given up by name */

        /* Default routes. */
        bool no_default4, no_default6; /* another interface was asked to have them */
        bool has_default_route;        /* this one was */
        const InAddr *gateways; /* by these, in the order of preference; none: its network's */
        size_t n_gateways;

        bool no_ipv4, no_ipv6;  /* no address of that family */
        const NetRoute *routes; /* beside the network's; gw is set */
        size_t n_routes;
} RequestPlace;

struct AttachmentSpec;
/* Its words are copied. -ENOMEM; *s is then to be cleared all the same. */
int spec_take_place(struct AttachmentSpec *s, const RequestPlace *p);
