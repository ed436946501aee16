/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Notices that a sandbox's network namespace is gone although nobody said DEL, and releases it.
 *
 * Three things make a sandbox suspect: a host end of it vanished (at once); the name of its path was
 * deleted (inotify on the directory; matters where no host end tells, as for loopback); and every
 * NETNS_SWEEP_SEC for what neither tells about: /proc/PID paths, a bind mount that was undone, a
 * directory that cannot be watched, an attachment that lost its interface. A suspect is looked at
 * (netns-look.h). When it is dead it is released NETNS_GRACE_MS later; when it lives and lost an
 * interface, attachment_link_lost() hears of it; else nothing happens.
 *
 * Nothing here survives a crash: manager_finish_recovery() watches what the ledger has and suspects
 * what may have died meanwhile. No descriptor of a namespace is held, nor a watch on its file.
 */

#include "core/sandbox.h"

typedef struct NetnsWatch NetnsWatch;

int netns_watch_new(Manager *m, NetnsWatch **ret);
NetnsWatch *netns_watch_free(NetnsWatch *w); /* accepts NULL; the sandboxes stay */
DEFINE_CLEANUP(NetnsWatch *, netns_watch_free)

/* Watches the directory of its path. May be called again; a path that leads nowhere from here is not
 * watched. */
void netns_watch_add(NetnsWatch *w, Sandbox *s);
/* The sandbox ends. Accepts a NULL watch. */
void netns_watch_remove(NetnsWatch *w, Sandbox *s);
/* Something of it vanished: look. */
void netns_watch_suspect(NetnsWatch *w, Sandbox *s);
