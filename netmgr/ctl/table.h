/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What people and scripts see: tables and field lists made from the daemon's JSON, or the JSON
 * itself. Every text of the daemon is escaped on its way out (ctl/text.h).
 */

#include <json-c/json.h>
#include <stdio.h>

#include "base/macro.h"

typedef enum OutputMode {
        OUTPUT_TEXT,
        OUTPUT_JSON_SHORT,
        OUTPUT_JSON_PRETTY,
        _OUTPUT_MODE_MAX,
        _OUTPUT_MODE_INVALID = -EINVAL,
} OutputMode;

typedef struct Output {
        OutputMode mode;
        bool legend;   /* headings, and a word where a list is empty */
        bool terminal; /* stdout is one: its width counts */
        bool color;    /* on a terminal that has any, without NO_COLOR */
} Output;

/* "short", "pretty", "off"; else -EINVAL. */
OutputMode output_mode_from_string(const char *s);

typedef enum CellFlags {
        CELL_RIGHT = 1 << 0, /* numbers */
        CELL_TRUNC = 1 << 1, /* may be cut when the terminal is too narrow */
        CELL_STATE = 1 << 2, /* coloured by what the word says */
} CellFlags;

/* A column of a table, or a line of a field list. Tables of these end with a NULL title. */
typedef struct Column {
        const char *title;
        const char *key; /* of the JSON object */
        CellFlags flags;
        /* Text of the value, not yet escaped; owned by the caller. NULL: as json_to_cell(). */
        char *(*format)(json_object *value);
} Column;

/* Text as it is, numbers in decimal, elements joined by commas, "-" for what is empty. */
char *json_to_cell(json_object *value);

/*
 * Prints an array of objects: aligned, or one line per object with tabs between the values when
 * stdout is not a terminal and there is no legend. `noun` is for the word about an empty list.
 * Returns 0 or a negative errno.
 */
int table_print(const Output *output, const Column *columns, const char *noun, json_object *rows);

/* Prints "title: value" lines, elements of an array one below the other; absent keys are left out. */
int fields_print(const Output *output, const Column *columns, json_object *object);

/* Prints the object in the wanted form of JSON, and a newline. */
int output_json(const Output *output, FILE *stream, json_object *object);
