/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* libcni's cache of one interface, and the lists of plugins in it; see import.h. */

#include "base/base64.h"
#include "base/limits.h"
#include "base/parse.h"
#include "cri/import.h"
#include "cri/netconf.h"
#include "cri/result.h"

#define CACHE_KIND "cniCacheV1"

static void plugins_clear(ImportAttachment *a) {
        for (size_t i = 0; i < a->n_plugins; i++) {
                free(a->plugins[i].type);
                free(a->plugins[i].config);
        }
        free(TAKE_PTR(a->plugins));
        a->n_plugins = 0;
}

void import_attachment_clear(ImportAttachment *a) {
        plugins_clear(a);
        free(a->container_id);
        free(a->ifname);
        free(a->network);
        free(a->file);
        free(a->reference);
        free(a->netns);
        free(a->args);
        free(a->config);
        free(a->version);
        free(a->result);
        free(a->addresses);
        *a = (ImportAttachment) { 0 };
}

/* ---- plugins ---------------------------------------------------------------------------------- */

/* What all plugins of a list have in common. */
typedef struct List {
        const char *name, *version;
        json_object *capability_args, *result; /* borrowed; NULL: none */
        ImportAttachment *to;
} List;

static const char *text_of(json_object *o, const char *key) {
        json_object *v = json_get(o, key);

        return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : NULL;
}

/* As libcni does it: those of the arguments that the plugin has declared. */
static int add_runtime_config(json_object *plugin, const List *l) {
        json_object *declared = json_get(plugin, "capabilities");
        _cleanup_json_ json_object *rc = json_object_new_object();

        if (!rc)
                return -ENOMEM;
        if (!json_object_is_type(declared, json_type_object) ||
            !json_object_is_type(l->capability_args, json_type_object))
                return 0;
        json_object_object_foreach(declared, key, value) {
                json_object *arg = json_object_object_get(l->capability_args, key);
                if (arg && json_object_is_type(value, json_type_boolean) &&
                    json_object_get_boolean(value) && json_add(rc, key, json_object_get(arg)) < 0)
                        return -ENOMEM;
        }
        return json_object_object_length(rc) > 0 ? json_add(plugin, "runtimeConfig", TAKE_PTR(rc))
                                                 : 0;
}

static int plugin_text(json_object *plugin, const List *l, char **ret) {
        bool chained = l->result && cni_version_compare(l->version, "0.4.0") >= 0;

        if (json_add_string(plugin, "name", l->name) < 0 ||
            json_add_string(plugin, "cniVersion", l->version) < 0 ||
            (chained && json_add(plugin, "prevResult", json_object_get(l->result)) < 0) ||
            add_runtime_config(plugin, l) < 0)
                return -ENOMEM;
        *ret = json_to_text(plugin);
        return *ret ? 0 : -ENOMEM;
}

static int plugin_read(json_object *plugin, const char *path, void *target, Error *e) {
        List *l = target;
        ImportAttachment *a = l->to;

        if (!json_object_is_type(plugin, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: wanted an object, found %s", path,
                                  JSON_SHORT(plugin));
        const char *type = text_of(plugin, "type");
        if (!type || !cni_id_is_valid(type, NETWORK_NAME_MAX))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "%s.type: wanted the name of a plugin, found %s", path,
                                  JSON_SHORT(json_get(plugin, "type")));
        ImportPlugin *more = reallocarray(a->plugins, a->n_plugins + 1, sizeof(*more));
        if (!more)
                return error_oom(e);
        a->plugins = more;
        more[a->n_plugins] = (ImportPlugin) { .type = strdup(type) };
        ImportPlugin *p = &more[a->n_plugins++];
        return p->type && plugin_text(plugin, l, &p->config) >= 0 ? 0 : error_oom(e);
}

static ImportRole role_of(const ImportAttachment *a) {
        for (size_t i = 0; i < a->n_plugins; i++) {
                const char *type = a->plugins[i].type;

                if (streq(type, "multus") || streq(type, "multus-shim"))
                        return IMPORT_MULTIPLEXER;
                if (streq(type, net_plugin_to_string(NET_PLUGIN_NETMGR)))
                        return IMPORT_OWN;
        }
        return a->n_plugins == 1 && streq(a->plugins[0].type, "loopback") ? IMPORT_LOOPBACK
                                                                          : IMPORT_INTERFACE;
}

static int read_plugins(json_object *top, List *l, Error *e) {
        json_object *plugins;

        if (!json_has(top, "plugins", &plugins))
                return plugin_read(top, "config", l, e);
        int r = json_read_array(plugins, "config.plugins", LIST_PLUGINS_MAX, plugin_read, l, e);
        if (r >= 0 && l->to->n_plugins == 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "config.plugins: there is none");
        return r;
}

