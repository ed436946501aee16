/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who may run a program of others, in which turn, and that a turn comes back however it ends. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* after the headers that it needs */
#include <cmocka.h>

#include "base/limits.h"
#include "core/conversation.h"

#define CALLERS 4

typedef struct Caller {
        Conversation talk; /* first member */
        Question question;
        unsigned n_sent, n_answers;
        int r;
        bool is_deaf; /* nothing can be sent to him */
} Caller;

typedef struct Fixture {
        Manager m;
        Caller callers[CALLERS];
} Fixture;

static int take_ticket(Conversation *talk, const char *text) {
        Caller *c = (Caller *) talk;

        assert_non_null(strstr(text, talk->id));
        if (c->is_deaf)
                return -ENOTCONN;
        c->n_sent++;
        return 0;
}

static void answered(Question *q, int r, const TaskAnswer *answer _unused_) {
        Caller *c = (Caller *) ((char *) q - offsetof(Caller, question));

        c->n_answers++;
        c->r = r;
}

static int set_up(void **state) {
        Fixture *f = new0(Fixture, 1);

        assert_int_equal(sd_event_new(&f->m.event), 0);
        f->m.tickets = map_new();
        f->m.conf.parallel_max = 1;
        list_init(&f->m.programs_waiting);
        for (size_t i = 0; i < CALLERS; i++) {
                Caller *c = &f->callers[i];
                conversation_init(&c->talk, &f->m, take_ticket);
                c->question.answered = answered;
                c->question.ticket = (Ticket) { .task = TICKET_EXEC,
                                                .timeout_ms = 60000,
                                                .command = (char *) "DEL",
                                                .plugin = (char *) "p" };
        }
        *state = f;
        return 0;
}

static int tear_down(void **state) {
        Fixture *f = *state;

        for (size_t i = 0; i < CALLERS; i++)
                conversation_clear(&f->callers[i].talk);
        assert_int_equal(f->m.n_programs, 0);
        assert_true(list_is_empty(&f->m.programs_waiting));
        assert_int_equal(map_size(f->m.tickets), 0);
        map_free(f->m.tickets);
        sd_event_unref(f->m.event);
        free(f);
        return 0;
}

/* All ask; the first has the ticket. */
static Caller *all_ask(Fixture *f) {
        for (size_t i = 0; i < CALLERS; i++)
                assert_true(conversation_ask(&f->callers[i].talk, &f->callers[i].question));
        assert_int_equal(f->callers[0].n_sent, 1);
        for (size_t i = 1; i < CALLERS; i++)
                assert_int_equal(f->callers[i].n_sent, 0);
        return f->callers;
}

static void answer(Caller *c) {
        conversation_answer(&c->talk, &(TaskAnswer) { .text = "" });
        assert_int_equal(c->n_answers, 1);
        assert_int_equal(c->r, 0);
}

static void turns(void **state) {
        Fixture *f = *state;
        Caller *c = all_ask(f);

        for (size_t i = 0; i < CALLERS; i++) {
                assert_int_equal(c[i].n_sent, 1);
                assert_int_equal(f->m.n_programs, 1);
                answer(&c[i]);
        }
}

static void who_goes_away_before_his_turn_gets_none(void **state) {
        Caller *c = all_ask(*state);

        conversation_end(&c[1].talk);
        assert_int_equal(c[1].n_answers, 1);
        assert_int_equal(c[1].r, -ECONNRESET);
        assert_false(conversation_is_open(&c[1].talk));
        conversation_end(&c[1].talk); /* told twice */
        assert_int_equal(c[1].n_answers, 1);
        answer(&c[0]);
        assert_int_equal(c[1].n_sent, 0);
        assert_int_equal(c[2].n_sent, 1);
}

static void who_cannot_be_told_makes_room(void **state) {
        Caller *c = all_ask(*state);

        c[1].is_deaf = c[2].is_deaf = true;
        answer(&c[0]);
        assert_int_equal(c[1].r, -ENOTCONN);
        assert_int_equal(c[2].r, -ENOTCONN);
        assert_int_equal(c[3].n_sent, 1);
}

static void a_conversation_that_is_gone_makes_room(void **state) {
        Caller *c = all_ask(*state);

        conversation_clear(&c[0].talk);
        assert_int_equal(c[1].n_sent, 1);
        conversation_clear(&c[2].talk); /* waits */
        conversation_end(&c[1].talk);
        assert_int_equal(c[2].n_sent, 0);
        assert_int_equal(c[3].n_sent, 1);
}

static void at_the_end_nobody_begins(void **state) {
        Fixture *f = *state;
        Caller *c = all_ask(f);

        conversations_end(&f->m);
        for (size_t i = 0; i < CALLERS; i++) {
                assert_int_equal(c[i].n_answers, 1);
                assert_int_equal(c[i].r, -ECANCELED);
                assert_int_equal(c[i].n_sent, i == 0);
        }
}

/* One that never talked: a call whose caller runs nothing. */
static void an_end_without_a_beginning(void **state _unused_) {
        Conversation none = { 0 };

        conversation_end(&none);
        conversation_clear(&none);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test_setup_teardown(turns, set_up, tear_down),
                cmocka_unit_test_setup_teardown(who_goes_away_before_his_turn_gets_none, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(who_cannot_be_told_makes_room, set_up, tear_down),
                cmocka_unit_test_setup_teardown(a_conversation_that_is_gone_makes_room, set_up,
                                                tear_down),
                cmocka_unit_test_setup_teardown(at_the_end_nobody_begins, set_up, tear_down),
                cmocka_unit_test(an_end_without_a_beginning),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
