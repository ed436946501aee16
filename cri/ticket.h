/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What netmgrd asks of the plugin that called it: to do, with root's rights and in the runtime's own
 * mount namespace, what netmgrd neither may nor should do itself. A call of org.netmgr1.Runtime is then
 * answered with a ticket instead of a result; the plugin does the task and calls DelegateResult(ticket,
 * exit, stdout), whose answer is the next ticket or the result. netmgrd writes tickets, the plugin reads
 * them; this is the one place that knows their format:
 *
 *   {"netmgr.ticket": ID, "do": "exec", "timeoutMs": …, "command": "ADD", "plugin": "whereabouts"}
 *       with the caller's own verb; for a plugin of a network that netmgrd knows, and for the DEL of another
 *       call's attachment, also "containerId", "ifName", "netns", "args" and "config", the exact bytes. What
 *       is absent is the caller's own. With "originals": true none of netmgr's own names is meant, but the
 *       program of others by that name, also for what that executes.
 *   {…, "do": "read-host-local"}                          lists host-local's directory
 *   {…, "do": "write-host-local", "addresses": [{"address": …, "set": N}]}   takes them there
 *   {…, "do": "release-host-local", "owners": [{"containerID": …, "ifname": …}]}   gives theirs back
 *   {…, "do": "read-resolv-conf", "path": …}              answers CNI's dns object
 *
 * A ticket is good for one answer of the connection that got it, within its time.
 */

#include "base/error.h"
#include "base/inaddr.h"

/* Comes first in a ticket; no result may have it. */
#define TICKET_KEY     "netmgr.ticket"
#define TICKET_ID_SIZE (32 + 1) /* 128 random bits in hex */

typedef enum TicketTask {
        TICKET_EXEC,
        TICKET_READ_HOST_LOCAL,
        TICKET_WRITE_HOST_LOCAL,
        TICKET_RELEASE_HOST_LOCAL,
        TICKET_READ_RESOLV_CONF,
        _TICKET_TASK_MAX,
        _TICKET_TASK_INVALID = -EINVAL,
} TicketTask;

/* What the plugin answers for `exit` beside a program's status (128 + N: ended by signal N). With
 * anything but 0, `stdout` is a CNI error object. */
#define TICKET_EXIT_NOT_STARTED (-1) /* nothing was done */
#define TICKET_EXIT_TIMED_OUT   (-2) /* it was killed */
#define TICKET_EXIT_BAD_OUTPUT  (-3) /* it succeeded with an output that is too large or no text */

typedef struct TicketAddress {
        InAddr address;
        uint32_t set; /* index of the range set that it is of */
} TicketAddress;

typedef struct TicketOwner {
        char *container_id, *ifname;
} TicketOwner;

/* Of ticket_parse() all is owned; who formats one lends its strings and arrays. */
typedef struct Ticket {
        char *id;
        TicketTask task;
        uint32_t timeout_ms;
        char *command, *plugin;                              /* TICKET_EXEC */
        char *container_id, *ifname, *netns, *args, *config; /* NULL: the caller's own */
        bool originals;                                      /* TICKET_EXEC */
        char *path;                                          /* TICKET_READ_RESOLV_CONF */
        TicketAddress *addresses;                            /* TICKET_WRITE_HOST_LOCAL */
        size_t n_addresses;
        TicketOwner *owners; /* TICKET_RELEASE_HOST_LOCAL */
        size_t n_owners;
} Ticket;

void ticket_clear(Ticket *t);

/* Owned by caller. -ENOMEM, or -E2BIG when no plugin would read it. */
int ticket_format(const Ticket *t, char **ret);
/* 1, or 0 when the text is no ticket but an answer, or a negative errno with *e. */
int ticket_parse(const char *text, Ticket *ret, Error *e);
