/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One source of scenarios, two kernels: what plans rely on must hold in the kernel in memory and in
 * the real one. Each scenario runs in a child process with a fresh host and a fresh pod netns; a
 * child that may not have namespaces, or whose kernel lacks what it is about, reports a skip with its
 * reason.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "nl/nl-fake.h"

#define EXIT_SKIP 77

/* In the child there is no cmocka: the first surprise ends it. */
#define EXPECT_INT(found, wanted)                                                                  \
        do {                                                                                       \
                long long _f = (long long) (found), _w = (long long) (wanted);                     \
                if (_f != _w) {                                                                    \
                        fprintf(stderr, "%s:%d: %s is %lld, not %lld\n", __FILE__, __LINE__,       \
                                #found, _f, _w);                                                   \
                        _exit(1);                                                                  \
                }                                                                                  \
        } while (false)
#define EXPECT(condition) EXPECT_INT(!!(condition), 1)

typedef struct World {
        FakeKernel *fake; /* NULL: the real one */
        FakeNetns *fake_pod;
        NlSocket *host, *pod;
        int host_netns, pod_netns;
} World;

extern const MacAddr host_mac, pod_mac;

/* Ends the child: this kernel has not what the scenario is about. */
_Noreturn void skip_scenario(const char *reason);

/* ---- ops ----------------------------------------------------------------------------------------- */

InAddr address(const char *s);
InPrefix prefix(const char *s);
NlOp veth(const World *w, const char *name, const char *peer);
NlOp bridge(const char *name);
NlOp set(const char *name, NlLinkMask mask);
NlOp del(const char *name);
NlOp addr(NlOpType type, int32_t ifindex, const char *cidr);
NlOp route(NlOpType type, int32_t ifindex, const char *dst, const char *gw, bool onlink);
NlOp neigh(NlOpType type, int32_t ifindex, const char *a);
NlOp newlink(NlLinkKind kind, const char *name, int netns_fd, uint32_t lower);
NlOp vlans(NlOpType type, uint32_t ifindex, uint16_t vid, uint16_t vid_end);
/* src NULL: any, of IPv4. */
NlOp rule(NlOpType type, const char *src, uint32_t table, uint32_t priority);
int apply_one(NlSocket *s, NlOp op);

/* ---- what is there ------------------------------------------------------------------------------- */

const NlRoute *find_route(const NlDump *d, const char *dst);
const NlAddr *find_addr(const NlDump *d, uint32_t ifindex, const char *cidr);
const NlNeigh *find_neigh(const NlDump *d, const char *a);
NlDump dump(NlSocket *s);
NlLink link_of(NlSocket *s, const char *name);
void expect_gone(NlSocket *s, const char *name);
NlLinkFeatures features(World *w);

/* A veth pair nmg1 - eth0 between host and pod. */
NlApplied attach(World *w);

/* In the host; its index. */
uint32_t make_bridge(World *w, const char *name);

/* Whether a line of what `ip` says in that netns (of the real kernel) matches; the words are a pattern of
 * grep's. Always true of the kernel in memory, of which nobody else can tell. */
bool ip_says(const World *w, bool in_pod, const char *arguments, const char *words);

/* ---- running them -------------------------------------------------------------------------------- */

void run(void (*scenario)(World *w), bool real);

#define BOTH(name)                                                                                 \
        static void test_fake_##name(void **state) {                                               \
                run(scenario_##name, false);                                                       \
        }                                                                                          \
        static void test_real_##name(void **state) {                                               \
                run(scenario_##name, true);                                                        \
        }
#define TEST_BOTH(name) cmocka_unit_test(test_fake_##name), cmocka_unit_test(test_real_##name)
