/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* One unary call over HTTP/2; see grpc.h. Nothing survives. */

#include "cri/crid/grpc.h"

#include <nghttp2/nghttp2.h>
#include <stdio.h>

#include "base/limits.h"
#include "base/parse.h"

/* In front of each message: a flag (compressed) and four bytes of length. */
#define FRAME_HEADER 5

struct GrpcSession {
        nghttp2_session *http;
        uint8_t *request; /* owned: frame header and message */
        size_t request_size, request_sent;
        int32_t stream;
        size_t answer_max;
        uint64_t input; /* bytes so far, of every sort */

        uint8_t *body; /* owned */
        size_t body_size, body_allocated;
        char http_status[4], grpc_status[8], grpc_message[257];
        bool is_grpc; /* by its content type */
        bool closed;  /* the stream */
        uint32_t close_code;
        bool too_large, out_of_memory;
};

/* --- callbacks of nghttp2 ---------------------------------------------------------------------- */

static ssize_t read_request(nghttp2_session *http _unused_, int32_t stream _unused_, uint8_t *buf,
                            size_t length, uint32_t *flags, nghttp2_data_source *source,
                            void *userdata _unused_) {
        GrpcSession *s = source->ptr;
        size_t n = MIN_OF(length, s->request_size - s->request_sent);

        memcpy(buf, s->request + s->request_sent, n);
        s->request_sent += n;
        if (s->request_sent == s->request_size)
                *flags |= NGHTTP2_DATA_FLAG_EOF;
        return (ssize_t) n;
}

static bool name_is(const uint8_t *name, size_t size, const char *wanted) {
        return size == strlen(wanted) && memcmp(name, wanted, size) == 0;
}

/* Takes what fits; a value that has no room is no value that we know. What comes again replaces. */
static void take_text(char *to, size_t room, const uint8_t *value, size_t size) {
        size_t n = MIN_OF(size, room - 1);

        for (size_t i = 0; i < n; i++)
                to[i] = (char) (value[i] >= ' ' && value[i] < 0x7f ? value[i] : '?');
        to[n] = '\0';
}

static int on_header(nghttp2_session *http _unused_, const nghttp2_frame *frame,
                     const uint8_t *name, size_t name_size, const uint8_t *value, size_t size,
                     uint8_t flags _unused_, void *userdata) {
        static const char grpc[] = "application/grpc";
        GrpcSession *s = userdata;

        if (frame->hd.type != NGHTTP2_HEADERS || frame->hd.stream_id != s->stream)
                return 0;
        if (name_is(name, name_size, ":status"))
                take_text(s->http_status, sizeof(s->http_status), value, size);
        else if (name_is(name, name_size, "grpc-status"))
                take_text(s->grpc_status, sizeof(s->grpc_status), value, size);
        else if (name_is(name, name_size, "grpc-message"))
                take_text(s->grpc_message, sizeof(s->grpc_message), value, size);
        else if (name_is(name, name_size, "content-type"))
                s->is_grpc = size >= strlen(grpc) && memcmp(value, grpc, strlen(grpc)) == 0;
        return 0;
}

static int on_data(nghttp2_session *http _unused_, uint8_t flags _unused_, int32_t stream,
                   const uint8_t *data, size_t size, void *userdata) {
        GrpcSession *s = userdata;

        if (stream != s->stream)
                return 0;
        if (size > s->answer_max + FRAME_HEADER - s->body_size) {
                s->too_large = true;
                return NGHTTP2_ERR_CALLBACK_FAILURE;
        }
        if (GREEDY_REALLOC(s->body, s->body_allocated, s->body_size + size) < 0) {
                s->out_of_memory = true;
                return NGHTTP2_ERR_CALLBACK_FAILURE;
        }
        memcpy(s->body + s->body_size, data, size);
        s->body_size += size;
        return 0;
}

static int on_stream_close(nghttp2_session *http _unused_, int32_t stream, uint32_t code,
                           void *userdata) {
        GrpcSession *s = userdata;

        if (stream == s->stream) {
                s->closed = true;
                s->close_code = code;
        }
        return 0;
}

/* --- the session ------------------------------------------------------------------------------- */

static int session_make(GrpcSession *s) {
        nghttp2_session_callbacks *callbacks;

        if (nghttp2_session_callbacks_new(&callbacks) != 0)
                return -ENOMEM;
        nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_stream_close);
        int r = nghttp2_session_client_new(&s->http, callbacks, s);
        nghttp2_session_callbacks_del(callbacks);
        return r != 0 ? -ENOMEM : 0;
}

#define HEADER(key, text)                                                                          \
        {                                                                                          \
                .name = (uint8_t *) (key), .value = (uint8_t *) (text), .namelen = strlen(key),    \
                .valuelen = strlen(text)                                                           \
        }

static int session_submit(GrpcSession *s, const char *method) {
        const nghttp2_settings_entry settings[] = {
                { NGHTTP2_SETTINGS_ENABLE_PUSH, 0 },
                { NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, 1 },
                { NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, GRPC_WINDOW },
        };
        const nghttp2_nv headers[] = {
                HEADER(":method", "POST"),
                HEADER(":scheme", "http"),
                HEADER(":path", method),
                /* grpc-go refuses requests without a name of the server, whatever the name. */
                HEADER(":authority", "localhost"),
                HEADER("content-type", "application/grpc"),
                HEADER("te", "trailers"),
                HEADER("user-agent", "netmgr-cri"),
        };
        const nghttp2_data_provider body = { .source.ptr = s, .read_callback = read_request };

        if (nghttp2_submit_settings(s->http, NGHTTP2_FLAG_NONE, settings, ELEMENTSOF(settings)) !=
                            0 ||
            nghttp2_session_set_local_window_size(s->http, NGHTTP2_FLAG_NONE, 0, GRPC_WINDOW) != 0)
                return -ENOMEM;
        s->stream = nghttp2_submit_request(s->http, NULL, headers, ELEMENTSOF(headers), &body,
                                           NULL);
        return s->stream < 0 ? -ENOMEM : 0;
}

