/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Objects as JSON, with the names of their D-Bus properties. NULL when out of memory. */

#include "base/json.h"
#include "core/attachment.h"
#include "core/network.h"
#include "core/sandbox.h"

json_object *sandbox_describe(const Sandbox *s);
/* Without what is long and of no use to everybody: NetworkStatus and MultiIPPreferences. */
json_object *sandbox_describe_briefly(const Sandbox *s);
json_object *attachment_describe(const Attachment *a);
json_object *network_describe(const Network *n);
json_object *manager_describe(const Manager *m);

/* {"sandboxes":[…]} and so on; -EINVAL for another word. */
int manager_describe_all(const Manager *m, const char *what, json_object **ret);

/* What this build and kernel can do, NULL-terminated. Borrowed. */
char **manager_features(const Manager *m);
