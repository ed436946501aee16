/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * netmgrctl port list, port add SANDBOX PORT, port remove SANDBOX PORT. Ports are written as
 * HOSTPORT[:CONTAINERPORT][/PROTOCOL].
 */

#include "base/inaddr.h"
#include "base/json.h"
#include "base/parse.h"
#include "ctl/client.h"
#include "ctl/find.h"
#include "ctl/port.h"
#include "ctl/verb.h"

#define ATTACHMENT NETMGR_BUS_NAME ".Attachment"

static const Column port_columns[] = {
        { "HOST-IP", "HostIP", 0, NULL },
        { "HOST-PORT", "HostPort", CELL_RIGHT, NULL },
        { "PROTOCOL", "Protocol", 0, NULL },
        { "SANDBOX", "Sandbox", CELL_TRUNC, NULL },
        { "INTERFACE", "Interface", 0, NULL },
        { "CONTAINER-PORT", "ContainerPort", CELL_RIGHT, NULL },
        { 0 },
};

int verb_port_list(Ctl *ctl, _unused_ char **args, sd_bus_error *e) {
        _cleanup_json_ json_object *root = NULL;

        int r = client_describe_all(ctl->bus, "ports", &root, e);
        if (r < 0)
                return r;
        if (ctl->output.mode != OUTPUT_TEXT)
                return output_json(&ctl->output, stdout, root);
        return table_print(&ctl->output, port_columns, "ports", json_get(root, "ports"));
}

int verb_check_interface(const Ctl *ctl, sd_bus_error *e) {
        const char *name = ctl->options[OPTION_INTERFACE];

        return !name || ifname_is_valid(name)
                               ? 0
                               : sd_bus_error_setf(
                                                 e, SD_BUS_ERROR_INVALID_ARGS,
                                                 "--interface=%s cannot be the name of an interface",
                                                 name);
}

static int check_options(const Ctl *ctl, sd_bus_error *e) {
        const char *host = ctl->options[OPTION_HOST_IP];
        InAddr address;

        if (host && host[0] && in_addr_parse(host, &address) < 0)
                return sd_bus_error_setf(e, SD_BUS_ERROR_INVALID_ARGS,
                                         "--host-ip=%s is no IPv4 or IPv6 address", host);
        return verb_check_interface(ctl, e);
}

int verb_port_add_check(Ctl *ctl, char **args, sd_bus_error *e) {
        PortArgument port;

        if (port_argument_parse(args[1], &port) < 0)
                return sd_bus_error_setf(e, SD_BUS_ERROR_INVALID_ARGS,
                                         "\"%s\" is no port: wanted "
                                         "HOSTPORT[:CONTAINERPORT][/PROTOCOL] with ports from 1 to "
                                         "65535 and protocol tcp, udp or sctp",
                                         args[1]);
        return check_options(ctl, e);
}

int verb_port_remove_check(Ctl *ctl, char **args, sd_bus_error *e) {
        PortArgument port;

        if (strchr(args[1], ':') || port_argument_parse(args[1], &port) < 0)
                return sd_bus_error_setf(
                                e, SD_BUS_ERROR_INVALID_ARGS,
                                "\"%s\" is no port of the host: wanted HOSTPORT[/PROTOCOL] "
                                "with a port from 1 to 65535 and protocol tcp, udp or sctp",
                                args[1]);
        return check_options(ctl, e);
}

int verb_port_add(Ctl *ctl, char **args, sd_bus_error *e) {
        const char *host = strempty(ctl->options[OPTION_HOST_IP]);
        _cleanup_free_ char *path = NULL;
        PortArgument port;

        int r = port_argument_parse(args[1], &port);
        if (r >= 0)
                r = find_attachment(ctl->bus, args[0], ctl->options[OPTION_INTERFACE], &path, e);
        if (r < 0)
                return r;
        return client_call(ctl->bus, CALL_CHANGES, path, ATTACHMENT, "AddPort", NULL, e, "sqqa{sv}",
                           port.protocol, port.host_port, port.container_port, 1, "HostIP", "s",
                           host);
}

int verb_port_remove(Ctl *ctl, char **args, sd_bus_error *e) {
        const char *host = strempty(ctl->options[OPTION_HOST_IP]);
        _cleanup_free_ char *path = NULL;
        PortArgument port;

        int r = port_argument_parse(args[1], &port);
        if (r >= 0)
                r = find_attachment(ctl->bus, args[0], ctl->options[OPTION_INTERFACE], &path, e);
        if (r < 0)
                return r;
        return client_call(ctl->bus, CALL_CHANGES, path, ATTACHMENT, "RemovePort", NULL, e,
                           "sqa{sv}", port.protocol, port.host_port, 1, "HostIP", "s", host);
}
