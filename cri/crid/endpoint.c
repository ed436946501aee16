/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Rounds of question and list; see endpoint.h. Nothing survives: a new process begins with a round. */

#include "cri/crid/endpoint.h"

#include <time.h>

#include "base/log.h"
#include "base/parse.h"
#include "cri/crid/grpc-call.h"
#include "cri/crid/messages.h"
#include "cri/crid/netmgrd.h"

#define BACKOFF_FIRST_SEC 1U
#define BACKOFF_MAX_SEC   60U

typedef enum EndpointState {
        STATE_NEW,
        STATE_AGREED,    /* netmgrd has worked in the last list */
        STATE_SILENT,    /* the runtime cannot be asked */
        STATE_NONSENSE,  /* it answers what is no answer */
        STATE_NO_NETMGRD /* netmgrd cannot be told, or refused */
} EndpointState;

struct Endpoint {
        EndpointParams params;
        char *name, *socket; /* owned */
        char *version;       /* owned; what answered, NULL: ask it */
        Netmgrd *netmgrd;
        GrpcCall *call; /* question under way */
        bool telling;   /* Synchronize under way */
        bool again;     /* wanted while a round was under way: that list is too old */
        sd_event_source *timer;
        uint64_t began_usec; /* CLOCK_BOOTTIME, before the question of this round */
        uint32_t backoff_sec;
        size_t n_sandboxes;
        EndpointState state;
        char *status; /* owned */
};

static void round_start(Endpoint *p);

static uint64_t now_boottime(void) {
        struct timespec ts;
        clock_gettime(CLOCK_BOOTTIME, &ts);
        return (uint64_t) ts.tv_sec * 1000000U + (uint64_t) ts.tv_nsec / 1000U;
}

/* --- the end of a round ------------------------------------------------------------------------ */

static int on_timer(sd_event_source *s _unused_, uint64_t usec _unused_, void *userdata) {
        round_start(userdata);
        return 0;
}

static void wait_for(Endpoint *p, uint32_t sec) {
        p->timer = sd_event_source_disable_unref(p->timer);
        int r = sd_event_add_time_relative(p->params.event, &p->timer, CLOCK_MONOTONIC,
                                           p->again ? 0 : sec * 1000000ULL, 0, on_timer, p);
        p->again = false;
        if (r < 0) /* no timer: never again would be worse than starting anew */
                (void) sd_event_exit(p->params.event, log_error_errno(r, "setting a timer"));
}

/* One line for each change, and the status for who looks. Takes the sentence. */
static void set_state(Endpoint *p, EndpointState state, int priority, char *sentence) {
        if (p->state != state)
                log_ctx(priority, &(LogContext) { .op = "synchronize" }, "%s: %s", p->name,
                        strempty(sentence));
        p->state = state;
        free(p->status);
        p->status = strf("%s: %s", p->name, strempty(sentence));
        free(sentence);
        p->params.changed(p->params.userdata);
}

static void round_failed(Endpoint *p, EndpointState state, const Error *e) {
        p->telling = false;
        if (state != STATE_NO_NETMGRD) {
                free(TAKE_PTR(p->version));
                netmgrd_disconnect(p->netmgrd);
        }
        set_state(p, state, p->params.optional && p->state == STATE_NEW ? LOG_INFO : LOG_WARNING,
                  state == STATE_NO_NETMGRD
                                  ? strf("the list of sandboxes is not taken: %s", error_message(e))
                                  : strf("cannot be asked at %s, and nothing is released on its "
                                         "account: %s",
                                         p->socket, error_message(e)));
        p->backoff_sec = p->backoff_sec ? MIN_OF(2 * p->backoff_sec, BACKOFF_MAX_SEC)
                                        : BACKOFF_FIRST_SEC;
        /* Wanted meanwhile: the failure answers that as well. */
        p->again = false;
        wait_for(p, MIN_OF(p->backoff_sec, p->params.interval_sec));
}

static void runtime_failed(Endpoint *p, const Error *e) {
        round_failed(p, e->kind == ERROR_DECODE ? STATE_NONSENSE : STATE_SILENT, e);
}

