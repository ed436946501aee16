/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The interfaces of one sandbox, out of what Multus and libcni have each kept of them: Multus knows the order
 * and the names of the manifests, libcni's cache what the plugins were called with and what came of it.
 */

#include <stdio.h>

#include "base/base64.h"
#include "base/limits.h"
#include "base/parse.h"
#include "cri/import.h"

#define DEFAULT_IFNAME "eth0"

void import_pod_clear(ImportPod *p) {
        for (size_t i = 0; i < p->n; i++)
                import_attachment_clear(&p->list[i]);
        free(p->list);
        free(p->container_id);
        free(p->default_ifname);
        *p = (ImportPod) { 0 };
}

/* The next of the list, to be filled in; NULL without memory. */
static ImportAttachment *next_attachment(ImportPod *p) {
        ImportAttachment *more = reallocarray(p->list, p->n + 1, sizeof(*more));

        if (!more)
                return NULL;
        p->list = more;
        more[p->n] = (ImportAttachment) { 0 };
        return &more[p->n++];
}

/* ---- files ------------------------------------------------------------------------------------ */

typedef struct FileInput {
        char *file, *text; /* owned */
        uint64_t written;
} FileInput;

static void file_input_clear(FileInput *in) {
        free(in->file);
        free(in->text);
}

static const JsonField file_fields[] = {
        { "file", json_read_string, offsetof(FileInput, file), JSON_REQUIRED },
        { "text", json_read_string, offsetof(FileInput, text), JSON_REQUIRED },
        { "written", json_read_u64, offsetof(FileInput, written), 0 },
        {},
};

static int result_read(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_(file_input_clear) FileInput in = { 0 };
        ImportPod *p = target;

        int r = json_read_object(value, path, file_fields, JSON_UNKNOWN_REFUSE, &in, e);
        if (r < 0)
                return r;
        ImportAttachment *a = next_attachment(p);
        if (!a)
                return error_oom(e);
        r = import_cache_parse(in.text, strlen(in.text), in.file, a, e);
        if (r >= 0 && !streq(a->container_id, p->container_id))
                r = error_setf(e, ERROR_INVALID_ARGUMENT,
                               "containerId: wanted \"%s\", found \"%s\"", p->container_id,
                               a->container_id);
        a->written_usec = in.written;
        error_prefixf(e, "%.512s", in.file);
        return r;
}

static int results_read(json_object *value, const char *path, void *target, Error *e) {
        return json_read_array(value, path, ATTACHMENTS_PER_SANDBOX_MAX, result_read, target, e);
}

/* ---- Multus' list ----------------------------------------------------------------------------- */

typedef struct Delegates {
        ImportPod *pod;
        const char *file, *args, *netns; /* borrowed */
        unsigned n;
} Delegates;

typedef struct DelegateInput {
        char *name, *ifname, *bytes; /* owned */
} DelegateInput;

static void delegate_input_clear(DelegateInput *in) {
        free(in->name);
        free(in->ifname);
        free(in->bytes);
}

static const JsonField delegate_fields[] = {
        { "Name", json_read_string, offsetof(DelegateInput, name), 0 },
        { "ifnameRequest", json_read_string, offsetof(DelegateInput, ifname), 0 },
        { "Bytes", json_read_string, offsetof(DelegateInput, bytes), JSON_REQUIRED },
        {},
};

static ImportAttachment *find_interface(ImportPod *p, const char *ifname) {
        for (size_t i = 0; i < p->n; i++)
                if (p->list[i].role == IMPORT_INTERFACE && streq(p->list[i].ifname, ifname))
                        return &p->list[i];
        return NULL;
}

