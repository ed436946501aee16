/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See options.h. */

#include "bus/options.h"

static int read_value(sd_bus_message *m, const Option *o, Error *e) {
        int r;

        if (!o->read) {
                r = sd_bus_message_read(m, "v", o->type, o->target);
                return r < 0 ? error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "%s", o->key) : 0;
        }
        r = sd_bus_message_enter_container(m, 'v', o->type);
        if (r >= 0) {
                r = o->read(m, o->key, o->target, e);
                if (r < 0 && error_is_set(e))
                        return r;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "%s", o->key) : 0;
}

static int read_option(sd_bus_message *m, Option *options, size_t n, Error *e) {
        const char *key, *type;

        int r = sd_bus_message_read(m, "s", &key);
        if (r >= 0)
                r = sd_bus_message_peek_type(m, NULL, &type);
        if (r <= 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "options: an entry has no value");
        for (size_t i = 0; i < n; i++) {
                Option *o = &options[i];

                if (!streq(o->key, key))
                        continue;
                if (!streq(o->type, type))
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "%s: wanted a value of type '%s', found '%.16s'", key,
                                          o->type, type);
                if (o->given)
                        return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: given twice", key);
                o->given = true;
                return read_value(m, o, e);
        }
        return error_setf(e, ERROR_UNKNOWN_OPTION,
                          "%.64s: unknown key, with a value of type '%.16s'", key, type);
}

int options_read(sd_bus_message *m, Option *options, size_t n, Error *e) {
        int r = sd_bus_message_enter_container(m, 'a', "{sv}");

        while (r >= 0 && (r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_option(m, options, n, e);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        return r < 0 ? error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "reading the options") : 0;
}
