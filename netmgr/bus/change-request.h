/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The arguments of methods that have options, read out of the message. */

#include <systemd/sd-bus.h>

#include "base/error.h"
#include "cri/netconf.h"

typedef enum PortRequest {
        PORT_REQUEST_ADD,    /* sqqa{sv} */
        PORT_REQUEST_REMOVE, /* sqa{sv}: the container port stays 0 */
} PortRequest;

/* Protocol without case, ports above 0, HostIP the only option. *ret untouched on failure. */
int port_request_read(sd_bus_message *m, PortRequest which, NetPort *ret, Error *e);

/* sa{sv} of Manager.History: the filter, borrowed of the message, and the options Limit t and Since t.
 * What no option says stays as it is in *ret. */
typedef struct HistoryRequest {
        const char *filter;
        uint64_t limit, since;
} HistoryRequest;
int history_request_read(sd_bus_message *m, HistoryRequest *ret, Error *e);

/* a{sv}: the keys that are there replace values of *b, which begins as what holds now. A rate of 0
 * is no limit. *b untouched on failure. */
int bandwidth_request_read(sd_bus_message *m, NetBandwidth *b, Error *e);
