/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The dictionary a{sv} of a method's options: known keys, each once, of the right type; others are refused. */

#include <systemd/sd-bus.h>

#include "base/error.h"

typedef struct Option {
        const char *key;
        const char *type; /* signature of the value */
        /* "s": const char **, borrowed of the message; "t": uint64_t *; with `read`: what that wants. */
        void *target;
        /* For other types: reads the value, with the variant open. NULL: sd_bus_message_read(). */
        int (*read)(sd_bus_message *m, const char *key, void *target, Error *e);
        bool given;
} Option;

#define OPTION(key, type, target)                                                                  \
        { (key), (type), (target), NULL, false }
#define OPTION_READ(key, type, target, reader)                                                     \
        { (key), (type), (target), (reader), false }

int options_read(sd_bus_message *m, Option *options, size_t n, Error *e);
