/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The spool of DELs that came while netmgrd did not answer (cri/spool-entry.h has the format, the
 * plugin writes). It is read at start, before anything is served, and whenever a file appears.
 *
 * What survives a crash: the files. One is removed when the release that it asked for is in the
 * ledger, or when it asks for nothing; so a crash at any moment leads to doing it again, and doing it
 * again does nothing. An entry older than the attachment that has its name now asks for nothing.
 */

#include "core/manager.h"

typedef struct Spool Spool;

/* Opens and watches the directory; a missing or unfit one is told by Health, and waited for. */
int spool_new(Manager *m, const char *path, Spool **ret, Error *e);
/* Works on what is there and runs the loop until it is done, SPOOL_START_SEC at most. */
void spool_consume_before_serving(Spool *s);
/* A directory that was missing or unfit is looked at again. */
void spool_reload(Spool *s);
Spool *spool_free(Spool *s); /* accepts NULL; files stay */
