/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The part of a pod's annotations that all customs share: which of them are there, names of networks and
 * interfaces, and who may use whose network. Nothing here survives a crash: what was read is written to the
 * ledger as text (net_selections_keep()), and read again from there.
 */

#include "cri/annotations/selection-internal.h"

#include <stdio.h>
#include <strings.h>

#include "base/limits.h"
#include "base/parse.h"

#define WHITE_SPACE " \t\r\n\v\f"

void net_selection_clear(NetSelection *s) {
        free(s->where);
        free(s->namespace);
        free(s->name);
        free(s->ips);
        free(s->infiniband_guid);
        free(s->ports);
        json_object_put(s->cni_args);
        free(s->gateways);
        free(s->ipam_claim);
        free(s->device_id);
        free(s->routes);
        *s = (NetSelection) { 0 };
}

void net_selections_clear(NetSelections *s) {
        for (size_t i = 0; i < s->n_items; i++)
                net_selection_clear(&s->items[i]);
        free(s->items);
        free(s->owner);
        *s = (NetSelections) { 0 };
}

int selections_add(NetSelections *s, const char *key, size_t position, NetSelection **ret,
                   Error *e) {
        NetSelection *more;
        char *where;

        if (s->n_items >= SELECTIONS_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "%s[%zu]: one network too many; a pod can ask for %u", key,
                                  position, SELECTIONS_MAX);
        more = reallocarray(s->items, s->n_items + 1, sizeof(*more));
        if (!more)
                return error_oom(e);
        s->items = more;
        where = strf("%s[%zu]", key, position);
        if (!where)
                return error_oom(e);
        more[s->n_items] = (NetSelection) { .where = where };
        *ret = &more[s->n_items++];
        return 0;
}

/* ---- names ----------------------------------------------------------------------------------- */

/* Kubernetes' names and those of networks.d, which may have capitals and underscores. */
static int check_name(const char *name, const char *quoted, const char *path, Error *e) {
        if (cni_id_is_valid(name, NETWORK_NAME_MAX))
                return 0;
        return error_setf(
                        e, ERROR_INVALID_ARGUMENT,
                        "\"%s\": %s is not the name of a network; wanted are 1 to %u letters, digits, "
                        "'-', '_' and '.', a letter or digit first",
                        path, quoted, NETWORK_NAME_MAX);
}

static int check_namespace(const char *namespace, const char *quoted, const char *path, Error *e) {
        if (dns_label_is_valid(namespace, strlen(namespace)))
                return 0;
        return error_setf(e, ERROR_INVALID_ARGUMENT,
                          "\"%s\": %s is not a namespace; wanted are 1 to %u lower-case letters, "
                          "digits and '-', a letter or digit first and last",
                          path, quoted, DNS_LABEL_MAX);
}

int selection_name_read(json_object *value, const char *path, void *target, Error *e) {
        char **name = target;

        int r = json_read_string(value, path, name, e);
        return r < 0 ? r : check_name(*name, JSON_SHORT(value), path, e);
}

/* Go's writers leave an empty string for what was not said. */
static int unset_empty(char **s) {
        if (isempty(*s)) {
                free(*s);
                *s = NULL;
        }
        return 0;
}

int selection_namespace_read(json_object *value, const char *path, void *target, Error *e) {
        char **namespace = target;

        int r = json_read_string(value, path, namespace, e);
        if (r < 0 || isempty(*namespace))
                return r < 0 ? r : unset_empty(namespace);
        return check_namespace(*namespace, JSON_SHORT(value), path, e);
}

int selection_object_name_read(json_object *value, const char *path, void *target, Error *e) {
        char **name = target;

        int r = json_read_string(value, path, name, e);
        if (r < 0 || isempty(*name))
                return r < 0 ? r : unset_empty(name);
        if (dns_subdomain_is_valid(*name))
                return 0;
        return error_setf(e, ERROR_INVALID_ARGUMENT,
                          "\"%s\": %s is not the name of an object; wanted are 1 to %u lower-case "
                          "letters, digits, '-' and '.', a letter or digit first and last",
                          path, JSON_SHORT(value), DNS_SUBDOMAIN_MAX);
}

/* ---- pieces of the readers ------------------------------------------------------------------- */

