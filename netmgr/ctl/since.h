/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Points in time as people write them, and as the daemon does. */

#include "base/macro.h"

/*
 * "2026-11-21", "2026-11-21 10:00", "2026-11-21 10:00:30" (local time), RFC 3339
 * ("2026-11-21T10:00:00Z", "…+01:00"), "now", "today", "yesterday", and back from now: "-90s", "-30min",
 * "-2h", "-3d", "-1w". now is CLOCK_REALTIME in microseconds, as is *ret. -EINVAL for anything else,
 * -ERANGE for what lies before 1970 or beyond 9999.
 */
int since_parse(const char *s, uint64_t now, uint64_t *ret);

/* RFC 3339 alone. */
int rfc3339_parse(const char *s, uint64_t *ret);

/* "2026-11-21 10:00:30" in local time. */
#define LOCAL_TIME_SIZE 32
const char *format_local(uint64_t usec, char buf[static LOCAL_TIME_SIZE]);
