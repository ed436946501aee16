/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* json-c with limits; the table-driven reader and its readers. */

#include "base/json.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>
#include <strings.h>

#include "base/limits.h"
#include "base/parse.h"

static int parse_failed(struct json_tokener *tok, size_t offset, enum json_tokener_error code,
                        const char *what, Error *e) {
        if (code == json_tokener_error_depth)
                return error_setf(e, ERROR_DECODE, "%s: nested deeper than %d levels", what,
                                  JSON_DEPTH_MAX);
        return error_setf(e, ERROR_DECODE, "%s: no valid JSON at byte %zu: %s", what,
                          offset + json_tokener_get_parse_end(tok), json_tokener_error_desc(code));
}

static void tokener_freep(struct json_tokener **tok) {
        if (*tok)
                json_tokener_free(*tok);
}

/*
 * Where the next piece ends: behind the next number, or the text. json-c goes on after a failed
 * allocation, with a key or half a string less, and only errno tells; but reading a number resets it.
 * So errno is looked at behind each number, which json-c evaluates at the first byte of the next piece.
 */
static size_t piece_end(const char *text, size_t size, size_t at, bool *in_string) {
        bool in_number = false;

        for (; at < size; at++) {
                if (*in_string && text[at] == '\\' && at + 1 < size)
                        at++;
                else if (text[at] == '"')
                        *in_string = !*in_string;
                else if (!*in_string && isdigit((unsigned char) text[at]))
                        in_number = true;
                else if (in_number && !strchr("+-.eE", text[at]))
                        return at;
        }
        return size;
}

static enum json_tokener_error parse_piece(struct json_tokener *tok, const char *text, size_t size,
                                           json_object **o) {
        errno = 0;
        *o = json_tokener_parse_ex(tok, text, (int) size);
        return json_tokener_get_error(tok);
}

/* 0, or 1 when the text is at its end without being complete. */
static int parse_pieces(struct json_tokener *tok, const char *text, size_t size, const char *what,
                        json_object **o, Error *e) {
        bool in_string = false;

        for (size_t at = 0; at < size;) {
                size_t end = piece_end(text, size, at, &in_string);
                enum json_tokener_error code = parse_piece(tok, text + at, end - at, o);

                if (errno == ENOMEM)
                        return error_oom(e);
                if (code == json_tokener_success) {
                        for (at += json_tokener_get_parse_end(tok); at < size; at++)
                                if (!strchr(" \t\r\n", text[at]))
                                        return error_setf(
                                                        e, ERROR_DECODE,
                                                        "%s: something follows the JSON text at byte %zu",
                                                        what, at);
                        return 0;
                }
                if (code != json_tokener_continue)
                        return parse_failed(tok, at, code, what, e);
                at = end;
        }
        return 1;
}

int json_parse_max(const char *text, size_t size, size_t max, const char *what, json_object **ret,
                   Error *e) {
        _cleanup_(tokener_freep) struct json_tokener *tok = NULL;
        _cleanup_json_ json_object *o = NULL;

        if (size > max)
                return error_setf(e, ERROR_DECODE, "%s: %zu bytes, at most %zu are read", what,
                                  size, max);
        if (memchr(text, '\0', size))
                return error_setf(e, ERROR_DECODE, "%s: holds a NUL byte", what);
        tok = json_tokener_new_ex(JSON_DEPTH_MAX);
        if (!tok)
                return error_oom(e);
        json_tokener_set_flags(tok, JSON_TOKENER_STRICT | JSON_TOKENER_VALIDATE_UTF8);

        int r = parse_pieces(tok, text, size, what, &o, e);
        if (r > 0) {
                /* A bare number ends only with the text; anything else was cut off. */
                enum json_tokener_error code = parse_piece(tok, "", 1, &o);
                if (errno == ENOMEM)
                        return error_oom(e);
                if (code != json_tokener_success)
                        return error_setf(e, ERROR_DECODE, "%s: ends in the middle (%zu bytes)",
                                          what, size);
        }
        if (r < 0)
                return r;
        *ret = TAKE_PTR(o);
        return 0;
}