/* An interface of which libcni's cache has lost its entry: its configuration is known all the same. */
static int make_interface(Delegates *d, const DelegateInput *in, const char *ifname,
                          ImportAttachment **ret, Error *e) {
        _cleanup_free_ char *config = NULL;
        size_t size;

        int r = base64_decode(in->bytes, CONFIG_SIZE_MAX, &config, &size);
        if (r < 0)
                return r == -ENOMEM ? error_oom(e)
                                    : error_setf(e, ERROR_DECODE,
                                                 "Bytes: wanted base64, found \"%.32s\"",
                                                 in->bytes);
        ImportAttachment *a = next_attachment(d->pod);
        if (!a)
                return error_oom(e);
        r = import_config_parse(config, size, NULL, NULL, NULL, a, e);
        if (r < 0)
                return r;
        a->container_id = strdup(d->pod->container_id);
        a->ifname = strdup(ifname);
        a->file = strdup(d->file);
        a->args = strdup(d->args);
        a->netns = d->netns ? strdup(d->netns) : NULL;
        if (!a->container_id || !a->ifname || !a->file || !a->args || (d->netns && !a->netns))
                return error_oom(e);
        *ret = a;
        return 0;
}

static bool is_reference(const char *s) {
        const char *slash = strchr(strempty(s), '/');

        return slash && slash != s && slash[1] && !strchr(slash + 1, '/') &&
               strlen(s) <= 2 * NETWORK_NAME_MAX && text_is_clean(s, strlen(s));
}

static int delegate_read(json_object *value, const char *path, void *target, Error *e) {
        _cleanup_(delegate_input_clear) DelegateInput in = { 0 };
        Delegates *d = target;
        unsigned position = d->n++;
        char name[sizeof("net") + 3 * sizeof(position)];

        int r = json_read_object(value, path, delegate_fields, JSON_UNKNOWN_IGNORE, &in, e);
        if (r < 0)
                return r;
        snprintf(name, sizeof(name), "net%u", position);
        const char *ifname = !isempty(in.ifname) ? in.ifname
                             : position == 0     ? d->pod->default_ifname
                                                 : name;
        if (!ifname_is_valid(ifname))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "%s.ifnameRequest: wanted the name of an interface, found "
                                  "\"%.32s\"",
                                  path, ifname);
        ImportAttachment *a = find_interface(d->pod, ifname);
        if (!a)
                r = make_interface(d, &in, ifname, &a, e);
        if (r < 0)
                return r;
        a->position = position;
        a->secondary = position > 0;
        if (!is_reference(in.name))
                return 0;
        free(a->reference);
        a->reference = strdup(in.name);
        return a->reference ? 0 : error_oom(e);
}

static int delegates_read(ImportPod *p, const FileInput *in, Error *e) {
        Delegates d = { .pod = p, .file = in->file, .args = "" };
        _cleanup_free_ char *args = NULL, *netns = NULL;
        _cleanup_json_ json_object *o = NULL;

        /* The same for all of a sandbox; entries move when the list grows. */
        for (size_t i = 0; i < p->n; i++)
                if (p->list[i].role == IMPORT_INTERFACE || p->list[i].role == IMPORT_MULTIPLEXER) {
                        args = strdup(p->list[i].args);
                        netns = p->list[i].netns ? strdup(p->list[i].netns) : NULL;
                        d.args = strempty(args);
                        d.netns = netns;
                        break;
                }
        int r = json_parse(in->text, strlen(in->text), "the file", &o, e);
        if (r >= 0)
                r = json_read_array(o, "delegates", ATTACHMENTS_PER_SANDBOX_MAX, delegate_read, &d,
                                    e);
        error_prefixf(e, "%.512s", in->file);
        return r;
}

/* ---- the whole -------------------------------------------------------------------------------- */

/* The interface that the runtime itself asked for. */
static const char *find_default(const ImportPod *p) {
        const char *first = NULL;

        for (size_t i = 0; i < p->n; i++) {
                if (p->list[i].role == IMPORT_MULTIPLEXER)
                        return p->list[i].ifname;
                if (p->list[i].role != IMPORT_INTERFACE)
                        continue;
                if (streq(p->list[i].ifname, DEFAULT_IFNAME))
                        first = DEFAULT_IFNAME;
                else if (!first)
                        first = p->list[i].ifname;
        }
        return first ? first : DEFAULT_IFNAME;
}

