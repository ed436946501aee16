/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A packet to netmgr-nsd, the one program with CAP_SYS_ADMIN: what it accepts must be a request that
 * netmgrd could have sent, and a name that cannot leave /proc/sys/net.
 */

#include "nsd/protocol.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool condition) {
        if (!condition)
                abort();
}

static void require_name(const char *name) {
        require(name[0] && name[0] != '/' && name[strlen(name) - 1] != '/' && !strstr(name, "//"));
        for (const char *p = name; *p;) {
                size_t n = strcspn(p, "/");
                require(!(n == 1 && p[0] == '.') && !(n == 2 && p[0] == '.' && p[1] == '.'));
                p += n + (p[n] == '/');
        }
        require(!strpbrk(name, " \n\t\\%:;$`'\"*?~"));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        NsdRequest q, again;

        if (nsd_request_validate(data, size, &q) < 0)
                return 0;
        require(memcmp(&q, data, sizeof(q)) == 0);
        require(memchr(q.name, '\0', sizeof(q.name)));
        require(memchr(q.context, '\0', sizeof(q.context)));
        require((q.op == NSD_OPEN_SYSCTL || q.op == NSD_OPEN_TAP) == (q.name[0] != '\0'));
        if (q.op == NSD_OPEN_SYSCTL)
                require_name(q.name);
        if (q.op == NSD_OPEN_TAP) {
                require(strlen(q.name) < 16 && !strpbrk(q.name, "/: %\n\t"));
                NsdTap tap = { q.name, (NsdTapFlags) q.flags, q.owner, q.group, q.context };
                require(nsd_request_init_tap(&again, &tap) >= 0);
        } else {
                require(!q.flags && !q.owner && !q.group && !q.context[0]);
                require(nsd_request_init(&again, (NsdOp) q.op, q.name) >= 0);
        }
        require(memcmp(&q, &again, sizeof(q)) == 0);
        return 0;
}