int json_parse(const char *text, size_t size, const char *what, json_object **ret, Error *e) {
        return json_parse_max(text, size, CONFIG_SIZE_MAX, what, ret, e);
}

bool json_has(json_object *object, const char *key, json_object **ret) {
        bool found = false;

        if (!json_object_is_type(object, json_type_object))
                return false;
        json_object_object_foreach(object, k, v) {
                if (strcasecmp(k, key) == 0) {
                        found = true;
                        if (ret)
                                *ret = v;
                }
        }
        return found;
}

json_object *json_get(json_object *object, const char *key) {
        json_object *v = NULL;
        return json_has(object, key, &v) ? v : NULL;
}

const char *json_short(json_object *value, char buf[static JSON_SHORT_SIZE]) {
        const char *text = value ? json_object_to_json_string_ext(
                                                   value,
                                                   JSON_C_TO_STRING_PLAIN |
                                                                   JSON_C_TO_STRING_NOSLASHESCAPE)
                                 : "null";
        size_t n = text ? strlen(text) : 0;

        if (n > 64) {
                /* Not in the middle of a UTF-8 sequence. */
                for (n = 64; n > 0 && ((unsigned char) text[n] & 0xc0) == 0x80; n--)
                        ;
                snprintf(buf, JSON_SHORT_SIZE, "%.*s...", (int) n, text);
        } else
                snprintf(buf, JSON_SHORT_SIZE, "%s", strempty(text));
        return buf;
}

static int wanted(const char *what, json_object *value, const char *path, Error *e) {
        return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: wanted %s, found %s", path, what,
                          JSON_SHORT(value));
}

static const JsonField *field_find(const JsonField *fields, const char *key) {
        for (; fields->key; fields++)
                if (strcasecmp(fields->key, key) == 0)
                        return fields;
        return NULL;
}

static char *path_join(const char *path, const char *key) {
        return isempty(path) ? strdup(key) : strf("%s.%s", path, key);
}

static int check_known(json_object *object, const char *path, const JsonField *fields, Error *e) {
        json_object_object_foreach(object, key, value) {
                if (!field_find(fields, key)) {
                        _cleanup_free_ char *p = path_join(path, key);
                        return error_setf(e, ERROR_UNKNOWN_OPTION,
                                          "%.200s: unknown key, with value %s", strempty(p),
                                          JSON_SHORT(value));
                }
        }
        return 0;
}

int json_read_object(json_object *object, const char *path, const JsonField *fields,
                     JsonUnknown unknown, void *base, Error *e) {
        if (!json_object_is_type(object, json_type_object))
                return wanted("an object", object, isempty(path) ? "configuration" : path, e);
        if (json_object_object_length(object) > (int) JSON_ELEMENTS_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: more than %u keys", path,
                                  JSON_ELEMENTS_MAX);

        if (unknown == JSON_UNKNOWN_REFUSE) {
                int r = check_known(object, path, fields, e);
                if (r < 0)
                        return r;
        }
        for (const JsonField *f = fields; f->key; f++) {
                json_object *v = json_get(object, f->key);
                _cleanup_free_ char *p = path_join(path, f->key);

                if (!p)
                        return error_oom(e);
                if (!v && (f->flags & JSON_REQUIRED))
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "%s: wanted a value, found nothing", p);
                if (!v || !f->read)
                        continue;
                int r = f->read(v, p, (char *) base + f->offset, e);
                if (r < 0)
                        return r;
        }
        return 0;
}