bool selection_text_is_blank(const char *text) {
        return text[strspn(text, WHITE_SPACE)] == 0;
}

static char *trim(char *s) {
        s += strspn(s, WHITE_SPACE);
        for (size_t n = strlen(s); n > 0 && strchr(WHITE_SPACE, s[n - 1]); n--)
                s[n - 1] = 0;
        return s;
}

static int check_ifname(const char *ifname, const char *where, Error *e) {
        if (ifname_is_valid(ifname))
                return 0;
        return error_setf(
                        e, ERROR_INVALID_ARGUMENT,
                        "\"%s\": \"%.64s\" behind '@' is not an interface name (1 to %u bytes without "
                        "'/', ':', '%%' and white space)",
                        where, ifname, IFNAME_LEN_MAX);
}

/* The parts of an item, of which each may have blanks around it. */
static int fill_short(char *namespace, char *name, char *ifname, NetSelection *s, Error *e) {
        char quoted[80];
        int r = 0;

        if (namespace) {
                snprintf(quoted, sizeof(quoted), "\"%.64s\"", namespace);
                r = check_namespace(namespace, quoted, s->where, e);
        }
        if (r >= 0) {
                snprintf(quoted, sizeof(quoted), "\"%.64s\"", name);
                r = check_name(name, quoted, s->where, e);
        }
        if (r >= 0 && ifname)
                r = check_ifname(ifname, s->where, e);
        if (r < 0)
                return r;
        snprintf(s->ifname, sizeof(s->ifname), "%s", strempty(ifname));
        if (!(s->name = strdup(name)) || (namespace && !(s->namespace = strdup(namespace))))
                return error_oom(e);
        return 0;
}

/* [ namespace "/" ] name [ "@" ifname ]; the text is taken apart. */
static int read_short(char *text, NetSelection *s, Error *e) {
        char *name = trim(text), *namespace = NULL, *ifname, *slash;

        if (!name[0])
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "\"%s\": wanted a network, found nothing; is there a comma too many?",
                                s->where);
        if (!text_is_clean(name, strlen(name)))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": control characters or invalid UTF-8 in the name of a "
                                  "network",
                                  s->where);
        if ((ifname = strchr(name, '@')) && strchr(ifname + 1, '@'))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": more than one '@' in \"%.64s\"; wanted is "
                                  "NAMESPACE/NAME@INTERFACE",
                                  s->where, name);
        if (ifname)
                *ifname++ = 0;
        if ((slash = strchr(name, '/')) && strchr(slash + 1, '/'))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "\"%s\": more than one '/' in \"%.64s\"; wanted is "
                                  "NAMESPACE/NAME@INTERFACE",
                                  s->where, name);
        if (slash) {
                *slash = 0;
                namespace = trim(name);
                name = slash + 1;
        }
        return fill_short(namespace, trim(name), ifname ? trim(ifname) : NULL, s, e);
}

int selections_read_short(const char *key, const char *text, NetSelections *s, Error *e) {
        _cleanup_free_ char *copy = strdup(text);
        char *rest = copy, *item;

        if (!copy)
                return error_oom(e);
        for (size_t i = 0; (item = strsep(&rest, ",")); i++) {
                NetSelection *one;

                int r = selections_add(s, key, i, &one, e);
                if (r >= 0)
                        r = read_short(item, one, e);
                if (r < 0)
                        return r;
        }
        return 0;
}

int net_selection_parse_item(const char *text, const char *where, NetSelection *ret, Error *e) {
        _cleanup_(net_selection_clear) NetSelection s = { .where = strdup(where) };
        _cleanup_free_ char *copy = strdup(text);

        if (!copy || !s.where)
                return error_oom(e);
        int r = read_short(copy, &s, e);
        if (r < 0)
                return r;
        *ret = s;
        s = (NetSelection) { 0 };
        return 0;
}

int selections_read_list(const char *key, const char *text, SelectionReader read, NetSelections *s,
                         Error *e) {
        _cleanup_json_ json_object *list = NULL;

        int r = json_parse(text, strlen(text), key, &list, e);
        if (r < 0)
                return r;
        if (!json_object_is_type(list, json_type_array))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: wanted an array, found %s", key,
                                  JSON_SHORT(list));
        for (size_t i = 0; i < json_object_array_length(list); i++) {
                NetSelection *one;

                r = selections_add(s, key, i, &one, e);
                if (r >= 0)
                        r = read(json_object_array_get_idx(list, i), one, e);
                if (r < 0)
                        return r;
        }
        return 0;
}

