/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Our errors as D-Bus errors, and who is asking. */

#include <systemd/sd-bus.h>

#include <pwd.h>
#include <stdarg.h>
#include <sys/socket.h>

#include "base/log.h"
#include "base/parse.h"
#include "bus/bus-internal.h"

int bus_error_set(sd_bus_error *error, int r, const Error *e) {
        ErrorKind kind = error_is_set(e) ? e->kind : error_kind_from_errno(r);

        (void) sd_bus_error_set(error, error_dbus_name(kind),
                                error_is_set(e) ? error_message(e) : strerror(-r));
        return r < 0 ? r : -EIO;
}

int bus_error_setf(sd_bus_error *error, ErrorKind kind, const char *format, ...) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        int r = text ? error_setf(&e, kind, "%s", text) : error_oom(&e);
        return bus_error_set(error, r, &e);
}

/* Out of memory, and a full buffer, pass; a caller that is gone does not come again. */
#define REPLY_TRIES 16

static bool is_worth_a_try(int r) {
        return r == -ENOMEM || r == -ENOBUFS || r == -EINTR || r == -EAGAIN;
}

static void reply_failed(sd_bus_message *m, int r) {
        sd_bus *bus = sd_bus_message_get_bus(m);
        const char *unique;
        int fd = sd_bus_get_fd(bus);

        if (!is_worth_a_try(r))
                return;
        log_error("answering %s: %s", strempty(sd_bus_message_get_member(m)), strerror(-r));
        /* Peer to peer there is no unique name. */
        if (fd >= 0 && sd_bus_get_unique_name(bus, &unique) < 0)
                (void) shutdown(fd, SHUT_RDWR);
}

int bus_reply(sd_bus_message *m, const char *types, ...) {
        int r = -ENOMEM;

        for (unsigned i = 0; i < REPLY_TRIES && is_worth_a_try(r); i++) {
                sd_bus_message *reply = NULL;
                va_list ap;

                r = sd_bus_message_new_method_return(m, &reply);
                va_start(ap, types);
                if (r >= 0 && types)
                        r = sd_bus_message_appendv(reply, types, ap);
                va_end(ap);
                if (r >= 0)
                        r = sd_bus_send(sd_bus_message_get_bus(m), reply, NULL);
                sd_bus_message_unref(reply);
        }
        if (r < 0)
                reply_failed(m, r);
        return r;
}

int bus_refuse(sd_bus_message *m, int r, const sd_bus_error *error) {
        int sent = -ENOMEM;

        for (unsigned i = 0; i < REPLY_TRIES && is_worth_a_try(sent); i++)
                sent = sd_bus_reply_method_errno(m, r, error);
        if (sent < 0)
                reply_failed(m, sent);
        return 1;
}

void bus_reply_error(sd_bus_message *m, int r, const Error *e) {
        int sent = -ENOMEM;

        for (unsigned i = 0; i < REPLY_TRIES && is_worth_a_try(sent); i++) {
                _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;

                (void) bus_error_set(&error, r, e);
                /* The caller may be gone by now; that changes nothing. */
                sent = sd_bus_reply_method_error(m, &error);
        }
        if (sent < 0)
                reply_failed(m, sent);
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

int bus_unknown_sender(sd_bus_error *error, int r) {
        /* The bus does not know the sender any more: it is gone. All else passes. */
        return sd_bus_error_setf(error,
                                 r == -ENXIO || r == -ENODATA ? SD_BUS_ERROR_ACCESS_DENIED
                                                              : error_dbus_name(ERROR_TRY_AGAIN),
                                 "cannot tell who is asking: %s", strerror(-r));
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
