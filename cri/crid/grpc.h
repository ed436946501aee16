/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One unary gRPC call as a client: HTTP/2 by libnghttp2, bytes in and bytes out. No socket and no
 * clock here, so that tests and the fuzzer can be the server.
 *
 * The server is hostile: size of the message, of all bytes and of the header texts are limited.
 */

#include "base/error.h"

typedef struct GrpcSession GrpcSession;

/* method: "/package.Service/Method". The request is copied. */
int grpc_session_new(const char *method, const void *request, size_t size, size_t answer_max,
                     GrpcSession **ret);
GrpcSession *grpc_session_free(GrpcSession *s);
DEFINE_CLEANUP(GrpcSession *, grpc_session_free)

/* What is to be sent next; *ret_size 0: nothing for now. Valid until the next call of anything. */
int grpc_session_output(GrpcSession *s, const uint8_t **ret, size_t *ret_size);
/* What was received. An error ends the session. */
int grpc_session_input(GrpcSession *s, const uint8_t *data, size_t size, Error *e);
/* The answer is complete, or there will be none. */
bool grpc_session_is_done(const GrpcSession *s);

/*
 * The message, borrowed from the session; to be asked when it is done or the connection has ended.
 * ERROR_DECODE: what came is no answer; ERROR_NOT_SUPPORTED: no such method; ERROR_TRY_AGAIN: the
 * server refused, or was cut off.
 */
int grpc_session_result(const GrpcSession *s, const uint8_t **ret, size_t *ret_size, Error *e);

/* Takes the one message out of a body: flag, length, bytes, and nothing after them. */
int grpc_frame_parse(const uint8_t *data, size_t size, const uint8_t **ret, size_t *ret_size,
                     Error *e);
