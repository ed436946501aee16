/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * netmgrctl attach SANDBOX NETWORK, detach SANDBOX INTERFACE: interfaces of a sandbox that runs. Whoever may open the
 * sandbox's namespace (root) passes it along; netmgrd itself may not, where the runtime keeps it in /proc.
 */

#include <fcntl.h>

#include "base/fd.h"
#include "base/inaddr.h"
#include "base/json.h"
#include "base/parse.h"
#include "ctl/client.h"
#include "ctl/find.h"
#include "ctl/port.h"
#include "ctl/rate.h"
#include "ctl/verb.h"

#define MANAGER    NETMGR_BUS_NAME ".Manager"
#define ATTACHMENT NETMGR_BUS_NAME ".Attachment"

/* --- what is on the command line ------------------------------------------------------------------- */

/* RATE for both directions, or INGRESS:EGRESS. */
static int parse_bandwidth(const char *text, uint64_t *ret_ingress, uint64_t *ret_egress) {
        _cleanup_free_ char *copy = strdup(text);
        char *colon;

        if (!copy)
                return -ENOMEM;
        colon = strchr(copy, ':');
        if (colon)
                *colon = '\0';
        int r = rate_parse(copy, ret_ingress);
        return r < 0 ? r : rate_parse(colon ? colon + 1 : copy, ret_egress);
}

static int check_bandwidth(const char *text, sd_bus_error *e) {
        uint64_t ingress, egress;

        return !text || parse_bandwidth(text, &ingress, &egress) >= 0
                               ? 0
                               : sd_bus_error_setf(e, SD_BUS_ERROR_INVALID_ARGS,
                                                   "--bandwidth=%s is no rate: wanted RATE or "
                                                   "INGRESS:EGRESS, such as 10M or 10M:none",
                                                   text);
}

static int check_addresses(const Ctl *ctl, sd_bus_error *e) {
        char **ips = ctl->lists[OPTION_IP], **gateways = ctl->lists[OPTION_DEFAULT_ROUTE];
        InPrefix prefix;
        InAddr address;

        for (; ips && *ips; ips++)
                if (in_prefix_parse_auto(*ips, &prefix) < 0)
                        return sd_bus_error_setf(e, SD_BUS_ERROR_INVALID_ARGS,
                                                 "--ip=%s is no address, with or without a length",
                                                 *ips);
        for (; gateways && *gateways; gateways++)
                if ((*gateways)[0] && in_addr_parse(*gateways, &address) < 0)
                        return sd_bus_error_setf(e, SD_BUS_ERROR_INVALID_ARGS,
                                                 "--default-route=%s is no address of a gateway",
                                                 *gateways);
        const char *host = ctl->options[OPTION_HOST_IP];
        if (host && host[0] && in_addr_parse(host, &address) < 0)
                return sd_bus_error_setf(e, SD_BUS_ERROR_INVALID_ARGS,
                                         "--host-ip=%s is no IPv4 or IPv6 address", host);
        return 0;
}

static int check_ports(const Ctl *ctl, sd_bus_error *e) {
        PortArgument port;

        for (char **p = ctl->lists[OPTION_PORT]; p && *p; p++)
                if (port_argument_parse(*p, &port) < 0)
                        return sd_bus_error_setf(e, SD_BUS_ERROR_INVALID_ARGS,
                                                 "--port=%s is no port: wanted "
                                                 "HOSTPORT[:CONTAINERPORT][/PROTOCOL]",
                                                 *p);
        if (ctl->options[OPTION_HOST_IP] && !ctl->lists[OPTION_PORT])
                return sd_bus_error_set(
                                e, SD_BUS_ERROR_INVALID_ARGS,
                                "--host-ip= is the address of a --port=, and none is given");
        return 0;
}

int verb_attach_check(Ctl *ctl, char **args _unused_, sd_bus_error *e) {
        const char *mac = ctl->options[OPTION_MAC];
        MacAddr m;

        if (mac && mac_parse(mac, &m) < 0)
                return sd_bus_error_setf(e, SD_BUS_ERROR_INVALID_ARGS,
                                         "--mac=%s is no MAC address such as 02:00:00:00:00:01",
                                         mac);
        int r = verb_check_interface(ctl, e);
        if (r >= 0)
                r = check_addresses(ctl, e);
        if (r >= 0)
                r = check_bandwidth(ctl->options[OPTION_BANDWIDTH], e);
        return r < 0 ? r : check_ports(ctl, e);
}

int verb_detach_check(_unused_ Ctl *ctl, char **args, sd_bus_error *e) {
        return ifname_is_valid(args[1])
                               ? 0
                               : sd_bus_error_setf(e, SD_BUS_ERROR_INVALID_ARGS,
                                                   "\"%s\" cannot be the name of an interface",
                                                   args[1]);
}

/* --- the call ------------------------------------------------------------------------------------ */

static int append_text(sd_bus_message *m, const char *key, const char *text) {
        return text ? sd_bus_message_append(m, "{sv}", key, "s", text) : 0;
}

static int open_option(sd_bus_message *m, const char *key, const char *type) {
        int r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", key);
        return r < 0 ? r : sd_bus_message_open_container(m, 'v', type);
}

static int close_option(sd_bus_message *m) {
        int r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* An empty element stands for the option without a value. */
static int append_list(sd_bus_message *m, const char *key, char **l) {
        if (!l)
                return 0;
        int r = open_option(m, key, "as");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "s");
        for (; r >= 0 && *l; l++)
                if ((*l)[0])
                        r = sd_bus_message_append(m, "s", *l);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : close_option(m);
}

