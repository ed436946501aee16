/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A list of plugins read: what libcni would accept, and what of it can work here. Keys of the list that nobody
 * knows are let pass, as libcni does, except where the list is a network of type netmgr alone.
 */

#include "cri/netlist.h"

#include <stdio.h>
#include <strings.h>

#include "base/hash.h"
#include "base/strv.h"
#include "cri/netconf-internal.h"

NetList *net_list_ref(NetList *l) {
        l->n_references++;
        return l;
}

NetList *net_list_free(NetList *l) {
        if (!l || l->n_references-- > 0)
                return NULL;
        for (size_t i = 0; i < l->n_plugins; i++) {
                free(l->plugins[i].type);
                json_object_put(l->plugins[i].config);
                strv_free(l->plugins[i].capabilities);
        }
        free(l->plugins);
        free(l->name);
        free(l->cni_version);
        free(l);
        return NULL;
}

bool net_list_is_plain(const NetList *l) {
        return l->n_plugins == 1 && l->plugins[0].plugin == NET_PLUGIN_NETMGR;
}

/* --- hash ---------------------------------------------------------------------------------------- */

static int compare_keys(const void *a, const void *b) {
        return strcmp(*(const char *const *) a, *(const char *const *) b);
}

static int put_canonical(FILE *f, json_object *o);

/* Keys in the order of their bytes: a manifest comes with another order from each tool. */
static int put_object(FILE *f, json_object *o) {
        size_t n = (size_t) json_object_object_length(o), i = 0;
        _cleanup_free_ const char **keys = new0(const char *, n + 1);
        int r = keys ? 0 : -ENOMEM;

        if (r < 0)
                return r;
        json_object_object_foreach(o, key, value) {
                (void) value;
                keys[i++] = key;
        }
        qsort(keys, n, sizeof(*keys), compare_keys);
        fputc('{', f);
        for (i = 0; i < n && r >= 0; i++) {
                fprintf(f, "%zu:%s=", strlen(keys[i]), keys[i]);
                r = put_canonical(f, json_object_object_get(o, keys[i]));
        }
        fputc('}', f);
        return r;
}

/* Recursion ends with JSON_DEPTH_MAX, which the reader kept. */
static int put_canonical(FILE *f, json_object *o) {
        int r = 0;

        if (json_object_is_type(o, json_type_object))
                return put_object(f, o);
        if (json_object_is_type(o, json_type_array)) {
                fputc('[', f);
                for (size_t i = 0; i < json_object_array_length(o) && r >= 0; i++)
                        r = put_canonical(f, json_object_array_get_idx(o, i));
                fputc(']', f);
                return r;
        }
        _cleanup_free_ char *text = json_to_text(o);
        if (!text && o)
                return -ENOMEM;
        fprintf(f, "%s,", strempty(text));
        return 0;
}

/* Name and version are the list's and not what an interface is like. */
static int put_plugin(FILE *f, const NetListPlugin *p) {
        _cleanup_json_ json_object *copy = NULL;

        if (json_object_deep_copy(p->config, &copy, NULL) < 0)
                return -ENOMEM;
        json_object_object_del(copy, "name");
        json_object_object_del(copy, "cniVersion");
        return put_canonical(f, copy);
}

static int list_hash(NetList *l) {
        _cleanup_free_ char *text = NULL;
        size_t size = 0;
        int r = 0;

        FILE *f = open_memstream(&text, &size);
        if (!f)
                return -ENOMEM;
        for (size_t i = 0; i < l->n_plugins && r >= 0; i++)
                r = put_plugin(f, &l->plugins[i]);
        bool failed = ferror(f);
        if (fclose(f) != 0 || failed || r < 0)
                return -ENOMEM;
        l->hash = hash64(text, size);
        return 0;
}

/* --- one plugin ---------------------------------------------------------------------------------- */

static int capabilities_read(json_object *value, const char *path, void *target, Error *e) {
        char ***ret = target;

        if (!json_object_is_type(value, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: wanted an object, found %s", path,
                                  JSON_SHORT(value));
        if (json_object_object_length(value) > (int) JSON_ELEMENTS_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: more than %u keys", path,
                                  JSON_ELEMENTS_MAX);
        json_object_object_foreach(value, key, declared) {
                if (!json_object_is_type(declared, json_type_boolean))
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "%s.%.64s: wanted true or false, found %s", path, key,
                                          JSON_SHORT(declared));
                if (json_object_get_boolean(declared) && strv_append(ret, key) < 0)
                        return error_oom(e);
        }
        return 0;
}

