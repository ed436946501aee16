/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The chained plugins tuning, sbr and vrf on an attachment that is up, whoever made its interface: look,
 * decide, row and rule elements, kernel. A failure leaves everything as it was. After a crash between
 * the row and the kernel the row holds what DEL has to put back; what the plugin asked for is found
 * missing by CHECK, and the runtime, which got no answer, calls DEL.
 */

#include "core/attachment.h"
#include "core/op-change.h"

/* All of it is borrowed until `done` was called. */
typedef struct AdjustRequest {
        NetConf *conf; /* of one of the three; on success prev_result tells the new MAC */
        const CniArgs *args;
        int netns_fd;
        const char *allowlist; /* of sysctls; see sysctl-allow.h */
} AdjustRequest;

void attachment_adjust(Attachment *a, const AdjustRequest *q, ChangeDone done, void *userdata);
