/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See originals.h. The list is root's: of netmgr.conf, never of what netmgrd says. */

#include "cri/cni/originals.h"

#include "base/conf.h"
#include "base/limits.h"
#include "base/parse.h"
#include "cri/netconf.h"

/* Our names are links to this program. */
#define OWN_PROGRAM "netmgr"

static bool leads_to_us(const char *dir, size_t size, const char *name) {
        _cleanup_free_ char *path = strf("%.*s/%s", (int) size, dir, name), *real = NULL;

        real = path ? realpath(path, NULL) : NULL;
        const char *slash = real ? strrchr(real, '/') : NULL;
        return slash && streq(slash + 1, OWN_PROGRAM);
}

/* "netmgr" itself may be among the plugins of others: nobody calls that on their behalf. */
static bool is_ours(const char *dir, size_t size) {
        for (NetPlugin p = 0; p < _NET_PLUGIN_MAX; p++)
                if (p != NET_PLUGIN_NETMGR && leads_to_us(dir, size, net_plugin_to_string(p)))
                        return true;
        return false;
}

static char *append(char *list, const char *path) {
        while (list && path && *path) {
                size_t n = strcspn(path, ":");

                if (n > 0 && !is_ours(path, n)) {
                        char *more = strf("%s%s%.*s", list, list[0] ? ":" : "", (int) n, path);
                        free(list);
                        list = more;
                }
                path += n + (path[n] == ':');
        }
        return list;
}

char *originals_path_of(const char *path, const char *more) {
        return append(append(strdup(""), path), more);
}

char *originals_path(const char *path) {
        const char *dir = getenv("NETMGR_CONFIG_DIR");
        Conf conf;

        /* A broken file is netmgrd's to tell of: then where plugins usually are has to do. */
        conf_init(&conf);
        (void) conf_load(isempty(dir) ? CONF_DIR_DEFAULT : dir, &conf, NULL);
        char *all = originals_path_of(path, conf.plugin_path ? conf.plugin_path
                                                             : CONF_PLUGIN_PATH_DEFAULT);
        conf_clear(&conf);
        return all;
}