static int type_read(json_object *value, const char *path, void *target, Error *e) {
        NetListPlugin *p = target;

        int r = json_read_string(value, path, &p->type, e);
        if (r < 0)
                return r;
        p->plugin = net_plugin_from_string(p->type);
        if (p->plugin < 0 && !delegate_name_is_valid(p->type))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "%s: wanted the name of a plugin, found %s", path,
                                  JSON_SHORT(value));
        return 0;
}

/* What a sandbox brings along is merged into args.cni: it has to be one object, then. */
static int args_check(json_object *value, const char *path, void *target _unused_, Error *e) {
        json_object *cni = json_get(value, "cni");

        if (!json_object_is_type(value, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: wanted an object, found %s", path,
                                  JSON_SHORT(value));
        if (cni && !json_object_is_type(cni, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s.cni: wanted an object, found %s",
                                  path, JSON_SHORT(cni));
        return 0;
}

static const JsonField plugin_fields[] = {
        { "type", type_read, 0, JSON_REQUIRED },
        { "capabilities", capabilities_read, offsetof(NetListPlugin, capabilities), 0 },
        { "args", args_check, 0, 0 },
        {},
};

/* As the plugin itself would be told, however the key was written. */
static int set_string(json_object *o, const char *key, const char *value) {
        json_object_object_foreach(o, k, v) {
                (void) v;
                if (strcasecmp(k, key) == 0)
                        json_object_object_del(o, k);
        }
        return json_add_string(o, key, value);
}

/* What is wrong about a configuration of ours shall be known now, not with the first sandbox. */
static int check_own(const NetListPlugin *p, const char *path, Error *e) {
        _cleanup_(netconf_freep) NetConf *conf = NULL;
        _cleanup_free_ char *text = json_to_text(p->config);

        if (!text)
                return error_oom(e);
        int r = netconf_parse_as(p->plugin, text, strlen(text), &conf, e);
        if (r < 0 && path[0])
                error_prefixf(e, "%s", path);
        return r;
}

static int check_position(const NetListPlugin *p, bool first, const char *path, Error *e) {
        const char *dot = path[0] ? "." : "";

        if (p->plugin < 0)
                return 0;
        if (first && !net_plugin_makes_interface(p->plugin))
                return error_setf(e, ERROR_NOT_SUPPORTED,
                                  "%s%stype: \"%s\" makes no interface; wanted is a plugin that "
                                  "does at the beginning of the list",
                                  path, dot, p->type);
        if (!first && !net_plugin_is_chained(p->plugin))
                return error_setf(e, ERROR_NOT_SUPPORTED,
                                  "%s%stype: \"%s\" does not work on the interface of the plugin "
                                  "before it; make two networks of it",
                                  path, dot, p->type);
        return 0;
}

static int plugin_read(NetList *l, json_object *o, const char *path, Error *e) {
        NetListPlugin *p = &l->plugins[l->n_plugins++];

        if (!json_object_is_type(o, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: wanted an object, found %s", path,
                                  JSON_SHORT(o));
        int r = json_read_object(o, path, plugin_fields, JSON_UNKNOWN_IGNORE, p, e);
        if (r >= 0)
                r = check_position(p, l->n_plugins == 1, path, e);
        if (r < 0)
                return r;
        if (json_object_deep_copy(o, &p->config, NULL) < 0 ||
            set_string(p->config, "name", l->name) < 0 ||
            set_string(p->config, "cniVersion", l->cni_version) < 0)
                return error_oom(e);
        return p->plugin >= 0 ? check_own(p, path, e) : 0;
}

/* --- the list ------------------------------------------------------------------------------------ */

typedef struct ListHead {
        char *name, *cni_version; /* owned */
        const char *best;         /* of cniVersions; borrowed from cni_versions */
        bool disable_check, disable_gc;
} ListHead;

static void list_head_clear(ListHead *h) {
        free(h->name);
        free(h->cni_version);
}

/* libcni takes "true" for true here, since somebody once wrote it so. */
static int switch_read(json_object *value, const char *path, void *target, Error *e) {
        const char *s = json_object_is_type(value, json_type_string) ? json_object_get_string(value)
                                                                     : NULL;

        if (s && strcasecmp(s, "true") == 0)
                *(bool *) target = true;
        else if (s && strcasecmp(s, "false") == 0)
                *(bool *) target = false;
        else
                return json_read_bool(value, path, target, e);
        return 0;
}

static const JsonField head_fields[] = {
        { "name", json_read_string, offsetof(ListHead, name), 0 },
        { "cniVersion", json_read_string, offsetof(ListHead, cni_version), 0 },
        { "cniVersions", versions_read, offsetof(ListHead, best), 0 },
        { "disableCheck", switch_read, offsetof(ListHead, disable_check), 0 },
        { "disableGC", switch_read, offsetof(ListHead, disable_gc), 0 },
        { "loadOnlyInlinedPlugins", NULL, 0, 0 },
        { "plugins", NULL, 0, 0 },
        {},
};

static int head_read(json_object *top, const char *fallback_name, NetList *l, Error *e) {
        _cleanup_(list_head_clear) ListHead h = { 0 };

        int r = json_read_object(top, "", head_fields, JSON_UNKNOWN_IGNORE, &h, e);
        if (r < 0)
                return r;
        if (isempty(h.name) && fallback_name) {
                free(h.name);
                h.name = strdup(fallback_name);
                if (!h.name)
                        return error_oom(e);
        }
        if (!h.name)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "missing network name: there is no \"name\"");
        r = netconf_check_name(h.name, e);
        if (r >= 0)
                r = netconf_choose_version(&h.cni_version, h.best, e);
        if (r < 0)
                return r;
        l->name = TAKE_PTR(h.name);
        l->cni_version = TAKE_PTR(h.cni_version);
        l->disable_check = h.disable_check;
        l->disable_gc = h.disable_gc;
        return 0;
}

/* Of our own list: a key that nobody reads is a wish that is not granted. */
static int head_check(json_object *top, Error *e) {
        _cleanup_(list_head_clear) ListHead h = { 0 };

        return json_read_object(top, "", head_fields, JSON_UNKNOWN_REFUSE, &h, e);
}

static int plugins_read(json_object *array, NetList *l, Error *e) {
        size_t n = json_object_is_type(array, json_type_array) ? json_object_array_length(array)
                                                               : 0;
        int r = 0;

        if (n == 0 || n > LIST_PLUGINS_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "plugins: wanted an array of 1 to %u plugins, found %s",
                                  LIST_PLUGINS_MAX, JSON_SHORT(array));
        l->plugins = new0(NetListPlugin, n);
        if (!l->plugins)
                return error_oom(e);
        for (size_t i = 0; i < n && r >= 0; i++) {
                char path[32];
                snprintf(path, sizeof(path), "plugins[%zu]", i);
                r = plugin_read(l, json_object_array_get_idx(array, i), path, e);
        }
        return r;
}

int net_list_parse(const char *text, size_t size, const char *fallback_name, NetList **ret,
                   Error *e) {
        _cleanup_(net_list_freep) NetList *l = new0(NetList, 1);
        _cleanup_json_ json_object *top = NULL;
        json_object *array = NULL;

        if (!l)
                return error_oom(e);
        int r = json_parse(text, size, "network configuration", &top, e);
        if (r < 0)
                return r;
        if (!json_object_is_type(top, json_type_object))
                return error_setf(e, ERROR_DECODE,
                                  "the network configuration is not a JSON object: %s",
                                  JSON_SHORT(top));
        r = head_read(top, fallback_name, l, e);
        if (r < 0)
                return r;
        if (json_has(top, "plugins", &array))
                r = plugins_read(array, l, e);
        else {
                l->plugins = new0(NetListPlugin, 1);
                r = l->plugins ? plugin_read(l, top, "", e) : error_oom(e);
        }
        if (r >= 0 && array && net_list_is_plain(l))
                r = head_check(top, e);
        if (r < 0)
                return r;
        if (list_hash(l) < 0)
                return error_oom(e);
        *ret = TAKE_PTR(l);
        return 0;
}
