/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* netmgr-cri's reading of a runtime: frames, messages, and a call against a server that libnghttp2 plays. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>
#include <nghttp2/nghttp2.h>

#include "base/limits.h"
#include "cri/crid/grpc.h"
#include "cri/crid/messages.h"

/* --- frames ------------------------------------------------------------------------------------ */

static void frames(void **state _unused_) {
        static const struct {
                const char *data;
                size_t size;
                int length; /* of the message; -1: refused */
        } cases[] = {
                { "", 0, -1 },
                { "\0\0\0\0", 4, -1 },
                { "\0\0\0\0\0", 5, 0 },
                { "\0\0\0\0\2ab", 7, 2 },
                { "\1\0\0\0\2ab", 7, -1 },  /* compressed */
                { "\0\0\0\0\2a", 6, -1 },   /* cut */
                { "\0\0\0\0\2abc", 8, -1 }, /* more than one */
                { "\0\xff\xff\xff\xff"
                  "ab",
                  7, -1 }, /* length */
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                const uint8_t *message;
                size_t size;
                int r = grpc_frame_parse((const uint8_t *) cases[i].data, cases[i].size, &message,
                                         &size, &e);
                assert_int_equal(r >= 0, cases[i].length >= 0);
                assert_int_equal(error_is_set(&e), r < 0);
                if (r >= 0)
                        assert_int_equal(size, cases[i].length);
        }
}

/* --- messages ---------------------------------------------------------------------------------- */

static int read_list(const char *data, size_t size, CriSandboxes *ret) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r = cri_sandboxes_read((const uint8_t *) data, size, ret, &e);

        assert_int_equal(error_is_set(&e), r < 0);
        if (r < 0)
                assert_int_equal(e.kind, ERROR_DECODE);
        return r;
}
#define READ_LIST(text, ret) read_list((text), sizeof(text) - 1, (ret))

static void good_lists(void **state _unused_) {
        _cleanup_sandboxes_ CriSandboxes none = { 0 }, two = { 0 };

        assert_int_equal(READ_LIST("", &none), 0);
        assert_int_equal(none.n, 0);
        /* id "abc", metadata, labels, an unknown field; then id "d" in state 1 */
        assert_int_equal(READ_LIST("\x0a\x12\x0a\x03"
                                   "abc\x12\x05\x0a\x03pod\x2a\x04\x0a\x00\x12\x00"
                                   "\x0a\x05\x0a\x01"
                                   "d\x18\x01",
                                   &two),
                         0);
        assert_int_equal(two.n, 2);
        assert_string_equal(two.items[0].id, "abc");
        assert_true(two.items[0].ready);
        assert_string_equal(two.items[1].id, "d");
        assert_false(two.items[1].ready);
}

static void bad_lists(void **state _unused_) {
        CriSandboxes list = { 0 };

        assert_true(READ_LIST("\x0a", &list) < 0);
        assert_true(READ_LIST("\x0a\x05\x0a\x03", &list) < 0);
        assert_true(READ_LIST("\x0a\xff\xff\xff\xff\x0f", &list) < 0);
        assert_true(READ_LIST("\x08\x01", &list) < 0); /* a number in the place of a message */
        assert_true(READ_LIST("\x0a\x00", &list) < 0); /* a sandbox without an id */
        assert_true(READ_LIST("\x0a\x03\x0a\x01/", &list) < 0); /* an impossible id */
        assert_true(READ_LIST("\x0a\x04\x0a\x02"
                              "a\n",
                              &list) < 0);
        assert_true(READ_LIST("\x0a\x03\x0a\x01"
                              "a\x0a\x00",
                              &list) < 0); /* one bad one spoils it */
        assert_null(list.items);
}

/* More than the limit of sandboxes; and, for two bytes each, more memory than the limit. */
static void endless_lists(void **state _unused_) {
        const size_t n = SYNCHRONIZE_SANDBOXES_MAX + 1, many = CRI_MESSAGE_MAX / 2;
        _cleanup_free_ char *data = malloc(n * 5), *empty = malloc(many * 2);
        CriSandboxes list = { 0 };

        assert_non_null(data);
        assert_non_null(empty);
        for (size_t i = 0; i < n; i++)
                memcpy(data + i * 5, "\x0a\x03\x0a\x01x", 5);
        for (size_t i = 0; i < many; i++)
                memcpy(empty + i * 2, "\x0a\x00", 2);
        assert_int_equal(read_list(data, (n - 1) * 5, &list), 0);
        assert_int_equal(list.n, n - 1);
        cri_sandboxes_clear(&list);
        assert_true(read_list(data, n * 5, &list) < 0);
        assert_true(read_list(empty, many * 2, &list) < 0);
}

