/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the readers of the three customs share. Each appends to a NetSelections; on failure that stays in a
 * state which net_selections_clear() accepts.
 */

#include "cri/annotations/selection.h"

/* One reader per annotation; `key` is its name. The text has SELECTION_SIZE_MAX bytes at most. */
int selections_read_npwg(const char *key, const char *text, NetSelections *s, Error *e);
int selections_read_genie(const char *key, const char *text, NetSelections *s, Error *e);
int selections_read_danm(const char *key, const char *text, NetSelections *s, Error *e);

/* Appends an empty one whose `where` is KEY[position]. Borrowed until the next is added. */
int selections_add(NetSelections *s, const char *key, size_t position, NetSelection **ret,
                   Error *e);
/* Reads a comma-separated list of short items. */
int selections_read_short(const char *key, const char *text, NetSelections *s, Error *e);
/* Parses a JSON list and calls `read` for each element, with s->items[…] as it is added. */
typedef int (*SelectionReader)(json_object *value, NetSelection *s, Error *e);
int selections_read_list(const char *key, const char *text, SelectionReader read, NetSelections *s,
                         Error *e);

/* Is there nothing but white space? */
bool selection_text_is_blank(const char *text);
/* JsonReaders of names. "" is refused for a network and means "unset" of the others. */
int selection_name_read(json_object *value, const char *path, void *target, Error *e);
int selection_namespace_read(json_object *value, const char *path, void *target, Error *e);
int selection_object_name_read(json_object *value, const char *path, void *target, Error *e);
/* Refuses keys that are not in the table; `reverse_dns`: but lets those with a dot in their name pass. */
int selection_check_keys(json_object *object, const char *path, const JsonField *fields,
                         bool reverse_dns, Error *e);
/* Refuses what neither an interface nor a gateway can have. */
int selection_check_address(const InAddr *a, const char *path, Error *e);
