/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* netmgrctl reconcile [--dry-run]: what the kernel has otherwise than the ledger is set right; or told. */

#include <stdio.h>

#include "base/json.h"
#include "ctl/client.h"
#include "ctl/text.h"
#include "ctl/verb.h"

/* Owned by caller; NULL when out of memory. */
static char *clean(json_object *o, const char *key) {
        _cleanup_free_ char *cell = json_to_cell(json_get(o, key));
        return cell ? text_escape(cell, strlen(cell)) : NULL;
}

static char *text_of(json_object *string) {
        const char *s = json_object_get_string(string);
        return s ? text_escape(s, strlen(s)) : NULL;
}

/* "web-1/eth0: route 10.97.0.2/32 is missing in the host's netns: repaired" */
static int print_sentences(json_object *o, bool dry_run) {
        _cleanup_free_ char *sandbox = clean(o, "Sandbox"), *ifname = clean(o, "Interface"),
                            *network = clean(o, "Network"), *object = clean(o, "Object"),
                            *remedy = clean(o, "Remedy"), *error = clean(o, "Error");
        json_object *list = json_get(o, "Differences");
        bool repaired = json_object_get_boolean(json_get(o, "Repaired"));

        if (!sandbox || !ifname || !network || !object || !remedy || !error)
                return -ENOMEM;
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                _cleanup_free_ char *sentence = text_of(json_object_array_get_idx(list, i));

                if (!sentence)
                        return -ENOMEM;
                if (!streq(sandbox, "-"))
                        printf("sandbox %s, %s: ", sandbox, ifname);
                else
                        printf("%s%s: ", streq(network, "-") ? "" : "network ",
                               streq(network, "-") ? object : network);
                if (dry_run)
                        printf("%s; would %s\n", sentence, remedy);
                else if (repaired)
                        printf("%s: repaired\n", sentence);
                else
                        printf("%s: cannot be repaired: %s\n", sentence, error);
        }
        return 0;
}

int verb_reconcile(Ctl *ctl, _unused_ char **args, sd_bus_error *e) {
        bool dry_run = ctl->options[OPTION_DRY_RUN] != NULL;
        _cleanup_message_ sd_bus_message *reply = NULL;
        _cleanup_json_ json_object *root = NULL;

        int r = client_call(ctl->bus, CALL_CHANGES, NETMGR_PATH, NETMGR_BUS_NAME ".Manager",
                            "Reconcile", &reply, e, "a{sv}", 1, "DryRun", "b", dry_run);
        if (r >= 0)
                r = client_answer(reply, "Reconcile", &root, e);
        if (r < 0)
                return r;
        if (ctl->output.mode != OUTPUT_TEXT)
                return output_json(&ctl->output, stdout, root);

        json_object *list = json_get(root, "differences");
        if (!json_object_is_type(list, json_type_array))
                return sd_bus_error_set_const(e, SD_BUS_ERROR_FAILED,
                                              "the daemon's answer has no list of differences");
        size_t n = json_object_array_length(list);
        for (size_t i = 0; i < n && r >= 0; i++) {
                json_object *o = json_object_array_get_idx(list, i);
                if (json_object_is_type(json_get(o, "Differences"), json_type_array))
                        r = print_sentences(o, dry_run);
        }
        json_object *unseen = json_get(root, "NotLookedAt");
        size_t n_unseen = json_object_is_type(unseen, json_type_array)
                                          ? json_object_array_length(unseen)
                                          : 0;
        for (size_t i = 0; i < n_unseen && r >= 0; i++) {
                _cleanup_free_ char *sentence = text_of(json_object_array_get_idx(unseen, i));
                if (!sentence)
                        return -ENOMEM;
                printf("could not look at %s\n", sentence);
        }
        if (n + n_unseen == 0 && ctl->output.legend)
                printf("Everything is as the ledger says.\n");
        return r;
}
