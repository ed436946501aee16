/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between op-add.c (the chain of steps) and the files that have steps of their own. */

#include "core/op-add.h"

void add_free(AddOp *op);
/* add-undo.c. Answers, and frees the operation. */
void add_end(AddOp *op, int r, const Error *e);
/* Ends the ADD and undoes what it did. Takes the sentence over. */
void add_fail(AddOp *op, int r, Error *e);
/* -EAGAIN when it is not worth going on. */
int add_check_awaited(const AddOp *op, Error *e);
/* The same on a worker. */
int add_check_wanted(const AddOp *op, Error *e);
/* True: it is not, and has been ended. */
bool add_is_over(AddOp *op);
void add_release(AddOp *op, const char *reason);
/* Decides and writes the row, unless a plugin of others has to be run before. */
void add_decide_now(AddOp *op);
/* The attachment's row, as it is now, with what hangs on it. */
void add_commit_row(AddOp *op, void (*deliver)(Task *task));

/* add-host-local.c: each is asked before the decision, and calls add_decide_now() again. */
bool add_wants_resolv_conf(const AddOp *op);
void add_read_resolv_conf(AddOp *op);
bool add_wants_import(const AddOp *op);
void add_import(AddOp *op);
/* And after the wiring. */
bool add_wants_mirror(const AddOp *op);
void add_mirror(AddOp *op, void (*done)(int r, const Error *e, void *userdata));

/* add-delegate.c: the addresses come from a plugin that was not run yet; and that it is run, after which
 * add_decide_now() is called again. */
bool add_wants_delegate(const AddOp *op);
void add_run_delegate(AddOp *op);
/* Writes what is wired. */
void add_commit_up(AddOp *op);
/* It works, or part of it does, and is not wanted: taken down as a DEL would. Takes the sentence over. */
void add_take_down(AddOp *op, int r, Error *e, const char *reason);
/* Others may begin while it waits for the world. */
void add_end_turn(AddOp *op);
