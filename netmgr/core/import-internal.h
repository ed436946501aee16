/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between import.c and import-reserve.c. */

#include "base/json.h"
#include "core/import.h"
#include "core/ipam.h"

/* The answer while it grows. */
typedef struct ImportReport {
        json_object *imported, *skipped; /* owned; NULL: not yet */
        int r;                           /* -ENOMEM: something is missing in it */
} ImportReport;

void import_report_clear(ImportReport *p);
/* Takes the object over; reason NULL: it is imported. */
void import_report_add(ImportReport *p, json_object *o, const char *reason);
/* {"container", "interface", "network"}, of each what is not NULL or "". */
json_object *import_report_row(const char *container, const char *ifname, const char *network);
/* Ends the operation: the report, or the failure r with *e. */
void import_report_end(ImportReport *p, Manager *m, int r, const Error *e, RequestDone done,
                       void *userdata);

/* "@NAME"; owned, NULL when out of memory. */
char *import_pool_name(const char *name);

/* IMPORT_HOST_LOCAL, IMPORT_WHEREABOUTS. */
void import_reserve(Manager *m, ImportSource source, const char *json, bool dry_run,
                    RequestDone done, void *userdata);
