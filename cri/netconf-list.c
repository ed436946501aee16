/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A network file: CNI's configuration list with exactly one plugin, of type netmgr. The list's name
 * and version are put over the plugin's own, as libcni does before it executes a plugin.
 */

#include "base/limits.h"
#include "cri/netconf-internal.h"
#include "cri/result.h"

typedef struct ListInput {
        char *cni_version;   /* owned */
        char *name;          /* owned */
        const char *best;    /* newest supported one of cniVersions, borrowed from cni_versions */
        json_object *plugin; /* borrowed from the list */
} ListInput;

static void list_input_clear(ListInput *in) {
        free(in->cni_version);
        free(in->name);
}

static int version_read_element(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_free_ char *s = NULL;
        const char **best = target;
        int r;

        r = json_read_string(value, path, &s, e);
        if (r < 0)
                return r;
        for (const char *const *v = cni_versions; *v; v++)
                if (streq(*v, s) && (!*best || cni_version_compare(*v, *best) > 0))
                        *best = *v;
        return 0;
}

int versions_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, JSON_ELEMENTS_MAX, version_read_element, target, e);
}

static int plugins_read(json_object *value, const char *path, void *target, Error *e) {
        json_object **ret = target;
        size_t n;

        if (!json_object_is_type(value, json_type_array))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s\": %s is not an array", path,
                                  JSON_SHORT(value));
        n = json_object_array_length(value);
        if (n != 1)
                return error_setf(e, n == 0 ? ERROR_INVALID_ARGUMENT : ERROR_NOT_SUPPORTED,
                                  "\"%s\": there are %zu plugins; wanted is exactly one, of type "
                                  "netmgr",
                                  path, n);
        *ret = json_object_array_get_idx(value, 0);
        if (!json_object_is_type(*ret, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "\"%s[0]\": %s is not an object", path,
                                  JSON_SHORT(*ret));
        return 0;
}

static const JsonField list_fields[] = {
        { "cniVersion", json_read_string, offsetof(ListInput, cni_version), 0 },
        { "cniVersions", versions_read, offsetof(ListInput, best), 0 },
        { "name", json_read_string, offsetof(ListInput, name), 0 },
        { "plugins", plugins_read, offsetof(ListInput, plugin), JSON_REQUIRED },
        { "disableCheck", NULL, 0, 0 }, /* these tell a runtime what to do, and we are none */
        { "disableGC", NULL, 0, 0 },
        { "loadOnlyInlinedPlugins", NULL, 0, 0 },
        {},
};

static int list_check_name(ListInput *in, const char *expected_name, Error *e) {
        if (!in->name && expected_name) {
                in->name = strdup(expected_name);
                if (!in->name)
                        return error_oom(e);
        }
        if (!in->name)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "missing network name: there is no \"name\"");
        if (expected_name && !streq(in->name, expected_name))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"name\": \"%.64s\" is not the name under which this network is "
                                  "kept, \"%.64s\"",
                                  in->name, expected_name);
        return netconf_check_name(in->name, e);
}

int netconf_choose_version(char **version, const char *best, Error *e) {
        char *v;

        if (!isempty(*version) && !best)
                return netconf_check_version(*version, e);
        if (best && !isempty(*version) && cni_version_is_supported(*version) &&
            cni_version_compare(*version, best) >= 0)
                return 0;
        v = strdup(best ? best : cni_versions[0]);
        if (!v)
                return error_oom(e);
        free(*version);
        *version = v;
        return 0;
}

static int list_read_plugin(ListInput *in, NetConf *c, Error *e) {
        json_object *type = json_get(in->plugin, "type");
        int r;

        if (type) {
                r = json_read_string(type, "type", &c->type, e);
                if (r < 0)
                        return r;
        }
        if (c->type && !streq(c->type, "netmgr"))
                return error_setf(e, ERROR_NOT_SUPPORTED,
                                  "\"type\": %s cannot describe a network of netmgrd; wanted is "
                                  "\"netmgr\"",
                                  JSON_SHORT(type));
        r = netconf_choose_plugin(_NET_PLUGIN_INVALID, c, e);
        if (r < 0)
                return r;
        r = netconf_read_body(in->plugin, c, e);
        if (r < 0)
                return r;
        if (c->network)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"network\": \"%s\": the description of a network cannot point to "
                                "another one",
                                c->network);
        return 0;
}

int netconf_parse_list(const char *text, size_t size, const char *expected_name, NetConf **ret,
                       Error *e) {
        _cleanup_(list_input_clear) ListInput in = { 0 };
        _cleanup_(netconf_freep) NetConf *c = NULL;
        _cleanup_json_ json_object *top = NULL;
        int r;

        r = json_parse(text, size, "network configuration list", &top, e);
        if (r < 0)
                return r;
        if (!json_object_is_type(top, json_type_object))
                return error_setf(e, ERROR_DECODE,
                                  "the network configuration list is not a JSON object: %s",
                                  JSON_SHORT(top));
        r = json_read_object(top, "", list_fields, JSON_UNKNOWN_REFUSE, &in, e);
        if (r < 0)
                return r;
        r = list_check_name(&in, expected_name, e);
        if (r < 0)
                return r;
        r = netconf_choose_version(&in.cni_version, in.best, e);
        if (r < 0)
                return r;

        c = netconf_new();
        if (!c)
                return error_oom(e);
        c->name = TAKE_PTR(in.name);
        c->cni_version = TAKE_PTR(in.cni_version);
        r = list_read_plugin(&in, c, e);
        if (r < 0) {
                error_prefixf(e, "plugins[0]");
                return r;
        }
        *ret = TAKE_PTR(c);
        return 0;
}
