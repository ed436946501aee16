/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Objects of whereabouts, as kubectl dumps them; see import.h. Keys of the API server are let pass. */

#include "base/limits.h"
#include "base/parse.h"
#include "cri/import.h"

#define OVERLAPPING "overlapping"

static void pool_clear(ImportPool *p) {
        for (size_t i = 0; i < p->n; i++) {
                free(p->addresses[i].id);
                free(p->addresses[i].ifname);
        }
        free(p->addresses);
        free(p->name);
}

void import_pools_clear(ImportPools *p) {
        for (size_t i = 0; i < p->n; i++)
                pool_clear(&p->pools[i]);
        free(p->pools);
        *p = (ImportPools) { 0 };
}

int import_pool_add(ImportPool *p, const InPrefix *address, const char *id, const char *ifname) {
        /* Doubling at powers of two: no field for what is allocated. */
        if ((p->n & (p->n - 1)) == 0) {
                ImportAddress *more =
                                reallocarray(p->addresses, p->n ? 2 * p->n : 1, sizeof(*more));
                if (!more)
                        return -ENOMEM;
                p->addresses = more;
        }
        ImportAddress *a = &p->addresses[p->n++];
        *a = (ImportAddress) { .address = address->address,
                               .prefix_length = address->length,
                               .id = strdup(cni_id_is_valid(id, CONTAINER_ID_MAX) ? id : ""),
                               .ifname = strdup(ifname_is_valid(ifname) ? ifname : "") };
        return a->id && a->ifname ? 0 : -ENOMEM;
}

/* The pool of that name; made when there is none. */
static int pool_of(ImportPools *p, const char *name, ImportPool **ret, Error *e) {
        for (size_t i = 0; i < p->n; i++)
                if (streq(p->pools[i].name, name)) {
                        *ret = &p->pools[i];
                        return 0;
                }
        if (p->n >= NETWORKS_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "more than %u pools, the limit",
                                  NETWORKS_MAX);
        ImportPool *more = reallocarray(p->pools, p->n + 1, sizeof(*more));
        if (!more)
                return error_oom(e);
        p->pools = more;
        more[p->n] = (ImportPool) { .name = strdup(name) };
        if (!more[p->n].name)
                return error_oom(e);
        *ret = &more[p->n++];
        return 0;
}

static const char *text_of(json_object *o, const char *key) {
        json_object *v = json_get(o, key);

        return json_object_is_type(v, json_type_string) ? json_object_get_string(v) : "";
}

/* ---- IPPool ----------------------------------------------------------------------------------- */

static int allocation_read(ImportPool *pool, const InPrefix *range, const char *key,
                           json_object *value, Error *e) {
        InPrefix address = *range;
        uint64_t offset;

        if (parse_u64(key, 0, UINT64_MAX, &offset) < 0 ||
            !json_object_is_type(value, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "spec.allocations: wanted an object by the number of an address, "
                                  "found \"%.32s\": %s",
                                  key, JSON_SHORT(value));
        if (!in_addr_add(&range->address, offset, &address.address) ||
            !in_prefix_contains(range, &address.address))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "spec.allocations: number %.32s is not within spec.range %s", key,
                                  IN_PREFIX_STR(range));
        if (pool->n >= IMPORT_ADDRESSES_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "spec.allocations: more than %u, the limit",
                                  IMPORT_ADDRESSES_MAX);
        return import_pool_add(pool, &address, text_of(value, "id"), text_of(value, "ifname")) < 0
                               ? error_oom(e)
                               : 0;
}

