/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What an IPAM plugin of others answers: a CNI result of any version, of which the addresses, routes and
 * DNS settings are ours to apply. It was written by a program that we do not know.
 */

#include "cri/result.h"

/* version: of the configuration, for a result that names none. ERROR_DELEGATE names what is wrong with
 * it; at least one address is wanted. Destinations of routes have lost their host bits. */
int ipam_result_parse(const char *text, size_t size, const char *version, CniOwnedResult *ret,
                      Error *e);
/* CNI's dns object alone. */
int ipam_dns_parse(const char *text, size_t size, NetDns *ret, Error *e);