int import_config_parse(const char *config, size_t size, const char *network,
                        json_object *capability_args, json_object *result, ImportAttachment *ret,
                        Error *e) {
        List l = { .capability_args = capability_args, .result = result, .to = ret };
        _cleanup_json_ json_object *top = NULL;

        int r = json_parse(config, size, "config", &top, e);
        if (r < 0)
                return r;
        l.name = network ? network : text_of(top, "name");
        if (!l.name || !cni_id_is_valid(l.name, NETWORK_NAME_MAX - 1))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "config.name: wanted the name of a network, found %s",
                                  JSON_SHORT(json_get(top, "name")));
        l.version = text_of(top, "cniVersion");
        if (isempty(l.version))
                l.version = CNI_VERSION_DEFAULT;
        if (!cni_version_is_supported(l.version))
                return error_setf(e, ERROR_INCOMPATIBLE_VERSION,
                                  "config.cniVersion: wanted one of %s, found \"%.32s\"",
                                  cni_versions_text, l.version);
        _cleanup_free_ char *name = strdup(l.name), *version = strdup(l.version),
                            *copy = strndup(config, size);
        if (!name || !version || !copy)
                return error_oom(e);
        l.name = name;
        l.version = version;
        r = read_plugins(top, &l, e);
        if (r < 0) {
                plugins_clear(ret);
                return r;
        }
        ret->role = role_of(ret);
        free(ret->network);
        ret->network = TAKE_PTR(name);
        free(ret->config);
        ret->config = TAKE_PTR(copy);
        free(ret->version);
        ret->version = TAKE_PTR(version);
        return 0;
}

/* ---- result ----------------------------------------------------------------------------------- */

/* Of the interface, as far as the result tells them apart. */
static bool is_of_interface(const CniOwnedResult *r, int interface, const char *ifname) {
        if (interface < 0 || (size_t) interface >= r->n_interfaces)
                return true;
        return isempty(r->interfaces[interface].name) ||
               streq(r->interfaces[interface].name, ifname);
}

static int take_interface(ImportAttachment *a, const CniOwnedResult *r) {
        for (size_t i = 0; i < r->n_interfaces; i++) {
                const CniInterface *itf = &r->interfaces[i];

                if (isempty(itf->sandbox) || !streq(strempty(itf->name), a->ifname))
                        continue;
                if (itf->has_mac)
                        a->mac = itf->mac;
                if (!a->netns && strlen(itf->sandbox) <= NETNS_PATH_MAX &&
                    !(a->netns = strdup(itf->sandbox)))
                        return -ENOMEM;
        }
        return 0;
}

static int take_result(ImportAttachment *a, json_object *o, Error *e) {
        _cleanup_(cni_owned_result_clear) CniOwnedResult result = { 0 };

        if (!o)
                return 0;
        int r = cni_result_parse(o, "result", a->version, &result, e);
        if (r < 0)
                return r;
        if (result.n_ips > FOREIGN_ADDRESSES_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "result.ips: %zu, at most %u",
                                  result.n_ips, FOREIGN_ADDRESSES_MAX);
        a->addresses = new0(InPrefix, result.n_ips + 1);
        if (!a->addresses || take_interface(a, &result) < 0)
                return error_oom(e);
        for (size_t i = 0; i < result.n_ips; i++)
                if (is_of_interface(&result, result.ips[i].interface, a->ifname))
                        a->addresses[a->n_addresses++] = result.ips[i].address;
        const CniResult view = cni_owned_result_view(&result);
        return cni_result_to_json(&view, "1.1.0", &a->result, e);
}

/* ---- the file --------------------------------------------------------------------------------- */

typedef struct CacheInput {
        char *kind, *container_id, *ifname, *network, *netns, *config; /* owned */
        json_object *cni_args, *capability_args, *result;              /* borrowed */
} CacheInput;

static void cache_input_clear(CacheInput *in) {
        free(in->kind);
        free(in->container_id);
        free(in->ifname);
        free(in->network);
        free(in->netns);
        free(in->config);
}

static int keep_value(json_object *value, const char *path _unused_, void *target,
                      Error *e _unused_) {
        *(json_object **) target = value;
        return 0;
}

static const JsonField cache_fields[] = {
        { "kind", json_read_string, offsetof(CacheInput, kind), 0 },
        { "containerId", json_read_string, offsetof(CacheInput, container_id), 0 },
        { "ifName", json_read_string, offsetof(CacheInput, ifname), 0 },
        { "networkName", json_read_string, offsetof(CacheInput, network), 0 },
        { "netns", json_read_string, offsetof(CacheInput, netns), 0 },
        { "config", json_read_string, offsetof(CacheInput, config), 0 },
        { "cniArgs", keep_value, offsetof(CacheInput, cni_args), 0 },
        { "capabilityArgs", keep_value, offsetof(CacheInput, capability_args), 0 },
        { "result", keep_value, offsetof(CacheInput, result), 0 },
        {},
};

