/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Why a verb failed, in the terms of the CNI specification: this is the edge where errors become
 * {code, msg, details}. Everything that has an ErrorKind gets its code from the table in error.c;
 * the two codes below exist at this edge only.
 */

#include "base/error.h"

/* "I/O failure": stdin could not be read. */
#define CNI_CODE_IO_FAILURE 5U
/* "The plugin is not available", the answer to STATUS. */
#define CNI_CODE_NOT_AVAILABLE 50U

typedef struct Failure {
        unsigned code;
        char *msg;     /* owned; NULL when out of memory */
        char *details; /* owned; may be NULL */
} Failure;

void failure_clear(Failure *f);
#define _cleanup_failure_ _cleanup_(failure_clear)

/* Both return -1, for `return failure_setf(…)`. */
int failure_setf(Failure *f, unsigned code, const char *format, ...) _printf_(3, 4);
int failure_set_error(Failure *f, const Error *e);
