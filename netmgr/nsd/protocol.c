/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Checking and filling of requests; shared by both ends. */

#include "nsd/protocol.h"

static bool is_name_char(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '.' || c == '-';
}

/* A relative path of plain components: nothing in it can lead out of /proc/sys/net. */
static bool name_is_valid(const char *name, size_t n) {
        size_t component = 0;

        for (size_t i = 0; i <= n; i++) {
                if (i < n && name[i] != '/') {
                        if (!is_name_char(name[i]))
                                return false;
                        component++;
                        continue;
                }
                if (component == 0 || (component == 1 && name[i - 1] == '.') ||
                    (component == 2 && name[i - 1] == '.' && name[i - 2] == '.'))
                        return false;
                component = 0;
        }
        return true;
}

int nsd_request_validate(const void *packet, size_t size, NsdRequest *ret) {
        NsdRequest q;

        if (size != sizeof(q))
                return -EBADMSG;
        memcpy(&q, packet, sizeof(q));
        if (q.magic != NSD_MAGIC || q.op < NSD_OPEN_ROUTE || q.op >= _NSD_OP_MAX)
                return -EBADMSG;

        size_t n = strnlen(q.name, sizeof(q.name));
        if (n == sizeof(q.name))
                return -EBADMSG;
        for (size_t i = n; i < sizeof(q.name); i++)
                if (q.name[i])
                        return -EBADMSG;
        if (q.op == NSD_OPEN_SYSCTL ? !name_is_valid(q.name, n) : n > 0)
                return -EBADMSG;
        *ret = q;
        return 0;
}

int nsd_request_init(NsdRequest *q, NsdOp op, const char *name) {
        NsdRequest filled = { .magic = NSD_MAGIC, .op = op };
        size_t n = name ? strlen(name) : 0;

        if (n >= sizeof(filled.name))
                return -EINVAL;
        if (n)
                memcpy(filled.name, name, n);
        return nsd_request_validate(&filled, sizeof(filled), q) < 0 ? -EINVAL : 0;
}
