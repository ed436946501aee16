/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Named places where a crash test ends, fails or holds a process: before and after every step that
 * changes the ledger, the kernel or a file, or answers a client. Compiled in with -Dfailpoints=true
 * only; otherwise each is the constant 0.
 *
 * The control file named by NETMGR_FAILPOINTS is shared by all processes of a test, which writes it while
 * they run (tests/lib/failpoints.py has the other half of its layout). Nothing survives a crash but that
 * file, which tells what was passed.
 */

#include <stdbool.h>

#ifdef NETMGR_FAILPOINTS

/* 0, or the negative errno that the test wants here. With action "kill" it does not return. */
int failpoint(const char *name);
/* Where nothing can fail any more: an error that the test wants is not given. */
void failpoint_past(const char *name);
/* Whether the test waits for this one: time to bring the kernel to where it shall be. */
bool failpoint_is_armed(const char *name);

#else

static inline int failpoint(const char *name) {
        (void) name;
        return 0;
}
static inline bool failpoint_is_armed(const char *name) {
        (void) name;
        return false;
}
static inline void failpoint_past(const char *name) {
        (void) name;
}

#endif
