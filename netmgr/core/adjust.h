/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the chained plugins tuning, sbr and vrf change inside of a sandbox, on an interface that may be
 * anybody's. The specification says what should be (SpecAdjust); what is missing is found by comparing
 * it with a dump, so that ADD, an interface made anew, repair and CHECK are one mechanism. What the
 * interface had before is in the row before the kernel is touched.
 *
 * Nothing here keeps state. Everything but the two readers of JSON is pure, or talks to the one socket
 * that it is given.
 */

#include "core/compare.h"
#include "core/spec.h"
#include "cri/result.h"

static inline bool spec_is_adjusted(const AttachmentSpec *s) {
        const SpecAdjust *in = &s->adjust;

        return in->has_tuning || in->n_rules > 0 || in->vrf[0] || s->n_sysctls > 0;
}
/* True when a DEL has something to undo that does not go with an interface of ours. */
bool adjust_outlives(const AttachmentSpec *s);

/* The "adjust" of the plan column. NULL: out of memory. */
json_object *adjust_to_json(const AttachmentSpec *s);
int adjust_from_json(json_object *o, AttachmentSpec *s, Error *e);

/* What a look at the sandbox has to bring for the functions below. */
#define ADJUST_DUMP                                                                                \
        (NL_DUMP_LINKS | NL_DUMP_ADDRS | NL_DUMP_ROUTES | NL_DUMP_ALL_TABLES | NL_DUMP_RULES)

/* What a plugin of the chain asks for, put into the specification. `seen` is an indexed dump of the
 * sandbox with the interface in it; nothing is changed there. */
int adjust_decide(AttachmentSpec *s, const NetConf *c, const CniArgs *args,
                  const CniOwnedResult *prev, const NlDump *seen, Error *e);

/*
 * Differences, with the operations that mend them. `whole`: also what must not be there (the moved
 * routes in their old place), which a CHECK does not mind. Returns true when more will be to do once
 * the operations are done: a VRF has no index before it exists.
 */
bool adjust_compare(const AttachmentSpec *s, const NlDump *d, const NlLink *l, bool whole,
                    Differences *ret);

/* Makes it so. seen: how it was, for what an enslaved interface loses; NULL: as it is now. */
int adjust_apply(NlSocket *pod, const AttachmentSpec *s, const NlDump *seen, Error *e);
/* After a failure: as `seen` was. Best effort, what fails is logged. */
void adjust_roll_back(NlSocket *pod, const AttachmentSpec *now, const AttachmentSpec *before,
                      const NlDump *seen);
/* The end of the attachment, whose interface may be gone already or stay with somebody else. Does what it
 * can; the worst refusal, which is logged, is returned. */
int adjust_undo(NlSocket *pod, const AttachmentSpec *s);

/* ---- one plugin each -------------------------------------------------------------------------- */

/* tuning.c */
#define TUNING_OPS_MAX 5
int tuning_decide(AttachmentSpec *s, const NetConf *c, const CniArgs *args, const NlDump *seen,
                  Error *e);
void tuning_compare(const AttachmentSpec *s, const NlLink *l, bool whole, Differences *ret);
/* The settings of `wanted`, one operation each; returns how many. */
size_t tuning_ops(const NetTuning *wanted, const char *ifname, NlOp ops[static TUNING_OPS_MAX]);
/* All of them in one operation, for a plan that makes the interface. */
void tuning_op(const NetTuning *wanted, const char *ifname, NlOp *ret);
/* What the link has, of the keys that `wanted` has. */
void tuning_read(const NetTuning *wanted, const NlLink *l, NetTuning *ret);
/* True when a key is set. */
bool tuning_is_set(const NetTuning *t);

/* sbr.c */
int sbr_decide(AttachmentSpec *s, const NetSbr *conf, const CniOwnedResult *prev,
               const NlDump *seen, const NlLink *link, Error *e);
void sbr_compare(const AttachmentSpec *s, const NlDump *d, const NlLink *l, bool whole,
                 Differences *ret);
/* Gateways that no route of their table leads to are on the link. */
void sbr_set_onlink(SpecAdjust *in);
void sbr_rule_op(const AdjustRule *rule, NlOpType type, NlOp *ret);

/* vrf.c */
int vrf_decide(AttachmentSpec *s, const NetVrf *conf, const NlDump *seen, const NlLink *link,
               Error *e);
bool vrf_compare(const AttachmentSpec *s, const NlDump *d, const NlLink *l, Differences *ret);
/* Leaves the VRF, which goes with its last member. */
int vrf_leave(NlSocket *pod, const AttachmentSpec *s);

/* Routes of the interface that a plugin of the chain may move: not link-local ones, which belong to the
 * interface wherever it is. */
bool adjust_route_is_movable(const NlRoute *r, uint32_t ifindex);
AdjustRoute adjust_route_from(const NlRoute *r, uint32_t table);
void adjust_route_op(const AdjustRoute *r, uint32_t ifindex, NlOpType type, NlOp *ret);
int adjust_add_route(SpecAdjust *in, size_t *allocated, const AdjustRoute *r);
