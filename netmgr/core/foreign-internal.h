/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between op-foreign.c (until the row is written) and foreign-run.c (from there on). */

#include "core/foreign-link.h"
#include "core/op-foreign.h"
#include "core/trail.h"
#include "cri/result.h"
#include "policy/policy.h"

typedef struct ForeignOp {
        Job job; /* first member */
        Commit commit;
        NetworkWaiter network;
        AttachmentWaiter idle;
        Question question;
        List list; /* Manager.foreign_ops */
        Manager *manager;
        Request request;
        RequestDone done;
        void *userdata;
        uint64_t deadline; /* CLOCK_MONOTONIC, microseconds */
        bool unwanted;     /* a DEL waits for our end */

        char *cni_name, *cni_version; /* of the configuration; owned */
        bool is_first;                /* of its list: it makes the interface */
        Attachment *attachment;       /* busy with us */
        bool appended, written;       /* our delegate is in memory; and in the ledger */

        /* found */
        NetnsIdentity netns;
        ForeignLink link;
        CniOwnedResult result;

        /* the commits */
        uint64_t id;
        bool put_sandbox;
        SandboxRow sandbox_row;
        AttachmentRow attachment_row;
        DelegateRow delegate_row;
        PolicyAttachment *policy; /* owned; NULL: the rule tables stay */
        char *plan_json, *result_text;
        Trail trail; /* owned */

        char *answer;
        int r; /* why it failed */
        Error error;
} ForeignOp;

/* -EAGAIN when it is not worth going on. */
int foreign_check_awaited(const ForeignOp *op, Error *e);
/* Undoes what was done and answers. Takes the sentence over; *e may be a task's. */
void foreign_fail(ForeignOp *op, int r, Error *e);
/* Answers, and frees the operation. */
void foreign_end(ForeignOp *op);
void foreign_log(const ForeignOp *op);

/* foreign-run.c: the last delegate of the attachment is in the ledger. */
void foreign_run(ForeignOp *op);