static void versions(void **state _unused_) {
        static const struct {
                const char *data, *text;
                size_t size;
        } cases[] = {
                { "\x0a\x05"
                  "0.1.0\x12\x0a"
                  "containerd\x1a\x06"
                  "1.6.20\x22\x02v1",
                  "containerd 1.6.20", 31 },
                { "", "? ?", 0 },
                { "\x12\x02"
                  "a\n\x1a\x01"
                  "1",
                  "? 1", 7 },
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *text = NULL;
                assert_int_equal(cri_version_read((const uint8_t *) cases[i].data, cases[i].size,
                                                  &text, NULL),
                                 0);
                assert_string_equal(text, cases[i].text);
        }
        char *text = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        assert_true(cri_version_read((const uint8_t *) "\x12\x7f", 2, &text, &e) < 0);
        assert_int_equal(e.kind, ERROR_DECODE);
}

/* --- a call ------------------------------------------------------------------------------------ */

typedef struct Server {
        nghttp2_session *http;
        const char *http_status, *content_type, *grpc_status; /* NULL: not sent */
        const uint8_t *body;
        size_t body_size, body_sent;
        bool trailers_only, reset, asked;
        char path[128], authority[32], te[16], type[32];
        uint8_t request[64];
        size_t request_size;
} Server;

static nghttp2_nv header(const char *name, const char *value) {
        return (nghttp2_nv) { .name = (uint8_t *) name,
                              .value = (uint8_t *) value,
                              .namelen = strlen(name),
                              .valuelen = strlen(value) };
}

static ssize_t server_body(nghttp2_session *http, int32_t stream, uint8_t *buf, size_t length,
                           uint32_t *flags, nghttp2_data_source *source, void *userdata _unused_) {
        Server *s = source->ptr;
        size_t n = MIN_OF(length, s->body_size - s->body_sent);

        if (n > 0)
                memcpy(buf, s->body + s->body_sent, n);
        s->body_sent += n;
        if (s->body_sent == s->body_size) {
                *flags |= NGHTTP2_DATA_FLAG_EOF;
                if (s->grpc_status) {
                        const nghttp2_nv trailer = header("grpc-status", s->grpc_status);
                        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
                        assert_int_equal(nghttp2_submit_trailer(http, stream, &trailer, 1), 0);
                }
        }
        return (ssize_t) n;
}

static int server_header(nghttp2_session *http _unused_, const nghttp2_frame *frame _unused_,
                         const uint8_t *name, size_t name_size _unused_, const uint8_t *value,
                         size_t size, uint8_t flags _unused_, void *userdata) {
        Server *s = userdata;
        const struct {
                const char *name;
                char *to;
                size_t room;
        } wanted[] = { { ":path", s->path, sizeof(s->path) },
                       { ":authority", s->authority, sizeof(s->authority) },
                       { "te", s->te, sizeof(s->te) },
                       { "content-type", s->type, sizeof(s->type) } };

        for (size_t i = 0; i < ELEMENTSOF(wanted); i++)
                if (strcmp((const char *) name, wanted[i].name) == 0)
                        snprintf(wanted[i].to, wanted[i].room, "%.*s", (int) size, value);
        return 0;
}

static int server_data(nghttp2_session *http _unused_, uint8_t flags _unused_,
                       int32_t stream _unused_, const uint8_t *data, size_t size, void *userdata) {
        Server *s = userdata;

        assert_true(s->request_size + size <= sizeof(s->request));
        memcpy(s->request + s->request_size, data, size);
        s->request_size += size;
        return 0;
}

static int server_frame(nghttp2_session *http, const nghttp2_frame *frame, void *userdata) {
        Server *s = userdata;
        const nghttp2_data_provider body = { .source.ptr = s, .read_callback = server_body };
        nghttp2_nv headers[4];
        size_t n = 0;

        if (frame->hd.type != NGHTTP2_DATA || !(frame->hd.flags & NGHTTP2_FLAG_END_STREAM) ||
            s->asked)
                return 0;
        s->asked = true;
        if (s->reset)
                return nghttp2_submit_rst_stream(http, 0, frame->hd.stream_id,
                                                 NGHTTP2_REFUSED_STREAM);
        headers[n++] = header(":status", s->http_status);
        if (s->content_type)
                headers[n++] = header("content-type", s->content_type);
        if (s->trailers_only) {
                headers[n++] = header("grpc-status", s->grpc_status);
                headers[n++] = header("grpc-message", "no\xff way");
        }
        return nghttp2_submit_response(http, frame->hd.stream_id, headers, n,
                                       s->trailers_only ? NULL : &body);
}