int grpc_session_new(const char *method, const void *request, size_t size, size_t answer_max,
                     GrpcSession **ret) {
        _cleanup_(grpc_session_freep) GrpcSession *s = new0(GrpcSession, 1);

        if (!s || size > UINT32_MAX || !(s->request = malloc(FRAME_HEADER + size)))
                return -ENOMEM;
        s->answer_max = answer_max;
        s->request_size = FRAME_HEADER + size;
        s->request[0] = 0;
        for (size_t i = 0; i < 4; i++)
                s->request[1 + i] = (uint8_t) (size >> (24 - 8 * i));
        if (size > 0)
                memcpy(s->request + FRAME_HEADER, request, size);
        int r = session_make(s);
        if (r >= 0)
                r = session_submit(s, method);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

GrpcSession *grpc_session_free(GrpcSession *s) {
        if (!s)
                return NULL;
        nghttp2_session_del(s->http);
        free(s->request);
        free(s->body);
        free(s);
        return NULL;
}

int grpc_session_output(GrpcSession *s, const uint8_t **ret, size_t *ret_size) {
        ssize_t n = nghttp2_session_mem_send(s->http, ret);

        if (n < 0)
                return n == NGHTTP2_ERR_NOMEM ? -ENOMEM : -EPROTO;
        *ret_size = (size_t) n;
        return 0;
}

int grpc_session_input(GrpcSession *s, const uint8_t *data, size_t size, Error *e) {
        s->input += size;
        /* Data in tiny frames, pings and settings cost us time, and are no answer. */
        if (s->input > 2 * (uint64_t) s->answer_max + GRPC_WINDOW)
                return error_setf(e, ERROR_DECODE, "more than %llu bytes came, and no answer",
                                  (unsigned long long) s->input - size);
        ssize_t n = nghttp2_session_mem_recv(s->http, data, size);
        if (s->too_large)
                return error_setf(e, ERROR_DECODE, "the answer has more than %zu bytes",
                                  s->answer_max);
        if (s->out_of_memory || n == NGHTTP2_ERR_NOMEM)
                return error_oom(e);
        if (n < 0)
                return error_setf(e, ERROR_DECODE, "no HTTP/2: %s", nghttp2_strerror((int) n));
        return 0;
}

bool grpc_session_is_done(const GrpcSession *s) {
        return s->closed ||
               (!nghttp2_session_want_read(s->http) && !nghttp2_session_want_write(s->http));
}

int grpc_frame_parse(const uint8_t *data, size_t size, const uint8_t **ret, size_t *ret_size,
                     Error *e) {
        if (size < FRAME_HEADER)
                return error_setf(e, ERROR_DECODE, "wanted one message, found a body of %zu bytes",
                                  size);
        if (data[0] != 0)
                return error_setf(e, ERROR_DECODE,
                                  "wanted a plain message, found flag %u (compressed?)", data[0]);
        uint32_t length = (uint32_t) data[1] << 24 | (uint32_t) data[2] << 16 |
                          (uint32_t) data[3] << 8 | data[4];
        if (length != size - FRAME_HEADER)
                return error_setf(e, ERROR_DECODE,
                                  "wanted one message of %u bytes, found %zu bytes", length,
                                  size - FRAME_HEADER);
        *ret = data + FRAME_HEADER;
        *ret_size = length;
        return 0;
}

int grpc_session_result(const GrpcSession *s, const uint8_t **ret, size_t *ret_size, Error *e) {
        uint32_t status;

        /* A refusal is told before the body of the request was taken: the stream may be reset then. */
        if (s->grpc_status[0] && !streq(s->grpc_status, "0") && streq(s->http_status, "200")) {
                if (parse_u32(s->grpc_status, 0, UINT32_MAX, &status) < 0)
                        return error_setf(e, ERROR_DECODE, "grpc-status \"%s\" is no number",
                                          s->grpc_status);
                return error_setf(e, status == 12 ? ERROR_NOT_SUPPORTED : ERROR_TRY_AGAIN,
                                  "refused with gRPC status %u: %s", status, s->grpc_message);
        }
        if (!s->closed && !nghttp2_session_want_read(s->http))
                return error_setf(e, ERROR_DECODE, "what came is no HTTP/2");
        if (!s->closed)
                return error_setf(e, ERROR_TRY_AGAIN, "the connection ended before the answer");
        if (s->close_code != NGHTTP2_NO_ERROR)
                return error_setf(e, ERROR_TRY_AGAIN, "the call was reset: %s",
                                  nghttp2_http2_strerror(s->close_code));
        if (!streq(s->http_status, "200") || !s->is_grpc)
                return error_setf(e, ERROR_DECODE,
                                  "wanted an answer of gRPC, found HTTP status %s%s",
                                  s->http_status, s->is_grpc ? "" : " of another content type");
        if (!s->grpc_status[0])
                return error_setf(e, ERROR_DECODE, "the answer ended without a grpc-status");
        return grpc_frame_parse(s->body, s->body_size, ret, ret_size, e);
}
