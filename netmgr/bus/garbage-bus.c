/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Manager.CollectGarbage(a{sv}) -> s. The answer is {"DryRun": bool, "sandboxes": [...]}, whose elements are
 * those of Describe with the interfaces' names, their addresses, what became of it (Action: "released", with
 * DryRun "release"; "kept") and Reason. It comes when all that goes is gone.
 */

#include "base/failpoint.h"
#include "base/limits.h"
#include "bus/bus-internal.h"
#include "bus/describe.h"
#include "core/garbage.h"

typedef struct Question {
        sd_bus_message *message;
        bool dry_run, out_of_memory;
        json_object *list;
} Question;

static void question_free(Question *q) {
        sd_bus_message_unref(q->message);
        json_object_put(q->list);
        free(q);
}

int bus_read_dry_run(sd_bus_message *m, bool *ret_dry_run, sd_bus_error *error) {
        int r = sd_bus_message_enter_container(m, 'a', "{sv}"), value;
        const char *key, *type;

        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = sd_bus_message_read(m, "s", &key);
                if (r < 0)
                        return r;
                if (!streq(key, "DryRun"))
                        return bus_error_setf(error, ERROR_UNKNOWN_OPTION,
                                              "%.64s: unknown option; there is DryRun", key);
                r = sd_bus_message_peek_type(m, NULL, &type);
                if (r > 0 && !streq(type, "b"))
                        return sd_bus_error_setf(
                                        error, error_dbus_name(ERROR_INVALID_ARGUMENT),
                                        "DryRun: wanted a value of type 'b', found '%.16s'", type);
                r = sd_bus_message_read(m, "v", "b", &value);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
                *ret_dry_run = value;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int add_interfaces(json_object *o, const Sandbox *s) {
        json_object *names = json_object_new_array(), *addresses = json_object_new_array();
        int r = names && addresses ? 0 : -ENOMEM;
        const Attachment *a;

        LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox) {
                if (r >= 0)
                        r = json_append(names, json_object_new_string(a->spec.ifname));
                for (size_t i = 0; i < a->spec.n_addresses && r >= 0; i++)
                        r = json_append(addresses, json_object_new_string(IN_PREFIX_STR(
                                                                   &a->spec.addresses[i].address)));
        }
        if (json_add(o, "Interfaces", names) < 0)
                r = -ENOMEM;
        return json_add(o, "Addresses", addresses) < 0 ? -ENOMEM : r;
}

static void on_found(const Sandbox *s, bool remove, const char *reason, void *userdata) {
        _cleanup_json_ json_object *o = sandbox_describe(s);
        Question *q = userdata;

        int r = o ? add_interfaces(o, s) : -ENOMEM;
        if (r >= 0)
                r = json_add_string(o, "Action",
                                    !remove      ? "kept"
                                    : q->dry_run ? "release"
                                                 : "released");
        if (r >= 0)
                r = json_add_string(o, "Reason", reason);
        if (r >= 0)
                r = json_append(q->list, TAKE_PTR(o));
        q->out_of_memory |= r < 0;
}

static void on_done(int r, const Error *e, void *userdata) {
        _cleanup_json_ json_object *o = json_object_new_object();
        _cleanup_free_ char *text = NULL;
        Question *q = userdata;

        failpoint_past("bus-reply");
        if (r < 0) {
                bus_reply_error(q->message, r, e);
                question_free(q);
                return;
        }
        if (!q->out_of_memory && o &&
            json_add(o, "DryRun", json_object_new_boolean(q->dry_run)) >= 0 &&
            json_add(o, "sandboxes", TAKE_PTR(q->list)) >= 0)
                text = json_to_text(o);
        if (text)
                (void) sd_bus_reply_method_return(q->message, "s", text);
        else
                (void) sd_bus_reply_method_errno(q->message, ENOMEM, NULL);
        question_free(q);
}

int method_collect_garbage(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        bool dry_run = false;
        Bus *b = userdata;

        int r = bus_read_dry_run(m, &dry_run, error);
        if (r < 0)
                return r;
        r = polkit_authorise(b, m, "org.netmgr1.manage-sandboxes", method_collect_garbage, userdata,
                             error);
        if (r <= 0)
                return r < 0 ? r : 1;
        Question *q = new0(Question, 1);
        if (!q || !(q->list = json_object_new_array())) {
                free(q);
                return -ENOMEM;
        }
        q->message = sd_bus_message_ref(m);
        q->dry_run = dry_run;
        r = garbage_collect(b->manager, dry_run, on_found, on_done, q, &e);
        if (r < 0) {
                question_free(q);
                return bus_error_set(error, r, &e);
        }
        return 1;
}
