/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Plugins of others that hold something for an attachment (an IPAM plugin its addresses). netmgrd never
 * executes them: the plugin that a runtime called does (core/conversation.h). Their rows are in the ledger
 * before they are run, with the exact bytes of their configuration, and go with the attachment, after their
 * DEL. Where no runtime is there to run that, the attachment stays `releasing` until one is.
 */

#include "core/attachment.h"
#include "core/conversation.h"
#include "store/store.h"

struct Delegate {
        uint32_t seq;
        char *plugin, *path, *config, *args, *result; /* as in DelegateRow; owned */
        /* A plugin of a list, which its own configuration names by "type"; else an IPAM plugin, "ipam.type". */
        bool of_list;
        char *end_config; /* owned: what its DEL is told, while that is asked for; NULL: `config` */
};

/* The next of the attachment. */
int attachment_add_delegate(Attachment *a, const char *plugin, const char *path, const char *config,
                            const char *args);
/* The last one: its DEL has come to its end, or it was never run. */
void attachment_drop_delegate(Attachment *a);
void attachment_drop_delegates(Attachment *a);
int attachment_load_delegate(Manager *m, DelegateRow *row);
/* Borrows the delegate's strings. */
DelegateRow delegate_row(const Attachment *a, const Delegate *d);

/* The question that runs its DEL for what the ledger remembers of ADD; borrows the attachment's and the
 * delegate's strings. A plugin of a list is also told what came of the list (libcni's cached result). */
void delegate_ask_del(const Attachment *a, Delegate *d, Question *ret);
/* The question for its ADD: all that the ticket says is the ledger's, netns the namespace's path. Who gets it
 * needs no configuration of his own. */
void delegate_ask_add(const Attachment *a, const Delegate *d, const char *netns,
                      uint32_t timeout_sec, Question *ret);
/*
 * The configuration of its CHECK: that of its ADD with what came of the whole list in place of "prevResult",
 * as libcni has it. 1: *ret (owned) is that; 0: there is none, since it is of a version before 0.4.0 or the ADD
 * did not come to its end. -ENOMEM
 */
int delegate_make_check(const Attachment *a, const Delegate *d, char **ret);
/* The question that runs a plugin with the caller's own configuration and environment. */
void delegate_ask_own(const char *plugin, const char *command, uint32_t timeout_sec, Question *ret);
/* Whether ADD of a plugin that failed (answer NULL: nobody knows) may have done something: not when it was not
 * started, and not when it does not speak the version, which its DEL would say again for ever. */
bool delegate_was_run(const TaskAnswer *answer);
/* Whether a ticket can carry what its DEL will need. */
int delegate_check_size(const Attachment *a, const Delegate *d, Error *e);

/* Why there was no success of a task, in the words of the answer. */
int answer_error(const char *what, ErrorKind kind, int r, const TaskAnswer *answer, Error *e);
/* The same of a plugin: its own words. Returns its negative errno. */
int delegate_error(const char *plugin, const char *command, int r, const TaskAnswer *answer,
                   Error *e);
