/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A runtime's answers: the first byte chooses between the list, the version, a gRPC body, and raw bytes of an
 * HTTP/2 server, which come in pieces of the second byte's size.
 */

#include "base/limits.h"
#include "base/parse.h"
#include "cri/crid/grpc.h"
#include "cri/crid/messages.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_list(const uint8_t *data, size_t size) {
        _cleanup_sandboxes_ CriSandboxes list = { 0 };
        _cleanup_error_ Error e = ERROR_NULL;

        int r = cri_sandboxes_read(data, size, &list, &e);
        if (r < 0 ? !error_is_set(&e) || list.items : list.n > SYNCHRONIZE_SANDBOXES_MAX)
                abort();
        for (size_t i = 0; i < list.n; i++)
                if (!cni_id_is_valid(list.items[i].id, CONTAINER_ID_MAX))
                        abort();
}

static void read_version(const uint8_t *data, size_t size) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *text = NULL;

        int r = cri_version_read(data, size, &text, &e);
        if (r < 0 ? !error_is_set(&e) : !text_is_clean(text, strlen(text)))
                abort();
}

static void read_body(const uint8_t *data, size_t size) {
        _cleanup_error_ Error e = ERROR_NULL;
        const uint8_t *message = NULL;
        size_t n = 0;

        int r = grpc_frame_parse(data, size, &message, &n, &e);
        if (r < 0 ? !error_is_set(&e) : message != data + 5 || n != size - 5)
                abort();
}

static void read_stream(const uint8_t *data, size_t size, size_t step) {
        _cleanup_(grpc_session_freep) GrpcSession *s = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        const uint8_t *out;
        size_t n;
        int r = 0;

        if (grpc_session_new(CRI_LIST, NULL, 0, 4096, &s) < 0)
                abort();
        for (size_t at = 0; at < size && r >= 0 && !grpc_session_is_done(s); at += step) {
                do
                        r = grpc_session_output(s, &out, &n);
                while (r >= 0 && n > 0);
                if (r >= 0)
                        r = grpc_session_input(s, data + at, MIN_OF(step, size - at), &e);
        }
        if (r < 0)
                return;
        r = grpc_session_result(s, &out, &n, &e);
        if (r < 0 ? !error_is_set(&e) : n > 4096)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        if (size < 2)
                return 0;
        switch (data[0] % 4) {
        case 0:
                read_list(data + 1, size - 1);
                break;
        case 1:
                read_version(data + 1, size - 1);
                break;
        case 2:
                read_body(data + 1, size - 1);
                break;
        default:
                read_stream(data + 2, size - 2, data[1] + 1U);
        }
        return 0;
}
