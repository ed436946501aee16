/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Questions to a caller, and his answers; see conversation.h. */

#include "core/conversation.h"

#include <stdio.h>
#include <sys/random.h>

#include "base/failpoint.h"
#include "base/limits.h"

void conversation_init(Conversation *c, Manager *m,
                       int (*send)(Conversation *c, const char *text)) {
        *c = (Conversation) { .manager = m, .send = send, .max_tickets = TICKETS_PER_REQUEST_MAX };
        list_init(&c->questions);
        list_init(&c->turn);
}

static void take_ticket_back(Conversation *c) {
        if (c->asked)
                map_remove_str(c->manager->tickets, c->id);
        c->asked = false;
        list_unlink(&c->turn);
        c->manager->n_programs -= c->runs;
        c->runs = false;
        if (c->expiry)
                (void) sd_event_source_set_enabled(c->expiry, SD_EVENT_OFF);
}

static void begin_turns(Manager *m);

void conversation_clear(Conversation *c) {
        if (!c->manager)
                return;
        bool ran = c->runs;
        take_ticket_back(c);
        c->expiry = sd_event_source_disable_unref(c->expiry);
        c->over = true;
        if (ran)
                begin_turns(c->manager);
}

bool conversation_is_open(const Conversation *c) {
        return c && !c->over && c->n_tickets < c->max_tickets;
}

Conversation *conversation_find(const Manager *m, const char *id) {
        return map_get_str(m->tickets, id);
}

/* What was not answered will not be. The conversation may be gone after the last call. */
static void refuse_all(List *questions, int r) {
        while (!list_is_empty(questions)) {
                Question *q = list_entry(questions->next, Question, list);

                list_unlink(&q->list);
                q->answered(q, r, NULL);
        }
}

static void end_with(Conversation *c, int r) {
        Manager *m = c->manager;
        List questions;

        list_init(&questions);
        take_ticket_back(c);
        c->over = true;
        while (!list_is_empty(&c->questions)) {
                List *first = c->questions.next;

                list_unlink(first);
                list_append(&questions, first);
        }
        refuse_all(&questions, r);
        begin_turns(m);
}

void conversation_end(Conversation *c) {
        if (c->manager && !c->over)
                end_with(c, -ECONNRESET);
}

void conversations_end(Manager *m) {
        Conversation *c;

        while (!list_is_empty(&m->programs_waiting)) {
                c = list_entry(m->programs_waiting.next, Conversation, turn);
                end_with(c, -ECANCELED);
        }
        while (map_size(m->tickets) > 0) {
                c = map_entry_value(map_first(m->tickets));
                end_with(c, -ECANCELED);
        }
}

static int on_expiry(sd_event_source *source _unused_, uint64_t usec _unused_, void *userdata) {
        end_with(userdata, -ETIMEDOUT);
        return 0;
}

/* Nobody can guess it: whoever answers for another would decide what that one's sandbox gets. */
static int make_id(char ret[static TICKET_ID_SIZE]) {
        uint8_t bytes[(TICKET_ID_SIZE - 1) / 2];

        if (getrandom(bytes, sizeof(bytes), 0) != (ssize_t) sizeof(bytes))
                return -EIO;
        for (size_t i = 0; i < sizeof(bytes); i++)
                snprintf(ret + 2 * i, 3, "%02x", bytes[i]);
        return 0;
}

static int start_clock(Conversation *c, uint32_t timeout_ms) {
        uint64_t usec = timeout_ms * 1000ULL + TICKET_GRACE_SEC * 1000000ULL;

        if (!c->expiry) {
                int r = timer_new(c->manager->event, &c->expiry, on_expiry, c);
                if (r < 0)
                        return r;
        }
        timer_start(c->manager->event, c->expiry, usec);
        return 0;
}

static int send_first(Conversation *c, Question *q) {
        _cleanup_free_ char *text = NULL;

        int r = failpoint("bus-ticket");
        if (r >= 0)
                r = make_id(c->id);
        if (r < 0)
                return r;
        q->ticket.id = c->id;
        r = ticket_format(&q->ticket, &text);
        q->ticket.id = NULL;
        if (r >= 0)
                r = map_put_str(c->manager->tickets, c->id, c);
        if (r < 0)
                return r;
        c->asked = true;
        c->n_tickets++;
        r = start_clock(c, q->ticket.timeout_ms);
        if (r >= 0)
                r = c->send(c, text);
        if (r < 0)
                take_ticket_back(c);
        else
                failpoint_past("bus-ticket-sent");
        return r;
}

/* The first question, now or when it is its turn. */
static int send_in_turn(Conversation *c, Question *q) {
        Manager *m = c->manager;

        if (q->ticket.task == TICKET_EXEC && m->n_programs >= m->conf.parallel_max) {
                list_append(&m->programs_waiting, &c->turn);
                return 0;
        }
        int r = send_first(c, q);
        c->runs = r >= 0 && q->ticket.task == TICKET_EXEC;
        m->n_programs += c->runs;
        return r;
}

static void begin_turns(Manager *m) {
        while (m->n_programs < m->conf.parallel_max && !list_is_empty(&m->programs_waiting)) {
                Conversation *c = list_entry(m->programs_waiting.next, Conversation, turn);

                list_unlink(&c->turn);
                int r = send_in_turn(c, list_first(&c->questions, Question, list));
                if (r < 0)
                        end_with(c, r);
        }
}

bool conversation_ask(Conversation *c, Question *q) {
        if (!conversation_is_open(c))
                return false;
        bool is_first = list_is_empty(&c->questions);
        list_append(&c->questions, &q->list);
        if (!is_first || send_in_turn(c, q) >= 0)
                return true;
        list_unlink(&q->list);
        c->over = true;
        return false;
}

void conversation_answer(Conversation *c, const TaskAnswer *answer) {
        Question *q = list_first(&c->questions, Question, list), *next;
        Manager *m = c->manager;
        List refused;
        int r = 0;

        take_ticket_back(c);
        list_unlink(&q->list);
        /* The next goes out before the answer is heard: what comes of that may be the end of the call. */
        list_init(&refused);
        next = list_first(&c->questions, Question, list);
        if (next && (!conversation_is_open(c) || (r = send_in_turn(c, next)) < 0)) {
                c->over = true;
                while (!list_is_empty(&c->questions)) {
                        List *first = c->questions.next;

                        list_unlink(first);
                        list_append(&refused, first);
                }
        }
        q->answered(q, 0, answer);
        refuse_all(&refused, r < 0 ? r : -EBUSY);
        begin_turns(m);
}
