/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* TAP interfaces, made by the real netmgr-nsd (the first argument) in a namespace of the test's. What came
 * of it is what `ip` says. */

#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "nsd/client.h"
#include "nsd/tap.h"

static const char *program;

typedef struct World {
        char path[64];
        pid_t nsd;
        int own_netns, pod_netns;
        NsdClient client;
} World;

/* The socket exists before the program: who connects waits until it serves. */
static pid_t start_nsd(const char *path) {
        struct sockaddr_un sun = { .sun_family = AF_UNIX };
        int fd = socket(AF_UNIX, SOCK_SEQPACKET, 0);

        assert_true(fd >= 0);
        memcpy(sun.sun_path, path, strlen(path) + 1);
        assert_int_equal(bind(fd, (struct sockaddr *) &sun, sizeof(sun)), 0);
        assert_int_equal(listen(fd, 4), 0);
        pid_t pid = fork();
        assert_true(pid >= 0);
        if (pid == 0) {
                char text[16];
                snprintf(text, sizeof(text), "%d", (int) getpid());
                prctl(PR_SET_PDEATHSIG, SIGKILL);
                if (fd != 3)
                        dup2(fd, 3);
                setenv("LISTEN_PID", text, 1);
                setenv("LISTEN_FDS", "1", 1);
                execl(program, program, "--peer-user=0", (char *) NULL);
                _exit(127);
        }
        close(fd);
        return pid;
}

static int setup(void **state) {
        static World w;

        *state = &w;
        w = (World) { .nsd = -1, .own_netns = -EBADF, .pod_netns = -EBADF };
        if (geteuid() != 0 || unshare(CLONE_NEWNET) < 0)
                return 0; /* each test says so */
        w.pod_netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        if (unshare(CLONE_NEWNET) < 0)
                return -1;
        w.own_netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
        snprintf(w.path, sizeof(w.path), "/tmp/test-nsd-tap.%d", (int) getpid());
        w.nsd = start_nsd(w.path);
        w.client = NSD_CLIENT_INIT(w.path);
        return 0;
}

static int teardown(void **state) {
        World *w = *state;

        if (w->nsd < 0)
                return 0;
        nsd_client_close(&w->client);
        unlink(w->path);
        kill(w->nsd, SIGKILL);
        return waitpid(w->nsd, NULL, 0) == w->nsd ? 0 : -1;
}

static World *world(void **state) {
        World *w = *state;

        if (w->nsd < 0 || access("/dev/net/tun", F_OK) < 0) {
                fprintf(stderr, "skipped: needs root, network namespaces and /dev/net/tun\n");
                skip();
        }
        return w;
}

static bool ip_says(const World *w, const char *arguments, const char *words) {
        char command[512];

        snprintf(command, sizeof(command),
                 "nsenter --net=/proc/%d/fd/%d ip %s 2>&1 | tee /dev/stderr | grep -q -e '%s'",
                 (int) getpid(), w->pod_netns, arguments, words);
        return system(command) == 0;
}

static void test_made(void **state) {
        World *w = world(state);
        NsdTap tap = { .name = "tap0", .owner = UINT32_MAX, .group = UINT32_MAX };

        assert_int_equal(nsd_client_make_tap(&w->client, w->pod_netns, &tap), 0);
        assert_true(ip_says(w, "-d link show tap0",
                            "tun type tap pi off vnet_hdr off persist on addrgenmode"));
        tap = (NsdTap) {
                .name = "net1", .flags = NSD_TAP_MULTI_QUEUE, .owner = 54321, .group = 54322
        };
        assert_int_equal(nsd_client_make_tap(&w->client, w->pod_netns, &tap), 0);
        assert_true(ip_says(w, "-d link show net1",
                            "multi_queue.* persist on user 54321 group 54322"));
        tap = (NsdTap) { .name = "net2", .flags = NSD_TAP_VNET_HDR, .owner = 0, .group = 0 };
        assert_int_equal(nsd_client_make_tap(&w->client, w->pod_netns, &tap), 0);
        assert_true(ip_says(w, "-d link show net2", "vnet_hdr on persist on user root group root"));
}

/* A name that is taken is left to whoever has it, TAP or not. */
static void test_refused(void **state) {
        World *w = world(state);
        NsdTap tap = { .name = "lo", .owner = UINT32_MAX, .group = UINT32_MAX };

        assert_int_equal(nsd_client_make_tap(&w->client, w->pod_netns, &tap), -EEXIST);
        tap.name = "tap7";
        assert_int_equal(nsd_client_make_tap(&w->client, w->pod_netns, &tap), 0);
        tap.owner = 1000;
        assert_int_equal(nsd_client_make_tap(&w->client, w->pod_netns, &tap), -EEXIST);
        assert_false(ip_says(w, "-d link show tap7", " user "));
        tap.name = "tap8";
        assert_int_equal(nsd_client_make_tap(&w->client, w->own_netns, &tap), -EPERM);
        assert_int_equal(nsd_client_make_tap(&w->client, STDIN_FILENO, &tap), -EINVAL);
        assert_false(ip_says(w, "link", "tap8"));
}

static void test_context(void **state) {
        World *w = world(state);
        NsdTap tap = { .name = "tap9",
                       .owner = UINT32_MAX,
                       .group = UINT32_MAX,
                       .context = "system_u:system_r:container_t:s0" };

        if (access("/sys/fs/selinux/enforce", F_OK) == 0) {
                fprintf(stderr, "skipped: this host has SELinux\n");
                skip();
        }
        assert_int_equal(nsd_client_make_tap(&w->client, w->pod_netns, &tap), -EOPNOTSUPP);
        assert_false(ip_says(w, "link", "tap9"));
}

/* Until it is told to last, it ends with its descriptor: a crash in between leaves nothing. */
static void test_ends_with_its_descriptor(void **state) {
        World *w = world(state);
        NsdTap tap = { .name = "tap6", .owner = UINT32_MAX, .group = UINT32_MAX };
        NsdRequest q;

        assert_int_equal(nsd_request_init_tap(&q, &tap), 0);
        assert_int_equal(setns(w->pod_netns, CLONE_NEWNET), 0);
        int fd = tap_open(&q);
        int again = tap_open(&q);
        assert_int_equal(setns(w->own_netns, CLONE_NEWNET), 0);
        assert_true(fd >= 0);
        assert_int_equal(again, -EEXIST);
        assert_true(ip_says(w, "link", "tap6"));
        close(fd);
        assert_false(ip_says(w, "link", "tap6"));
}

int main(int argc, char **argv) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_made),
                cmocka_unit_test(test_refused),
                cmocka_unit_test(test_context),
                cmocka_unit_test(test_ends_with_its_descriptor),
        };

        if (argc != 2) {
                fprintf(stderr, "usage: %s NETMGR-NSD\n", argv[0]);
                return 2;
        }
        program = argv[1];
        return cmocka_run_group_tests(tests, setup, teardown);
}
