/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between op-networks.c (the steps) and the files that read the selection and write the members' requests. */

#include "core/op-networks.h"

/* One interface of the operation. */
typedef struct Member {
        const NetSelection *selection; /* NULL: the runtime's own network */
        char *network; /* Network.name; NULL: inline in the runtime's configuration */
        char *reference, *choice, *owner; /* for `place`, which borrows them */
        char ifname[IF_NAMESIZE];
        RequestPlace place;
        NetList *list;       /* as it was when its turn came; owned reference; NULL: no list */
        size_t next;         /* plugin of the list */
        char *answer;        /* of the last plugin */
        bool made;           /* the attachment is there, and ours to undo */
        uint64_t attachment; /* id; of another one we keep our hands off */
} Member;

typedef struct NetworksOp {
        List list;               /* Manager.networks_ops */
        AttachmentWaiter waiter; /* for a member that is being worked on, while we undo */
        Manager *manager;
        Request request;  /* of the runtime; for hot-plug: what is common to members' requests */
        RequestDone done; /* NULL: it was called */
        void *userdata;
        bool hot;
        char *parent;        /* the interface whose DEL ends all of it; owned */
        NetConf *conf;       /* of the runtime's configuration; NULL with hot */
        json_object *config; /* the same as JSON; owned */
        CniArgs args;
        NetSelections selections;
        char *annotations; /* kept ones */
        Member *members;   /* owned; the default one first */
        size_t n_members, current;
        bool unwanted; /* a DEL waits, or nobody heard the answer */
        List waiters;  /* AttachmentWaiter: DELs */
        char *answer;
        int r; /* why it failed */
        Error error;
} NetworksOp;

/* op-networks.c. NULL when out of memory. */
NetworksOp *networks_op_new(Manager *m, RequestDone done, void *userdata);
/* The next plugin of the next member; leads to the end of the operation. */
void networks_begin_next(NetworksOp *op);
/* Undoes what was made, and answers. Takes the sentence over. */
void networks_fail(NetworksOp *op, int r, Error *e);

/* networks-select.c. Which networks, by which names, with what kind of place; all of it is checked before
 * anything is made. */
int networks_select(NetworksOp *op, Error *e);
/* The network of that selection for a pod of op->args; ret_reference: as network-status calls it, NULL: by its CNI
 * name. */
int networks_find(NetworksOp *op, const NetSelection *s, Network **ret, char **ret_reference,
                  Error *e);

/* networks-text.c. The next request of the member; *ret owns its texts, but not place, talk, abandoned. */
int networks_request(NetworksOp *op, Member *m, Request *ret, Error *e);
/* The answer of a list in the version of the runtime's configuration; owned by caller. */
int networks_answer(const NetworksOp *op, const char *answer, char **ret, Error *e);