int selection_check_keys(json_object *object, const char *path, const JsonField *fields,
                         bool reverse_dns, Error *e) {
        if (!json_object_is_type(object, json_type_object))
                return 0; /* json_read_object() says what it wants */
        json_object_object_foreach(object, key, value) {
                const JsonField *f = fields;

                while (f->key && strcasecmp(f->key, key) != 0)
                        f++;
                if (f->key || (reverse_dns && strchr(key, '.')))
                        continue;
                if (!text_is_clean(key, strlen(key)))
                        return error_setf(e, ERROR_UNKNOWN_OPTION,
                                          "\"%s\": a key with control characters", path);
                return error_setf(e, ERROR_UNKNOWN_OPTION,
                                  "\"%s.%.64s\": unknown key, with value %s", path, key,
                                  JSON_SHORT(value));
        }
        return 0;
}

int selection_check_address(const InAddr *a, const char *path, Error *e) {
        const char *what = in_addr_is_unspecified(a)                    ? "the unspecified address"
                           : in_addr_is_multicast(a)                    ? "a multicast address"
                           : in_addr_is_loopback(a)                     ? "a loopback address"
                           : a->family == AF_INET && a->bytes[0] == 255 ? "a broadcast address"
                                                                        : NULL;
        if (!what)
                return 0;
        return error_setf(e, ERROR_INVALID_ARGUMENT,
                          "\"%s\": %s is %s, which no interface of a pod and no gateway has", path,
                          IN_ADDR_STR(a), what);
}

/* ---- all annotations ------------------------------------------------------------------------- */

typedef enum Custom { CUSTOM_NPWG, CUSTOM_GENIE, CUSTOM_DANM } Custom;

/* The default network first. Names have case, as in Kubernetes. */
static const struct {
        const char *key;
        Custom custom;
        int (*read)(const char *key, const char *text, NetSelections *s, Error *e);
} readers[] = {
        { ANNOTATION_DEFAULT_NETWORK, CUSTOM_NPWG, selections_read_npwg },
        { ANNOTATION_NETWORKS, CUSTOM_NPWG, selections_read_npwg },
        { ANNOTATION_GENIE, CUSTOM_GENIE, selections_read_genie },
        { ANNOTATION_DANM, CUSTOM_DANM, selections_read_danm },
        { ANNOTATION_DANM_OLD, CUSTOM_DANM, selections_read_danm },
};

/* 0: absent; 1: *ret is borrowed from the object. */
static int annotation_get(json_object *annotations, const char *key, const char **ret, Error *e) {
        json_object *value = NULL;

        if (!json_object_object_get_ex(annotations, key, &value) || !value)
                return 0;
        if (!json_object_is_type(value, json_type_string))
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: wanted a string, found %s", key,
                                  JSON_SHORT(value));
        size_t size = (size_t) json_object_get_string_len(value);
        if (size > SELECTION_SIZE_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: %zu bytes, at most %u are read",
                                  key, size, SELECTION_SIZE_MAX);
        *ret = json_object_get_string(value);
        if (strlen(*ret) != size)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "%s: holds a NUL byte", key);
        return 1;
}

static int read_owner(json_object *annotations, NetSelections *s, Error *e) {
        const char *text = NULL;

        int r = annotation_get(annotations, ANNOTATION_OWNER, &text, e);
        if (r <= 0 || isempty(text))
                return r;
        if (!dns_subdomain_is_valid(text))
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "%s: wanted the name of an object (1 to %u lower-case letters, digits, "
                                "'-' and '.'), found another text",
                                ANNOTATION_OWNER, DNS_SUBDOMAIN_MAX);
        s->owner = strdup(text);
        return s->owner ? 0 : error_oom(e);
}

