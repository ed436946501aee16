/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Address ranges without overlap: the kernel's interval sets refuse what overlaps, and merging is
 * what nft does in user space.
 */

#include "base/inaddr.h"

typedef struct AddressRange {
        InAddr first, last; /* inclusive, one family */
} AddressRange;

/* Sorts the ranges and joins what overlaps or touches; returns how many are left. */
size_t address_ranges_merge(AddressRange *ranges, size_t n);
AddressRange address_range_of(const InPrefix *p);
