/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Which versions of the specification a plugin has under its name. The reference plugins came at
 * different times, and runtimes (CRI-O) check a configuration's version against the answer to VERSION.
 */

#include "cri/netconf.h"
#include "cri/result.h"

const char *net_plugin_min_version(NetPlugin plugin) {
        switch (plugin) {
        case NET_PLUGIN_BANDWIDTH:
                return "0.3.0";
        case NET_PLUGIN_VRF:
                return "0.3.1";
        case NET_PLUGIN_FIREWALL:
                return "0.4.0";
        default:
                return cni_versions[0];
        }
}

bool net_plugin_has_version(NetPlugin plugin, const char *version) {
        return cni_version_is_supported(version) &&
               cni_version_compare(version, net_plugin_min_version(plugin)) >= 0;
}
