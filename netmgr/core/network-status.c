/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From attachments to network-status, and the writer of that text; see network-status.h. */

#include "core/network-status.h"

#include <inttypes.h>
#include <linux/rtnetlink.h>
#include <stdio.h>

#include "core/attachment.h"
#include "core/nic.h"

/* Of the device information specification that "device-info" follows. */
#define DEVICE_INFO_VERSION "1.1.0"

/* --- one entry ----------------------------------------------------------------------------------- */

/* One interface, whatever its source; everything is borrowed. */
typedef struct Entry {
        const char *name, *ifname;
        const char *mac; /* "": none */
        uint32_t mtu;    /* 0: not told */
        json_object *ips, *gateways;
        const NetDns *dns;
        const char *pci_address; /* NULL: no such device */
} Entry;

/* Go leaves out what is empty. */
static int add_text(json_object *o, const char *key, const char *text) {
        return isempty(text) ? 0 : json_add_string(o, key, text);
}

static int add_list(json_object *o, const char *key, json_object *list) {
        return json_object_array_length(list) == 0 ? 0 : json_add(o, key, json_object_get(list));
}

static int add_strv(json_object *o, const char *key, char **l) {
        _cleanup_json_ json_object *list = json_object_new_array();

        for (size_t i = 0; list && l && l[i]; i++)
                if (json_append(list, json_object_new_string(l[i])) < 0)
                        return -ENOMEM;
        return list ? add_list(o, key, list) : -ENOMEM;
}

static json_object *dns_to_json(const NetDns *dns) {
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || add_strv(o, "nameservers", dns->nameservers) < 0 ||
            add_text(o, "domain", dns->domain) < 0 || add_strv(o, "search", dns->search) < 0 ||
            add_strv(o, "options", dns->options) < 0)
                return NULL;
        return TAKE_PTR(o);
}

static json_object *pci_to_json(const char *address) {
        _cleanup_json_ json_object *o = json_object_new_object(), *pci = json_object_new_object();

        if (!o || !pci || json_add_string(o, "type", "pci") < 0 ||
            json_add_string(o, "version", DEVICE_INFO_VERSION) < 0 ||
            json_add_string(pci, "pci-address", address) < 0 ||
            json_add(o, "pci", TAKE_PTR(pci)) < 0)
                return NULL;
        return TAKE_PTR(o);
}

/* The order of the keys is that of the library's struct. */
static json_object *entry_to_json(const Entry *e, bool is_default) {
        _cleanup_json_ json_object *o = json_object_new_object();

        if (!o || json_add_string(o, "name", e->name) < 0 ||
            add_text(o, "interface", e->ifname) < 0 || add_list(o, "ips", e->ips) < 0 ||
            add_text(o, "mac", e->mac) < 0 ||
            (e->mtu > 0 && json_add(o, "mtu", json_object_new_int64(e->mtu)) < 0) ||
            (is_default && json_add(o, "default", json_object_new_boolean(true)) < 0) ||
            json_add(o, "dns", dns_to_json(e->dns)) < 0 ||
            (e->pci_address && json_add(o, "device-info", pci_to_json(e->pci_address)) < 0) ||
            add_list(o, "gateway", e->gateways) < 0)
                return NULL;
        return TAKE_PTR(o);
}

/* Default routes that somebody's table of policies has are not the interface's. */
static json_object *default_gateways(const NetRoute *routes, size_t n) {
        _cleanup_json_ json_object *list = json_object_new_array();

        for (size_t i = 0; list && i < n; i++) {
                const NetRoute *r = &routes[i];
                if (r->dst.length != 0 || !in_addr_is_set(&r->gw) ||
                    (r->table >= 0 && r->table != RT_TABLE_UNSPEC && r->table != RT_TABLE_MAIN))
                        continue;
                if (json_append(list, json_object_new_string(IN_ADDR_STR(&r->gw))) < 0)
                        return NULL;
        }
        return TAKE_PTR(list);
}

/* "NAMESPACE/NAME", else the name in the CNI configuration. */
static const char *name_of(const Attachment *a) {
        return a->spec.reference  ? a->spec.reference
               : a->spec.cni_name ? a->spec.cni_name
                                  : a->network->name;
}

static const char *pci_address_of(const Attachment *a) {
        const NicState *nic = a->spec.nic;
        return nic && streq(nic->parent_bus, "pci") ? nic->parent_name : NULL;
}

/* --- of ours ------------------------------------------------------------------------------------- */

