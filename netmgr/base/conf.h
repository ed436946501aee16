/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * netmgr.conf and netmgr.conf.d: ini files with systemd habits, read by libinih. Unknown sections
 * and keys are errors that name file, line and key. Files of conf.d are read in the order of their
 * names, later values win.
 */

#include "base/error.h"
#include "base/inaddr.h"

#define CONF_DIR_DEFAULT         "/etc/netmgr"
#define CONF_ALLOW_USERS_DEFAULT "netmgr-cri"
/* Where distributions and Kubernetes put the plugins of others. */
#define CONF_PLUGIN_PATH_DEFAULT "/opt/cni/bin:/usr/lib/cni:/usr/libexec/cni"

typedef struct Conf {
        uint32_t workers;   /* [Manager] Workers= 1..WORKERS_MAX */
        uint32_t queue_max; /* [Manager] QueueMax= 1..65536 */
        int log_level;      /* [Manager] LogLevel= syslog priority */
        char **allow_users; /* [Runtime] AllowUsers= names or uids, NULL-terminated; owned; NULL: the
                               default */
        uint32_t add_timeout_sec; /* [Runtime] AddTimeoutSec= 1..600 */
        uint32_t cooldown_sec;    /* [Addresses] CooldownSec= 0..86400 */
        bool mirror_host_local; /* [Addresses] MirrorHostLocal= write host-local's directory, too */
        bool repair; /* [Manager] Repair= what somebody changed by hand, without being asked */
        bool nftables_owner;  /* [Nftables] Owner= yes: nobody else can change our tables */
        InAddr node_address4; /* [Host] NodeAddress= one or two addresses, white space between */
        InAddr node_address6;
        /* [Networks] */
        bool namespace_isolation; /* NamespaceIsolation= yes: a pod uses networks of its own namespace,
                                   * of SharedNamespaces, and those of the node */
        char **shared_namespaces; /* SharedNamespaces= owned; NULL: "default" */
        char *default_namespace; /* DefaultNetworkNamespace= where v1.multus-cni.io/default-network looks
                                   * for names without one; owned; NULL: "kube-system" */
        uint32_t parallel_max; /* [Delegates] ParallelMax= plugins of others that run at a time, 1..256 */
        char *plugin_path; /* [Delegates] PluginPath= directories of plugins of others, divided by ':', each
                            * absolute; owned; NULL: the default */
        char **protected_interfaces; /* [Host] ProtectedInterfaces= patterns as of fnmatch(3): never lent
                                        to a sandbox; owned; NULL: none */
} Conf;

/* Fills in the defaults. */
void conf_init(Conf *c);
void conf_clear(Conf *c);
/* Reads DIR/netmgr.conf and DIR/netmgr.conf.d/ *.conf on top of the defaults. Missing files are
 * fine. On failure *ret is untouched. */
int conf_load(const char *dir, Conf *ret, Error *e);
