/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Properties of sandboxes, attachments and networks are read out of the object's Describe JSON, so that
 * the two can never differ.
 */

#include "base/json.h"
#include "bus/bus-internal.h"

/* Appends one key of the description with the D-Bus signature s, u, t, as, ao, a{ss} or
 * a(sqqs). Takes o. */
int property_append(sd_bus_message *reply, json_object *o, const char *property,
                    const char *signature);
/* The whole description as the answer to Describe. Takes o. */
int describe_reply(sd_bus_message *m, json_object *o);
