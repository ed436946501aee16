/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The one long-lived nfnetlink socket. It owns the tables (flag owner), so there must be no second
 * one, and closing it after a deletion takes some 18 ms. Used by one thread at a time.
 *
 * A socket is a table of functions, so that tests can put a rule set in memory behind it that fails
 * when told to (tests/lib/nft-fake.h).
 */

#include "policy/nft-batch.h"

typedef struct NftSocket NftSocket;

/* What GETTABLE says of one of our tables. */
typedef struct NftTableState {
        bool exists;
        uint32_t flags; /* NFT_TABLE_F_* */
        uint32_t owner; /* netlink port of the owner; 0: none */
} NftTableState;

typedef struct NftSocketOps {
        /* Carries out the finished batch. 0, or the first error of the kernel, with failed_seq set. */
        int (*send)(NftSocket *s, NftBatch *batch);
        int (*get_table)(NftSocket *s, const NftTable *t, NftTableState *ret);
        uint32_t (*port_id)(NftSocket *s);
        void (*close)(NftSocket *s);
} NftSocketOps;

struct NftSocket {
        const NftSocketOps *ops;
};

/* fd: a socket of an earlier life, kept by the service manager, or -EBADF to open one. */
int nft_socket_open(int fd, NftSocket **ret, Error *e);
NftSocket *nft_socket_close(NftSocket *s); /* accepts NULL, returns NULL */
DEFINE_CLEANUP(NftSocket *, nft_socket_close)
/* To hand over to the service manager; stays owned by the socket. */
int nft_socket_fd(const NftSocket *s);