/* [["K", "V"]] as the CNI_ARGS that libcni makes of it; owned. -EINVAL: it is no such list. */
static int args_text(json_object *list, char **ret) {
        _cleanup_free_ char *all = strdup("");

        for (size_t i = 0; all && list && i < json_object_array_length(list); i++) {
                json_object *pair = json_object_array_get_idx(list, i);
                json_object *k = NULL, *v = NULL;

                if (json_object_is_type(pair, json_type_array) &&
                    json_object_array_length(pair) == 2) {
                        k = json_object_array_get_idx(pair, 0);
                        v = json_object_array_get_idx(pair, 1);
                }
                if (!json_object_is_type(k, json_type_string) ||
                    !json_object_is_type(v, json_type_string))
                        return -EINVAL;
                char *more = strf("%s%s%s=%s", all, i ? ";" : "", json_object_get_string(k),
                                  json_object_get_string(v));
                free(all);
                all = more;
        }
        if (!all)
                return -ENOMEM;
        if (strlen(all) > CNI_ARGS_MAX)
                return -EINVAL;
        *ret = TAKE_PTR(all);
        return 0;
}

static int check_input(const CacheInput *in, Error *e) {
        if (!streq_ptr(in->kind, CACHE_KIND))
                return error_setf(e, ERROR_NOT_SUPPORTED,
                                  "kind: wanted \"%s\", found \"%.32s\": an entry of libcni before "
                                  "0.8 has no configuration, and cannot be taken over",
                                  CACHE_KIND, strempty(in->kind));
        if (!in->container_id || !cni_id_is_valid(in->container_id, CONTAINER_ID_MAX))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "containerId: wanted the id of a container, found \"%.64s\"",
                                  strempty(in->container_id));
        if (!in->ifname || !ifname_is_valid(in->ifname))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "ifName: wanted the name of an interface, found \"%.64s\"",
                                  strempty(in->ifname));
        if (!in->network || !in->config)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: wanted, found nothing",
                                  in->network ? "config" : "networkName");
        if (in->cni_args && (!json_object_is_type(in->cni_args, json_type_array) ||
                             json_object_array_length(in->cni_args) > CNI_ARGS_PAIRS_MAX))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "cniArgs: wanted a list of at most %u pairs, found %s",
                                  CNI_ARGS_PAIRS_MAX, JSON_SHORT(in->cni_args));
        return 0;
}

static int cache_build(const CacheInput *in, ImportAttachment *a, Error *e) {
        _cleanup_free_ char *config = NULL;
        size_t size;

        int r = base64_decode(in->config, CONFIG_SIZE_MAX, &config, &size);
        if (r < 0)
                return r == -ENOMEM ? error_oom(e)
                                    : error_setf(e, ERROR_DECODE,
                                                 "config: wanted base64, found \"%.32s\"",
                                                 in->config);
        a->container_id = strdup(in->container_id);
        a->ifname = strdup(in->ifname);
        if (!a->container_id || !a->ifname)
                return error_oom(e);
        if (!isempty(in->netns) && strlen(in->netns) <= NETNS_PATH_MAX &&
            !(a->netns = strdup(in->netns)))
                return error_oom(e);
        r = args_text(in->cni_args, &a->args);
        if (r < 0)
                return r == -ENOMEM ? error_oom(e)
                                    : error_setf(e, ERROR_INVALID_ARGUMENT,
                                                 "cniArgs: wanted pairs of strings, at most %u bytes, "
                                                 "found %s",
                                                 CNI_ARGS_MAX, JSON_SHORT(in->cni_args));
        r = import_config_parse(config, size, in->network, in->capability_args, in->result, a, e);
        return r < 0 || a->role != IMPORT_INTERFACE ? r : take_result(a, in->result, e);
}

int import_cache_parse(const char *text, size_t size, const char *file, ImportAttachment *ret,
                       Error *e) {
        _cleanup_(import_attachment_clear) ImportAttachment a = { 0 };
        _cleanup_(cache_input_clear) CacheInput in = { 0 };
        _cleanup_json_ json_object *o = NULL;

        int r = json_parse(text, size, "the file", &o, e);
        if (r >= 0)
                r = json_read_object(o, "", cache_fields, JSON_UNKNOWN_IGNORE, &in, e);
        if (r >= 0)
                r = check_input(&in, e);
        if (r >= 0)
                r = cache_build(&in, &a, e);
        if (r < 0)
                return r;
        a.file = strdup(file);
        if (!a.file)
                return error_oom(e);
        *ret = a;
        a = (ImportAttachment) { 0 };
        return 0;
}
