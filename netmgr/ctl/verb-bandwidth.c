/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* netmgrctl bandwidth set SANDBOX: limits of one interface. What is not said stays as it is. */

#include "base/error.h"
#include "ctl/client.h"
#include "ctl/find.h"
#include "ctl/rate.h"
#include "ctl/verb.h"

static const struct {
        VerbOption option;
        const char *name; /* as it is written */
        const char *key;  /* of SetBandwidth */
} limits[] = {
        { OPTION_INGRESS, "--ingress", "IngressRate" },
        { OPTION_INGRESS_BURST, "--ingress-burst", "IngressBurst" },
        { OPTION_EGRESS, "--egress", "EgressRate" },
        { OPTION_EGRESS_BURST, "--egress-burst", "EgressBurst" },
};

int verb_bandwidth_set_check(Ctl *ctl, _unused_ char **args, sd_bus_error *e) {
        size_t given = 0;
        uint64_t v;

        for (size_t i = 0; i < ELEMENTSOF(limits); i++) {
                const char *text = ctl->options[limits[i].option];
                int r = text ? rate_parse(text, &v) : 0;

                given += text != NULL;
                if (r < 0)
                        return sd_bus_error_setf(
                                        e, SD_BUS_ERROR_INVALID_ARGS, "%s=%s is %s", limits[i].name,
                                        text,
                                        r == -ERANGE ? "more than can be said in 64 bits"
                                                     : "no amount of bits: wanted a number with K, "
                                                       "M or G behind it, such as 10M, or none");
        }
        if (given == 0)
                return sd_bus_error_set(e, SD_BUS_ERROR_INVALID_ARGS,
                                        "nothing to set: say --ingress=, --egress=, "
                                        "--ingress-burst= or --egress-burst=");
        return verb_check_interface(ctl, e);
}

static int append_limits(const Ctl *ctl, sd_bus_message *m) {
        int r = sd_bus_message_open_container(m, 'a', "{sv}");

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(limits); i++) {
                const char *text = ctl->options[limits[i].option];
                uint64_t v = 0;

                if (!text)
                        continue;
                r = rate_parse(text, &v);
                if (r >= 0)
                        r = sd_bus_message_append(m, "{sv}", limits[i].key, "t", v);
        }
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int verb_bandwidth_set(Ctl *ctl, char **args, sd_bus_error *e) {
        _cleanup_message_ sd_bus_message *m = NULL;
        _cleanup_free_ char *path = NULL;

        int r = find_attachment(ctl->bus, args[0], ctl->options[OPTION_INTERFACE], &path, e);
        if (r < 0)
                return r;
        r = client_call_new(ctl->bus, path, NETMGR_BUS_NAME ".Attachment", "SetBandwidth", &m, e);
        if (r < 0)
                return r;
        r = append_limits(ctl, m);
        if (r < 0)
                return sd_bus_error_set_errnof(e, r, "cannot make the call SetBandwidth: %s",
                                               strerror(-r));
        return client_call_send(ctl->bus, CALL_CHANGES, m, NULL, e);
}
