/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ADD on a network whose addresses come from a DHCP server: the link is made first, without an address;
 * then the server is asked, on the loop, while no worker waits; then a worker gives the link what the
 * lease says, and the rows go with `up`.
 *
 * After a crash in between the row `planned` has the link taken down; of the lease the ledger knows
 * nothing, and the server's time runs out.
 */

#include "base/failpoint.h"
#include "base/fd.h"
#include "core/add-internal.h"
#include "core/dhcp.h"
#include "core/enforce.h"

/* What is left for the steps after the lease. */
#define REST_MS  500U
#define LEAST_MS 500U

int add_decide_lease(AddOp *op, Error *e) {
        Attachment *a = op->attachment;
        const NetConf *c = a->network->conf;

        if (!a->spec.dhcp)
                return 0;
        if (op->conf->n_ports > 0)
                return error_setf(
                                e, ERROR_NOT_SUPPORTED,
                                "runtimeConfig.portMappings: network %s has its addresses from a DHCP "
                                "server, and host ports cannot be published by the same ADD; add them "
                                "with netmgrctl or by the plugin portmap",
                                a->network->name);
        op->dhcp = new0(DhcpRequest, 1);
        if (!op->dhcp)
                return error_oom(e);
        op->dhcp->magic = DHCP_MAGIC;
        op->dhcp->operation = DHCP_ACQUIRE;
        /* An address that somebody names is a wish, as with any DHCP client. */
        for (size_t i = 0; i < op->conf->n_requested && !op->dhcp->address; i++)
                op->dhcp->address = dhcp_from_in_addr(&op->conf->requested[i].address);
        for (size_t i = 0; i < op->args.n_ips && !op->dhcp->address; i++)
                op->dhcp->address = dhcp_from_in_addr(&op->args.ips[i].address);
        return dhcp_spec_options(&c->dhcp, op->request.args, a->sandbox->id, op->conf->name,
                                 a->spec.ifname, op->dhcp, e);
}

int add_open_lease(AddOp *op, WorkerContext *w, Error *e) {
        /* Another plugin's interface may wait for its address before it is raised. */
        return dhcp_open_link(w, op->request.netns_fd, op->pod, op->request.ifname,
                              op->spec->kind == NET_KIND_FOREIGN, op->dhcp, &op->packet_fd, e);
}

/* --- 3. the worker ----------------------------------------------------------------------------- */

static int lease_run(Job *job, WorkerContext *w, Error *e) {
        AddOp *op = (AddOp *) job;

        int r = failpoint("dhcp-lease");
        if (r < 0)
                return error_set_errnof(e, ERROR_KERNEL, r, "giving the interface its lease");
        r = dhcp_apply(op->pod, NULL, op->spec, e);
        if (r >= 0 && op->bridge_ifindex)
                wire_announce(w, op->bridge_ifindex, op->spec);
        /* Neither may outlive their use: they pin the namespace. */
        op->pod = kernel_socket_free(op->pod);
        if (!kind_is_inside(op->spec->kind))
                op->request.netns_fd = safe_close(op->request.netns_fd);
        return r;
}

static void lease_wired(Task *task) {
        AddOp *op = (AddOp *) task;
        Error error = task->error;

        task->error = ERROR_NULL;
        int r = task->r < 0 ? task->r : add_check_awaited(op, &error);
        if (r < 0)
                add_take_down(op, r, &error, "it could not have its lease");
        else
                add_commit_up(op);
}

/* --- 2. the lease ------------------------------------------------------------------------------ */

/* From here on a failure gives it back: the attachment has it. */
static int bind_lease(AddOp *op, const DhcpLease *l, uint32_t age_ms) {
        const uint64_t age = age_ms * 1000ULL;
        Attachment *a = op->attachment;
        LeaseRow *row = &op->lease_row, copy;

        row->attachment = a->spec.id;
        row->priority = a->network->conf->dhcp.priority;
        row->provide = malloc(op->dhcp->provide_size + 1);
        row->wanted = malloc(op->dhcp->wanted_size + 1);
        if (!row->provide || !row->wanted)
                return -ENOMEM;
        row->provide_size = op->dhcp->provide_size;
        row->wanted_size = op->dhcp->wanted_size;
        memcpy(row->provide, op->dhcp->provide, row->provide_size);
        memcpy(row->wanted, op->dhcp->wanted, row->wanted_size);
        if (dhcp_row_update(row, l, now_realtime() - age, now_boottime() - age) < 0 ||
            dhcp_row_copy(row, &copy) < 0)
                return -ENOMEM;
        int r = dhcp_binding_new(a, &copy);
        lease_row_clear(&copy);
        return r;
}