static void server_start(Server *s) {
        nghttp2_session_callbacks *callbacks;

        assert_int_equal(nghttp2_session_callbacks_new(&callbacks), 0);
        nghttp2_session_callbacks_set_on_header_callback(callbacks, server_header);
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, server_data);
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, server_frame);
        assert_int_equal(nghttp2_session_server_new(&s->http, callbacks, s), 0);
        nghttp2_session_callbacks_del(callbacks);
        assert_int_equal(nghttp2_submit_settings(s->http, 0, NULL, 0), 0);
}

/* Bytes to and fro until nobody has any; the client gets `chunk` at a time and no more than `cut`. */
static int talk(GrpcSession *client, Server *s, size_t chunk, size_t cut, Error *e) {
        const uint8_t *data;
        size_t size, total = 0;
        bool more = true;

        while (more) {
                more = false;
                assert_int_equal(grpc_session_output(client, &data, &size), 0);
                if (size > 0) {
                        assert_int_equal(nghttp2_session_mem_recv(s->http, data, size),
                                         (ssize_t) size);
                        more = true;
                }
                ssize_t n = nghttp2_session_mem_send(s->http, &data);
                for (size_t at = 0, step; n > 0 && at < (size_t) n && total < cut; at += step) {
                        step = MIN_OF(chunk, (size_t) n - at);
                        step = MIN_OF(step, cut - total);
                        int r = grpc_session_input(client, data + at, step, e);
                        if (r < 0)
                                return r;
                        total += step;
                        more = true;
                }
        }
        return 0;
}

static int call(Server *s, size_t answer_max, size_t chunk, size_t cut, size_t *ret_size,
                Error *e) {
        _cleanup_(grpc_session_freep) GrpcSession *client = NULL;
        const uint8_t *message;

        server_start(s);
        assert_int_equal(grpc_session_new(CRI_LIST, "hi", 2, answer_max, &client), 0);
        assert_false(grpc_session_is_done(client));
        int r = talk(client, s, chunk, cut, e);
        if (r >= 0)
                r = grpc_session_result(client, &message, ret_size, e);
        nghttp2_session_del(s->http);
        assert_int_equal(error_is_set(e), r < 0);
        return r;
}

#define GOOD                                                                                       \
        {                                                                                          \
                .http_status = "200", .content_type = "application/grpc+proto",                    \
                .grpc_status = "0", .body = (const uint8_t *) "\0\0\0\0\3xyz", .body_size = 8      \
        }

static void a_good_answer(void **state _unused_) {
        for (size_t chunk = 1; chunk < 100000; chunk *= 10) {
                _cleanup_error_ Error e = ERROR_NULL;
                Server s = GOOD;
                size_t size = 0;

                assert_int_equal(call(&s, 3, chunk, SIZE_MAX, &size, &e), 0);
                assert_int_equal(size, 3);
                assert_string_equal(s.path, "/runtime.v1.RuntimeService/ListPodSandbox");
                assert_string_equal(s.authority, "localhost");
                assert_string_equal(s.te, "trailers");
                assert_string_equal(s.type, "application/grpc");
                assert_int_equal(s.request_size, 7);
                assert_memory_equal(s.request, "\0\0\0\0\2hi", 7);
        }
}

/* Several windows full: what we take is given back. */
static void a_large_answer(void **state _unused_) {
        const size_t size = 5 * (size_t) GRPC_WINDOW;
        _cleanup_free_ uint8_t *body = calloc(1, size + 5);
        _cleanup_error_ Error e = ERROR_NULL;
        Server s = GOOD, again = GOOD;
        size_t got = 0;

        assert_non_null(body);
        for (int i = 0; i < 4; i++)
                body[1 + i] = (uint8_t) (size >> (24 - 8 * i));
        s.body = again.body = body;
        s.body_size = again.body_size = size + 5;
        assert_int_equal(call(&s, size, 65536, SIZE_MAX, &got, &e), 0);
        assert_int_equal(got, size);
        assert_true(call(&again, size - 1, 65536, SIZE_MAX, &got, &e) < 0);
        assert_int_equal(e.kind, ERROR_DECODE);
}

static void expect_failure(Server s, ErrorKind kind, const char *word) {
        _cleanup_error_ Error e = ERROR_NULL;
        size_t size;

        assert_true(call(&s, 100, 100, SIZE_MAX, &size, &e) < 0);
        assert_int_equal(e.kind, kind);
        assert_non_null(strstr(error_message(&e), word));
}