static int ip_pool_read(ImportPools *p, const char *name, json_object *spec, Error *e) {
        json_object *allocations = json_get(spec, "allocations");
        InPrefix range;

        if (in_prefix_parse(text_of(spec, "range"), &range) < 0)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "spec.range: wanted a subnet as 10.0.0.0/16, found %s",
                                  JSON_SHORT(json_get(spec, "range")));
        ImportPool *pool;
        int r = pool_of(p, name, &pool, e);
        if (r < 0)
                return r;
        if (!allocations)
                return 0;
        if (!json_object_is_type(allocations, json_type_object))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "spec.allocations: wanted an object, found %s",
                                  JSON_SHORT(allocations));
        json_object_object_foreach(allocations, key, value) {
                r = allocation_read(pool, &range, key, value, e);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- OverlappingRangeIPReservation ------------------------------------------------------------ */

/* Its name is the address, with dashes where IPv6 has colons, perhaps behind the name of a network. */
static int address_of_name(const char *name, InPrefix *ret) {
        _cleanup_free_ char *copy = strdup(name);

        if (!copy)
                return -ENOMEM;
        for (const char *at = name; at; at = strchr(at, '-') ? strchr(at, '-') + 1 : NULL) {
                char *part = copy + (at - name);

                if (in_addr_parse(part, &ret->address) >= 0)
                        break;
                memcpy(part, at, strlen(at) + 1);
                for (char *c = part; *c; c++)
                        if (*c == '-')
                                *c = ':';
                if (strchr(part, ':') && in_addr_parse(part, &ret->address) >= 0)
                        break;
                memcpy(part, at, strlen(at) + 1);
                if (!strchr(at, '-'))
                        return -EINVAL;
        }
        ret->length = (uint8_t) family_bits(ret->address.family);
        return 0;
}

static int reservation_read(ImportPools *p, const char *name, json_object *spec, Error *e) {
        InPrefix address = { 0 };
        ImportPool *pool;

        int r = pool_of(p, OVERLAPPING, &pool, e);
        if (r < 0)
                return r;
        r = address_of_name(name, &address);
        if (r == -EINVAL)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "metadata.name: wanted an address, found \"%.64s\"", name);
        if (r >= 0 && pool->n >= IMPORT_ADDRESSES_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT, "more than %u reservations, the limit",
                                  IMPORT_ADDRESSES_MAX);
        if (r >= 0)
                r = import_pool_add(pool, &address, text_of(spec, "containerid"),
                                    text_of(spec, "ifname"));
        return r < 0 ? error_oom(e) : 0;
}

/* ---- objects ---------------------------------------------------------------------------------- */

static int object_read(ImportPools *p, json_object *o, bool nested, Error *e);

static int items_read(ImportPools *p, json_object *items, Error *e) {
        if (!json_object_is_type(items, json_type_array) ||
            json_object_array_length(items) > IMPORT_ADDRESSES_MAX)
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "items: wanted a list of at most %u objects, found %s",
                                  IMPORT_ADDRESSES_MAX, JSON_SHORT(items));
        for (size_t i = 0; i < json_object_array_length(items); i++) {
                int r = object_read(p, json_object_array_get_idx(items, i), true, e);
                if (r < 0) {
                        error_prefixf(e, "items[%zu]", i);
                        return r;
                }
        }
        return 0;
}

static int object_read(ImportPools *p, json_object *o, bool nested, Error *e) {
        json_object *items = json_get(o, "items"), *spec = json_get(o, "spec");
        const char *kind = text_of(o, "kind"), *name = text_of(json_get(o, "metadata"), "name");
        int r;

        if (items && !nested)
                return items_read(p, items, e);
        if (!streq(kind, "IPPool") && !streq(kind, "OverlappingRangeIPReservation"))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "kind: wanted IPPool, OverlappingRangeIPReservation or a list of "
                                  "them, found \"%.64s\"",
                                  kind);
        /* Room for the mark of pools that are others' (ipam.h). */
        if (isempty(name) || strlen(name) >= NETWORK_NAME_MAX || !text_is_clean(name, strlen(name)))
                return error_setf(
                                e, ERROR_INVALID_ARGUMENT,
                                "metadata.name: wanted a name of at most %u bytes, found \"%.64s\"",
                                NETWORK_NAME_MAX - 1, name);
        r = streq(kind, "IPPool") ? ip_pool_read(p, name, spec, e)
                                  : reservation_read(p, name, spec, e);
        error_prefixf(e, "%s %.128s", kind, name);
        return r;
}

int import_pools_parse(const char *text, size_t size, ImportPools *ret, Error *e) {
        _cleanup_(import_pools_clear) ImportPools p = { 0 };
        _cleanup_json_ json_object *o = NULL;

        int r = json_parse_max(text, size, IMPORT_SIZE_MAX, "the dump", &o, e);
        if (r >= 0)
                r = object_read(&p, o, false, e);
        if (r < 0)
                return r;
        *ret = p;
        p = (ImportPools) { 0 };
        return 0;
}
