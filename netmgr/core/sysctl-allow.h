/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The administrator's list of sysctls that configurations may set: the file of the reference tuning
 * plugin, one regular expression per line. It is read anew for every ADD that has sysctls, on a worker,
 * so that a change holds at once. Nothing is kept.
 */

#include "base/error.h"
#include "cri/netconf.h"

#define SYSCTL_ALLOWLIST "/etc/cni/tuning/allowlist.conf"

/*
 * 0 when all of them are allowed: there is no such file, or each name matches a line of it. Names are those
 * of the configuration (IFNAME in its place), matched with dots between their parts and with slashes,
 * since both mean the same file. A file or a line that cannot be read allows nothing.
 */
int sysctl_allow_check(const char *path, const NetSysctl *sysctls, size_t n, Error *e);

/* A regular expression as Go has it to one of POSIX, as far as both can say the same; owned by caller.
 * -EINVAL: they cannot. */
int sysctl_allow_translate(const char *pattern, char **ret);
