/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Our errors as D-Bus errors, and who is asking. */

#include <systemd/sd-bus.h>

#include <pwd.h>

#include "base/parse.h"
#include "bus/bus-internal.h"

int bus_error_set(sd_bus_error *error, int r, const Error *e) {
        ErrorKind kind = error_is_set(e) ? e->kind : error_kind_from_errno(r);

        (void) sd_bus_error_set(error, error_dbus_name(kind),
                                error_is_set(e) ? error_message(e) : strerror(-r));
        return r < 0 ? r : -EIO;
}

void bus_reply_error(sd_bus_message *m, int r, const Error *e) {
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;

        (void) bus_error_set(&error, r, e);
        /* The caller may be gone by now; that changes nothing. */
        (void) sd_bus_reply_method_error(m, &error);
}

int bus_sender_uid(sd_bus_message *m, uid_t *ret) {
        sd_bus_creds *creds = NULL;
        uid_t uid;

        int r = sd_bus_query_sender_creds(m, SD_BUS_CREDS_EUID, &creds);
        if (r >= 0)
                r = sd_bus_creds_get_euid(creds, &uid);
        sd_bus_creds_unref(creds);
        if (r >= 0)
                *ret = uid;
        return r;
}

bool bus_uid_is_allowed(const Bus *b, uid_t uid) {
        char *defaults[] = { (char *) CONF_ALLOW_USERS_DEFAULT, NULL };
        char **users = b->manager->conf.allow_users;

        if (uid == 0)
                return true;
        for (char **u = users ? users : defaults; *u; u++) {
                const struct passwd *pw;
                uint32_t number;

                if (parse_u32(*u, 0, UINT32_MAX - 1, &number) >= 0
                                    ? number == uid
                                    : (pw = getpwnam(*u)) && pw->pw_uid == uid)
                        return true;
        }
        return false;
}