static int append_ports(sd_bus_message *m, const Ctl *ctl) {
        const char *host = strempty(ctl->options[OPTION_HOST_IP]);
        char **l = ctl->lists[OPTION_PORT];
        PortArgument port;

        if (!l)
                return 0;
        int r = open_option(m, "Ports", "a(sqqa{sv})");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sqqa{sv})");
        for (; r >= 0 && *l; l++) {
                r = port_argument_parse(*l, &port);
                if (r >= 0)
                        r = sd_bus_message_append(m, "(sqqa{sv})", port.protocol, port.host_port,
                                                  port.container_port, 1, "HostIP", "s", host);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : close_option(m);
}

static int append_bandwidth(sd_bus_message *m, const char *text) {
        uint64_t ingress, egress;

        if (!text)
                return 0;
        int r = parse_bandwidth(text, &ingress, &egress);
        return r < 0 ? r
                     : sd_bus_message_append(m, "{sv}", "Bandwidth", "a{sv}", 2, "IngressRate", "t",
                                             ingress, "EgressRate", "t", egress);
}

/* -EBADF: it cannot be opened from here, and netmgrd tries the recorded path itself. */
static int open_netns(const char *path) {
        _cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);

        return fd >= 0 && fd_is_netns(fd, NULL, NULL) >= 0 ? TAKE_FD(fd) : -EBADF;
}

/* The call with its first two arguments, the dictionary of options open and the namespace in it. */
static int begin_call(Ctl *ctl, const char *method, char **args, sd_bus_message **ret,
                      sd_bus_error *e) {
        _cleanup_(sandbox_match_done) SandboxMatch sandbox = { 0 };
        _cleanup_message_ sd_bus_message *m = NULL;
        _cleanup_json_ json_object *o = NULL;

        int r = find_one_sandbox(ctl->bus, args[0], &sandbox, e);
        if (r >= 0)
                r = client_describe(ctl->bus, sandbox.path, NETMGR_BUS_NAME ".Sandbox", &o, e);
        if (r >= 0)
                r = client_call_new(ctl->bus, NETMGR_PATH, MANAGER, method, &m, e);
        if (r < 0)
                return r;
        _cleanup_close_ int fd =
                        open_netns(strempty(json_object_get_string(json_get(o, "NetnsPath"))));
        r = sd_bus_message_append(m, "ss", sandbox.id, args[1]);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0 && fd >= 0)
                r = sd_bus_message_append(m, "{sv}", "Netns", "h", fd);
        if (r < 0)
                return sd_bus_error_set_errnof(e, r, "cannot make the call %s: %s", method,
                                               strerror(-r));
        *ret = TAKE_PTR(m);
        return 0;
}

static int append_options(sd_bus_message *m, const Ctl *ctl) {
        int r = append_text(m, "Interface", ctl->options[OPTION_INTERFACE]);
        if (r >= 0)
                r = append_list(m, "Ips", ctl->lists[OPTION_IP]);
        if (r >= 0)
                r = append_text(m, "Mac", ctl->options[OPTION_MAC]);
        if (r >= 0)
                r = append_bandwidth(m, ctl->options[OPTION_BANDWIDTH]);
        if (r >= 0)
                r = append_ports(m, ctl);
        if (r >= 0)
                r = append_list(m, "DefaultRoute", ctl->lists[OPTION_DEFAULT_ROUTE]);
        if (r >= 0)
                r = append_text(m, "CniArgs", ctl->options[OPTION_CNI_ARGS]);
        if (r >= 0)
                r = append_text(m, "IpamClaim", ctl->options[OPTION_IPAM_CLAIM]);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* The new attachment as `list` shows it: its name and addresses were chosen by netmgrd. */
static int print_attachment(Ctl *ctl, sd_bus_message *reply, sd_bus_error *e) {
        _cleanup_json_ json_object *o = NULL, *root = json_object_new_object(),
                                   *list = json_object_new_array();
        const char *path;

        int r = sd_bus_message_read(reply, "os", &path, NULL);
        if (r < 0)
                return sd_bus_error_set_errnof(e, r, "cannot read the answer of Attach: %s",
                                               strerror(-r));
        r = client_describe(ctl->bus, path, ATTACHMENT, &o, e);
        if (r < 0)
                return r;
        if (!root || !list || json_append(list, TAKE_PTR(o)) < 0)
                return -ENOMEM;
        if (ctl->output.mode == OUTPUT_TEXT)
                return attachments_table(&ctl->output, list);
        return json_add(root, "attachments", TAKE_PTR(list)) < 0
                               ? -ENOMEM
                               : output_json(&ctl->output, stdout, root);
}

int verb_attach(Ctl *ctl, char **args, sd_bus_error *e) {
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;

        int r = begin_call(ctl, "Attach", args, &m, e);
        if (r < 0)
                return r;
        r = append_options(m, ctl);
        if (r < 0)
                return sd_bus_error_set_errnof(e, r, "cannot make the call Attach: %s",
                                               strerror(-r));
        r = client_call_send(ctl->bus, CALL_CHANGES, m, &reply, e);
        return r < 0 ? r : print_attachment(ctl, reply, e);
}

int verb_detach(Ctl *ctl, char **args, sd_bus_error *e) {
        _cleanup_message_ sd_bus_message *m = NULL;

        int r = begin_call(ctl, "Detach", args, &m, e);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(m);
        if (r < 0)
                return sd_bus_error_set_errnof(e, r, "cannot make the call Detach: %s",
                                               strerror(-r));
        return client_call_send(ctl->bus, CALL_CHANGES, m, NULL, e);
}