/* Genie's second annotation names objects of the API server that only its own controller resolves. */
static int check_logical_networks(json_object *annotations, Error *e) {
        const char *text = NULL;

        int r = annotation_get(annotations, "networks", &text, e);
        if (r <= 0 || selection_text_is_blank(text))
                return r;
        return error_setf(
                        e, ERROR_INVALID_ARGUMENT,
                        "networks: CNI-Genie's LogicalNetworks are not supported beside " ANNOTATION_GENIE
                        ": name the networks of this node in " ANNOTATION_GENIE
                        ", as \"a,b@eth1\"");
}

/* One default route is what the whole pod has. */
static int check_default_routes(const NetSelections *s, Error *e) {
        const NetSelection *first = NULL;

        for (size_t i = 0; i < s->n_items; i++) {
                const NetSelection *one = &s->items[i];

                if (!one->has_default_route)
                        continue;
                if (first)
                        return error_setf(
                                        e, ERROR_INVALID_ARGUMENT,
                                        "\"%s.default-route\": %s has one already; one network of a pod "
                                        "can give the default route",
                                        one->where, first->where);
                first = one;
        }
        return 0;
}

static int read_all(json_object *annotations, NetSelections *s, Error *e) {
        const char *text = NULL;
        size_t asked = SIZE_MAX; /* index of the first reader that found something */
        int r;

        for (size_t i = 0; i < ELEMENTSOF(readers); i++) {
                size_t before = s->n_items;

                r = annotation_get(annotations, readers[i].key, &text, e);
                bool there = r > 0;
                if (there && readers[i].custom == CUSTOM_GENIE)
                        r = check_logical_networks(annotations, e);
                if (there && r >= 0)
                        r = readers[i].read(readers[i].key, text, s, e);
                if (r < 0)
                        return r;
                if (s->n_items == before)
                        continue;
                if (asked != SIZE_MAX &&
                    (readers[asked].custom != CUSTOM_NPWG || readers[i].custom != CUSTOM_NPWG))
                        return error_setf(e, ERROR_INVALID_ARGUMENT,
                                          "%s and %s both ask for networks; wanted is one of these "
                                          "annotations, without the other",
                                          readers[asked].key, readers[i].key);
                if (asked == SIZE_MAX)
                        asked = i;
        }
        bool npwg = asked == SIZE_MAX || readers[asked].custom == CUSTOM_NPWG;
        snprintf(s->prefix, sizeof(s->prefix), "%s", npwg ? "net" : "eth");
        /* Genie's and DANM's lists have all networks of the pod, the default one among them. */
        s->replaces_default = asked != SIZE_MAX &&
                              (!npwg || streq(readers[asked].key, ANNOTATION_DEFAULT_NETWORK));
        return check_default_routes(s, e);
}

int net_selections_parse(json_object *annotations, NetSelections *ret, Error *e) {
        _cleanup_(net_selections_clear) NetSelections s = { 0 };

        if (!json_object_is_type(annotations, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "annotations of the pod: wanted an object, found %s",
                                  JSON_SHORT(annotations));
        int r = read_all(annotations, &s, e);
        if (r >= 0)
                r = read_owner(annotations, &s, e);
        if (r < 0)
                return r;
        *ret = s;
        s = (NetSelections) { 0 };
        return 0;
}

static int keep(json_object *annotations, const char *key, json_object *kept) {
        json_object *value = NULL;

        if (!json_object_object_get_ex(annotations, key, &value) ||
            !json_object_is_type(value, json_type_string))
                return 0;
        return json_add(kept, key, json_object_get(value));
}

bool net_selections_are_there(json_object *annotations) {
        for (size_t i = 0; i < ELEMENTSOF(readers); i++)
                if (json_object_object_get_ex(annotations, readers[i].key, NULL))
                        return true;
        return json_object_object_get_ex(annotations, ANNOTATION_OWNER, NULL);
}

int net_selections_keep(json_object *annotations, char **ret) {
        _cleanup_json_ json_object *kept = json_object_new_object();
        char *text = NULL;
        int r = kept ? 0 : -ENOMEM;

        for (size_t i = 0; i < ELEMENTSOF(readers) && r >= 0; i++)
                r = keep(annotations, readers[i].key, kept);
        if (r >= 0)
                r = keep(annotations, ANNOTATION_OWNER, kept);
        if (r < 0)
                return r;
        if (json_object_object_length(kept) > 0 && !(text = json_to_text(kept)))
                return -ENOMEM;
        *ret = text;
        return 0;
}
