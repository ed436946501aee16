/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The routes of an interface of others that the sandbox's choice of networks decides over: which interface has
 * the default routes, and routes beside those of its network. Their maker knows nothing of the choice, so they
 * are set behind it, and its result is put right. Nothing of it is in the specification: as all of what others
 * have made it is not compared, and goes with the interface.
 */

#include "core/place.h"
#include "cri/result.h"
#include "nl/nl.h"

/* Something of it concerns routes. */
bool place_has_routes(const RequestPlace *p);
/* On a worker; what is so already stays. */
int foreign_set_routes(NlSocket *pod, const char *ifname, const RequestPlace *p, Error *e);
/* The same in the result. -ENOMEM */
int foreign_route_result(CniOwnedResult *r, const RequestPlace *p);