static void on_told(int r, const Error *e, size_t released, size_t failed, void *userdata) {
        Endpoint *p = userdata;

        if (r < 0) {
                round_failed(p, STATE_NO_NETMGRD, e);
                return;
        }
        p->telling = false;
        p->backoff_sec = 0;
        if (released > 0 || failed > 0)
                log_notice("%s: %zu sandboxes that it no longer has were released, %zu could not be",
                           p->name, released, failed);
        set_state(p, STATE_AGREED, LOG_INFO,
                  strf("%zu sandboxes of %s at %s", p->n_sandboxes, strempty(p->version),
                       p->socket));
        wait_for(p, p->params.interval_sec);
}

/* --- questions --------------------------------------------------------------------------------- */

static void on_list(int r, const Error *e, const uint8_t *message, size_t size, void *userdata) {
        _cleanup_sandboxes_ CriSandboxes list = { 0 };
        _cleanup_error_ Error error = ERROR_NULL;
        Endpoint *p = userdata;

        if (r >= 0)
                r = cri_sandboxes_read(message, size, &list, &error);
        if (r < 0) {
                runtime_failed(p, error_is_set(&error) ? &error : e);
                p->call = grpc_call_free(p->call);
                return;
        }
        p->call = grpc_call_free(p->call);
        p->n_sandboxes = list.n;
        p->telling = true;
        r = netmgrd_synchronize(p->netmgrd, p->name, p->began_usec, &list, on_told, &error);
        if (r < 0)
                round_failed(p, STATE_NO_NETMGRD, &error);
}

static int ask(Endpoint *p, const char *method, GrpcDone done, Error *e) {
        return grpc_call_start(p->params.event, p->socket, method, NULL, 0, done, p, &p->call, e);
}

static void ask_list(Endpoint *p) {
        _cleanup_error_ Error error = ERROR_NULL;

        p->began_usec = now_boottime();
        if (ask(p, CRI_LIST, on_list, &error) < 0)
                runtime_failed(p, &error);
}

static void on_version(int r, const Error *e, const uint8_t *message, size_t size, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        Endpoint *p = userdata;

        if (r >= 0)
                r = cri_version_read(message, size, &p->version, &error);
        if (r < 0)
                runtime_failed(p, error_is_set(&error) ? &error : e);
        p->call = grpc_call_free(p->call);
        if (r >= 0)
                ask_list(p);
}

static void round_start(Endpoint *p) {
        _cleanup_error_ Error error = ERROR_NULL;

        if (p->call || p->telling) {
                p->again = true;
                return;
        }
        p->timer = sd_event_source_disable_unref(p->timer);
        p->again = false;
        if (p->version)
                ask_list(p);
        else if (ask(p, CRI_VERSION, on_version, &error) < 0)
                runtime_failed(p, &error);
}

static void on_wanted(void *userdata) {
        round_start(userdata);
}

static void on_lost(void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        Endpoint *p = userdata;

        if (p->call)
                return; /* the list that comes finds it again, or not */
        (void) error_setf(&error, ERROR_TRY_AGAIN, "netmgrd has closed the connection");
        round_failed(p, STATE_NO_NETMGRD, &error);
}

/* --- life -------------------------------------------------------------------------------------- */

int endpoint_new(const EndpointParams *params, Endpoint **ret) {
        _cleanup_(endpoint_freep) Endpoint *p = new0(Endpoint, 1);

        if (!p)
                return -ENOMEM;
        p->params = *params;
        p->params.name = p->params.socket = NULL;
        p->name = strdup(params->name);
        p->socket = strdup(params->socket);
        p->netmgrd = netmgrd_new(&(NetmgrdParams) { .event = params->event,
                                                    .runtime_dir = params->runtime_dir,
                                                    .system_bus = params->system_bus,
                                                    .wanted = on_wanted,
                                                    .lost = on_lost,
                                                    .userdata = p });
        if (!p->name || !p->socket || !p->netmgrd)
                return -ENOMEM;
        *ret = TAKE_PTR(p);
        return 0;
}

Endpoint *endpoint_free(Endpoint *p) {
        if (!p)
                return NULL;
        sd_event_source_disable_unref(p->timer);
        grpc_call_free(p->call);
        netmgrd_free(p->netmgrd);
        free(p->name);
        free(p->socket);
        free(p->version);
        free(p->status);
        free(p);
        return NULL;
}

void endpoint_start(Endpoint *p) {
        round_start(p);
}

const char *endpoint_status(const Endpoint *p) {
        return strempty(p->status);
}
