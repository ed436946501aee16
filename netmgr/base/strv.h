/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* NULL-terminated arrays of strings, owned as a whole. NULL is an empty one. */

#include "base/macro.h"

void strv_free(char **l);
/* -ENOMEM. */
int strv_copy(char *const *from, char ***ret);
/* A copy of it at the end. -ENOMEM. */
int strv_append(char ***l, const char *s);
/* The words of a text, divided by blanks and tabs; -E2BIG: more than max. */
int strv_split(const char *text, size_t max, char ***ret);
