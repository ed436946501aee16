/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One caller of org.netmgr1.Runtime who does tasks for the operation that he called for: questions of the
 * operation become tickets (cri/ticket.h), one at a time, each answering the call that waits; his next call
 * brings the answer. Belongs to the call (bus/), which outlives the operation.
 *
 * Programs of others need memory, each its own: at most [Delegates] ParallelMax= of them run for all callers
 * together, the others wait as they came.
 *
 * Nothing survives a crash: what a task may have done is in the ledger before it is asked for.
 */

#include "core/manager.h"
#include "cri/ticket.h"

typedef struct Question Question;
typedef struct Conversation Conversation;

typedef struct TaskAnswer {
        int exit;         /* of the program, or TICKET_EXIT_* */
        const char *text; /* its stdout, or a CNI error object; ends with the call */
} TaskAnswer;

struct Question {
        List list;
        Ticket ticket; /* its strings are the asker's, and stay until `answered` is called */
        /* Once, on the loop. r < 0: nobody will answer, *answer is NULL, and whether the task was done is not
         * known. */
        void (*answered)(Question *q, int r, const TaskAnswer *answer);
};

struct Conversation {
        Manager *manager;
        /* Answers the call that waits with the text; negative: it could not be sent. */
        int (*send)(Conversation *c, const char *text);
        List questions;          /* the first is with the caller while `asked` */
        bool asked;              /* and no call of his waits for an answer */
        bool over;               /* he went away, or was too late */
        char id[TICKET_ID_SIZE]; /* of the ticket that is out */
        unsigned n_tickets, max_tickets;
        List turn;               /* Manager.programs_waiting: his next ticket is for a program */
        bool runs;               /* the ticket that is out is for one */
        sd_event_source *expiry; /* owned; made with the first ticket */
};

void conversation_init(Conversation *c, Manager *m, int (*send)(Conversation *c, const char *text));
void conversation_clear(Conversation *c);

/* Asks, sooner or later. False: he cannot be asked any more (or at all: c may be NULL), and `answered`
 * will not be called. */
bool conversation_ask(Conversation *c, Question *q);
/* For the asker: can it be tried? */
bool conversation_is_open(const Conversation *c);

/* The ticket of that id, NULL: none is out. */
Conversation *conversation_find(const Manager *m, const char *id);
/* The caller has called again, with the answer. */
void conversation_answer(Conversation *c, const TaskAnswer *answer);
/* He went away. */
void conversation_end(Conversation *c);
/* All of them, when the daemon stops. */
void conversations_end(Manager *m);
