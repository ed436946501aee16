/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The end of a promise: the addresses that an owner (a claim, a pod's name) would get again are from now on like
 * any other's. Who holds one keeps it until its DEL.
 */

#include "core/manager.h"

typedef void (*GiveUpDone)(int r, const Error *e, uint32_t count, void *userdata);

/* 0, and `done` is called later, with the number of addresses (0: he had none); or a negative errno with *e filled,
 * and nothing is called. */
int addresses_give_up(Manager *m, const char *owner, GiveUpDone done, void *userdata, Error *e);
