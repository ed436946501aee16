/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The tuning plugin: sysctls of the sandbox and settings of its interface. args.cni goes before the
 * configuration, key by key; of MAC addresses it is the last word too (CNI_ARGS, runtimeConfig, args.cni),
 * unlike in the plugins that make an interface. Source: the reference plugin's sources.
 *
 * dataDir, where the reference plugin keeps what it has changed, is accepted and unused: the ledger of
 * netmgrd has it.
 */

#include "base/limits.h"
#include "cri/netconf-internal.h"

static const JsonField tuning_fields[] = {
        { "mac", mac_addr_read, offsetof(NetTuning, mac), 0 },
        { "mtu", mtu_read, offsetof(NetTuning, mtu), 0 },
        { "promisc", flag_read, offsetof(NetTuning, promisc), 0 },
        { "allmulti", flag_read, offsetof(NetTuning, allmulti), 0 },
        { "txQLen", queue_length_read, offsetof(NetTuning, tx_queue_len), 0 },
        {},
};

/* The same without mac, which goes where those of CNI_ARGS and runtimeConfig are weighed. */
static const JsonField args_fields[] = {
        { "mtu", mtu_read, offsetof(NetTuning, mtu), 0 },
        { "promisc", flag_read, offsetof(NetTuning, promisc), 0 },
        { "allmulti", flag_read, offsetof(NetTuning, allmulti), 0 },
        { "txQLen", queue_length_read, offsetof(NetTuning, tx_queue_len), 0 },
        {},
};

static int read_args(json_object *top, NetConf *c, Error *e) {
        json_object *args = json_get(json_get(top, "args"), "cni"), *sysctl;
        int r;

        if (!args)
                return 0;
        r = json_read_object(args, "args.cni", args_fields, JSON_UNKNOWN_IGNORE, &c->tuning, e);
        if (r < 0)
                return r;
        sysctl = json_get(args, "sysctl");
        return sysctl ? netconf_read_sysctls(sysctl, "args.cni.sysctl", true, c, e) : 0;
}

int netconf_read_tuning(json_object *top, NetConf *c, Error *e) {
        json_object *sysctl = json_get(top, "sysctl");
        static const JsonField data_dir[] = { { "dataDir", text_ignore, 0, 0 }, {} };
        int r;

        r = json_read_object(top, "", tuning_fields, JSON_UNKNOWN_IGNORE, &c->tuning, e);
        if (r >= 0)
                r = json_read_object(top, "", data_dir, JSON_UNKNOWN_IGNORE, c, e);
        if (r >= 0 && sysctl)
                r = netconf_read_sysctls(sysctl, "sysctl", false, c, e);
        if (r >= 0)
                r = netconf_read_runtime(top, RUNTIME_MAC, c, e);
        return r < 0 ? r : read_args(top, c, e);
}