/* The row that was `planned` with what it lacked. */
static int derive(AddOp *op, Error *e) {
        Attachment *a = op->attachment;

        free(TAKE_PTR(op->plan_json));
        if (spec_to_json(&a->spec, &op->plan_json) < 0)
                return error_oom(e);
        attachment_to_row(a, op->plan_json, &op->attachment_row);
        if (!enforce_concerns(a))
                return add_make_answer(op, e);
        op->policy = policy_attachment_free(op->policy);
        op->policy = enforce_attachment(a);
        return op->policy ? add_make_answer(op, e) : error_oom(e);
}

static int take(AddOp *op, const DhcpLease *l, uint32_t age_ms, Error *e) {
        Attachment *a = op->attachment;
        Lease *held;

        if (bind_lease(op, l, age_ms) < 0 ||
            dhcp_spec_apply(l, op->lease_row.priority, !a->spec.lease_dns, &a->spec) < 0)
                return error_oom(e);
        int r = dhcp_hold_address(a, &a->spec.addresses[0].address, &held, e);
        if (r < 0) {
                a->spec.n_addresses = 0; /* somebody else's */
                return r;
        }
        a->leases[a->n_leases++] = held;
        op->address_rows[op->n_address_rows++] = dhcp_address_row(a, &a->spec.addresses[0]);
        op->put_lease = true;
        return derive(op, e);
}

static int fail_of(const AddOp *op, const DhcpAnswer *answer, Error *e) {
        return error_setf(e,
                          answer->outcome == DHCP_OUTCOME_FAILED ? ERROR_KERNEL : ERROR_TRY_AGAIN,
                          "network %s: no lease for %s of %s: %s", op->attachment->network->name,
                          op->request.ifname, op->request.container_id, answer->sentence);
}

static void answered(int r, const DhcpAnswer *answer, const Error *e, void *userdata) {
        AddOp *op = userdata;
        Error error = ERROR_NULL;

        op->lease_call = NULL;
        if (r < 0)
                (void) error_setf(&error, e->kind, "%s", error_message(e));
        else if (answer->outcome != DHCP_OUTCOME_LEASE)
                r = fail_of(op, answer, &error);
        else
                r = take(op, &answer->lease, answer->age_ms, &error);
        if (r >= 0)
                r = add_check_awaited(op, &error);
        if (r < 0) {
                add_take_down(op, r, &error, "there was no lease for it");
                return;
        }
        op->job.run = lease_run;
        op->job.task.deliver = lease_wired;
        workers_submit_next(op->manager->workers, &op->job);
}

/* --- 1. the question --------------------------------------------------------------------------- */

void add_ask_lease(AddOp *op) {
        uint64_t now = now_monotonic();
        uint64_t left = op->deadline > now ? (op->deadline - now) / 1000U : 0;
        Error error = ERROR_NULL;

        left = left > REST_MS + LEAST_MS ? left - REST_MS : LEAST_MS;
        op->dhcp->deadline_ms = (uint32_t) MIN_OF(left, (uint64_t) DHCP_EXCHANGE_MAX_MS);
        int r = dhcp_call_new(op->manager, op->dhcp, TAKE_FD(op->packet_fd), answered, op,
                              &op->lease_call, &error);
        if (r < 0)
                add_take_down(op, r, &error, "netmgr-dhcp could not be asked");
        else
                /* It only waits now: a silent server shall not keep other networks' ADDs out. */
                add_end_turn(op);
}

void adds_stop(Manager *m) {
        AddOp *op;

        LIST_FOREACH (op, &m->adds, AddOp, list) {
                Error error = ERROR_NULL;

                if (!op->lease_call)
                        continue;
                op->lease_call = dhcp_call_free(op->lease_call);
                int r = error_setf(&error, ERROR_TRY_AGAIN, "netmgrd was stopped; undone");
                add_take_down(op, r, &error, "netmgrd was stopped");
        }
}
