/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The CNI_* variables of one call, checked. */

#include "cri/cni/failure.h"

typedef enum Verb {
        VERB_ADD,
        VERB_DEL,
        VERB_CHECK,
        VERB_GC,
        VERB_STATUS,
        VERB_VERSION,
        _VERB_MAX,
        _VERB_INVALID = -EINVAL,
} Verb;

const char *verb_to_string(Verb verb);
/* Member of org.netmgr1.Runtime; NULL for VERSION. */
const char *verb_to_method(Verb verb);
/* First cniVersion that has the verb. */
const char *verb_min_version(Verb verb);

typedef struct Environment {
        Verb verb;
        /* Borrowed from the environment; NULL when empty or when the verb has no such parameter. */
        const char *container_id, *ifname, *netns_path, *args, *path;
        int netns_fd;      /* owned; -EBADF when there is none (DEL of a namespace that is gone) */
        int host_netns_fd; /* owned; the caller's own namespace */
} Environment;

#define ENVIRONMENT_NULL                                                                           \
        ((Environment) { .verb = _VERB_INVALID, .netns_fd = -EBADF, .host_netns_fd = -EBADF })

void environment_clear(Environment *env);

/* Reads and checks the variables. CNI_COMMAND must be set. Returns 0, or -1 with *f filled. */
int environment_read(Environment *env, Failure *f);
/* Opens the namespaces; after environment_read(), and after stdin is known to be good. */
int environment_open_netns(Environment *env, Failure *f);
/* Opens the network namespace at the path; -EINVAL when something else is there. */
int netns_open(const char *path);
