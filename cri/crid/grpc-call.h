/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A unary gRPC call over a Unix socket, on the event loop: a connection of its own, GRPC_TIMEOUT_MS for
 * all of it. Calls are minutes apart; a connection kept between them would only be one more thing to
 * find broken. */

#include <systemd/sd-event.h>

#include "base/error.h"

typedef struct GrpcCall GrpcCall;

/* r < 0: e is filled. The message is borrowed for the time of the call. The GrpcCall may be freed in it,
 * and does nothing more after it. */
typedef void (*GrpcDone)(int r, const Error *e, const uint8_t *message, size_t size,
                         void *userdata);

/* `done` comes from the loop, exactly once, unless the call is freed before. When this returns an
 * error (nobody listens), it does not come at all. */
int grpc_call_start(sd_event *event, const char *socket_path, const char *method,
                    const void *request, size_t size, GrpcDone done, void *userdata, GrpcCall **ret,
                    Error *e);
GrpcCall *grpc_call_free(GrpcCall *c);
DEFINE_CLEANUP(GrpcCall *, grpc_call_free)
