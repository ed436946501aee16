/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A port as a person writes it: HOSTPORT[:CONTAINERPORT][/PROTOCOL]. */

#include "base/macro.h"

typedef struct PortArgument {
        uint16_t host_port, container_port; /* the same, where only one was written */
        char protocol[8];                   /* in lower case; "tcp" unless another was written */
} PortArgument;

/* -EINVAL, -ERANGE; *ret untouched then. */
int port_argument_parse(const char *s, PortArgument *ret);
