/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Garbage collection on demand: every sandbox is looked at (netns-look.h), the dead are released. The
 * caller hears of each finding while the sandbox is still there, and once more when all is done.
 */

#include "core/sandbox.h"

/* remove: it is dead and goes (with a dry run: would go). Otherwise it stays, and reason says what is wrong
 * with it; a sandbox with which nothing is wrong is not mentioned. */
typedef void (*GarbageFound)(const Sandbox *s, bool remove, const char *reason, void *userdata);
/* e is filled when r < 0: the first failure; what could be released is released all the same. */
typedef void (*GarbageDone)(int r, const Error *e, void *userdata);

/* 0, and `done` is called later; or a negative errno with *e filled, and nothing is called. */
int garbage_collect(Manager *m, bool dry_run, GarbageFound found, GarbageDone done, void *userdata,
                    Error *e);
