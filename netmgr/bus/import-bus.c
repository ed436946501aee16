/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Manager.Import(s source, s json, a{sv} options) -> s. source: "multus", "host-local" or "whereabouts-files"; json is
 * what was read there, of one sandbox, of one directory, or of one file (core/import.h). Option DryRun b: nothing
 * is changed. The answer: {"imported": [...], "skipped": [{..., "reason"}]}.
 */

#include "base/failpoint.h"
#include "bus/bus-internal.h"
#include "core/import.h"

static void on_done(int r, const Error *e, const char *report, void *userdata) {
        sd_bus_message *m = userdata;

        failpoint_past("bus-reply");
        if (r < 0)
                bus_reply_error(m, r, e);
        else
                bus_reply(m, "s", report);
        sd_bus_message_unref(m);
}

int method_import(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *name, *json;
        bool dry_run = false;
        Bus *b = userdata;

        int r = sd_bus_message_read(m, "ss", &name, &json);
        if (r >= 0)
                r = bus_read_dry_run(m, &dry_run, error);
        if (r < 0)
                return r;
        ImportSource source = import_source_from_string(name);
        if (source < 0)
                return bus_error_setf(
                                error, ERROR_INVALID_ARGUMENT,
                                "source: wanted multus, host-local or whereabouts-files, found "
                                "\"%.64s\"",
                                name);
        r = polkit_authorise(b, m, "org.netmgr1.manage-networks", method_import, userdata, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        operation_import(b->manager, source, json, dry_run, on_done, sd_bus_message_ref(m));
        return 1;
}
