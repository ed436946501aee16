/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* netmgrctl gc [--dry-run]: what belongs to dead sandboxes is released; or would be. */

#include <stdio.h>

#include "base/json.h"
#include "ctl/client.h"
#include "ctl/text.h"
#include "ctl/verb.h"

/* "released: sandbox ID (eth0, 10.97.0.2/32): its network namespace is gone" */
static int print_sentence(json_object *o) {
        _cleanup_free_ char *action = json_to_cell(json_get(o, "Action")),
                            *id = json_to_cell(json_get(o, "Id")),
                            *interfaces = json_to_cell(json_get(o, "Interfaces")),
                            *addresses = json_to_cell(json_get(o, "Addresses")),
                            *reason = json_to_cell(json_get(o, "Reason"));
        const char *said[] = { action, id, interfaces, addresses, reason };
        char *clean[ELEMENTSOF(said)] = { 0 };
        int r = 0;

        for (size_t i = 0; i < ELEMENTSOF(said); i++)
                if (!said[i] || !(clean[i] = text_escape(said[i], strlen(said[i]))))
                        r = -ENOMEM;
        if (r >= 0)
                printf("%s: sandbox %s (%s, %s): %s\n",
                       streq(clean[0], "release") ? "would be released" : clean[0], clean[1],
                       clean[2], streq(clean[3], "-") ? "no address" : clean[3], clean[4]);
        for (size_t i = 0; i < ELEMENTSOF(said); i++)
                free(clean[i]);
        return r;
}

int verb_gc(Ctl *ctl, _unused_ char **args, sd_bus_error *e) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ json_object *root = NULL;

        int r = client_call(ctl->bus, CALL_CHANGES, NETMGR_PATH, NETMGR_BUS_NAME ".Manager",
                            "CollectGarbage", &reply, e, "a{sv}", 1, "DryRun", "b",
                            ctl->options[OPTION_DRY_RUN] != NULL);
        if (r >= 0)
                r = client_answer(reply, "CollectGarbage", &root, e);
        if (r < 0)
                return r;
        if (ctl->output.mode != OUTPUT_TEXT)
                return output_json(&ctl->output, stdout, root);

        json_object *list = json_get(root, "sandboxes");
        if (!json_object_is_type(list, json_type_array))
                return sd_bus_error_set_const(e, SD_BUS_ERROR_FAILED,
                                              "the daemon's answer has no list of sandboxes");
        size_t n = json_object_array_length(list);
        for (size_t i = 0; i < n && r >= 0; i++)
                r = print_sentence(json_object_array_get_idx(list, i));
        if (n == 0 && ctl->output.legend)
                printf("Nothing to release.\n");
        return r;
}
