/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * libsmartcols does the alignment and, on a terminal only, the cutting; the tab-separated form is
 * written here because its raw mode would encode spaces.
 */

#include <libsmartcols/libsmartcols.h>
#include <stdio.h>

#include "base/json.h"
#include "ctl/table.h"
#include "ctl/text.h"

/* What is left of an id or a pod name in a narrow terminal: enough to be unique, and to be given to
 * `netmgrctl show`. */
#define TRUNC_WIDTH 13.0

static void table_unrefp(struct libscols_table **table) {
        scols_unref_table(*table);
}

OutputMode output_mode_from_string(const char *s) {
        static const char *const names[_OUTPUT_MODE_MAX] = {
                [OUTPUT_TEXT] = "off",
                [OUTPUT_JSON_SHORT] = "short",
                [OUTPUT_JSON_PRETTY] = "pretty",
        };

        for (OutputMode mode = 0; mode < _OUTPUT_MODE_MAX; mode++)
                if (streq(names[mode], s))
                        return mode;
        return _OUTPUT_MODE_INVALID;
}

/* The sequence that a word of state or health begins with, NULL for the terminal's own colour. */
static const char *state_color(const Output *output, const char *word) {
        static const struct {
                const char *word, *color;
        } colors[] = {
                { "up", "\033[32m" },     { "ok", "\033[32m" },        { "held", "\033[32m" },
                { "failed", "\033[31m" }, { "degraded", "\033[33m" },  { "planned", "\033[33m" },
                { "wiring", "\033[33m" }, { "releasing", "\033[33m" }, { "released", "\033[90m" },
                { "gone", "\033[90m" },
        };

        for (size_t i = 0; output->color && i < ELEMENTSOF(colors); i++)
                if (streq(colors[i].word, word))
                        return colors[i].color;
        return NULL;
}

/* Appends ",item" or, for an object, ",key=item". */
static int append_item(FILE *stream, bool first, const char *key, json_object *value) {
        _cleanup_free_ char *text = json_to_cell(value);

        if (!text)
                return -ENOMEM;
        if (!first)
                fputc(',', stream);
        if (key)
                fprintf(stream, "%s=", key);
        fputs(text, stream);
        return 0;
}

char *json_to_cell(json_object *value) {
        char *text = NULL;
        size_t size;
        bool first = true;
        FILE *stream;
        int r = 0;

        switch (json_object_get_type(value)) {
        case json_type_null:
                return strdup("-");
        case json_type_array:
        case json_type_object:
                break;
        default:
                /* A string with a NUL inside ends there: no name or address has one. */
                text = strdup(json_object_get_string(value));
                if (text && !text[0]) {
                        free(text);
                        text = strdup("-");
                }
                return text;
        }

        stream = open_memstream(&text, &size);
        if (!stream)
                return NULL;
        if (json_object_is_type(value, json_type_array))
                for (size_t i = 0; r >= 0 && i < json_object_array_length(value);
                     i++, first = false)
                        r = append_item(stream, first, NULL, json_object_array_get_idx(value, i));
        else {
                json_object_object_foreach(value, key, item) {
                        if (r >= 0)
                                r = append_item(stream, first, key, item);
                        first = false;
                }
        }
        if (first)
                fputc('-', stream);
        if (fclose(stream) != 0 || r < 0) {
                free(text);
                return NULL;
        }
        return text;
}

/* The escaped text of one value. */
static char *cell_text(const Column *column, json_object *value) {
        _cleanup_free_ char *raw = column->format ? column->format(value) : json_to_cell(value);

        return raw ? text_escape(raw, strlen(raw)) : NULL;
}

static int table_print_plain(const Column *columns, json_object *rows) {
        for (size_t i = 0; i < json_object_array_length(rows); i++)
                for (const Column *c = columns; c->title; c++) {
                        _cleanup_free_ char *text = NULL;

                        text = cell_text(c, json_get(json_object_array_get_idx(rows, i), c->key));
                        if (!text)
                                return -ENOMEM;
                        printf("%s%s", text, c[1].title ? "\t" : "\n");
                }
        return 0;
}

