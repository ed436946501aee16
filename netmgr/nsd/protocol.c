/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Checking and filling of requests; shared by both ends. */

#include "nsd/protocol.h"

#include "base/parse.h"

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

/* The length of a text that is padded with NUL to the end of its field; SIZE_MAX: it is not. */
static size_t padded_length(const char *field, size_t size) {
        size_t n = strnlen(field, size);

        if (n == size)
                return SIZE_MAX;
        for (size_t i = n; i < size; i++)
                if (field[i])
                        return SIZE_MAX;
        return n;
}

/* "system_u:object_r:tun_t:s0:c1.c5,c7" */
static bool context_is_valid(const char *context, size_t n) {
        for (size_t i = 0; i < n; i++)
                if (!is_name_char(context[i]) && context[i] != ':' && context[i] != ',')
                        return false;
        return true;
}

static bool tap_is_valid(const NsdRequest *q, size_t n_context) {
        return ifname_is_valid(q->name) && (q->flags & ~(uint32_t) _NSD_TAP_ALL) == 0 &&
               context_is_valid(q->context, n_context);
}

int nsd_request_validate(const void *packet, size_t size, NsdRequest *ret) {
        NsdRequest q;

        if (size != sizeof(q))
                return -EBADMSG;
        memcpy(&q, packet, sizeof(q));
        if (q.magic != NSD_MAGIC || q.op < NSD_OPEN_ROUTE || q.op >= _NSD_OP_MAX)
                return -EBADMSG;

        size_t n = padded_length(q.name, sizeof(q.name));
        size_t n_context = padded_length(q.context, sizeof(q.context));
        if (n == SIZE_MAX || n_context == SIZE_MAX)
                return -EBADMSG;
        if (q.op == NSD_OPEN_TAP) {
                if (!tap_is_valid(&q, n_context))
                        return -EBADMSG;
        } else if (n_context > 0 || q.flags || q.owner || q.group ||
                   (q.op == NSD_OPEN_SYSCTL ? !name_is_valid(q.name, n) : n > 0))
                return -EBADMSG;
        *ret = q;
        return 0;
}

static int put_text(char field[static NSD_NAME_MAX], const char *text) {
        size_t n = text ? strlen(text) : 0;

        if (n >= NSD_NAME_MAX)
                return -EINVAL;
        if (n)
                memcpy(field, text, n);
        return 0;
}

int nsd_request_init(NsdRequest *q, NsdOp op, const char *name) {
        NsdRequest filled = { .magic = NSD_MAGIC, .op = op };

        if (put_text(filled.name, name) < 0)
                return -EINVAL;
        return nsd_request_validate(&filled, sizeof(filled), q) < 0 ? -EINVAL : 0;
}

int nsd_request_init_tap(NsdRequest *q, const NsdTap *tap) {
        NsdRequest filled = { .magic = NSD_MAGIC,
                              .op = NSD_OPEN_TAP,
                              .flags = tap->flags,
                              .owner = tap->owner,
                              .group = tap->group };

        if (put_text(filled.name, tap->name) < 0 || put_text(filled.context, tap->context) < 0)
                return -EINVAL;
        return nsd_request_validate(&filled, sizeof(filled), q) < 0 ? -EINVAL : 0;
}
