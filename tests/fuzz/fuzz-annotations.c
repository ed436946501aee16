/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The annotations of a pod. The first byte says which one the rest is (`kinds`); 'j': all of them as one JSON object;
 * anything else: one item of a command line. What is accepted has valid names, once each after naming; what is kept
 * says the same when it is read again.
 */

#include "base/strv.h"
#include "cri/annotations/selection.h"
#include "fuzz-invariants.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const struct {
        char letter;
        const char *key;
} kinds[] = {
        { 'n', ANNOTATION_NETWORKS }, { 'd', ANNOTATION_DEFAULT_NETWORK },
        { 'g', ANNOTATION_GENIE },    { 'D', ANNOTATION_DANM },
        { 'O', ANNOTATION_DANM_OLD }, { 'o', ANNOTATION_OWNER },
};

static void require_routes(const NetSelection *s) {
        require(s->n_routes <= 2 * ROUTES_MAX);
        for (size_t i = 0; i < s->n_routes; i++) {
                const NetRoute *r = &s->routes[i];

                require(r->gw.family == r->dst.address.family && !in_prefix_has_host_bits(&r->dst));
                require(r->table == -1 && r->scope == -1);
                require((r->gw.family == AF_INET ? s->ipv4 : s->ipv6) != SELECTION_NONE);
        }
}

static void require_selection(const NetSelection *s) {
        require(s->where && s->name);
        require(!s->name[0] ? streq(s->where, ANNOTATION_GENIE "[0]")
                            : cni_id_is_valid(s->name, NETWORK_NAME_MAX));
        require(!s->namespace || dns_label_is_valid(s->namespace, strlen(s->namespace)));
        require(!s->ifname[0] || ifname_is_valid(s->ifname));
        require(s->n_ips <= RANGE_SETS_MAX && (s->bare_ips >> s->n_ips) == 0);
        for (size_t i = 0; i < s->n_ips; i++) {
                require(!in_addr_is_unspecified(&s->ips[i].address) &&
                        !in_addr_is_multicast(&s->ips[i].address));
                require(!(s->bare_ips >> i & 1) ||
                        s->ips[i].length == family_bits(s->ips[i].address.family));
                for (size_t j = 0; j < i; j++)
                        require(!in_addr_equal(&s->ips[i].address, &s->ips[j].address));
        }
        require(!(s->mac.bytes[0] & 1));
        require(!s->infiniband_guid || strlen(s->infiniband_guid) == 23);
        require_ports(s->ports, s->n_ports);
        require_bandwidth(&s->bandwidth);
        require(!s->cni_args || json_object_is_type(s->cni_args, json_type_object));
        require(s->has_default_route || s->n_gateways == 0);
        require(s->n_gateways <= GATEWAYS_MAX);
        require(!s->ipam_claim || (dns_subdomain_is_valid(s->ipam_claim) && s->n_ips == 0));
        require(!s->device_id || !strchr(s->device_id, '/'));
        require_routes(s);
}

static void require_names(NetSelections *s) {
        _cleanup_error_ Error e = ERROR_NULL;
        size_t n = s->n_items;

        int r = net_selections_name(s, "eth0", &e);
        require((r < 0) == error_is_set(&e) && s->n_items == n);
        for (size_t i = 0; i < n && r >= 0; i++) {
                require(ifname_is_valid(s->items[i].ifname));
                require(streq(s->items[i].ifname, "eth0") == (i == 0 && s->replaces_default));
                for (size_t j = 0; j < i; j++)
                        require(!streq(s->items[i].ifname, s->items[j].ifname) &&
                                !streq(s->items[i].where, s->items[j].where));
        }
}

/* The ledger's text asks for the same. */
static void require_kept(json_object *annotations, const NetSelections *s) {
        _cleanup_(net_selections_clear) NetSelections again = { 0 };
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_json_ json_object *o = NULL;
        _cleanup_free_ char *kept = NULL;

        require(net_selections_keep(annotations, &kept) >= 0);
        require(kept || s->n_items == 0);
        /* Escapes may make it longer than a text that we read. */
        if (!kept || json_parse(kept, strlen(kept), "kept", &o, NULL) < 0)
                return;
        require(net_selections_parse(o, &again, &e) >= 0);
        require(again.n_items == s->n_items && again.replaces_default == s->replaces_default &&
                streq_ptr(again.owner, s->owner));
        for (size_t i = 0; i < s->n_items; i++)
                require(streq(again.items[i].name, s->items[i].name) &&
                        streq(again.items[i].where, s->items[i].where) &&
                        again.items[i].n_ips == s->items[i].n_ips);
}

static void check_item(const char *text) {
        _cleanup_(net_selection_clear) NetSelection s = { 0 };
        _cleanup_error_ Error e = ERROR_NULL;

        int r = net_selection_parse_item(text, "NETWORK", &s, &e);
        require((r < 0) == error_is_set(&e) && (r < 0) == (s.where == NULL));
        if (r >= 0)
                require_selection(&s);
}

static void check_annotations(json_object *annotations) {
        _cleanup_(net_selections_clear) NetSelections s = { 0 };
        _cleanup_error_ Error e = ERROR_NULL;
        size_t with_default = 0;

        int r = net_selections_parse(annotations, &s, &e);
        require((r < 0) == error_is_set(&e));
        if (r < 0) {
                require(s.n_items == 0 && !s.owner);
                require(error_message(&e)[0]);
                return;
        }
        require(s.n_items <= SELECTIONS_MAX && (s.n_items > 0 || !s.replaces_default));
        require(streq(s.prefix, "net") || (streq(s.prefix, "eth") && s.replaces_default));
        for (size_t i = 0; i < s.n_items; i++) {
                require_selection(&s.items[i]);
                with_default += s.items[i].has_default_route;
        }
        require(with_default <= 1);
        require_kept(annotations, &s);
        require_names(&s);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_json_ json_object *o = NULL;
        _cleanup_free_ char *text = NULL;
        const char *key = NULL;

        if (size == 0)
                return 0;
        if (data[0] == 'j') {
                if (json_parse((const char *) data + 1, size - 1, "annotations", &o, NULL) >= 0)
                        check_annotations(o);
                return 0;
        }
        for (size_t i = 0; i < ELEMENTSOF(kinds) && !key; i++)
                if (kinds[i].letter == (char) data[0])
                        key = kinds[i].key;
        if (!key) {
                if ((text = strndup((const char *) data + 1, size - 1)))
                        check_item(text);
                return 0;
        }
        o = json_object_new_object();
        require(o && json_add(o, key,
                              json_object_new_string_len((const char *) data + 1,
                                                         (int) (size - 1))) >= 0);
        check_annotations(o);
        return 0;
}
