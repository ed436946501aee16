/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One runtime, by its socket: asked at start, after every interval and when netmgrd wants it, one
 * round at a time; the list goes to netmgrd under the endpoint's name. A runtime that cannot be asked
 * has no list, and nothing is released on its account. Failures are tried again, at first after a
 * second, then less and less often.
 */

#include <systemd/sd-event.h>

#include "base/error.h"

typedef struct Endpoint Endpoint;

typedef struct EndpointParams {
        sd_event *event;           /* borrowed */
        const char *name, *socket; /* copied; who claims, and the path to ask at */
        const char *runtime_dir;   /* netmgrd's; borrowed */
        bool system_bus;
        uint32_t interval_sec;
        bool optional;                   /* nobody said that it is there */
        void (*changed)(void *userdata); /* what endpoint_status() says */
        void *userdata;
} EndpointParams;

int endpoint_new(const EndpointParams *params, Endpoint **ret);
Endpoint *endpoint_free(Endpoint *p);
DEFINE_CLEANUP(Endpoint *, endpoint_free)

/* Begins the first round. */
void endpoint_start(Endpoint *p);
/* "containerd: 12 sandboxes", or what is wrong; borrowed. */
const char *endpoint_status(const Endpoint *p);
