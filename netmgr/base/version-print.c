/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What --version says. */

#include <stdio.h>

#include "base/macro.h"
#include "base/version.h"

void version_print(const char *program, int as_json) {
        if (as_json)
                printf("{\"program\":\"%s\",\"version\":\"%s\",\"git\":\"%s\"}\n", program,
                       netmgr_version, netmgr_git_version);
        else if (isempty(netmgr_git_version))
                printf("%s %s\n", program, netmgr_version);
        else
                printf("%s %s (%s)\n", program, netmgr_version, netmgr_git_version);
}
