/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * JsonReaders for the JSON columns of the ledger. Rows are ours, but whoever can write the ledger must not be
 * able to write past a field: what does not fit is ERROR_LEDGER.
 */

#include "base/error.h"
#include "base/json.h"

/* No JsonReader itself: `size` is that of the field. */
int row_read_text(json_object *value, const char *path, char *target, size_t size, Error *e);
int row_read_ifname(json_object *value, const char *path, void *target, Error *e); /* char[16] */
int row_read_mac(json_object *value, const char *path, void *target, Error *e);    /* MacAddr */
int row_read_i64(json_object *value, const char *path, void *target, Error *e);    /* int64_t */
int row_read_scope(json_object *value, const char *path, void *target, Error *e);  /* int32_t */
