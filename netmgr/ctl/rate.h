/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Rates and amounts of bits as people write and read them; multiples are decimal. */

#include "base/macro.h"

/*
 * "10M", "1.5G", "64k", "10Mbit", "1Gbit/s", plain bits, "none": K, M and G without regard to case.
 * The result is exact: -EINVAL for anything else, also for what is no whole number of bits, -ERANGE
 * for more than 64 bits hold. *ret untouched on failure.
 */
int rate_parse(const char *s, uint64_t *ret);

/* "10 Mbit", "1.5 Gbit", exact as well. Owned by caller, NULL when out of memory. */
char *bits_format(uint64_t bits);
