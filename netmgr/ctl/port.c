/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See port.h. */

#include "ctl/port.h"

#include <strings.h>

#include "base/parse.h"

static int parse_number(const char *s, size_t size, uint16_t *ret) {
        char digits[8];
        uint32_t v;

        if (size >= sizeof(digits))
                return -EINVAL;
        memcpy(digits, s, size);
        digits[size] = '\0';
        int r = parse_u32(digits, 1, UINT16_MAX, &v);
        if (r >= 0)
                *ret = (uint16_t) v;
        return r;
}

/* Which ones there are is known to the program, as to the daemon. */
static int parse_protocol(const char *s, char ret[static 8]) {
        static const char *const names[] = { "tcp", "udp", "sctp" };

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (strcasecmp(names[i], s) == 0) {
                        strcpy(ret, names[i]);
                        return 0;
                }
        return -EINVAL;
}

int port_argument_parse(const char *s, PortArgument *ret) {
        PortArgument port = { .protocol = "tcp" };
        const char *slash = strchrnul(s, '/'), *colon = memchr(s, ':', (size_t) (slash - s));

        int r = parse_number(s, (size_t) ((colon ? colon : slash) - s), &port.host_port);
        port.container_port = port.host_port;
        if (r >= 0 && colon)
                r = parse_number(colon + 1, (size_t) (slash - colon - 1), &port.container_port);
        if (r >= 0 && *slash)
                r = parse_protocol(slash + 1, port.protocol);
        if (r >= 0)
                *ret = port;
        return r;
}
