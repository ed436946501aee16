/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Manager.Reconcile(a{sv}) -> s. Option DryRun b: nothing is changed. The answer is {"differences": [...],
 * "DryRun": bool}, an element for each object that is not as it should be: Kind, Sandbox, Interface, Network,
 * Object, Differences (sentences), Remedy, and after a repair Repaired and Error. NotLookedAt, if there: sentences
 * on what could not be looked at.
 */

#include "bus/bus-internal.h"
#include "core/reconcile.h"

typedef struct Question {
        sd_bus_message *message;
        bool dry_run;
} Question;

static void on_done(int r, const Error *e, const Findings *f, void *userdata) {
        _cleanup_free_ char *text = NULL;
        Question *q = userdata;

        if (r >= 0 && (f->error < 0 || findings_to_json(f, q->dry_run, &text) < 0))
                (void) sd_bus_reply_method_errno(q->message, ENOMEM, NULL);
        else if (r < 0)
                bus_reply_error(q->message, r, e);
        else if ((r = sd_bus_reply_method_return(q->message, "s", text)) < 0)
                (void) sd_bus_reply_method_errno(q->message, r, NULL);
        sd_bus_message_unref(q->message);
        free(q);
}

int method_reconcile(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        bool dry_run = false;
        Bus *b = userdata;

        int r = bus_read_dry_run(m, &dry_run, error);
        if (r < 0)
                return r;
        r = polkit_authorise(b, m, "org.netmgr1.manage-sandboxes", method_reconcile, userdata,
                             error);
        if (r <= 0)
                return r < 0 ? r : 1;
        Question *q = new0(Question, 1);
        if (!q)
                return -ENOMEM;
        *q = (Question) { sd_bus_message_ref(m), dry_run };
        r = reconcile_request(b->manager, dry_run, on_done, q);
        if (r < 0) {
                sd_bus_message_unref(m);
                free(q);
                return r;
        }
        return 1;
}