static void bad_answers(void **state _unused_) {
        Server s = GOOD;

#define WITH(...)                                                                                  \
        ({                                                                                         \
                Server _s = GOOD;                                                                  \
                Server *x = &_s;                                                                   \
                __VA_ARGS__;                                                                       \
                _s;                                                                                \
        })
        expect_failure(WITH(x->grpc_status = NULL), ERROR_DECODE, "grpc-status");
        expect_failure(WITH(x->grpc_status = "x"), ERROR_DECODE, "grpc-status");
        expect_failure(WITH(x->grpc_status = "14"), ERROR_TRY_AGAIN, "14");
        expect_failure(WITH(x->grpc_status = "14", x->trailers_only = true), ERROR_TRY_AGAIN,
                       "no? way");
        expect_failure(WITH(x->grpc_status = "12", x->trailers_only = true), ERROR_NOT_SUPPORTED,
                       "12");
        /* "all is well", and no message */
        expect_failure(WITH(x->trailers_only = true), ERROR_DECODE, "0 bytes");
        expect_failure(WITH(x->http_status = "503"), ERROR_DECODE, "503");
        expect_failure(WITH(x->content_type = "text/html"), ERROR_DECODE, "content type");
        expect_failure(WITH(x->content_type = NULL), ERROR_DECODE, "content type");
        expect_failure(WITH(x->body = (const uint8_t *) "\1\0\0\0\3xyz"), ERROR_DECODE,
                       "compressed");
        expect_failure(WITH(x->body_size = 7), ERROR_DECODE, "3 bytes");
        expect_failure(WITH(x->body_size = 0), ERROR_DECODE, "0 bytes");
        expect_failure(WITH(x->body = (const uint8_t *) "\0\0\0\0\3xyz\0\0\0\0\0",
                            x->body_size = 13),
                       ERROR_DECODE, "8 bytes");
        expect_failure(WITH(x->reset = true), ERROR_TRY_AGAIN, "REFUSED_STREAM");

        /* cut off anywhere: an error, never a shorter list */
        for (size_t cut = 0;; cut++) {
                _cleanup_error_ Error e = ERROR_NULL;
                size_t size;

                s = (Server) GOOD;
                if (call(&s, 100, 100, cut, &size, &e) >= 0) {
                        assert_true(cut > 50);
                        break;
                }
                assert_int_equal(e.kind, ERROR_TRY_AGAIN);
        }
}

static void no_server(void **state _unused_) {
        static const struct {
                const char *data;
                size_t size;
        } cases[] = {
                { "HTTP/1.1 400 Bad Request\r\n\r\n", 28 },
                { "\xff\xff\xff\xff\xff\xff\xff\xff\xff", 9 },
                { "\0\0\5\4\0\0\0\0\0\0\0\0\0\0", 14 },       /* SETTINGS of 5 bytes */
                { "\0\0\4\1\5\0\0\0\1\xff\xff\xff\xff", 13 }, /* SETTINGS missing, HPACK index */
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(grpc_session_freep) GrpcSession *client = NULL;
                _cleanup_error_ Error e = ERROR_NULL;
                const uint8_t *data;
                size_t size;

                assert_int_equal(grpc_session_new(CRI_LIST, NULL, 0, 100, &client), 0);
                int r = grpc_session_input(client, (const uint8_t *) cases[i].data, cases[i].size,
                                           &e);
                while (r >= 0 && !grpc_session_is_done(client)) { /* it says good-bye first */
                        assert_int_equal(grpc_session_output(client, &data, &size), 0);
                        assert_true(size > 0);
                }
                if (r >= 0)
                        r = grpc_session_result(client, &data, &size, &e);
                assert_true(r < 0);
                assert_int_equal(e.kind, ERROR_DECODE);
        }
}

/* SETTINGS without end: no answer, and not our time. */
static void endless_settings(void **state _unused_) {
        _cleanup_(grpc_session_freep) GrpcSession *client = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        const uint8_t *data;
        size_t total = 0, size;
        int r = 0;

        assert_int_equal(grpc_session_new(CRI_LIST, NULL, 0, 100, &client), 0);
        while (r >= 0 && total < 4 * (size_t) GRPC_WINDOW) {
                r = grpc_session_input(client, (const uint8_t *) "\0\0\0\4\0\0\0\0\0", 9, &e);
                total += 9;
                if (r >= 0) /* the acknowledgements are taken, so that only the bytes count */
                        do
                                assert_int_equal(grpc_session_output(client, &data, &size), 0);
                        while (size > 0);
        }
        assert_true(r < 0);
        assert_int_equal(e.kind, ERROR_DECODE);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                cmocka_unit_test(frames),         cmocka_unit_test(good_lists),
                cmocka_unit_test(bad_lists),      cmocka_unit_test(endless_lists),
                cmocka_unit_test(versions),       cmocka_unit_test(a_good_answer),
                cmocka_unit_test(a_large_answer), cmocka_unit_test(bad_answers),
                cmocka_unit_test(no_server),      cmocka_unit_test(endless_settings),
        };
        return cmocka_run_group_tests(tests, NULL, NULL);
}
