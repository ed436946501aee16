/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * NetworkAttachmentDefinition, as files and people bring it: metadata and spec.config. The API server prunes keys
 * of `spec` that do not exist; here nobody does, and a misspelt "config" would mean another network, so it is
 * refused.
 */

#include <ctype.h>
#include <stdio.h>

#include "base/parse.h"
#include "cri/netconf-internal.h"
#include "cri/netlist.h"

#define NAD_KIND        "NetworkAttachmentDefinition"
#define NAD_API_VERSION "k8s.cni.cncf.io/v1"
#define RESOURCE_NAME   "k8s.v1.cni.cncf.io/resourceName"

/* RFC 1123, as Kubernetes has it: no capitals. */
#define LABEL_MAX 63U

static bool is_label_byte(char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool label_is_valid(const char *s, size_t n) {
        if (n == 0 || n > LABEL_MAX || !is_label_byte(s[0]) || !is_label_byte(s[n - 1]))
                return false;
        for (size_t i = 0; i < n; i++)
                if (!is_label_byte(s[i]) && s[i] != '-')
                        return false;
        return true;
}

static bool subdomain_is_valid(const char *s) {
        for (;;) {
                size_t n = strcspn(s, ".");
                if (!label_is_valid(s, n))
                        return false;
                if (!s[n])
                        return true;
                s += n + 1;
        }
}

bool network_name_is_valid(const char *s) {
        const char *slash = s ? strchr(s, '/') : NULL;

        if (!slash)
                return s && cni_id_is_valid(s, NETWORK_NAME_MAX);
        return strlen(s) <= NETWORK_NAME_MAX && label_is_valid(s, (size_t) (slash - s)) &&
               subdomain_is_valid(slash + 1);
}

void nad_manifest_clear(NadManifest *m) {
        free(m->namespace);
        free(m->name);
        free(m->config);
        free(m->resource_name);
        *m = (NadManifest) { 0 };
}

static bool is_string(json_object *o, const char *key, const char *value) {
        json_object *s = json_get(o, key);

        return json_object_is_type(s, json_type_string) && streq(json_object_get_string(s), value);
}

bool nad_manifest_is(json_object *o) {
        return is_string(o, "kind", NAD_KIND);
}

/* --- one manifest -------------------------------------------------------------------------------- */

static int kind_check(json_object *value, const char *path, void *target _unused_, Error *e) {
        if (json_object_is_type(value, json_type_string) &&
            streq(json_object_get_string(value), NAD_KIND))
                return 0;
        return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: wanted \"" NAD_KIND "\", found %s", path,
                          JSON_SHORT(value));
}

static int api_version_check(json_object *value, const char *path, void *target _unused_,
                             Error *e) {
        if (json_object_is_type(value, json_type_string) &&
            streq(json_object_get_string(value), NAD_API_VERSION))
                return 0;
        return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: wanted \"" NAD_API_VERSION "\", found %s",
                          path, JSON_SHORT(value));
}

static int namespace_read(json_object *value, const char *path, void *target, Error *e) {
        char **ret = target;

        int r = json_read_string(value, path, ret, e);
        if (r < 0 || label_is_valid(*ret, strlen(*ret)))
                return r;
        return error_setf(e, ERROR_INVALID_ARGUMENT,
                          "%s: wanted at most %u of [a-z0-9-], beginning and ending with a letter "
                          "or digit, found %s",
                          path, LABEL_MAX, JSON_SHORT(value));
}

static int name_read(json_object *value, const char *path, void *target, Error *e) {
        char **ret = target;

        int r = json_read_string(value, path, ret, e);
        if (r < 0 || subdomain_is_valid(*ret))
                return r;
        return error_setf(e, ERROR_INVALID_ARGUMENT,
                          "%s: wanted words of [a-z0-9-] divided by '.', found %s", path,
                          JSON_SHORT(value));
}

static const JsonField annotation_fields[] = {
        { RESOURCE_NAME, json_read_string, offsetof(NadManifest, resource_name), 0 },
        {},
};

