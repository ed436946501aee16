/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Changes of a living attachment: its host ports and its limits. The rows are written first, the
 * kernel follows; a crash between the two is mended by the next start.
 */

#include "core/attachment.h"

/* Exactly one call, possibly before the function returns. */
typedef void (*ChangeDone)(int r, const Error *e, void *userdata);

/* ERROR_PORT_IN_USE, ERROR_INVALID_ARGUMENT (no address of that family), ERROR_TRY_AGAIN (something
 * else works on the attachment). */
void attachment_add_port(Attachment *a, const NetPort *port, ChangeDone done, void *userdata);
/* By host address, protocol and host port. ERROR_INVALID_ARGUMENT when there is none. */
void attachment_remove_port(Attachment *a, const NetPort *port, ChangeDone done, void *userdata);
/* All four values; rate 0: no limit. */
void attachment_set_bandwidth(Attachment *a, const NetBandwidth *b, ChangeDone done,
                              void *userdata);
/* Mode shape: sets in the kernel what the row says, whatever a crash left there. */
void attachment_renew_limits(Attachment *a, ChangeDone done, void *userdata);
