/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The programs of a chain: their names, the kind of interface that each makes, the oldest version of the
 * specification that each speaks, and who reads its configuration.
 */

#include <stdio.h>

#include "base/limits.h"
#include "base/parse.h"
#include "cri/netconf-internal.h"
#include "cri/result.h"

typedef struct PluginRow {
        const char *name;
        NetKind kind;
        int (*read)(json_object *top, NetConf *c, Error *e);
        const char *min_version; /* NULL: the first */
} PluginRow;

static const PluginRow plugins[_NET_PLUGIN_MAX] = {
        [NET_PLUGIN_NETMGR] = { "netmgr", NET_KIND_ROUTED, netconf_read_netmgr, NULL },
        [NET_PLUGIN_LOOPBACK] = { "loopback", NET_KIND_LOOPBACK, netconf_read_interface, NULL },
        [NET_PLUGIN_BRIDGE] = { "bridge", NET_KIND_BRIDGE, netconf_read_interface, NULL },
        [NET_PLUGIN_PTP] = { "ptp", NET_KIND_PTP, netconf_read_interface, NULL },
        [NET_PLUGIN_MACVLAN] = { "macvlan", NET_KIND_MACVLAN, netconf_read_interface, NULL },
        [NET_PLUGIN_IPVLAN] = { "ipvlan", NET_KIND_IPVLAN, netconf_read_interface, NULL },
        [NET_PLUGIN_VLAN] = { "vlan", NET_KIND_VLAN, netconf_read_interface, NULL },
        [NET_PLUGIN_HOST_DEVICE] = { "host-device", NET_KIND_HOST_DEVICE, netconf_read_interface,
                                     NULL },
        [NET_PLUGIN_TAP] = { "tap", NET_KIND_TAP, netconf_read_interface, NULL },
        [NET_PLUGIN_DUMMY] = { "dummy", NET_KIND_DUMMY, netconf_read_interface, NULL },
        [NET_PLUGIN_VXLAN] = { "vxlan", NET_KIND_VXLAN, netconf_read_interface, NULL },
        [NET_PLUGIN_ECS_ENI] = { "ecs-eni", NET_KIND_HOST_DEVICE, netconf_read_ecs_eni, NULL },
        [NET_PLUGIN_ECS_BRIDGE] = { "ecs-bridge", NET_KIND_BRIDGE, netconf_read_ecs_bridge, NULL },
        [NET_PLUGIN_VPC_ENI] = { "vpc-eni", NET_KIND_HOST_DEVICE, netconf_read_vpc_eni, NULL },
        [NET_PLUGIN_VPC_BRIDGE] = { "vpc-bridge", NET_KIND_ROUTED, netconf_read_vpc_bridge, NULL },
        [NET_PLUGIN_VPC_BRANCH_ENI] = { "vpc-branch-eni", NET_KIND_VLAN,
                                        netconf_read_vpc_branch_eni, NULL },
        [NET_PLUGIN_HOST_LOCAL] = { "host-local", NET_KIND_FOREIGN, netconf_read_interface, NULL },
        [NET_PLUGIN_STATIC] = { "static", NET_KIND_FOREIGN, netconf_read_interface, NULL },
        [NET_PLUGIN_DHCP] = { "dhcp", NET_KIND_FOREIGN, netconf_read_interface, NULL },
        [NET_PLUGIN_PORTMAP] = { "portmap", NET_KIND_FOREIGN, netconf_read_portmap, NULL },
        [NET_PLUGIN_BANDWIDTH] = { "bandwidth", NET_KIND_FOREIGN, netconf_read_bandwidth, "0.3.0" },
        [NET_PLUGIN_FIREWALL] = { "firewall", NET_KIND_FOREIGN, netconf_read_firewall, "0.4.0" },
        [NET_PLUGIN_TUNING] = { "tuning", NET_KIND_FOREIGN, netconf_read_tuning, NULL },
        [NET_PLUGIN_SBR] = { "sbr", NET_KIND_FOREIGN, netconf_read_sbr, NULL },
        [NET_PLUGIN_VRF] = { "vrf", NET_KIND_FOREIGN, netconf_read_vrf, "0.3.1" },
};

