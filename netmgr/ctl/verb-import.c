/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * netmgrctl import multus|host-local|whereabouts-files: reads what another multiplexer or IPAM has left on this
 * node, as root, and hands it to netmgrd piece by piece: one sandbox, one directory, one file. What one piece
 * is refused for is told beside the others.
 */

#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>

#include "base/limits.h"
#include "ctl/client.h"
#include "ctl/import-read.h"
#include "ctl/verb.h"

#define MULTUS_DIR     "/var/lib/cni/multus"
#define RESULTS_DIR    "/var/lib/cni/results"
#define HOST_LOCAL_DIR "/var/lib/cni/networks"

typedef struct Import {
        Ctl *ctl;
        const char *source;
        json_object *imported, *skipped; /* owned */
        sd_bus_error *error;
} Import;

int verb_import_check(Ctl *ctl, char **args, sd_bus_error *e) {
        const char *source = args[0];

        if (!streq(source, "multus") && !streq(source, "host-local") &&
            !streq(source, "whereabouts-files"))
                return sd_bus_error_setf(e, error_dbus_name(ERROR_INVALID_ARGUMENT),
                                         "\"%s\" is nothing that can be imported: wanted multus, "
                                         "host-local or whereabouts-files",
                                         source);
        if (ctl->options[OPTION_RESULTS_DIR] && !streq(source, "multus"))
                return sd_bus_error_setf(e, error_dbus_name(ERROR_INVALID_ARGUMENT),
                                         "--results-dir= is for import multus");
        if (streq(source, "whereabouts-files") && isempty(ctl->options[OPTION_DIR]))
                return sd_bus_error_setf(
                                e, error_dbus_name(ERROR_INVALID_ARGUMENT),
                                "--dir= is wanted: a file or a directory with IPPool objects, "
                                "such as kubectl get ippools.whereabouts.cni.cncf.io -A -o json "
                                "writes");
        return 0;
}

/* ---- one piece ---------------------------------------------------------------------------------- */

static int move_list(json_object *answer, const char *key, json_object *to) {
        json_object *list = json_get(answer, key);

        for (size_t i = 0;
             json_object_is_type(list, json_type_array) && i < json_object_array_length(list); i++)
                if (json_append(to, json_object_get(json_object_array_get_idx(list, i))) < 0)
                        return -ENOMEM;
        return 0;
}

/* Refused by itself: the rest may do better. Not so when nobody is there, or we may not. */
static int refused(Import *im, const char *key, const char *what, sd_bus_error *e) {
        if (client_exit_status(e) != EXIT_STATUS_FAILURE) {
                sd_bus_error_move(im->error, e);
                return -EIO;
        }
        return import_skip(im->skipped, key, what, strempty(e->message));
}

static int send_text(Import *im, const char *key, const char *what, const char *text) {
        _cleanup_bus_error_ sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_message_ sd_bus_message *m = NULL, *reply = NULL;
        _cleanup_json_ json_object *answer = NULL;

        int r = client_call_new(im->ctl->bus, NETMGR_PATH, NETMGR_BUS_NAME ".Manager", "Import", &m,
                                &error);
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", im->source, text);
        if (r >= 0)
                r = im->ctl->options[OPTION_DRY_RUN]
                                    ? sd_bus_message_append(m, "a{sv}", 1, "DryRun", "b", true)
                                    : sd_bus_message_append(m, "a{sv}", 0);
        if (r >= 0)
                r = client_call_send(im->ctl->bus, CALL_CHANGES, m, &reply, &error);
        if (r >= 0)
                r = client_answer(reply, "Import", &answer, &error);
        if (r < 0) {
                if (!sd_bus_error_is_set(&error))
                        (void) sd_bus_error_set_errno(&error, r);
                return refused(im, key, what, &error);
        }
        r = move_list(answer, "imported", im->imported);
        return r < 0 ? r : move_list(answer, "skipped", im->skipped);
}

