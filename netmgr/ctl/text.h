/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Text that came from somewhere else (pod names, labels, an error's sentence, an argument) made
 * safe for a terminal: no byte of it may move the cursor, start an escape sequence, or reorder or
 * hide what stands beside it.
 */

#include "base/macro.h"

/*
 * One line for people: control and invisible formatting characters become \uXXXX, bytes that are
 * not UTF-8 \ufffd, a backslash two. Owned by caller, NULL when out of memory.
 */
char *text_escape(const char *s, size_t size);

/*
 * The same for serialised JSON, which stays JSON with the same meaning: only what json-c leaves
 * raw inside strings (DEL, C1 controls, formatting characters) is replaced. Owned by caller.
 */
char *text_escape_json(const char *json);