static int annotations_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_object(value, path, annotation_fields, JSON_UNKNOWN_IGNORE, target, e);
}

static const JsonField metadata_fields[] = {
        { "name", name_read, offsetof(NadManifest, name), JSON_REQUIRED },
        { "namespace", namespace_read, offsetof(NadManifest, namespace), 0 },
        { "annotations", annotations_read, 0, 0 },
        {},
};

static int metadata_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_object(value, path, metadata_fields, JSON_UNKNOWN_IGNORE, target, e);
}

static const JsonField spec_fields[] = {
        { "config", json_read_string, offsetof(NadManifest, config), 0 },
        {},
};

static int spec_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_object(value, path, spec_fields, JSON_UNKNOWN_REFUSE, target, e);
}

static const JsonField manifest_fields[] = {
        { "apiVersion", NULL, 0, 0 },
        { "kind", NULL, 0, 0 },
        { "metadata", metadata_read, 0, JSON_REQUIRED },
        { "spec", spec_read, 0, 0 },
        { "status", NULL, 0, 0 },
        {},
};

/* Of something else altogether this is what to say, and not which of its keys is unknown. */
static const JsonField head_fields[] = {
        { "apiVersion", api_version_check, 0, JSON_REQUIRED },
        { "kind", kind_check, 0, JSON_REQUIRED },
        {},
};

/* Together they name a network. */
static int check_length(const NadManifest *m, Error *e) {
        size_t n = strlen(m->namespace) + 1 + strlen(m->name);

        if (n <= NETWORK_NAME_MAX)
                return 0;
        return error_setf(
                        e, ERROR_INVALID_ARGUMENT,
                        "metadata.name: \"%.32s...\" and its namespace have %zu bytes, at most %u "
                        "can name a network",
                        m->name, n, NETWORK_NAME_MAX);
}

int nad_manifest_read(json_object *o, NadManifest *ret, Error *e) {
        _cleanup_(nad_manifest_clear) NadManifest m = { 0 };

        int r = json_read_object(o, "", head_fields, JSON_UNKNOWN_IGNORE, &m, e);
        if (r >= 0)
                r = json_read_object(o, "", manifest_fields, JSON_UNKNOWN_REFUSE, &m, e);
        if (r < 0)
                return r;
        if (!m.namespace && !(m.namespace = strdup("default")))
                return error_oom(e);
        if (m.config && m.config[strspn(m.config, " \t\r\n")] == '\0') {
                free(m.config);
                m.config = NULL;
        }
        r = check_length(&m, e);
        if (r < 0)
                return r;
        *ret = m;
        m = (NadManifest) { 0 };
        return 0;
}

int nad_manifest_parse(const char *text, size_t size, NadManifest *ret, Error *e) {
        _cleanup_json_ json_object *top = NULL;

        int r = json_parse(text, size, NAD_KIND, &top, e);
        return r < 0 ? r : nad_manifest_read(top, ret, e);
}

/* --- several ------------------------------------------------------------------------------------- */

static int items_read(json_object *value, const char *path, void *target, Error *e) {
        json_object **ret = target;

        if (!json_object_is_type(value, json_type_array))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: wanted an array, found %s", path,
                                  JSON_SHORT(value));
        if (json_object_array_length(value) > JSON_ELEMENTS_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: %zu elements, at most %u", path,
                                  json_object_array_length(value), JSON_ELEMENTS_MAX);
        *ret = value;
        return 0;
}

int nad_manifest_items(json_object *top, json_object **ret, Error *e) {
        static const JsonField fields[] = { { "items", items_read, 0, JSON_REQUIRED }, {} };

        if (!is_string(top, "kind", "List") && !is_string(top, "kind", NAD_KIND "List")) {
                *ret = NULL;
                return 0;
        }
        return json_read_object(top, "", fields, JSON_UNKNOWN_IGNORE, ret, e);
}
