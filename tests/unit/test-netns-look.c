/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a look may conclude: every combination of path and interfaces, and whose process a path is of. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
/* after the four headers that it needs */
#include <cmocka.h>

#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/parse.h"
#include "core/netns-look.h"

static void test_path_of_a_process(void **state _unused_) {
        static const struct {
                const char *path;
                uint32_t pid;
        } cases[] = {
                { "/proc/1/ns/net", 1 },          { "/proc/2147483647/task/7/ns/net", INT32_MAX },
                { "/proc/self/ns/net", 0 },       { "/proc/1", 0 },
                { "/proc//ns/net", 0 },           { "/proc/0/ns/net", 0 },
                { "/proc/2147483648/ns/net", 0 }, { "/proc/12345678901234567890/ns/net", 0 },
                { "/proc/1x/ns/net", 0 },         { "/proc/-1/ns/net", 0 },
                { "/procs/1/ns/net", 0 },         { "/run/netns/1/", 0 },
                { "proc/1/ns/net", 0 },           { "", 0 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_int_equal(netns_path_pid(cases[i].path), cases[i].pid);
}

static void test_start_time(void **state _unused_) {
        uint64_t own, before;
        int fds[2];
        char byte;

        assert_return_code(process_start_time((uint32_t) getpid(), &own), 0);
        assert_true(own > 0);
        assert_int_equal(pipe(fds), 0);
        pid_t pid = fork();
        assert_return_code(pid, errno);
        if (pid == 0) {
                /* a name that looks like the end of the name's field */
                (void) prctl(PR_SET_NAME, "a) S 1 (b) Z 1");
                (void) !write(fds[1], "x", 1);
                for (;;)
                        pause();
        }
        assert_int_equal(read(fds[0], &byte, 1), 1);
        assert_return_code(process_start_time((uint32_t) pid, &before), 0);
        assert_true(before >= own);
        assert_return_code(kill(pid, SIGKILL), errno);
        /* ended, but nobody has waited for it: it has no namespace any more */
        siginfo_t info;
        assert_return_code(waitid(P_PID, (id_t) pid, &info, WEXITED | WNOWAIT), errno);
        assert_int_equal(process_start_time((uint32_t) pid, &before), -ESRCH);
        assert_int_equal(waitpid(pid, NULL, 0), pid);
        assert_int_equal(process_start_time((uint32_t) pid, &before), -ESRCH);
        close(fds[0]);
        close(fds[1]);
}

static void test_witness(void **state _unused_) {
        NetnsWitness w = { .seen = true, .start = 1 };
        struct stat st;
        _cleanup_free_ char *own = strf("/proc/%d/ns/net", (int) getpid());

        assert_non_null(own);
        assert_return_code(stat("/etc", &st), errno);
        netns_witness_make("/etc", st.st_dev, st.st_ino, &w);
        assert_true(w.seen);
        assert_int_equal(w.start, 0);
        netns_witness_make("/etc", st.st_dev, st.st_ino + 1, &w);
        assert_false(w.seen);
        netns_witness_make("/nonexistent/x", st.st_dev, st.st_ino, &w);
        assert_false(w.seen);
        netns_witness_make("etc", st.st_dev, st.st_ino, &w); /* relative to whom? */
        assert_false(w.seen);
        /* ours is not the caller's */
        assert_return_code(stat("/proc/self/ns/net", &st), errno);
        netns_witness_make("/proc/self/ns/net", st.st_dev, st.st_ino, &w);
        assert_false(w.seen);
        assert_int_equal(w.start, 0);
        netns_witness_make(own, 0, 0, &w);
        assert_false(w.seen);
        assert_true(w.start > 0);
}

static void test_fates(void **state _unused_) {
        static const struct {
                NetnsPath found;
                size_t n_host_ends, n_links;
                SandboxFate fate;
        } cases[] = {
                { NETNS_PATH_LEADS, 0, 0, FATE_LIVE },
                { NETNS_PATH_LEADS, 2, 2, FATE_LIVE },
                { NETNS_PATH_LEADS, 2, 0, FATE_LIVE }, /* deleted by hand */
                { NETNS_PATH_GONE, 0, 0, FATE_DEAD },
                { NETNS_PATH_GONE, 2, 0, FATE_DEAD },
                { NETNS_PATH_GONE, 2, 1, FATE_LINGERING },
                { NETNS_PATH_UNSEEN, 0, 0, FATE_UNCLEAR },
                { NETNS_PATH_UNSEEN, 1, 1, FATE_UNCLEAR },
                { NETNS_PATH_UNSEEN, 1, 0, FATE_DEAD },
                { NETNS_PATH_UNKNOWN, 0, 0, FATE_UNCLEAR },
                { NETNS_PATH_UNKNOWN, 1, 0, FATE_UNCLEAR },
                { NETNS_PATH_UNKNOWN, 1, 1, FATE_UNCLEAR },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                NetnsView v = { .found = cases[i].found,
                                .n_host_ends = cases[i].n_host_ends,
                                .n_links = cases[i].n_links };

                if (netns_view_fate(&v) != cases[i].fate)
                        fail_msg("case %zu: fate %d, wanted %d", i, (int) netns_view_fate(&v),
                                 (int) cases[i].fate);
                /* a reason never claims the opposite of the fate */
                assert_int_equal(strstr(netns_view_reason(&v), "namespace is gone") != NULL,
                                 cases[i].fate == FATE_DEAD);
                assert_int_equal(strstr(netns_view_reason(&v), "namespace lives") != NULL,
                                 cases[i].fate == FATE_LIVE);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_path_of_a_process),
                cmocka_unit_test(test_start_time),
                cmocka_unit_test(test_witness),
                cmocka_unit_test(test_fates),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