static int send_all(Import *im, json_object *requests, const char *key) {
        for (size_t i = 0; i < json_object_array_length(requests); i++) {
                json_object *request = json_object_array_get_idx(requests, i);
                _cleanup_free_ char *text = json_to_text(request);
                json_object *name = json_get(request, key);

                if (!text)
                        return -ENOMEM;
                if (strlen(text) > IMPORT_SIZE_MAX) {
                        if (import_skip(im->skipped, key, json_object_get_string(name),
                                        "there is too much of it") < 0)
                                return -ENOMEM;
                        continue;
                }
                int r = send_text(im, key, json_object_get_string(name), text);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* ---- what there is ------------------------------------------------------------------------------ */

static int import_multus(Import *im) {
        const char *dir = im->ctl->options[OPTION_DIR],
                   *given = im->ctl->options[OPTION_RESULTS_DIR];
        _cleanup_json_ json_object *requests = NULL;
        char beside[PATH_MAX];

        if (!dir)
                dir = MULTUS_DIR;
        /* Multus has libcni's cache of its delegates below its own directory, the runtime's is elsewhere. */
        snprintf(beside, sizeof(beside), "%s/results", dir);
        const char *results[] = { given ? given : RESULTS_DIR, given ? NULL : beside, NULL };
        int r = import_read_multus(dir, results, im->skipped, &requests, im->error);
        return r < 0 ? r : send_all(im, requests, "container");
}

static int import_host_local(Import *im) {
        const char *dir = im->ctl->options[OPTION_DIR];
        _cleanup_json_ json_object *requests = NULL;

        int r = import_read_host_local(dir ? dir : HOST_LOCAL_DIR, im->skipped, &requests,
                                       im->error);
        return r < 0 ? r : send_all(im, requests, "network");
}

static int visit_dump(const ImportFile *file, void *userdata) {
        return send_text(userdata, "file", file->path, file->text);
}

static int import_whereabouts(Import *im) {
        const char *path = im->ctl->options[OPTION_DIR];
        struct stat st;

        int r = stat(path, &st) < 0   ? -errno
                : S_ISDIR(st.st_mode) ? import_read_dir(path, IMPORT_SIZE_MAX, im->skipped,
                                                        visit_dump, im, im->error)
                                      : import_read_file(path, IMPORT_SIZE_MAX, im->skipped,
                                                         visit_dump, im, im->error);
        if (r < 0 && !sd_bus_error_is_set(im->error))
                return sd_bus_error_setf(im->error, error_dbus_name(ERROR_INVALID_ARGUMENT),
                                         "cannot read %s: %s", path, strerror(-r));
        return r;
}

/* ---- the report --------------------------------------------------------------------------------- */

static const Column attachment_rows[] = {
        { "CONTAINER", "container", CELL_TRUNC, NULL },
        { "INTERFACE", "interface", 0, NULL },
        { "NETWORK", "network", 0, NULL },
        { "ADDRESSES", "addresses", 0, NULL },
        { "PLUGINS", "plugins", 0, NULL },
        { 0 },
};
static const Column address_rows[] = {
        { "ADDRESS", "address", 0, NULL },     { "CONTAINER", "container", CELL_TRUNC, NULL },
        { "INTERFACE", "interface", 0, NULL }, { "NETWORK", "network", 0, NULL },
        { "OWNER", "owner", 0, NULL },         { 0 },
};
static const Column skipped_rows[] = {
        { "CONTAINER", "container", CELL_TRUNC, NULL },
        { "INTERFACE", "interface", 0, NULL },
        { "NETWORK", "network", 0, NULL },
        { "ADDRESS", "address", 0, NULL },
        { "FILE", "file", CELL_TRUNC, NULL },
        { "REASON", "reason", 0, NULL },
        { 0 },
};

static int print_report(Import *im) {
        const Output *out = &im->ctl->output;
        bool multus = streq(im->source, "multus"), dry = im->ctl->options[OPTION_DRY_RUN];

        if (out->mode != OUTPUT_TEXT) {
                _cleanup_json_ json_object *o = json_object_new_object();

                if (!o || json_add(o, "imported", json_object_get(im->imported)) < 0 ||
                    json_add(o, "skipped", json_object_get(im->skipped)) < 0 ||
                    json_add(o, "DryRun", json_object_new_boolean(dry)) < 0)
                        return -ENOMEM;
                return output_json(out, stdout, o);
        }
        if (out->legend)
                printf(dry ? "Would be taken over:\n" : "Taken over:\n");
        int r = table_print(out, multus ? attachment_rows : address_rows,
                            multus ? "interfaces" : "addresses", im->imported);
        if (r < 0 || json_object_array_length(im->skipped) == 0)
                return r;
        if (out->legend)
                printf("\nLeft alone:\n");
        return table_print(out, skipped_rows, "files", im->skipped);
}

int verb_import(Ctl *ctl, char **args, sd_bus_error *e) {
        _cleanup_json_ json_object *imported = json_object_new_array(),
                                   *skipped = json_object_new_array();
        Import im = { ctl, args[0], imported, skipped, e };
        int r = imported && skipped ? 0 : -ENOMEM;

        if (r >= 0)
                r = streq(im.source, "multus")       ? import_multus(&im)
                    : streq(im.source, "host-local") ? import_host_local(&im)
                                                     : import_whereabouts(&im);
        if (r >= 0)
                r = print_report(&im);
        return r < 0 && !sd_bus_error_is_set(e) ? sd_bus_error_set_errno(e, r) : r;
}
