/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The part of a specification that only some kinds have (NetLinkConf), in the ledger's JSON. */

#include "core/spec.h"

/* An object of what is set; NULL when out of memory. */
json_object *spec_link_to_json(const NetLinkConf *l);
/* A JsonReader; the target is AttachmentSpec.link. */
int spec_link_read(json_object *value, const char *path, void *target, Error *e);
