/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * ADD of a plugin that changes what those before it in its chain have made (portmap, bandwidth,
 * firewall and the like), as a call of its own. All of a chain hang on one attachment: that of the
 * plugin that made the interface, or, where that is not ours, one of kind foreign that is made here.
 *
 * A plugin is one entry: it looks (worker), decides what the specification becomes (loop), the rows and
 * the rule elements are written in one commit, it changes the kernel (worker), and adds to the answer,
 * which is prevResult. The specification is all that DEL, CHECK, repair and the next start know: what is
 * not in it is not undone.
 */

#include "core/foreign-link.h"
#include "core/host-end.h"
#include "core/operation.h"
#include "core/trail.h"
#include "policy/policy.h"

typedef struct ChainOp ChainOp;

typedef struct ChainPlugin {
        NetPlugin plugin;
        /* look() and kernel() have a socket in the sandbox (ChainOp.pod) and its descriptor. */
        bool inside;
        /* Asks for nothing: prevResult is the answer, and somebody else's interface is left alone. */
        bool (*is_idle)(const NetConf *c);
        /* On a worker, before anything is decided; sees the request and the specification in `before`
         * (of an attachment that is made here: complete). NULL: nothing to look at. */
        int (*look)(ChainOp *op, WorkerContext *w, Error *e);
        /* Changes op->attachment->spec, which is put back when anything fails from here on, and what the
         * Manager has in tables (host ports). 1: changed, 0: it was so already. */
        int (*decide)(ChainOp *op, Error *e);
        /* On a worker: from op->before to op->after, also when they are the same. What fails leaves the
         * kernel as it was, as far as it can. NULL: the rule tables are all. */
        int (*kernel)(ChainOp *op, WorkerContext *w, Error *e);
        /* Adds to the result, which is prevResult so far. NULL: nothing. */
        int (*answer)(ChainOp *op, json_object *result, Error *e);
} ChainPlugin;

/* NULL: that plugin is none of a chain, or not built yet. */
const ChainPlugin *chain_plugin_find(NetPlugin plugin);

struct ChainOp {
        Job job; /* first member */
        Commit commit;
        NetworkWaiter network;
        AttachmentWaiter idle;
        Manager *manager;
        const ChainPlugin *plugin;
        Request request;
        RequestDone done;
        void *userdata;
        NetConf *conf;
        Attachment *attachment; /* busy with us */
        bool is_new;            /* made here, of kind foreign */
        /* of kind foreign, but only its addresses are known: host-local or static of ours gave them, called
         * by an interface plugin of others before there was an interface */
        bool is_unseen;
        uint64_t id;

        /* Of the attachment before and after decide(): copies, for threads. */
        AttachmentSpec before, after;
        HostEnd host; /* of `after` */

        NlSocket *pod;
        uint64_t cookie; /* the sandbox's as recorded; 0: not yet */
        NetnsIdentity netns;
        ForeignLink foreign;

        /* the commit */
        bool undoing, written, put_sandbox, put_shaping;
        SandboxRow sandbox_row;
        AttachmentRow attachment_row;
        ShapingRow shaping_row;
        PolicyAttachment *policy; /* owned */
        char *plan_json, *result;
        Trail trail; /* owned */

        MacAddr ifb_mac;            /* bandwidth */
        struct ChainInside *inside; /* chain-inside.c: owned */

        char *answer;
        int r; /* why it failed */
        Error error;
};

/* The verb. Takes over what *q owns. */
void operation_chain(Manager *m, Request *q, RequestDone done, void *userdata);

/* ---- chain-foreign.c: an attachment for somebody else's interface */

/* Network, sandbox and attachment objects; the specification as far as prevResult tells it. */
int chain_foreign_new(ChainOp *op, Error *e);
/* On a worker: the identity of the namespace, the interface there and the host's end of it. */
int chain_foreign_look(ChainOp *op, WorkerContext *w, Error *e);
/* What the look has found goes into the objects. */
int chain_foreign_found(ChainOp *op, Error *e);
