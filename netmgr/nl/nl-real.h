/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The real kernel's socket, between what changes things (nl-real.c) and what asks (nl-real-ask.c). */

#include <sys/types.h>
#include <sys/uio.h>

#include "base/limits.h"
#include "nl/nl-internal.h"

typedef struct RealSocket {
        NlSocket base; /* first member */
        int fd;
        uint32_t seq; /* of the last message sent */
        bool forgo_echo;
} RealSocket;

/* For replies. On the stack of whoever asks: an ADD keeps its socket while it waits for others, and a
 * thousand of them shall not keep this as well. */
typedef struct Reply {
        char data[NETLINK_BUFFER_SIZE] __attribute__((aligned(NLMSG_ALIGNTO)));
} Reply;

/* One datagram from the kernel itself; its size, or a negative errno. */
ssize_t nl_real_receive(RealSocket *s, Reply *reply, int64_t deadline);
int nl_real_send(RealSocket *s, struct iovec *iov, size_t n);
int64_t nl_real_now_ms(void);

int nl_real_dump(NlSocket *s, NlDumpMask mask, NlDump *ret);
int nl_real_get_link(NlSocket *s, const char *name, uint32_t ifindex, NlLink *ret,
                     char **ret_alias);
/* In another netns, which gets a number in ours for it, for as long as it lives. */
int nl_real_get_link_in(NlSocket *s, int netns_fd, const char *name, NlLink *ret);
int nl_real_get_route(NlSocket *s, const InAddr *dst, uint32_t *ret_ifindex, InAddr *ret_source);