const char *net_plugin_to_string(NetPlugin plugin) {
        return plugin < 0 || plugin >= _NET_PLUGIN_MAX ? NULL : plugins[plugin].name;
}

NetPlugin net_plugin_from_string(const char *s) {
        for (NetPlugin p = 0; s && p < _NET_PLUGIN_MAX; p++)
                if (streq(plugins[p].name, s))
                        return p;
        return _NET_PLUGIN_INVALID;
}

NetKind net_plugin_kind(NetPlugin plugin) {
        return plugin < 0 || plugin >= _NET_PLUGIN_MAX ? _NET_KIND_INVALID : plugins[plugin].kind;
}

const char *net_plugin_min_version(NetPlugin plugin) {
        const char *version = plugin < 0 || plugin >= _NET_PLUGIN_MAX ? NULL
                                                                      : plugins[plugin].min_version;

        return version ? version : cni_versions[0];
}

bool net_plugin_has_version(NetPlugin plugin, const char *version) {
        return cni_version_is_supported(version) &&
               cni_version_compare(version, net_plugin_min_version(plugin)) >= 0;
}

/* "netmgr, loopback, bridge, …"; size of buf: all names fit by far. */
static const char *plugin_names(char *buf, size_t size) {
        FILE *f = fmemopen(buf, size, "w");

        if (!f)
                return "others";
        for (NetPlugin p = 0; p < _NET_PLUGIN_MAX; p++)
                fprintf(f, "%s%s", p > 0 ? ", " : "", plugins[p].name);
        fclose(f);
        return buf;
}

int netconf_choose_plugin(NetPlugin program, NetConf *c, Error *e) {
        char names[320] = { 0 };
        NetPlugin p = program;
        char *name;

        if (p < 0) {
                if (isempty(c->type))
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "\"type\" is missing; wanted is \"type\": \"netmgr\"");
                p = net_plugin_from_string(c->type);
                if (p < 0)
                        return error_setf(e, ERROR_NOT_SUPPORTED,
                                          "\"type\": \"%.64s\" is not served by this version of "
                                          "netmgr; there are %s",
                                          c->type, plugin_names(names, sizeof(names)));
        }
        /* The program's own configuration is strict, so it is not taken for granted. */
        if (program == NET_PLUGIN_NETMGR && !streq_ptr(c->type, "netmgr"))
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"type\": \"%.64s\" is not the plugin that was called; wanted is "
                                "\"type\": \"netmgr\"",
                                strempty(c->type));
        name = strdup(plugins[p].name);
        if (!name)
                return error_oom(e);
        free(c->type);
        c->type = name;
        c->plugin = p;
        c->kind = plugins[p].kind;
        return 0;
}

static int check_min_version(const NetConf *c, Error *e) {
        const char *least = net_plugin_min_version(c->plugin);

        if (cni_version_compare(c->cni_version, least) >= 0)
                return 0;
        return error_setf(e, ERROR_INCOMPATIBLE_VERSION,
                          "\"cniVersion\": \"%.64s\" is too old for %s, which needs %s or newer",
                          c->cni_version, plugins[c->plugin].name, least);
}

int netconf_read_body(json_object *top, NetConf *c, Error *e) {
        int r;

        r = check_min_version(c, e);
        if (r < 0)
                return r;
        r = netconf_read_prev_result(top, c, e);
        if (r < 0)
                return r;
        r = netconf_read_valid_attachments(top, c, e);
        if (r < 0)
                return r;
        r = plugins[c->plugin].read(top, c, e);
        if (r < 0)
                return r;
        return netconf_hash(c, &c->hash) < 0 ? error_oom(e) : 0;
}

bool delegate_name_is_valid(const char *name) {
        return cni_id_is_valid(name, NETWORK_NAME_MAX) && net_plugin_from_string(name) < 0;
}
