/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a reconcile has found: one Finding per object, with its differences in words, and what became of
 * their repair. Values; nothing survives a crash, the next look finds it again.
 */

#include "core/compare.h"

typedef enum FindingKind {
        FINDING_NETWORK,    /* bridge or its addresses, forwarding */
        FINDING_UNFINISHED, /* an operation that failed half way: released */
        FINDING_MISSING,    /* the link is gone, the namespace lives: made anew */
        FINDING_DEAD,       /* the namespace is gone: released */
        FINDING_HOST,       /* of an attachment, in the host's netns */
        FINDING_SANDBOX,    /* of an attachment, in the sandbox */
        FINDING_STRAY,      /* a link of ours that no row knows: deleted */
        FINDING_TABLES,     /* the rule tables: built anew */
        _FINDING_KIND_MAX,
} FindingKind;
const char *finding_kind_to_string(FindingKind kind);
/* What repair does about it, in words. */
const char *finding_kind_remedy(FindingKind kind);

typedef struct Finding {
        FindingKind kind;
        uint64_t id;                      /* of the attachment; 0: none */
        char *network, *sandbox, *ifname; /* owned; NULL: does not apply */
        char *object;                     /* owned: the link, or "nftables" */
        char link[16];                    /* of a stray: the name as the kernel has it, any bytes */
        Differences differences;
        bool limits; /* the repair sets its limits by tc again */
        bool moot;   /* an operation came first, or it is gone: told to nobody */
        bool repaired;
        char *error; /* owned: why it could not be repaired */
} Finding;

typedef struct Findings {
        Finding *items; /* owned */
        size_t n, allocated;
        int error; /* -ENOMEM once an append failed */
        /* What could not be looked at, which is no difference. */
        char *tables_unseen,
                        *sandbox_unseen; /* owned: why, of the first sandbox; NULL: all was seen */
        size_t n_sandboxes_unseen;
} Findings;

void findings_clear(Findings *f);
/* Takes *differences over. The pointer holds until the next append; NULL when out of memory. Any string
 * may be NULL; all are copied. */
Finding *findings_add(Findings *f, FindingKind kind, const char *object, const char *network,
                      const char *sandbox, const char *ifname, Differences *differences);
/* {"DryRun":bool,"differences":[{...}]}, and "NotLookedAt":["sentence"] if there is such; owned by caller. -ENOMEM. */
int findings_to_json(const Findings *f, bool dry_run, char **ret);
