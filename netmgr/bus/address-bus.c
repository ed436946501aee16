/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Manager.ReleaseAddresses: an owner gives up what he would get again. */

#include "base/failpoint.h"
#include "bus/bus-internal.h"
#include "core/op-give-up.h"

static void released(int r, const Error *e, uint32_t count, void *userdata) {
        sd_bus_message *m = userdata;

        failpoint_past("bus-reply");
        if (r < 0)
                bus_reply_error(m, r, e);
        else
                bus_reply(m, "u", count);
        sd_bus_message_unref(m);
}

int method_release_addresses(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        const char *owner;
        Bus *b = userdata;

        int r = sd_bus_message_read(m, "s", &owner);
        if (r < 0)
                return r;
        r = polkit_authorise(b, m, "org.netmgr1.manage-networks", method_release_addresses,
                             userdata, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = addresses_give_up(b->manager, owner, released, sd_bus_message_ref(m), &e);
        if (r < 0) {
                sd_bus_message_unref(m);
                return bus_error_set(error, r, &e);
        }
        return 1;
}
