/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Bytes out of base64 (RFC 4648, section 4), as Go writes them into JSON: the usual alphabet, padded, no white
 * space, and one spelling only for each value.
 */

#include "base/macro.h"

/*
 * Decodes the whole string. *ret is owned by the caller and NUL-terminated (size does not count it); NUL bytes
 * may be among what was decoded. -EINVAL for what is no base64, -E2BIG for more than max bytes, -ENOMEM.
 */
int base64_decode(const char *s, size_t max, char **ret, size_t *ret_size);