static int append_own(json_object *all, const Attachment *a, bool is_default) {
        _cleanup_json_ json_object *ips = json_object_new_array(), *gateways = NULL;
        const AttachmentSpec *s = &a->spec;

        if (!ips)
                return -ENOMEM;
        for (size_t i = 0; i < s->n_addresses; i++)
                if (json_append(ips, json_object_new_string(IN_ADDR_STR(
                                                     &s->addresses[i].address.address))) < 0)
                        return -ENOMEM;
        gateways = default_gateways(s->routes, s->n_routes);
        if (!gateways)
                return -ENOMEM;
        const Entry e = { .name = name_of(a),
                          .ifname = s->ifname,
                          .mac = mac_is_zero(&s->mac) ? "" : MAC_STR(&s->mac),
                          .mtu = spec_sandbox_mtu(s),
                          .ips = ips,
                          .gateways = gateways,
                          .dns = &s->dns,
                          .pci_address = pci_address_of(a) };
        return json_append(all, entry_to_json(&e, is_default));
}

/* --- of others ----------------------------------------------------------------------------------- */

/* An address belongs to the interface that its index says; without one, or where there is but one interface, to the
 * last that is in the sandbox. */
static bool ip_is_of(const CniOwnedResult *r, const CniIp *ip, size_t interface, size_t last) {
        return ip->interface < 0 || r->n_interfaces == 1 ? interface == last
                                                         : (size_t) ip->interface == interface;
}

static int append_interface(json_object *all, const Attachment *a, const CniOwnedResult *r,
                            size_t index, size_t last, bool is_default) {
        _cleanup_json_ json_object *ips = json_object_new_array(),
                                   *gateways = default_gateways(r->routes, r->n_routes);
        const CniInterface *itf = &r->interfaces[index];
        const AttachmentSpec *s = &a->spec;

        if (!ips || !gateways)
                return -ENOMEM;
        for (size_t i = 0; i < r->n_ips; i++)
                if (ip_is_of(r, &r->ips[i], index, last) &&
                    json_append(ips, json_object_new_string(
                                                     IN_ADDR_STR(&r->ips[i].address.address))) < 0)
                        return -ENOMEM;
        Entry e = { .name = name_of(a),
                    .ifname = itf->name,
                    .mac = itf->mac_text  ? itf->mac_text
                           : itf->has_mac ? MAC_STR(&itf->mac)
                                          : "",
                    .mtu = itf->mtu,
                    .ips = ips,
                    .gateways = gateways,
                    .dns = &r->dns,
                    .pci_address = itf->pci_id };
        /* What a plugin behind that one has made of it. */
        bool own = streq(itf->name, s->ifname);
        e.mac = own && !mac_is_zero(&s->mac) ? MAC_STR(&s->mac) : e.mac;
        e.mtu = own && spec_sandbox_mtu(s) > 0 ? spec_sandbox_mtu(s) : e.mtu;
        return json_append(all, entry_to_json(&e, is_default));
}

/* The interface with a gateway, else the first. */
static size_t default_interface(const CniOwnedResult *r, size_t first) {
        for (size_t i = 0; i < r->n_ips; i++)
                if (r->ips[i].interface >= 0 && in_addr_is_set(&r->ips[i].gateway) &&
                    !isempty(r->interfaces[r->ips[i].interface].sandbox))
                        return (size_t) r->ips[i].interface;
        return first;
}

/* One result may have several interfaces in the sandbox: an entry each. 0: it says nothing of any. */
static int append_result(json_object *all, const Attachment *a, bool is_default) {
        _cleanup_(cni_owned_result_clear) CniOwnedResult result = { 0 };
        _cleanup_json_ json_object *o = NULL;
        size_t first = SIZE_MAX, last = 0;

        if (!a->result || json_parse(a->result, strlen(a->result), "result", &o, NULL) < 0 ||
            cni_result_parse(o, "result", "1.1.0", &result, NULL) < 0)
                return 0;
        for (size_t i = 0; i < result.n_interfaces; i++)
                if (!isempty(result.interfaces[i].sandbox)) {
                        first = MIN_OF(first, i);
                        last = i;
                }
        if (first == SIZE_MAX)
                return 0;
        size_t chosen = default_interface(&result, first);
        for (size_t i = first; i <= last; i++)
                if (!isempty(result.interfaces[i].sandbox) &&
                    append_interface(all, a, &result, i, last, is_default && i == chosen) < 0)
                        return -ENOMEM;
        return 1;
}

