/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * An interface that a plugin of others makes, on netmgrd's word: a member of a list of plugins (op-networks.h).
 * The first of a list makes an attachment of kind foreign; those behind it are further delegates of the
 * attachment, whoever made the interface. Row and exact bytes are in the ledger before the plugin is run; each
 * end of the attachment runs their DELs, last first.
 */

#include "core/delegate.h"
#include "core/operation.h"
#include "core/place.h"

/* ADD of Request.type, a plugin of others, with Request.config as its stdin. Takes over what *q owns; result: its
 * stdout. It is run by q->talk, else by netmgr-exec. */
void operation_add_foreign(Manager *m, Request *q, RequestDone done, void *userdata);
/* Part of attachment_abandon_add(). */
void foreign_abandon_add(const Attachment *a);
