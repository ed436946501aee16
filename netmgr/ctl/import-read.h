/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Reading others' directories for an import, as root. Whoever may write there is not trusted: only regular files
 * are opened, no link is followed to one, and each has a limit. What the files mean is for netmgrd to say; here
 * only that is looked at which tells what belongs together.
 */

#include <systemd/sd-bus.h>

#include "base/json.h"

/* One file. Text is UTF-8 without NUL, or the visit is not called. */
typedef struct ImportFile {
        const char *name, *path, *text;
        size_t size;
        uint64_t written_usec; /* CLOCK_REALTIME */
} ImportFile;
/* A negative errno ends the walk. */
typedef int (*ImportVisit)(const ImportFile *file, void *userdata);

/*
 * Visits the regular files of the directory, in the order of their names. What cannot be read is put into
 * `skipped` as {"file", "reason"}. -ENOENT: there is no such directory (*e is left alone); other failures fill *e.
 */
int import_read_dir(const char *path, size_t max, json_object *skipped, ImportVisit visit,
                    void *userdata, sd_bus_error *e);
/* The same for one file, which a person has named. */
int import_read_file(const char *path, size_t max, json_object *skipped, ImportVisit visit,
                     void *userdata, sd_bus_error *e);

/* {KEY: what, "reason"} at the end of the list; -ENOMEM. */
int import_skip(json_object *skipped, const char *key, const char *what, const char *reason);

/*
 * Requests for Manager.Import, in an array each; owned by caller.
 * Of Multus and libcni one per sandbox. dir and the (NULL-terminated) results directories need not be there, but
 * one of them has to.
 */
int import_read_multus(const char *dir, const char *const *results, json_object *skipped,
                       json_object **ret, sd_bus_error *e);
/* Of host-local one per network. */
int import_read_host_local(const char *dir, json_object *skipped, json_object **ret,
                           sd_bus_error *e);
