/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Asking polkit. The subject is the sender's unique bus name, never a pid. The message is kept, and
 * its handler runs a second time with the answer: it then looks everything up again, since the object may
 * have gone meanwhile.
 */

#include "base/log.h"
#include "bus/bus-internal.h"

typedef struct Question {
        Bus *bus;
        sd_bus_message *message;
        sd_bus_message_handler_t handler;
        void *userdata;
        bool allowed;
} Question;

/* The answer to the question whose handler runs right now. The loop is one thread, and the handler is
 * called from on_answer() only. */
static Question *answered;

static int read_answer(sd_bus_message *reply, bool *ret) {
        int authorised, challenge;

        if (sd_bus_message_is_method_error(reply, NULL)) {
                const sd_bus_error *e = sd_bus_message_get_error(reply);
                log_warning("polkit: %s", strempty(e->message));
                return -sd_bus_message_get_errno(reply);
        }
        int r = sd_bus_message_enter_container(reply, 'r', "bba{ss}");
        if (r > 0)
                r = sd_bus_message_read(reply, "bb", &authorised, &challenge);
        if (r > 0)
                *ret = authorised;
        return r > 0 ? 0 : -EBADMSG;
}

static int on_answer(sd_bus_message *reply, void *userdata, sd_bus_error *ret_error _unused_) {
        Question *q = userdata;
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;

        if (read_answer(reply, &q->allowed) < 0)
                q->allowed = false;
        (void) sd_bus_message_rewind(q->message, true);
        answered = q;
        int r = q->handler(q->message, q->userdata, &error);
        answered = NULL;
        if (r < 0 || sd_bus_error_is_set(&error))
                (void) sd_bus_reply_method_errno(q->message, r, &error);
        sd_bus_message_unref(q->message);
        free(q);
        return 1;
}

static int refuse(const char *action, uid_t uid, sd_bus_error *error) {
        return sd_bus_error_setf(
                        error, SD_BUS_ERROR_ACCESS_DENIED,
                        "uid %u is not authorised for %s; ask as root, or allow it in polkit", uid,
                        action);
}

static int ask(Bus *b, sd_bus_message *m, const char *action, Question *q) {
        sd_bus_message *call = NULL;

        int r = sd_bus_message_new_method_call(b->system, &call, "org.freedesktop.PolicyKit1",
                                               "/org/freedesktop/PolicyKit1/Authority",
                                               "org.freedesktop.PolicyKit1.Authority",
                                               "CheckAuthorization");
        if (r >= 0)
                r = sd_bus_message_append(call, "(sa{sv})sa{ss}us", "system-bus-name", 1, "name",
                                          "s", sd_bus_message_get_sender(m), action, 0,
                                          sd_bus_message_get_allow_interactive_authorization(m) > 0
                                                          ? 1
                                                          : 0,
                                          "");
        if (r >= 0)
                r = sd_bus_call_async(b->system, NULL, call, on_answer, q, 0);
        sd_bus_message_unref(call);
        return r;
}

int polkit_authorise(Bus *b, sd_bus_message *m, const char *action,
                     sd_bus_message_handler_t handler, void *userdata, sd_bus_error *error) {
        uid_t uid;

        int r = bus_sender_uid(m, &uid);
        if (r < 0)
                return bus_unknown_sender(error, r);
        if (uid == 0)
                return 1;
        if (answered && answered->message == m)
                return answered->allowed ? 1 : refuse(action, uid, error);

        Question *q = new0(Question, 1);
        if (!q)
                return -ENOMEM;
        *q = (Question) {
                .bus = b, .message = sd_bus_message_ref(m), .handler = handler, .userdata = userdata
        };
        r = ask(b, m, action, q);
        if (r < 0) {
                sd_bus_message_unref(q->message);
                free(q);
                return sd_bus_error_setf(error, error_dbus_name(ERROR_TRY_AGAIN),
                                         "cannot ask polkit: %s", strerror(-r));
        }
        return 0;
}