/* --- the sandbox --------------------------------------------------------------------------------- */

static int by_position(const void *x, const void *y) {
        const Attachment *a = *(const Attachment *const *) x, *b = *(const Attachment *const *) y;

        if (a->spec.position != b->spec.position)
                return a->spec.position < b->spec.position ? -1 : 1;
        return a->spec.id < b->spec.id ? -1 : a->spec.id > b->spec.id;
}

/* A runtime has a call of its own for loopback, of which no multiplexer ever knew. */
static Attachment **attachments_in_order(const Sandbox *s, size_t *ret_n) {
        Attachment **all = new0(Attachment *, s->n_attachments + 1), *a;
        size_t n = 0;

        if (!all)
                return NULL;
        LIST_FOREACH (a, &s->attachments, Attachment, by_sandbox)
                if (a->state == ATTACHMENT_UP && a->spec.kind != NET_KIND_LOOPBACK)
                        all[n++] = a;
        qsort(all, n, sizeof(Attachment *), by_position);
        *ret_n = n;
        return all;
}

json_object *sandbox_network_status(const Sandbox *s) {
        _cleanup_json_ json_object *all = json_object_new_array();
        size_t n;
        _cleanup_free_ Attachment **list = attachments_in_order(s, &n);
        bool has_default = false;

        if (!all || !list)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                /* Several calls of a runtime each have an interface of position 0; the first is the default. */
                bool is_default = !has_default && !list[i]->spec.parent[0];
                int r = list[i]->spec.kind == NET_KIND_FOREIGN
                                        ? append_result(all, list[i], is_default)
                                        : 0;
                if (r == 0)
                        r = append_own(all, list[i], is_default);
                if (r < 0)
                        return NULL;
                has_default |= is_default;
        }
        return TAKE_PTR(all);
}

/* --- text ---------------------------------------------------------------------------------------- */

/* encoding/json escapes for HTML, too. */
static void write_string(FILE *f, const char *s, size_t size) {
        putc_unlocked('"', f);
        for (size_t i = 0; i < size; i++) {
                unsigned char c = (unsigned char) s[i];

                if (c == '"' || c == '\\')
                        fprintf(f, "\\%c", c);
                else if (c == '\b' || c == '\f' || c == '\n' || c == '\r' || c == '\t')
                        fprintf(f, "\\%c",
                                c == '\b'   ? 'b'
                                : c == '\f' ? 'f'
                                : c == '\n' ? 'n'
                                : c == '\r' ? 'r'
                                            : 't');
                else if (c < 0x20 || c == '<' || c == '>' || c == '&')
                        fprintf(f, "\\u%04x", c);
                else if (size - i > 2 && c == 0xe2 && (unsigned char) s[i + 1] == 0x80 &&
                         ((unsigned char) s[i + 2] & 0xfe) == 0xa8) {
                        fprintf(f, "\\u202%c", (unsigned char) s[i + 2] == 0xa8 ? '8' : '9');
                        i += 2;
                } else
                        putc_unlocked(c, f);
        }
        putc_unlocked('"', f);
}

static void write_line(FILE *f, unsigned depth) {
        fprintf(f, "\n%*s", (int) depth * 4, "");
}

static void write_value(FILE *f, json_object *v, unsigned depth);

static void write_array(FILE *f, json_object *v, unsigned depth) {
        size_t n = json_object_array_length(v);

        putc_unlocked('[', f);
        for (size_t i = 0; i < n; i++) {
                if (i > 0)
                        putc_unlocked(',', f);
                write_line(f, depth + 1);
                write_value(f, json_object_array_get_idx(v, i), depth + 1);
        }
        if (n > 0)
                write_line(f, depth);
        putc_unlocked(']', f);
}

static void write_object(FILE *f, json_object *v, unsigned depth) {
        bool first = true;

        putc_unlocked('{', f);
        json_object_object_foreach(v, key, value) {
                if (!first)
                        putc_unlocked(',', f);
                first = false;
                write_line(f, depth + 1);
                write_string(f, key, strlen(key));
                fputs(": ", f);
                write_value(f, value, depth + 1);
        }
        if (!first)
                write_line(f, depth);
        putc_unlocked('}', f);
}

