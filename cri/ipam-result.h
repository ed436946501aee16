/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What an IPAM plugin of others answers: a CNI result of any version, of which the addresses, routes and
 * DNS settings are ours to apply. It was written by a program that we do not know.
 */

#include "base/error.h"
#include "cri/netconf.h"

typedef struct IpamAddress {
        InPrefix address; /* as the interface gets it */
        InAddr gateway;   /* AF_UNSPEC: none */
} IpamAddress;

typedef struct IpamResult {
        IpamAddress *ips;
        size_t n_ips;
        NetRoute *routes;
        size_t n_routes;
        NetDns dns;
} IpamResult;

void ipam_result_clear(IpamResult *r);

/* version: of the configuration, for a result that names none. ERROR_DELEGATE names what is wrong with
 * it; at least one address is wanted. */
int ipam_result_parse(const char *text, size_t size, const char *version, IpamResult *ret,
                      Error *e);