/* Of two entries for one interface the later one counts: a runtime whose configuration was renamed leaves the
 * earlier behind. */
static void drop_older(ImportPod *p) {
        for (size_t i = 0; i < p->n; i++)
                for (size_t k = i + 1; k < p->n; k++) {
                        ImportAttachment *a = &p->list[i], *b = &p->list[k];

                        if (a->role != IMPORT_INTERFACE || b->role != IMPORT_INTERFACE ||
                            !streq(a->ifname, b->ifname))
                                continue;
                        if (b->written_usec > a->written_usec) {
                                ImportAttachment c = *a;
                                *a = *b;
                                *b = c;
                        }
                        import_attachment_clear(b);
                        *b = p->list[--p->n];
                        k--;
                }
}

static int by_position(const void *a, const void *b) {
        const ImportAttachment *x = a, *y = b;

        if (x->position != y->position)
                return x->position < y->position ? -1 : 1;
        return strcmp(x->ifname, y->ifname);
}

/* What Multus' list does not name (attached while the sandbox ran; or there is no such list) comes behind. */
static void put_in_order(ImportPod *p, unsigned n) {
        for (size_t i = 0; i < p->n; i++) {
                ImportAttachment *a = &p->list[i];

                if (a->role != IMPORT_INTERFACE || a->secondary ||
                    streq(a->ifname, p->default_ifname))
                        continue;
                a->secondary = true;
                a->position = MAX_OF(n, 1U);
                n = a->position + 1;
        }
        if (p->n > 0)
                qsort(p->list, p->n, sizeof(*p->list), by_position);
}

typedef struct PodInput {
        json_object *results, *delegates; /* borrowed */
        char *container;                  /* owned */
} PodInput;

static int keep_value(json_object *value, const char *path _unused_, void *target,
                      Error *e _unused_) {
        *(json_object **) target = value;
        return 0;
}

static int pod_read(json_object *o, ImportPod *p, Error *e) {
        static const JsonField fields[] = {
                { "container", json_read_string, offsetof(PodInput, container), JSON_REQUIRED },
                { "results", keep_value, offsetof(PodInput, results), 0 },
                { "delegates", keep_value, offsetof(PodInput, delegates), 0 },
                {},
        };
        _cleanup_(file_input_clear) FileInput file = { 0 };
        PodInput in = { 0 };

        int r = json_read_object(o, "", fields, JSON_UNKNOWN_REFUSE, &in, e);
        p->container_id = in.container;
        if (r < 0)
                return r;
        if (!cni_id_is_valid(p->container_id, CONTAINER_ID_MAX))
                return error_setf(e, ERROR_INVALID_ARGUMENT,
                                  "container: wanted the id of a container, found \"%.64s\"",
                                  p->container_id);
        if (in.results)
                r = results_read(in.results, "results", p, e);
        if (r < 0)
                return r;
        drop_older(p);
        p->default_ifname = strdup(find_default(p));
        if (!p->default_ifname)
                return error_oom(e);
        unsigned known = 0;
        if (in.delegates) {
                r = json_read_object(in.delegates, "delegates", file_fields, JSON_UNKNOWN_REFUSE,
                                     &file, e);
                if (r >= 0)
                        r = delegates_read(p, &file, e);
                known = (unsigned) p->n;
        }
        if (r >= 0)
                put_in_order(p, known);
        return r;
}

int import_pod_parse(const char *text, size_t size, ImportPod *ret, Error *e) {
        _cleanup_(import_pod_clear) ImportPod p = { 0 };
        _cleanup_json_ json_object *o = NULL;

        int r = json_parse_max(text, size, IMPORT_SIZE_MAX, "what was read of a sandbox", &o, e);
        if (r >= 0)
                r = pod_read(o, &p, e);
        if (r < 0)
                return r;
        *ret = p;
        p = (ImportPod) { 0 };
        return 0;
}
