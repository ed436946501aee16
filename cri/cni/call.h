/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* One method call to netmgrd. */

#include "cri/cni/environment.h"

/*
 * Calls the verb's method of org.netmgr1.Runtime and waits for the answer. program: the name under
 * which the runtime executed us; config: the exact bytes of stdin. Returns 0 with the reply (owned;
 * "" for verbs without a result), or -1 with *f filled; *ret_unanswered tells that netmgrd has not
 * answered: it is not there, does not react, or went away.
 */
int runtime_call(const Environment *env, const char *program, const char *config, char **ret,
                 bool *ret_unanswered, Failure *f);