int json_read_array(json_object *array, const char *path, size_t max, JsonReader read,
                    void *userdata, Error *e) {
        if (!json_object_is_type(array, json_type_array))
                return wanted("an array", array, path, e);
        size_t n = json_object_array_length(array);
        if (n > max)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: %zu elements, at most %zu", path,
                                  n, max);
        for (size_t i = 0; i < n; i++) {
                _cleanup_free_ char *p = strf("%s[%zu]", path, i);
                if (!p)
                        return error_oom(e);
                int r = read(json_object_array_get_idx(array, i), p, userdata, e);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* A string without an embedded NUL, which C would cut off. */
static bool is_plain_string(json_object *value) {
        return json_object_is_type(value, json_type_string) &&
               strlen(json_object_get_string(value)) == (size_t) json_object_get_string_len(value);
}

int json_read_string(json_object *value, const char *path, void *target, Error *e) {
        if (!json_object_is_type(value, json_type_string))
                return wanted("a string", value, path, e);
        if (!is_plain_string(value))
                return wanted("a string without NUL", value, path, e);
        char *copy = strdup(json_object_get_string(value));
        if (!copy)
                return error_oom(e);
        char **t = target;
        free(*t);
        *t = copy;
        return 0;
}

int json_read_bool(json_object *value, const char *path, void *target, Error *e) {
        if (!json_object_is_type(value, json_type_boolean))
                return wanted("true or false", value, path, e);
        *(bool *) target = json_object_get_boolean(value);
        return 0;
}

int json_read_u64(json_object *value, const char *path, void *target, Error *e) {
        static const char what[] = "a whole number from 0 to 18446744073709551615";

        if (!json_object_is_type(value, json_type_int))
                return wanted(what, value, path, e);
        /* json-c saturates numbers that are too large. It keeps no text of them, so the largest value
         * itself is refused as well. */
        uint64_t v = json_object_get_uint64(value);
        if (v == UINT64_MAX || json_object_get_int64(value) < 0)
                return wanted(what, value, path, e);
        *(uint64_t *) target = v;
        return 0;
}

int json_read_u32(json_object *value, const char *path, void *target, Error *e) {
        uint64_t v;

        if (!json_object_is_type(value, json_type_int) || json_object_get_int64(value) < 0 ||
            (v = json_object_get_uint64(value)) > UINT32_MAX)
                return wanted("a whole number from 0 to 4294967295", value, path, e);
        *(uint32_t *) target = (uint32_t) v;
        return 0;
}

int json_read_in_addr(json_object *value, const char *path, void *target, Error *e) {
        InAddr a;

        if (!is_plain_string(value) || in_addr_parse(json_object_get_string(value), &a) < 0)
                return wanted("an address such as \"10.97.0.1\" or \"fd97::1\"", value, path, e);
        *(InAddr *) target = a;
        return 0;
}

int json_read_in_prefix(json_object *value, const char *path, void *target, Error *e) {
        InPrefix p;

        if (!is_plain_string(value) || in_prefix_parse(json_object_get_string(value), &p) < 0)
                return wanted("a network such as \"10.97.0.0/16\" or \"fd97::/64\"", value, path,
                              e);
        *(InPrefix *) target = p;
        return 0;
}

int json_add(json_object *object, const char *key, json_object *value) {
        if (!value)
                return -ENOMEM;
        if (json_object_object_add(object, key, value) < 0) {
                json_object_put(value);
                return -ENOMEM;
        }
        return 0;
}

int json_add_string(json_object *object, const char *key, const char *value) {
        return value ? json_add(object, key, json_object_new_string(value)) : 0;
}

int json_append(json_object *array, json_object *value) {
        if (!value)
                return -ENOMEM;
        if (json_object_array_add(array, value) < 0) {
                json_object_put(value);
                return -ENOMEM;
        }
        return 0;
}

char *json_to_text(json_object *o) {
        /* json-c leaves out what it has no memory for, and says so by errno only. */
        errno = 0;
        const char *s = json_object_to_json_string_ext(
                        o, JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE);
        return s && errno != ENOMEM ? strdup(s) : NULL;
}
