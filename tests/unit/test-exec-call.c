/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* netmgrd's side of netmgr-exec's socket: what its peer may do, how many at a time, and how it ends. */

#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>
/* after the four headers that it needs */
#include <cmocka.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/parse.h"
#include "core/exec-call.h"
#include "cri/exec-answer.h"

typedef struct Asked {
        Question question; /* first member */
        unsigned n_answers;
        int r;
        int exit;
        char text[256];
} Asked;

typedef struct Fixture {
        Manager m;
        char dir[32], path[64];
        int listener;
        Asked *asked;
        size_t n;
} Fixture;

static void answered(Question *q, int r, const TaskAnswer *answer) {
        Asked *a = (Asked *) q;

        a->n_answers++;
        a->r = r;
        assert_true(answer ? r == 0 : r < 0);
        if (answer) {
                a->exit = answer->exit;
                snprintf(a->text, sizeof(a->text), "%s", answer->text);
        }
}

static Asked *new_asked(Fixture *f, size_t n) {
        f->asked = new0(Asked, n);
        f->n = n;
        for (size_t i = 0; i < n; i++) {
                f->asked[i].question.answered = answered;
                f->asked[i].question.ticket = (Ticket) { .task = TICKET_EXEC,
                                                         .timeout_ms = 1000,
                                                         .command = (char *) "DEL",
                                                         .plugin = (char *) "p",
                                                         .container_id = (char *) "c",
                                                         .ifname = (char *) "eth0",
                                                         .netns = (char *) "",
                                                         .args = (char *) "",
                                                         .config = (char *) "{}" };
        }
        return f->asked;
}

static void listen_here(Fixture *f) {
        struct sockaddr_un sun = { .sun_family = AF_UNIX };

        f->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        snprintf(sun.sun_path, sizeof(sun.sun_path), "%s", f->path);
        assert_int_equal(bind(f->listener, (struct sockaddr *) &sun, sizeof(sun)), 0);
        assert_int_equal(listen(f->listener, 16), 0);
}

static int set_up(void **state) {
        Fixture *f = new0(Fixture, 1);

        strcpy(f->dir, "/tmp/netmgr-exec.XXXXXX");
        assert_non_null(mkdtemp(f->dir));
        snprintf(f->path, sizeof(f->path), "%s/exec.sock", f->dir);
        f->listener = -EBADF;
        f->m.exec_socket = f->path;
        assert_int_equal(sd_event_new(&f->m.event), 0);
        assert_int_equal(exec_calls_new(&f->m), 0);
        *state = f;
        return 0;
}

static int tear_down(void **state) {
        Fixture *f = *state;

        exec_calls_free(&f->m);
        sd_event_unref(f->m.event);
        safe_close(f->listener);
        (void) unlink(f->path);
        (void) rmdir(f->dir);
        for (int i = 0; i < _HEALTH_MAX; i++)
                free(f->m.health_text[i]);
        free(f->asked);
        free(f);
        return 0;
}

/* Until nothing happens any more. */
static void turn(Fixture *f) {
        while (sd_event_run(f->m.event, 20000) > 0)
                ;
}

static void turn_until_answered(Fixture *f, const Asked *a) {
        for (int i = 0; i < 1000 && a->n_answers == 0; i++)
                assert_true(sd_event_run(f->m.event, 100000) >= 0);
        assert_int_equal(a->n_answers, 1);
}

static int accept_one(const Fixture *f) {
        int fd = accept4(f->listener, NULL, NULL, SOCK_CLOEXEC);

        assert_true(fd >= 0);
        return fd;
}

static bool nobody_waits(const Fixture *f) {
        return poll(&(struct pollfd) { .fd = f->listener, .events = POLLIN }, 1, 0) == 0;
}

/* ---- answers ---------------------------------------------------------------------------------- */

