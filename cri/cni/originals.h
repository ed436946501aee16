/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Where the plugins of others are that were on this node before netmgr: what it took over from them (import) is
 * ended by them. netmgr's own directory has programs of the same names, which must not be found instead, neither
 * by us nor by a plugin that executes another one.
 */

#include "base/macro.h"

/* The directories of the list ("DIR:DIR", NULL: none), then those of [Delegates] PluginPath=, without those in which a
 * name of ours leads to ourselves. Owned by caller; NULL: out of memory. */
char *originals_path(const char *path);
/* The same of two lists. */
char *originals_path_of(const char *path, const char *more);
