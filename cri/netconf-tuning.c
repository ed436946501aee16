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

int netconf_read_tuning_args(json_object *top, NetConf *c, Error *e) {
        json_object *args = json_get(json_get(top, "args"), "cni"), *sysctl;
        int r;

        if (!args)
                return 0;
        r = json_read_object(args, "args.cni", args_fields, JSON_UNKNOWN_IGNORE, &c->args_tuning,
                             e);
        if (r < 0)
                return r;
        sysctl = json_get(args, "sysctl");
        return sysctl ? netconf_read_args_sysctls(sysctl, "args.cni.sysctl", c, e) : 0;
}

NetTuning netconf_choose_tuning(const NetConf *network, const NetConf *request) {
        const NetTuning *over = &request->args_tuning;
        NetTuning t = network->tuning;

        if (over->mtu > 0)
                t.mtu = over->mtu;
        if (over->promisc >= 0)
                t.promisc = over->promisc;
        if (over->allmulti >= 0)
                t.allmulti = over->allmulti;
        if (over->tx_queue_len >= 0)
                t.tx_queue_len = over->tx_queue_len;
        return t;
}

static int check_count(size_t n, Error *e) {
        if (n <= SYSCTLS_MAX)
                return 0;
        return error_setf(e, ERROR_INVALID_ARGUMENT,
                          "\"args.cni.sysctl\" and \"sysctl\" have %zu names together, at most %u",
                          n, SYSCTLS_MAX);
}

int netconf_choose_sysctls(const NetConf *network, const NetConf *request, NetSysctl **ret,
                           size_t *ret_n, Error *e) {
        NetSysctl *list = NULL;
        size_t n = 0;
        int r;

        if (sysctls_override(&list, &n, network->sysctls, network->n_sysctls) < 0 ||
            sysctls_override(&list, &n, request->args_sysctls, request->n_args_sysctls) < 0)
                r = error_oom(e);
        else
                r = check_count(n, e);
        if (r < 0) {
                net_sysctls_free(list, n);
                return r;
        }
        *ret = list;
        *ret_n = n;
        return 0;
}

/* The reference plugin's chain has no network behind it: what args.cni says is said. */
static int apply_args(NetConf *c, Error *e) {
        c->tuning = netconf_choose_tuning(c, c);
        if (sysctls_override(&c->sysctls, &c->n_sysctls, c->args_sysctls, c->n_args_sysctls) < 0)
                return error_oom(e);
        net_sysctls_free(TAKE_PTR(c->args_sysctls), c->n_args_sysctls);
        c->n_args_sysctls = 0;
        return check_count(c->n_sysctls, e);
}

int netconf_read_tuning(json_object *top, NetConf *c, Error *e) {
        json_object *sysctl = json_get(top, "sysctl");
        static const JsonField data_dir[] = { { "dataDir", text_ignore, 0, 0 }, {} };
        int r;

        r = json_read_object(top, "", tuning_fields, JSON_UNKNOWN_IGNORE, &c->tuning, e);
        if (r >= 0)
                r = json_read_object(top, "", data_dir, JSON_UNKNOWN_IGNORE, c, e);
        if (r >= 0 && sysctl)
                r = netconf_read_sysctls(sysctl, "sysctl", c, e);
        if (r >= 0)
                r = netconf_read_runtime(top, RUNTIME_MAC, c, e);
        if (r >= 0)
                r = netconf_read_tuning_args(top, c, e);
        return r < 0 ? r : apply_args(c, e);
}
