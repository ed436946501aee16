/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What netmgr-nsd takes for a request, and what its client makes of answers. */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/fd.h"
#include "nsd/client.h"

static NsdRequest request(NsdOp op, const char *name) {
        NsdRequest q;
        assert_int_equal(nsd_request_init(&q, op, name), 0);
        return q;
}

static void test_requests(void **state) {
        NsdRequest q = { 0 }, seen = { 0 };

        for (NsdOp op = NSD_OPEN_ROUTE; op < NSD_OPEN_TAP; op++) {
                q = request(op, op == NSD_OPEN_SYSCTL ? "ipv6/conf/eth0/accept_ra" : NULL);
                assert_int_equal(nsd_request_validate(&q, sizeof(q), &seen), 0);
                assert_memory_equal(&q, &seen, sizeof(q));
        }
        q = request(NSD_OPEN_ROUTE, NULL);
        assert_int_equal(nsd_request_validate(&q, sizeof(q) - 1, &seen), -EBADMSG);
        assert_int_equal(nsd_request_validate(&q, 0, &seen), -EBADMSG);
        assert_int_equal(nsd_request_validate(&q, sizeof(q) + 1, &seen), -EBADMSG);
        q.magic ^= 1;
        assert_int_equal(nsd_request_validate(&q, sizeof(q), &seen), -EBADMSG);
        q = request(NSD_OPEN_ROUTE, NULL);
        q.op = 0;
        assert_int_equal(nsd_request_validate(&q, sizeof(q), &seen), -EBADMSG);
        q.op = _NSD_OP_MAX;
        assert_int_equal(nsd_request_validate(&q, sizeof(q), &seen), -EBADMSG);
        q.op = UINT32_MAX;
        assert_int_equal(nsd_request_validate(&q, sizeof(q), &seen), -EBADMSG);
}

static void test_padding(void **state) {
        NsdRequest q = request(NSD_OPEN_SYSCTL, "core/somaxconn"), seen;

        q.name[sizeof(q.name) - 1] = 'x';
        assert_int_equal(nsd_request_validate(&q, sizeof(q), &seen), -EBADMSG);
        memset(q.name, 'a', sizeof(q.name));
        assert_int_equal(nsd_request_validate(&q, sizeof(q), &seen), -EBADMSG);
        q.name[sizeof(q.name) - 1] = '\0';
        assert_int_equal(nsd_request_validate(&q, sizeof(q), &seen), 0);
        q.op = NSD_OPEN_PACKET;
        assert_int_equal(nsd_request_validate(&q, sizeof(q), &seen), -EBADMSG);
}

static void test_names(void **state) {
        static const char *const good[] = {
                "a",
                "core/somaxconn",
                "ipv4/conf/eth0.5/rp_filter",
                "ipv6/conf/a-b/accept_ra",
                "..a/b",
                "a../.b",
                ".../x",
        };
        static const char *const bad[] = {
                "",    "/",   "/a",       "a/",    "a//b",
                ".",   "..",  "../a",     "a/..",  "a/../b",
                "./a", "a/.", "a b",      "a\nb",  "a\\b",
                "a%b", "a:b", "\xc3\xa4", "a/./b", "ipv4/conf/../../x",
        };
        char longest[NSD_NAME_MAX + 1] = { 0 };
        NsdRequest q;

        for (size_t i = 0; i < ELEMENTSOF(good); i++)
                assert_int_equal(nsd_request_init(&q, NSD_OPEN_SYSCTL, good[i]), 0);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(nsd_request_init(&q, NSD_OPEN_SYSCTL, bad[i]), -EINVAL);
        assert_int_equal(nsd_request_init(&q, NSD_OPEN_SYSCTL, NULL), -EINVAL);
        assert_int_equal(nsd_request_init(&q, NSD_OPEN_ROUTE, "a"), -EINVAL);
        memset(longest, 'a', NSD_NAME_MAX - 1);
        assert_int_equal(nsd_request_init(&q, NSD_OPEN_SYSCTL, longest), 0);
        longest[NSD_NAME_MAX - 1] = 'a';
        assert_int_equal(nsd_request_init(&q, NSD_OPEN_SYSCTL, longest), -EINVAL);
}

