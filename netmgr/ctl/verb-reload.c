/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* netmgrctl reload: netmgr.conf and networks.d are read again. */

#include "ctl/client.h"
#include "ctl/verb.h"

int verb_reload(Ctl *ctl, _unused_ char **args, sd_bus_error *e) {
        return client_call(ctl->bus, CALL_CHANGES, NETMGR_PATH, NETMGR_BUS_NAME ".Manager",
                           "Reload", NULL, e, NULL);
}
