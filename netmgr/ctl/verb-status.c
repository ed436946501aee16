/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* netmgrctl status: what the daemon says about itself. */

#include "base/json.h"
#include "ctl/client.h"
#include "ctl/verb.h"

static const Column status_fields[] = {
        { "Version", "Version", 0, NULL },
        { "Health", "Health", CELL_STATE, NULL },
        { "Reasons", "HealthReasons", 0, NULL },
        { "Features", "Features", 0, NULL },
        { "Missing", "FeaturesMissing", 0, NULL },
        { "Networks", "Networks", 0, NULL },
        { "Sandboxes", "Sandboxes", 0, NULL },
        { "Attachments", "Attachments", 0, NULL },
        { "Repairs", "RepairsByKind", 0, NULL },
        { "Reaps", "ReapsByReason", 0, NULL },
        { "Ledger", "LedgerPath", 0, NULL },
        { "Schema", "SchemaVersion", 0, NULL },
        { 0 },
};

static void leave_out_empty(json_object *status, const char *name) {
        json_object *list = json_get(status, name);

        if (json_object_is_type(list, json_type_array) && json_object_array_length(list) == 0)
                json_object_object_del(status, name);
}

int verb_status(Ctl *ctl, _unused_ char **args, sd_bus_error *e) {
        _cleanup_json_ json_object *status = NULL;
        int r;

        r = client_describe(ctl->bus, NETMGR_PATH, NETMGR_BUS_NAME ".Manager", &status, e);
        if (r < 0)
                return r;
        if (ctl->output.mode != OUTPUT_TEXT)
                return output_json(&ctl->output, stdout, status);

        /* A healthy daemon has no reasons: no line about them; nor about what is not missing. */
        leave_out_empty(status, "HealthReasons");
        leave_out_empty(status, "FeaturesMissing");
        return fields_print(&ctl->output, status_fields, status);
}