static void answers(void **state) {
        static const struct {
                const char *text;
                int r, exit;
                const char *said;
        } cases[] = {
                { "{\"exit\":0,\"stdout\":\"x\\ny\"}", 0, 0, "x\ny" },
                { " {\"stdout\":\"\",\"exit\":-3} ", 0, -3, "" },
                { "{\"exit\":139,\"stdout\":\"{\\\"code\\\":7}\"}", 0, 139, "{\"code\":7}" },
                { "", -ECONNRESET, 0, NULL },
                { "{\"exit\":0,\"stdout\":\"x", 1, 0, NULL },
                { "{\"exit\":0}", 1, 0, NULL },
                { "{\"exit\":256,\"stdout\":\"\"}", 1, 0, NULL },
                { "{\"exit\":-4,\"stdout\":\"\"}", 1, 0, NULL },
                { "{\"exit\":0.5,\"stdout\":\"\"}", 1, 0, NULL },
                { "{\"exit\":0,\"stdout\":{}}", 1, 0, NULL },
                { "{\"exit\":0,\"stdout\":\"\",\"more\":1}", 1, 0, NULL },
                { "{\"exit\":0,\"stdout\":\"\\u0000\"}", 1, 0, NULL },
                { "{\"exit\":0,\"stdout\":\"\xff\"}", 1, 0, NULL },
                { "{\"exit\":0,\"stdout\":\"\"}{}", 1, 0, NULL },
                { "[]", 1, 0, NULL },
        };
        Fixture *f = *state;
        Asked *a = new_asked(f, ELEMENTSOF(cases));

        listen_here(f);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_close_ int fd = -EBADF;
                char ticket[4096];

                assert_true(exec_ask(&f->m, &a[i].question));
                fd = accept_one(f);
                turn(f);
                ssize_t n = read(fd, ticket, sizeof(ticket));
                assert_true(n > 0 && n < (ssize_t) sizeof(ticket));
                assert_int_equal(read(fd, ticket + n, 1), 0); /* that was all */
                assert_int_equal(write(fd, cases[i].text, strlen(cases[i].text)),
                                 strlen(cases[i].text));
                turn(f);
                assert_int_equal(a[i].n_answers, 0);
                fd = safe_close(fd);
                turn_until_answered(f, &a[i]);
                if (cases[i].said) {
                        assert_int_equal(a[i].r, 0);
                        assert_int_equal(a[i].exit, cases[i].exit);
                        assert_string_equal(a[i].text, cases[i].said);
                } else
                        assert_true(cases[i].r < 0 ? a[i].r == cases[i].r : a[i].r < 0);
        }
        assert_int_equal(f->m.health, 0);
}

/* It writes without end, and never reads. */
static void answer_that_does_not_end(void **state) {
        Fixture *f = *state;
        Asked *a = new_asked(f, 1);
        _cleanup_close_ int fd = -EBADF;
        char piece[4096];

        listen_here(f);
        memset(piece, ' ', sizeof(piece));
        assert_true(exec_ask(&f->m, &a->question));
        fd = accept_one(f);
        for (size_t n = 0; n < 2 * CONFIG_SIZE_MAX && a->n_answers == 0; n += sizeof(piece)) {
                (void) send(fd, piece, sizeof(piece), MSG_NOSIGNAL | MSG_DONTWAIT);
                assert_true(sd_event_run(f->m.event, 0) >= 0);
        }
        turn_until_answered(f, a);
        assert_int_equal(a->r, -E2BIG);
}

