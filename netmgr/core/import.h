/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What was on the node before netmgr is taken over, as its files say (cri/import.h). An interface becomes an
 * attachment of kind foreign, up, whose delegates are the plugins that made it, in their order: a DEL of the
 * runtime, by whatever name of a network, has them end it, last first. Addresses are held in pools of others
 * (ipam.h), so that no network of ours gives them out. Nothing of it is in our rule tables, and nothing in the
 * kernel is touched.
 *
 * A sandbox is taken over with all of its interfaces in one commit, or not at all: a crash leaves it unknown, and
 * the import is repeated. What is known already, or has ended since the file was written, is passed over.
 */

#include "core/operation.h"

typedef enum ImportSource {
        IMPORT_MULTUS,      /* one sandbox: import_pod_parse() */
        IMPORT_HOST_LOCAL,  /* one directory: {"network", "files": [{"name", "text"}]} */
        IMPORT_WHEREABOUTS, /* import_pools_parse() */
        _IMPORT_SOURCE_MAX,
        _IMPORT_SOURCE_INVALID = -EINVAL,
} ImportSource;
ImportSource import_source_from_string(const char *s);

/*
 * result: {"imported": [...], "skipped": [{..., "reason"}]}, objects with what is known of "container",
 * "interface", "network", "address" or "addresses". dry_run: nothing changes. `done` is called once, possibly
 * before the return.
 */
void operation_import(Manager *m, ImportSource source, const char *json, bool dry_run,
                      RequestDone done, void *userdata);

/* Reservations of others' pools: what this interface has there is given back. True: `done` will be called; false:
 * it has none. */
bool import_release(Manager *m, const char *container_id, const char *ifname, RequestDone done,
                    void *userdata);