static int init_tap(const char *name, NsdTapFlags flags, const char *context) {
        NsdTap tap = {
                .name = name, .flags = flags, .owner = UINT32_MAX, .group = 7, .context = context
        };
        NsdRequest q, seen;

        int r = nsd_request_init_tap(&q, &tap);
        if (r < 0)
                return r;
        assert_int_equal(nsd_request_validate(&q, sizeof(q), &seen), 0);
        assert_string_equal(seen.name, name);
        assert_string_equal(seen.context, context ? context : "");
        assert_true(seen.flags == flags && seen.owner == UINT32_MAX && seen.group == 7);
        return 0;
}

static void test_taps(void **state) {
        static const char *const bad[] = { "",      "a/b", "../x", ".",   "..",
                                           "tap%d", "a:b", "a b",  "a\n", "abcdefghijklmnop" };
        char longest[NSD_NAME_MAX + 1];
        NsdRequest q, seen;

        assert_int_equal(init_tap("tap0", 0, NULL), 0);
        assert_int_equal(init_tap("abcdefghijklmno", _NSD_TAP_ALL, "u:r:t_t:s0:c1.c5,c7"), 0);
        assert_int_equal(init_tap("tap0", _NSD_TAP_ALL + 1, NULL), -EINVAL);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(init_tap(bad[i], 0, NULL), -EINVAL);
        assert_int_equal(init_tap("tap0", 0, "a b"), -EINVAL);
        assert_int_equal(init_tap("tap0", 0, "a/b"), -EINVAL);
        assert_int_equal(init_tap("tap0", 0, "a\nb"), -EINVAL);
        memset(longest, 'a', sizeof(longest));
        longest[NSD_NAME_MAX - 1] = '\0';
        assert_int_equal(init_tap("tap0", 0, longest), 0);
        longest[NSD_NAME_MAX - 1] = 'a';
        longest[NSD_NAME_MAX] = '\0';
        assert_int_equal(init_tap("tap0", 0, longest), -EINVAL);
        assert_int_equal(init_tap(longest, 0, NULL), -EINVAL);

        /* What only a TAP has, in other requests; and a context that goes on behind its end. */
        q = request(NSD_OPEN_ROUTE, NULL);
        q.owner = 1;
        assert_int_equal(nsd_request_validate(&q, sizeof(q), &seen), -EBADMSG);
        q = request(NSD_OPEN_SYSCTL, "a");
        q.flags = NSD_TAP_MULTI_QUEUE;
        assert_int_equal(nsd_request_validate(&q, sizeof(q), &seen), -EBADMSG);
        q = request(NSD_OPEN_SYSCTL, "a");
        q.context[0] = 'a';
        assert_int_equal(nsd_request_validate(&q, sizeof(q), &seen), -EBADMSG);
        assert_int_equal(nsd_request_init_tap(&q, &(NsdTap) { .name = "tap0" }), 0);
        q.context[5] = 'a';
        assert_int_equal(nsd_request_validate(&q, sizeof(q), &seen), -EBADMSG);
        assert_int_equal(nsd_request_init(&q, NSD_OPEN_TAP, NULL), -EINVAL);
}

/* ---- the client, against a peer that says what the test wants ------------------------------------ */

static void send_answer(int fd, const void *answer, size_t size, int with_fd) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = { 0 };
        struct iovec iov = { (void *) answer, size };
        struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

        if (with_fd >= 0) {
                control.header = (struct cmsghdr) { .cmsg_len = CMSG_LEN(sizeof(int)),
                                                    .cmsg_level = SOL_SOCKET,
                                                    .cmsg_type = SCM_RIGHTS };
                memcpy(CMSG_DATA(&control.header), &with_fd, sizeof(int));
                msg.msg_control = &control;
                msg.msg_controllen = sizeof(control.space);
        }
        assert_true(sendmsg(fd, &msg, 0) >= 0);
}

