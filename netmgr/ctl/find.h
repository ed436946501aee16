/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Objects by what a person calls them: ids of sandboxes, whole or their beginning, and interfaces. */

#include <systemd/sd-bus.h>

#include "base/macro.h"

typedef enum Match {
        MATCH_NONE,
        MATCH_PREFIX, /* the only one that begins like this */
        MATCH_EXACT,
        MATCH_SEVERAL,
} Match;

/* What a search among sandboxes gave; strings owned. */
typedef struct SandboxMatch {
        Match match;
        char *id, *path;
        char *other; /* MATCH_SEVERAL: another id that begins so */
} SandboxMatch;

void sandbox_match_done(SandboxMatch *match);

/* Puts a copy into *to in place of what was there. */
int replace_string(char **to, const char *from);

/* Looks at all sandboxes; finding none or several is no error here. */
int find_sandbox(sd_bus *bus, const char *wanted, SandboxMatch *match, sd_bus_error *e);
/* The sentence about MATCH_SEVERAL. */
int several_error(const SandboxMatch *match, const char *wanted, sd_bus_error *e);
/* Exactly one, or an error. */
int find_one_sandbox(sd_bus *bus, const char *wanted, SandboxMatch *match, sd_bus_error *e);

/*
 * Object path of the sandbox's interface; owned by caller. Without an interface (NULL) it is the
 * sandbox's only one, not counting its loopback; where there are several the error lists them.
 */
int find_attachment(sd_bus *bus, const char *sandbox, const char *ifname, char **ret_path,
                    sd_bus_error *e);
