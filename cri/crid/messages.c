/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Messages of the CRI; see messages.h. */

#include "cri/crid/messages.h"

#include <runtime.pb-c.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/parse.h"

/* What an allocation costs beside its size; two bytes of an answer may ask for one. */
#define ALLOCATION_COST 32

/* --- an allocator with an end ------------------------------------------------------------------ */

static void *limited_alloc(void *userdata, size_t size) {
        size_t *left = userdata;

        if (size > *left || *left - size < ALLOCATION_COST)
                return NULL;
        *left -= size + ALLOCATION_COST;
        return malloc(size);
}

static void limited_free(void *userdata _unused_, void *p) {
        free(p);
}

/* --- sandboxes --------------------------------------------------------------------------------- */

void cri_sandboxes_clear(CriSandboxes *list) {
        for (size_t i = 0; i < list->n; i++)
                free(list->items[i].id);
        free(list->items);
        *list = (CriSandboxes) { 0 };
}

static int take_sandboxes(const Runtime__V1__ListPodSandboxResponse *m, CriSandboxes *ret,
                          Error *e) {
        _cleanup_sandboxes_ CriSandboxes list = { 0 };

        if (m->n_items > SYNCHRONIZE_SANDBOXES_MAX)
                return error_setf(e, ERROR_DECODE, "the list has %zu sandboxes, at most %u",
                                  m->n_items, SYNCHRONIZE_SANDBOXES_MAX);
        list.items = new0(CriSandbox, m->n_items + 1);
        if (!list.items)
                return error_oom(e);
        for (size_t i = 0; i < m->n_items; i++) {
                const Runtime__V1__PodSandbox *p = m->items[i];

                if (!p->id || !cni_id_is_valid(p->id, CONTAINER_ID_MAX))
                        return error_setf(e, ERROR_DECODE,
                                          "the list has a sandbox with an impossible id");
                list.items[list.n].ready = p->state == 0;
                list.items[list.n].id = strdup(p->id);
                if (!list.items[list.n++].id)
                        return error_oom(e);
        }
        *ret = list;
        list = (CriSandboxes) { 0 };
        return 0;
}

int cri_sandboxes_read(const uint8_t *data, size_t size, CriSandboxes *ret, Error *e) {
        size_t left = CRI_MEMORY_MAX;
        ProtobufCAllocator allocator = { limited_alloc, limited_free, &left };

        Runtime__V1__ListPodSandboxResponse *m =
                        runtime__v1__list_pod_sandbox_response__unpack(&allocator, size, data);
        if (!m)
                return error_setf(e, ERROR_DECODE,
                                  "the answer to ListPodSandbox (%zu bytes) cannot be read", size);
        int r = take_sandboxes(m, ret, e);
        runtime__v1__list_pod_sandbox_response__free_unpacked(m, &allocator);
        return r;
}

/* --- version ----------------------------------------------------------------------------------- */

static const char *clean(const char *s) {
        return s && s[0] && strlen(s) <= RUNTIME_NAME_MAX && text_is_clean(s, strlen(s)) ? s : "?";
}

int cri_version_read(const uint8_t *data, size_t size, char **ret, Error *e) {
        size_t left = CRI_MEMORY_MAX;
        ProtobufCAllocator allocator = { limited_alloc, limited_free, &left };

        Runtime__V1__VersionResponse *m =
                        runtime__v1__version_response__unpack(&allocator, size, data);
        if (!m)
                return error_setf(e, ERROR_DECODE,
                                  "the answer to Version (%zu bytes) cannot be read", size);
        char *text = strf("%s %s", clean(m->runtime_name), clean(m->runtime_version));
        runtime__v1__version_response__free_unpacked(m, &allocator);
        if (!text)
                return error_oom(e);
        *ret = text;
        return 0;
}
