/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The rule tables of the node: what they should hold, and the way to bring the kernel there. Changes
 * are put together (put, remove) and carried out in one transaction (commit); when the kernel does
 * not have what it had (somebody flushed, a table is gone), the whole is built anew, also in one
 * transaction (sync).
 *
 * Used by one thread at a time. What survives a crash: the tables themselves (flag persist, or plain
 * tables); the next start builds them anew from the ledger, without a moment in which they are not
 * there.
 */

#include "policy/firewall-compare.h"
#include "policy/nft-socket.h"
#include "policy/policy.h"

typedef struct Firewall Firewall;

typedef struct FirewallFeatures {
        bool inet;     /* netmgr_np and netmgr_nat are there */
        bool bridge;   /* netmgr_br is there */
        bool owner;    /* the tables are owned and persist */
        char why[160]; /* what the kernel refused, when something is missing; else "" */
} FirewallFeatures;

/* Takes the socket; tells nothing to the kernel yet. */
int firewall_new(NftSocket *socket, const PolicyConfig *config, Firewall **ret);
Firewall *firewall_free(Firewall *f); /* leaves the tables */
DEFINE_CLEANUP(Firewall *, firewall_free)

/* Somebody touched the tables: the next commit builds them anew. */
void firewall_distrust(Firewall *f);

/* Takes effect with the next commit, which will be a sync. */
void firewall_set_config(Firewall *f, const PolicyConfig *config);

/* Adds or replaces; clones. -ENOMEM. */
int firewall_put_network(Firewall *f, const PolicyNetwork *n);
int firewall_remove_network(Firewall *f, const char *name);
int firewall_put(Firewall *f, const PolicyAttachment *a);
int firewall_remove(Firewall *f, uint64_t id);

/*
 * Carries out what was put since the last commit. When the kernel refuses, the whole is synced once;
 * when that fails too, the changes are taken back and the error says what the kernel said.
 */
int firewall_commit(Firewall *f, Error *e);
/* Takes back what was put since the last commit. */
void firewall_rollback(Firewall *f);
/* Builds all tables anew, pending changes included. */
int firewall_sync(Firewall *f, Error *e);

/* What of the tables in the kernel is not as committed; `found` hears of each difference. */
int firewall_compare(const Firewall *f, CompareFound found, void *userdata, Error *e);

/* After the first sync. */
const FirewallFeatures *firewall_features(const Firewall *f);
/* How often a sync had to mend what a commit found wrong; for tests and status. */
unsigned firewall_n_repairs(const Firewall *f);
/* Netlink port of our socket: notifications with it are our own. */
uint32_t firewall_port_id(const Firewall *f);
