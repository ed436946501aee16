/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* netmgrctl status: what the daemon says about itself. */

#include "base/json.h"
#include "ctl/client.h"
#include "ctl/verb.h"

static const Column status_fields[] = {
        { "Version", "Version", 0, NULL },         { "Health", "Health", CELL_STATE, NULL },
        { "Reasons", "HealthReasons", 0, NULL },   { "Features", "Features", 0, NULL },
        { "Networks", "Networks", 0, NULL },       { "Sandboxes", "Sandboxes", 0, NULL },
        { "Attachments", "Attachments", 0, NULL }, { "Repairs", "RepairsByKind", 0, NULL },
        { "Reaps", "ReapsByReason", 0, NULL },     { "Ledger", "LedgerPath", 0, NULL },
        { "Schema", "SchemaVersion", 0, NULL },    { 0 },
};

int verb_status(Ctl *ctl, _unused_ char **args, sd_bus_error *e) {
        _cleanup_json_ json_object *status = NULL;
        json_object *reasons;
        int r;

        r = client_describe(ctl->bus, NETMGR_PATH, NETMGR_BUS_NAME ".Manager", &status, e);
        if (r < 0)
                return r;
        if (ctl->output.mode != OUTPUT_TEXT)
                return output_json(&ctl->output, stdout, status);

        /* A healthy daemon has no reasons: no line about them. */
        reasons = json_get(status, "HealthReasons");
        if (json_object_is_type(reasons, json_type_array) && json_object_array_length(reasons) == 0)
                json_object_object_del(status, "HealthReasons");
        return fields_print(&ctl->output, status_fields, status);
}
