/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * nftables in memory, behind the socket of policy/nft-socket.h: it reads the very messages that the
 * kernel would get, carries a batch out as a whole or not at all, checks what the kernel checks (tables,
 * sets and chains that are referred to exist, keys are new or the same) and fails when told to.
 */

#include "policy/nft-socket.h"

typedef struct NftFake NftFake;

NftFake *nft_fake_new(void);
void nft_fake_free(NftFake *f);
/* A socket to it; the fake outlives the socket. */
NftSocket *nft_fake_socket(NftFake *f);

/* The n-th send from now (1: the next) fails with errno r: before anything was done, or after all of it
 * was done (the acknowledgement was lost). */
void nft_fake_fail(NftFake *f, unsigned nth, int r, bool after);
/* Every send from now on; r 0: no more. */
void nft_fake_fail_all(NftFake *f, int r, bool after);
void nft_fake_fail_get_table(NftFake *f, int r); /* 0: no more */
/* `nft flush ruleset` by somebody else. */
void nft_fake_flush(NftFake *f);
/* A kernel without owned tables, or without the family bridge; a table that another socket owns. */
void nft_fake_refuse_owner(NftFake *f);
void nft_fake_refuse_bridge(NftFake *f);
void nft_fake_set_foreign_owner(NftFake *f, uint32_t port);

/* Everything that is there, as sorted lines of text; owned by the caller. */
char *nft_fake_dump(const NftFake *f);
unsigned nft_fake_n_sends(const NftFake *f);