static void write_value(FILE *f, json_object *v, unsigned depth) {
        if (json_object_is_type(v, json_type_object))
                write_object(f, v, depth);
        else if (json_object_is_type(v, json_type_array))
                write_array(f, v, depth);
        else if (json_object_is_type(v, json_type_string))
                write_string(f, json_object_get_string(v), (size_t) json_object_get_string_len(v));
        else if (json_object_is_type(v, json_type_int))
                fprintf(f, "%" PRId64, json_object_get_int64(v));
        else if (json_object_is_type(v, json_type_boolean))
                fputs(json_object_get_boolean(v) ? "true" : "false", f);
        else
                fputs("null", f); /* there are no other numbers in a status */
}

/* A stream in memory, closed; NULL: there was not enough. */
static char *finish_text(FILE *f, char **text) {
        bool failed = ferror(f);

        if (fclose(f) != 0 || failed) {
                free(*text);
                *text = NULL;
        }
        return *text;
}

char *json_to_go_text(json_object *v) {
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        write_value(f, v, 0);
        return finish_text(f, &text);
}

/* The library joins objects that it has written one by one. */
static char *status_text(json_object *all) {
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);

        if (!f)
                return NULL;
        putc_unlocked('[', f);
        for (size_t i = 0; i < json_object_array_length(all); i++) {
                if (i > 0)
                        putc_unlocked(',', f);
                write_value(f, json_object_array_get_idx(all, i), 0);
        }
        putc_unlocked(']', f);
        return finish_text(f, &text);
}

/* --- CNI-Genie ----------------------------------------------------------------------------------- */

static int by_name(const void *x, const void *y) {
        return strcmp(*(const char *const *) x, *(const char *const *) y);
}

/* Its map of addresses is written in the order of the keys: ip1, ip10, ip2. */
static json_object *sorted(json_object *o) {
        _cleanup_json_ json_object *copy = json_object_new_object();
        _cleanup_free_ const char **keys =
                        new0(const char *, (size_t) json_object_object_length(o) + 1);
        size_t n = 0;

        if (!copy || !keys)
                return NULL;
        json_object_object_foreach(o, key, value) {
                (void) value;
                keys[n++] = key;
        }
        qsort(keys, n, sizeof(*keys), by_name);
        for (size_t i = 0; i < n; i++)
                if (json_add(copy, keys[i], json_object_get(json_object_object_get(o, keys[i]))) <
                    0)
                        return NULL;
        return TAKE_PTR(copy);
}

static int add_preference(json_object *ips, json_object *entry, size_t number) {
        json_object *first = json_object_array_get_idx(json_get(entry, "ips"), 0);
        _cleanup_json_ json_object *o = json_object_new_object();
        char key[16];

        snprintf(key, sizeof(key), "ip%zu", number);
        if (!o || json_add(o, "ip", json_object_get(first)) < 0 ||
            json_add(o, "interface", json_object_get(json_get(entry, "interface"))) < 0)
                return -ENOMEM;
        return json_add(ips, key, TAKE_PTR(o));
}

static char *multi_ip_text(json_object *all) {
        _cleanup_json_ json_object *o = json_object_new_object(), *ips = json_object_new_object();
        size_t n = 0;

        if (!o || !ips)
                return NULL;
        for (size_t i = 0; i < json_object_array_length(all); i++) {
                json_object *entry = json_object_array_get_idx(all, i);
                if (json_get(entry, "ips") && add_preference(ips, entry, ++n) < 0)
                        return NULL;
        }
        if (n < 2)
                return strdup("");
        if (json_add(o, "multi_entry", json_object_new_int64((int64_t) n)) < 0 ||
            json_add(o, "ips", sorted(ips)) < 0)
                return NULL;
        return json_to_text(o);
}

/* --- for others ---------------------------------------------------------------------------------- */

int sandbox_status_texts(const Sandbox *s, char **ret_status, char **ret_multi_ip) {
        _cleanup_json_ json_object *all = sandbox_network_status(s);
        _cleanup_free_ char *status = all ? status_text(all) : NULL,
                            *multi_ip = all && ret_multi_ip ? multi_ip_text(all) : NULL;

        if (!status || (ret_multi_ip && !multi_ip))
                return -ENOMEM;
        if (ret_status)
                *ret_status = TAKE_PTR(status);
        if (ret_multi_ip)
                *ret_multi_ip = TAKE_PTR(multi_ip);
        return 0;
}

char *sandbox_network_status_text(const Sandbox *s) {
        char *text;
        return sandbox_status_texts(s, &text, NULL) < 0 ? NULL : text;
}

char *sandbox_multi_ip_text(const Sandbox *s) {
        char *text;
        return sandbox_status_texts(s, NULL, &text) < 0 ? NULL : text;
}
