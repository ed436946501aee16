/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* netmgrctl release OWNER: the addresses that wait for him are anybody's again. */

#include <stdio.h>

#include "base/json.h"
#include "ctl/client.h"
#include "ctl/verb.h"

static int print_count(Ctl *ctl, const char *owner, uint32_t count) {
        _cleanup_json_ json_object *o = NULL;

        if (ctl->output.mode == OUTPUT_TEXT) {
                printf("%u address%s of %s.\n", count, count == 1 ? "" : "es", owner);
                return 0;
        }
        o = json_object_new_object();
        if (!o || json_add_string(o, "Owner", owner) < 0 ||
            json_add(o, "Count", json_object_new_int64(count)) < 0)
                return -ENOMEM;
        return output_json(&ctl->output, stdout, o);
}

int verb_release(Ctl *ctl, char **args, sd_bus_error *e) {
        _cleanup_message_ sd_bus_message *reply = NULL;
        uint32_t count;

        int r = client_call(ctl->bus, CALL_CHANGES, NETMGR_PATH, NETMGR_BUS_NAME ".Manager",
                            "ReleaseAddresses", &reply, e, "s", args[0]);
        if (r >= 0)
                r = sd_bus_message_read(reply, "u", &count);
        if (r < 0)
                return r;
        if (count == 0)
                return sd_bus_error_setf(
                                e, "org.netmgr1.Error.NoSuchAttachment",
                                "no address is kept for %s; netmgrctl list addresses names the "
                                "owners",
                                args[0]);
        return print_count(ctl, args[0], count);
}
