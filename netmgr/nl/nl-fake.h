/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A kernel in memory with the table of the real one, for tests of what plans and undoes: links,
 * addresses, routes, rules and neighbours of any number of netns, the preconditions that plans can run
 * into, with the errno of the real kernel, and faults on demand. tests/unit/test-nl.c holds both
 * kernels to the same scenario.
 *
 * Not in it: packets, traffic control, table local, link-local addresses that nobody asked for; rules are
 * kept, but no lookup heeds them.
 *
 * A netns is a memfd, so its descriptor can be duplicated, passed and closed like a real one; the
 * same descriptor serves as a netns (peer_netns_fd) and as an rtnetlink socket inside it. Any thread
 * may use it; one lock for all.
 */

#include "nl/nl.h"

typedef struct FakeKernel FakeKernel;
typedef struct FakeNetns FakeNetns; /* owned by its kernel, to the end of it */

int fake_kernel_new(FakeKernel **ret);
FakeKernel *fake_kernel_free(FakeKernel *f); /* accepts NULL, returns NULL; sockets must be gone */
DEFINE_CLEANUP(FakeKernel *, fake_kernel_free)
Kernel *fake_kernel_kernel(FakeKernel *f);

/* A fresh netns with only lo, down. */
int fake_netns_new(FakeKernel *f, FakeNetns **ret);
/* The netns dies: its links go, and with them the peers elsewhere. */
void fake_netns_kill(FakeNetns *ns);
/* A new descriptor of it, owned by caller, or a negative errno. */
int fake_netns_open(FakeNetns *ns);

/* The nth op from now (0: the next one) fails with the errno and does nothing. */
void fake_kernel_fail(FakeKernel *f, size_t nth, int error);
/* Ops done or refused so far. */
size_t fake_kernel_count(FakeKernel *f);