static int table_add_row(const Output *output, struct libscols_table *table, const Column *columns,
                         json_object *row) {
        struct libscols_line *line = scols_table_new_line(table, NULL);

        if (!line)
                return -ENOMEM;
        for (size_t i = 0; columns[i].title; i++) {
                char *text = cell_text(&columns[i], json_get(row, columns[i].key));
                const char *color = NULL;
                int r;

                if (!text)
                        return -ENOMEM;
                if (columns[i].flags & CELL_STATE)
                        color = state_color(output, text);
                r = scols_line_refer_data(line, i, text); /* takes the text, when it succeeds */
                if (r < 0) {
                        free(text);
                        return r;
                }
                if (color)
                        r = scols_cell_set_color(scols_line_get_cell(line, i), color);
                if (r < 0)
                        return r;
        }
        return 0;
}

int table_print(const Output *output, const Column *columns, const char *noun, json_object *rows) {
        _cleanup_(table_unrefp) struct libscols_table *table = NULL;
        int r;

        if (!output->terminal && !output->legend)
                return table_print_plain(columns, rows);
        if (json_object_array_length(rows) == 0) {
                if (output->legend)
                        printf("No %s.\n", noun);
                return 0;
        }

        table = scols_new_table();
        if (!table)
                return -ENOMEM;
        scols_table_enable_noheadings(table, !output->legend);
        scols_table_enable_colors(table, output->color);
        /* What is read by a program or kept in a file is never cut. */
        scols_table_set_termforce(table, output->terminal ? SCOLS_TERMFORCE_ALWAYS
                                                          : SCOLS_TERMFORCE_NEVER);

        for (const Column *c = columns; c->title; c++) {
                int flags = (c->flags & CELL_RIGHT ? SCOLS_FL_RIGHT : 0) |
                            (c->flags & CELL_TRUNC ? SCOLS_FL_TRUNC : 0);

                if (!scols_table_new_column(table, c->title,
                                            c->flags & CELL_TRUNC ? TRUNC_WIDTH : 0, flags))
                        return -ENOMEM;
        }
        for (size_t i = 0; i < json_object_array_length(rows); i++) {
                r = table_add_row(output, table, columns, json_object_array_get_idx(rows, i));
                if (r < 0)
                        return r;
        }
        return scols_print_table(table);
}

/* One line of a field list; the title only before the first value. */
static int field_print(const Output *output, const Column *column, int width, bool first,
                       json_object *value) {
        _cleanup_free_ char *text = cell_text(column, value);
        const char *color;

        if (!text)
                return -ENOMEM;
        color = column->flags & CELL_STATE ? state_color(output, text) : NULL;
        printf("%*s%c %s%s%s\n", width, first ? column->title : "", first ? ':' : ' ',
               strempty(color), text, color ? "\033[0m" : "");
        return 0;
}

int fields_print(const Output *output, const Column *columns, json_object *object) {
        int width = 0, r = 0;

        for (const Column *c = columns; c->title; c++)
                width = MAX_OF(width, (int) strlen(c->title));

        for (const Column *c = columns; c->title && r >= 0; c++) {
                json_object *value = json_get(object, c->key);

                if (!value)
                        continue;
                if (!json_object_is_type(value, json_type_array) || c->format ||
                    json_object_array_length(value) == 0) {
                        r = field_print(output, c, width, true, value);
                        continue;
                }
                for (size_t i = 0; r >= 0 && i < json_object_array_length(value); i++)
                        r = field_print(output, c, width, i == 0,
                                        json_object_array_get_idx(value, i));
        }
        return r;
}

int output_json(const Output *output, FILE *stream, json_object *object) {
        _cleanup_free_ char *text = NULL;
        int flags = JSON_C_TO_STRING_NOSLASHESCAPE;
        const char *raw;

        if (output->mode == OUTPUT_JSON_PRETTY)
                flags |= JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED;
        raw = json_object_to_json_string_ext(object, flags);
        text = raw ? text_escape_json(raw) : NULL;
        if (!text)
                return -ENOMEM;
        fprintf(stream, "%s\n", text);
        return 0;
}
