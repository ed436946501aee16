/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* See network-description.h. */

#include "cri/network-description.h"

#include "base/parse.h"

void net_description_clear(NetDescription *d) {
        free(d->name);
        netconf_free(d->conf);
        net_list_free(d->list);
        free(d->alias);
        *d = (NetDescription) { 0 };
}

/* The configuration of the first plugin, as that plugin reads it. */
static int read_first(const NetList *l, NetConf **ret, Error *e) {
        const NetListPlugin *first = &l->plugins[0];
        _cleanup_free_ char *text = NULL;

        if (first->plugin < 0)
                return netconf_new_foreign(l->name, ret) < 0 ? error_oom(e) : 0;
        if (net_list_plugin_text(first, &(NetListCall) { 0 }, &text) < 0)
                return error_oom(e);
        return netconf_parse_as(first->plugin, text, strlen(text), ret, e);
}

/* Several plugins, or one that is not netmgr. */
static int read_list(const char *text, size_t size, const char *fallback_name, NetDescription *d,
                     Error *e) {
        int r = net_list_parse(text, size, fallback_name, &d->list, e);
        if (r >= 0)
                r = read_first(d->list, &d->conf, e);
        if (r >= 0 && d->conf->network && d->list->n_plugins > 1)
                r = error_setf(e, ERROR_INVALID_ARGUMENT,
                               "plugins[0]: \"network\": \"%s\": the description of a network cannot "
                               "point to another one",
                               d->conf->network);
        if (r >= 0 && d->conf->n_any_of > 0 && d->list->n_plugins > 1)
                r = error_setf(e, ERROR_INVALID_ARGUMENT,
                               "plugins[0]: \"anyOf\" chooses a network, which has plugins of its "
                               "own; let it stand alone");
        return r;
}

/* --- manifests ----------------------------------------------------------------------------------- */

static int set_alias(NetDescription *d, const char *alias) {
        NetConf *conf = NULL;

        if (!(d->alias = strdup(alias)) || netconf_new_foreign(d->name, &conf) < 0)
                return -ENOMEM;
        netconf_free(d->conf);
        d->conf = conf;
        d->list = net_list_free(d->list);
        return 0;
}

static int read_manifest(json_object *top, const char *name, NetDescription *d, Error *e) {
        _cleanup_(nad_manifest_clear) NadManifest m = { 0 };

        int r = nad_manifest_read(top, &m, e);
        if (r < 0)
                return r;
        d->name = strf("%s/%s", m.namespace, m.name);
        if (!d->name)
                return error_oom(e);
        if (name && !streq(d->name, name))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "metadata: wanted a manifest of network %s, found one of %s",
                                  name, d->name);
        if (!m.config)
                return set_alias(d, m.name) < 0 ? error_oom(e) : 0;
        r = read_list(m.config, strlen(m.config), m.name, d, e);
        if (r < 0) {
                error_prefixf(e, "spec.config");
                return r;
        }
        if (d->conf->network) {
                _cleanup_free_ char *other = strdup(d->conf->network);
                return !other || set_alias(d, other) < 0 ? error_oom(e) : 0;
        }
        /* A plugin of others that gives the addresses wants the exact text: as with any list. */
        if (net_list_is_plain(d->list) && d->conf->ipam != NET_IPAM_FOREIGN)
                d->list = net_list_free(d->list);
        return 0;
}

/* --- configurations ------------------------------------------------------------------------------ */

static bool is_netmgr(json_object *plugin) {
        json_object *type = json_get(plugin, "type");

        return !type || (json_object_is_type(type, json_type_string) &&
                         streq(json_object_get_string(type), "netmgr"));
}

/* Exactly one plugin, and that netmgr, or nothing that could be another. */
static bool looks_plain(json_object *top, bool *ret_list) {
        json_object *plugins = NULL;

        *ret_list = json_has(top, "plugins", &plugins);
        if (!*ret_list)
                return is_netmgr(top);
        return !json_object_is_type(plugins, json_type_array) ||
               (json_object_array_length(plugins) == 1 &&
                is_netmgr(json_object_array_get_idx(plugins, 0)));
}

static int check_name(const char *found, const char *name, Error *e) {
        if (!name || streq_ptr(found, name))
                return 0;
        return error_setf(e, ERROR_INVALID_ARGUMENT,
                          "name: wanted a configuration of network %s, found one of \"%s\"", name,
                          strempty(found));
}

static int read_plain(const char *text, size_t size, const char *name, bool list, NetDescription *d,
                      Error *e) {
        int r;

        if (list)
                return netconf_parse_list(text, size, name, &d->conf, e);
        r = netconf_parse(text, size, &d->conf, e);
        if (r < 0)
                return r;
        if (d->conf->network)
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "name: wanted a configuration of network %s, found one that refers "
                                "to \"%s\"",
                                strempty(name), d->conf->network);
        return check_name(d->conf->name, name, e);
}

static int read_configuration(const char *text, size_t size, json_object *top, const char *name,
                              NetDescription *d, Error *e) {
        bool list = false;
        int r;

        if (looks_plain(top, &list))
                r = read_plain(text, size, name, list, d, e);
        else {
                r = read_list(text, size, name, d, e);
                if (r >= 0)
                        r = check_name(d->list->name, name, e);
        }
        if (r < 0)
                return r;
        const char *found = d->list ? d->list->name : d->conf->name;
        if (!found)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "missing network name: there is no \"name\"");
        d->name = strdup(found);
        return d->name ? 0 : error_oom(e);
}

/* What is promised of the text. */
typedef enum Promise { ANYTHING, LIST, MANIFEST } Promise;

static int parse(const char *text, size_t size, const char *name, Promise promise,
                 NetDescription *ret, Error *e) {
        _cleanup_(net_description_clear) NetDescription d = { 0 };
        _cleanup_json_ json_object *top = NULL;
        int r;

        r = json_parse(text, size, "network description", &top, e);
        if (r < 0)
                return r;
        if (!json_object_is_type(top, json_type_object))
                return error_setf(e, ERROR_DECODE,
                                  "the network description is not a JSON object: %s",
                                  JSON_SHORT(top));
        if (promise == MANIFEST || (promise == ANYTHING && nad_manifest_is(top)))
                r = read_manifest(top, name, &d, e);
        else if (promise == LIST && !json_has(top, "plugins", NULL)) /* says what is missing */
                r = read_plain(text, size, name, true, &d, e);
        else
                r = read_configuration(text, size, top, name, &d, e);
        if (r < 0)
                return r;
        *ret = d;
        d = (NetDescription) { 0 };
        return 0;
}

int net_description_parse(const char *text, size_t size, const char *name, NetDescription *ret,
                          Error *e) {
        return parse(text, size, name, ANYTHING, ret, e);
}

int net_description_parse_list(const char *text, size_t size, const char *name, NetDescription *ret,
                               Error *e) {
        return parse(text, size, name, LIST, ret, e);
}

int net_description_parse_manifest(const char *text, size_t size, NetDescription *ret, Error *e) {
        return parse(text, size, NULL, MANIFEST, ret, e);
}
