/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* FNV-1a, 64 bits: names and change detection, never security. */

#include "base/macro.h"

uint64_t hash64(const void *data, size_t size);
/* 16 hex digits of it. */
#define HASH_STR_SIZE 17
const char *hash_format(uint64_t hash, char buf[static HASH_STR_SIZE]);