/* A ticket that is larger than the socket's buffer, and a peer who refuses it before he has read it. */
static void ticket_that_is_not_read(void **state) {
        Fixture *f = *state;
        Asked *a = new_asked(f, 1);
        _cleanup_free_ char *config = malloc(900001), *text = NULL;
        _cleanup_close_ int fd = -EBADF;

        memset(config, 'x', 900000);
        config[900000] = '\0';
        a->question.ticket.config = config;
        listen_here(f);
        assert_true(exec_ask(&f->m, &a->question));
        fd = accept_one(f);
        turn(f);
        assert_int_equal(exec_answer_format(-1, "no", &text), 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        fd = safe_close(fd);
        turn_until_answered(f, a);
        assert_int_equal(a->r, 0);
        assert_int_equal(a->exit, -1);
        assert_string_equal(a->text, "no");
}

static void peer_that_hangs(void **state) {
        Fixture *f = *state;
        Asked *a = new_asked(f, 1);

        a->question.ticket.timeout_ms = 1;
        listen_here(f);
        assert_true(exec_ask(&f->m, &a->question));
        turn_until_answered(f, a);
        assert_int_equal(a->r, -ETIMEDOUT);
}

/* ---- how many --------------------------------------------------------------------------------- */

static void as_many_as_there_is_room_for(void **state) {
        const size_t room = EXEC_CALLS_MAX + EXEC_WAITING_MAX;
        _cleanup_free_ char *text = NULL;
        Fixture *f = *state;
        Asked *a = new_asked(f, room + 2);
        int fds[EXEC_CALLS_MAX];

        listen_here(f);
        for (size_t i = 0; i < room; i++)
                assert_true(exec_ask(&f->m, &a[i].question));
        assert_false(exec_ask(&f->m, &a[room].question));
        for (size_t i = 0; i < EXEC_CALLS_MAX; i++)
                fds[i] = accept_one(f);
        turn(f);
        assert_true(nobody_waits(f));

        /* The end of one is the turn of the next. */
        assert_int_equal(exec_answer_format(0, "", &text), 0);
        assert_int_equal(write(fds[3], text, strlen(text)), strlen(text));
        safe_close(fds[3]);
        turn_until_answered(f, &a[3]);
        fds[3] = accept_one(f);
        assert_true(nobody_waits(f));
        assert_true(exec_ask(&f->m, &a[room + 1].question));

        /* The end of netmgrd: nobody is left without an answer. */
        exec_calls_free(&f->m);
        for (size_t i = 0; i < room + 2; i++) {
                assert_int_equal(a[i].n_answers, i == room ? 0 : 1);
                assert_true(i == 3 || i == room || a[i].r == -ECANCELED);
        }
        assert_false(exec_ask(&f->m, &a[room].question));
        for (size_t i = 0; i < EXEC_CALLS_MAX; i++)
                safe_close(fds[i]);
}

static void nobody_listens(void **state) {
        Fixture *f = *state;
        Asked *a = new_asked(f, EXEC_CALLS_MAX + 3);
        _cleanup_close_ int fd = -EBADF;

        assert_false(exec_is_reachable(&f->m));
        assert_int_equal(f->m.health, 0);
        assert_false(exec_ask(&f->m, &a[0].question));
        assert_int_equal(f->m.health, 1U << HEALTH_EXEC);

        listen_here(f);
        assert_true(exec_is_reachable(&f->m));
        for (size_t i = 0; i < f->n; i++)
                assert_true(exec_ask(&f->m, &a[i].question));
        assert_int_equal(f->m.health, 0);
        safe_close(accept_one(f)); /* the look */
        fd = accept_one(f);
        /* It goes away with those that it has not accepted; who waits is told that nothing was done. */
        f->listener = safe_close(f->listener);
        turn(f);
        for (size_t i = 1; i < EXEC_CALLS_MAX; i++)
                assert_true(a[i].n_answers == 1 && a[i].r < 0);
        for (size_t i = EXEC_CALLS_MAX; i < f->n; i++) {
                assert_true(a[i].n_answers == 1 && a[i].r == 0);
                assert_int_equal(a[i].exit, TICKET_EXIT_NOT_STARTED);
                assert_non_null(strstr(a[i].text, f->path));
        }
        assert_int_equal(a[0].n_answers, 0);
        assert_int_equal(f->m.health, 1U << HEALTH_EXEC);
        fd = safe_close(fd);
        turn_until_answered(f, &a[0]);
        assert_int_equal(a[0].r, -ECONNRESET);
}

/* One that cannot be written harms nobody else. */
static void ticket_that_is_too_large(void **state) {
        Fixture *f = *state;
        Asked *a = new_asked(f, EXEC_CALLS_MAX + 2);
        _cleanup_free_ char *config = malloc(CONFIG_SIZE_MAX + 1);

        memset(config, 'x', CONFIG_SIZE_MAX);
        config[CONFIG_SIZE_MAX] = '\0';
        listen_here(f);
        a[EXEC_CALLS_MAX].question.ticket.config = config;
        for (size_t i = 0; i < f->n; i++)
                assert_true(exec_ask(&f->m, &a[i].question));
        safe_close(accept_one(f));
        turn_until_answered(f, &a[EXEC_CALLS_MAX]);
        assert_int_equal(a[EXEC_CALLS_MAX].exit, TICKET_EXIT_NOT_STARTED);
        assert_int_equal(a[EXEC_CALLS_MAX + 1].n_answers, 0);
        assert_int_equal(f->m.health, 0);
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void) {
        const struct CMUnitTest tests[] = {
                CASE(answers),
                CASE(answer_that_does_not_end),
                CASE(ticket_that_is_not_read),
                CASE(peer_that_hangs),
                CASE(as_many_as_there_is_room_for),
                CASE(nobody_listens),
                CASE(ticket_that_is_too_large),
        };

        if (geteuid() != 0)
                return 77; /* nobody else is believed to be netmgr-exec */
        return cmocka_run_group_tests(tests, NULL, NULL);
}