/* One call of a client whose answer already waits: it is connected, so nobody is asked for creds. */
static int call(const void *answer, size_t size, int with_fd, int *ret_client_fd) {
        NsdClient c = NSD_CLIENT_INIT("/nonexistent/nsd.sock");
        int pair[2], fd = -EBADF;

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        c.fd = pair[0];
        send_answer(pair[1], answer, size, with_fd);
        int r = nsd_client_open(&c, STDERR_FILENO, NSD_OPEN_ROUTE, NULL, &fd);
        assert_true((r == 0) == (fd >= 0));
        safe_close(fd);
        *ret_client_fd = c.fd;
        nsd_client_close(&c);
        close(pair[1]);
        return r;
}

static void test_client(void **state) {
        NsdReply reply = { .magic = NSD_MAGIC };
        int kept;

        assert_int_equal(call(&reply, sizeof(reply), STDERR_FILENO, &kept), 0);
        assert_true(kept >= 0);
        /* A refusal is an answer: the connection stays, and it is not asked twice. */
        reply.error = -ECONNRESET;
        assert_int_equal(call(&reply, sizeof(reply), -EBADF, &kept), -ECONNRESET);
        assert_true(kept >= 0);
        reply.error = -EPERM;
        assert_int_equal(call(&reply, sizeof(reply), -EBADF, &kept), -EPERM);
        assert_true(kept >= 0);

        /* Nonsense ends the connection. */
        assert_int_equal(call(&reply, sizeof(reply), STDERR_FILENO, &kept), -EBADMSG);
        assert_int_equal(kept, -EBADF);
        reply.error = 0;
        assert_int_equal(call(&reply, sizeof(reply), -EBADF, &kept), -EBADMSG);
        reply.error = EPERM;
        assert_int_equal(call(&reply, sizeof(reply), -EBADF, &kept), -EBADMSG);
        reply = (NsdReply) { .magic = NSD_MAGIC ^ 1 };
        assert_int_equal(call(&reply, sizeof(reply), STDERR_FILENO, &kept), -EBADMSG);
        reply.magic = NSD_MAGIC;
        assert_int_equal(call(&reply, 4, STDERR_FILENO, &kept), -EBADMSG);
        assert_int_equal(kept, -EBADF);
}

static void test_client_nobody_there(void **state) {
        char path[sizeof(((struct sockaddr_un *) NULL)->sun_path) + 8];
        NsdClient c = NSD_CLIENT_INIT("/nonexistent/nsd.sock");
        int pair[2], fd = -EBADF;

        assert_int_equal(nsd_client_open(&c, 0, NSD_OPEN_ROUTE, NULL, &fd), -ENOENT);
        assert_int_equal(nsd_client_open(&c, 0, NSD_OPEN_SYSCTL, "../x", &fd), -EINVAL);
        /* The old connection is dead: a new one is tried. */
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        close(pair[1]);
        c.fd = pair[0];
        assert_int_equal(nsd_client_open(&c, STDERR_FILENO, NSD_OPEN_ROUTE, NULL, &fd), -ENOENT);
        assert_int_equal(c.fd, -EBADF);

        memset(path, 'a', sizeof(path) - 1);
        path[sizeof(path) - 1] = '\0';
        c.path = path;
        assert_int_equal(nsd_client_open(&c, 0, NSD_OPEN_ROUTE, NULL, &fd), -ENAMETOOLONG);
        nsd_client_close(&c);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(test_requests), cmocka_unit_test(test_padding),
                cmocka_unit_test(test_names),    cmocka_unit_test(test_taps),
                cmocka_unit_test(test_client),   cmocka_unit_test(test_client_nobody_there),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
