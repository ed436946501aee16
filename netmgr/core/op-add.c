/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ADD: parse and find the network; look into the sandbox's netns (worker); make the network ready;
 * decide addresses; write the row (committer); wire (worker); write `up` (committer); answer.
 *
 * A failure undoes what was done, in reverse. After a crash the row `planned` tells what to undo.
 */

#include <inttypes.h>
#include <stdio.h>

#include "base/fd.h"
#include "base/limits.h"
#include "base/log.h"
#include "base/strv.h"
#include "core/add-internal.h"
#include "core/adjust.h"
#include "core/delegate.h"
#include "core/dhcp.h"
#include "core/exec-call.h"
#include "core/guest.h"
#include "core/netns-look.h"
#include "core/netns-watch.h"
#include "core/network-internal.h"
#include "core/nic.h"
#include "core/op-chain.h"
#include "core/op-networks.h"
#include "core/ports.h"
#include "core/sysctl-allow.h"

static AddOp *add_of_commit(Task *task) {
        return (AddOp *) ((char *) task - offsetof(AddOp, commit));
}
static AddOp *add_of_waiter(NetworkWaiter *w) {
        return (AddOp *) ((char *) w - offsetof(AddOp, waiter));
}

static void add_begin_next(Manager *m);
static int enforce_planned(Commit *c, Firewall *f);

void add_end_turn(AddOp *op) {
        if (!op->begun)
                return;
        op->begun = false;
        op->manager->n_adds_begun--;
        add_begin_next(op->manager);
}

void add_free(AddOp *op) {
        guest_free(op->guest);
        list_unlink(&op->list);
        list_unlink(&op->turn);
        add_end_turn(op);
        dhcp_call_free(op->lease_call);
        safe_close(op->packet_fd);
        lease_row_clear(&op->lease_row);
        free(op->dhcp);
        request_clear(&op->request);
        cni_args_clear(&op->args);
        netconf_free(op->conf);
        kernel_socket_free(op->pod);
        plan_clear(&op->plan);
        cni_owned_result_clear(&op->ipam);
        error_clear(&op->error);
        for (size_t i = 0; i < op->n_rested; i++)
                lease_free(op->rested[i]);
        policy_attachment_free(op->policy);
        free(op->wanted_ports);
        net_sysctls_free(op->wanted_sysctls, op->n_wanted_sysctls);
        free(op->device.kernel_path);
        free(op->device.pci_bus_id);
        strv_free(op->keep);
        nic_state_free(op->nic);
        free(op->address_rows);
        free(op->tables);
        free(op->cursor_rows);
        free(op->port_rows);
        trail_clear(&op->trail);
        free(op->plan_json);
        free(op->answer);
        free(op->result);
        free(op);
}

/* --- 6. up ------------------------------------------------------------------------------------ */

/* What the row `planned` could not have. */
static int write_lease(AddOp *op, Store *store, Error *e) {
        int r = store_put_attachment(store, &op->attachment_row, e);

        for (size_t i = 0; i < op->n_address_rows && r >= 0; i++)
                r = store_put_address(store, &op->address_rows[i], e);
        return r < 0 ? r : store_put_lease(store, &op->lease_row, e);
}

static int write_up(Commit *c, Store *store, Error *e) {
        AddOp *op = (AddOp *) ((char *) c - offsetof(AddOp, commit));
        EventRow event = trail_add(&op->trail, now_realtime());

        int r = op->put_lease ? write_lease(op, store, e) : 0;
        if (r >= 0)
                r = store_set_attachment_state(store, op->id,
                                               attachment_state_to_string(ATTACHMENT_UP),
                                               op->applied.host_ifindex, op->result, e);
        return r < 0 ? r : store_add_event(store, &event, e);
}

static void up_written(Task *task) {
        AddOp *op = add_of_commit(task);
        _cleanup_error_ Error error = ERROR_NULL;
        Attachment *a = op->attachment;

        manager_set_commit_health(op->manager, &op->commit);
        trail_clear(&op->trail);
        if (task->r < 0) {
                /* A crash would forget it. */
                add_take_down(op, task->r, &task->error, "the ledger refused the row");
                return;
        }
        int r = add_check_awaited(op, &error);
        if (r < 0) {
                add_take_down(op, r, &error, "nobody waited for it any more");
                return;
        }
        a->result = TAKE_PTR(op->result);
        attachment_pin(a, TAKE_FD(op->request.netns_fd));
        attachment_set_host_ifindex(a, op->applied.host_ifindex);
        op->attachment = NULL;
        attachment_set_state(a, ATTACHMENT_UP);
        if (a->dhcp)
                dhcp_binding_start(a->dhcp);
        log_ctx(LOG_INFO,
                &(LogContext) { .sandbox = a->sandbox->id,
                                .network = a->network->name,
                                .interface = a->spec.ifname,
                                .op = "add" },
                "add: %s of %s on network %s", a->spec.ifname, a->sandbox->id, a->network->name);
        op->done(0, NULL, op->answer, op->userdata);
        bool unheard = op->unwanted;
        operation_end(op->manager);
        add_free(op);
        /* A runtime that was not told will not ask for the end either. */
        if (unheard)
                attachment_release(a, "add-failed", "its caller was gone when it was done", NULL,
                                   NULL);
        else
                attachment_set_idle(a);
}

void add_commit_up(AddOp *op) {
        trail_take(&op->trail, op->attachment);
        op->commit.durable = false;
        op->commit.write = write_up;
        op->commit.enforce = op->put_lease && op->policy ? enforce_planned : NULL;
        op->commit.task.deliver = up_written;
        committer_submit(op->manager->committer, &op->commit);
}

/* --- 5. wire ----------------------------------------------------------------------------------- */

static int wire_run(Job *job, WorkerContext *w, Error *e) {
        AddOp *op = (AddOp *) job;

        int r = add_check_wanted(op, e);
        if (r >= 0)
                r = op->spec->unforeseen ? network_enable_forwarding(w, op->spec, e) : 0;
        if (r >= 0)
                r = wire_plan(w, &op->plan, op->request.netns_fd, op->pod, op->spec, &op->applied,
                              &op->left, e);
        if (r >= 0 && op->spec->adjust.n_rules > 0) {
                r = adjust_apply(op->pod, op->spec, NULL, e);
                op->left = r < 0;
        }
        if (r >= 0 && op->dhcp) {
                r = add_open_lease(op, w, e);
                /* What is wired stays open until the lease is there. */
                op->left = r < 0;
                if (r >= 0)
                        return 0;
        }
        if (r >= 0 && op->bridge_ifindex)
                wire_announce(w, op->bridge_ifindex, op->spec);
        /* Neither the socket nor the descriptor may outlive their use: they pin the namespace. */
        op->pod = kernel_socket_free(op->pod);
        if (!kind_is_inside(op->spec->kind))
                op->request.netns_fd = safe_close(op->request.netns_fd);
        return r;
}

static void mirrored(int r, const Error *e, void *userdata) {
        AddOp *op = userdata;
        Error error = ERROR_NULL;

        if (r >= 0) {
                add_commit_up(op);
                return;
        }
        (void) error_setf(&error, e->kind, "%s", error_message(e));
        add_take_down(op, r, &error, "host-local's directory could not be written");
}

static void wired(Task *task) {
        AddOp *op = (AddOp *) task;
        Error error = ERROR_NULL;

        if (task->r < 0) {
                add_fail(op, task->r, &task->error);
                return;
        }
        int r = add_check_awaited(op, &error);
        if (r < 0) {
                add_take_down(op, r, &error, "nobody waited for it any more");
                return;
        }
        if (op->dhcp)
                add_ask_lease(op);
        else if (add_wants_mirror(op))
                add_mirror(op, mirrored);
        else
                add_commit_up(op);
}

/* --- 4. the row -------------------------------------------------------------------------------- */

static int write_planned(Commit *c, Store *store, Error *e) {
        AddOp *op = (AddOp *) ((char *) c - offsetof(AddOp, commit));
        int r = 0;

        for (size_t i = 0; i < op->n_rested && r >= 0; i++)
                r = store_delete_address(store, op->rested[i]->pool, &op->rested[i]->address, e);
        if (r >= 0 && op->put_sandbox)
                r = store_put_sandbox(store, &op->sandbox_row, e);
        if (r >= 0)
                r = store_put_attachment(store, &op->attachment_row, e);
        for (size_t i = 0; i < op->n_address_rows && r >= 0; i++)
                r = store_put_address(store, &op->address_rows[i], e);
        for (size_t i = 0; i < op->n_cursor_rows && r >= 0; i++)
                r = store_put_cursor(store, &op->cursor_rows[i], e);
        for (size_t i = 0; i < op->n_port_rows && r >= 0; i++)
                r = store_put_port(store, &op->port_rows[i], e);
        if (r >= 0 && op->put_shaping)
                r = store_put_shaping(store, &op->shaping_row, e);
        if (r >= 0 && op->put_delegate)
                r = store_put_delegate(store, &op->delegate_row, e);
        return r;
}

/* Before a link is made: nothing can pass it that the tables do not know. */
static int enforce_planned(Commit *c, Firewall *f) {
        return firewall_put(f, ((AddOp *) ((char *) c - offsetof(AddOp, commit)))->policy);
}

static void planned_written(Task *task) {
        AddOp *op = add_of_commit(task);

        manager_set_commit_health(op->manager, &op->commit);
        op->written = op->commit.written;
        if (task->r < 0) {
                if (op->put_sandbox && !op->written)
                        op->attachment->sandbox->stored = false;
                add_fail(op, task->r, &task->error);
                return;
        }
        if (add_is_over(op))
                return;
        /* A client that keeps sending would otherwise keep its old way. */
        for (size_t i = 0; i < op->n_port_rows; i++)
                if (op->port_rows[i].protocol == IPPROTO_UDP)
                        flows_forget_port(op->manager->flows, IPPROTO_UDP,
                                          op->port_rows[i].host_port, &op->port_rows[i].host);
        attachment_set_state(op->attachment, ATTACHMENT_WIRING);
        op->job.run = wire_run;
        op->job.task.deliver = wired;
        workers_submit_next(op->manager->workers, &op->job);
}

void add_commit_row(AddOp *op, void (*deliver)(Task *task)) {
        Attachment *a = op->attachment;

        op->id = a->spec.id;
        op->put_sandbox = !a->sandbox->stored;
        a->sandbox->stored = true;
        sandbox_to_row(a->sandbox, &op->sandbox_row);
        network_to_row(a->network, &op->network_row);
        attachment_to_row(a, op->plan_json, &op->attachment_row);
        for (Lease *l; op->n_rested < ELEMENTSOF(op->rested) &&
                       (l = ipam_pop_rested(op->manager->ipam, now_realtime()));)
                op->rested[op->n_rested++] = l;
        op->commit.durable = op->put_delegate;
        for (size_t i = 0; i < op->n_address_rows; i++)
                op->commit.durable |= op->address_rows[i].sticky_sec > 0;
        op->commit.write = write_planned;
        op->commit.enforce = op->policy ? enforce_planned : NULL;
        op->commit.task.deliver = deliver;
        committer_submit(op->manager->committer, &op->commit);
}

/* --- 3. the network is ready: decide everything ------------------------------------------------ */

void add_decide_now(AddOp *op) {
        Error error = ERROR_NULL;

        if (add_is_over(op))
                return;
        if (add_wants_resolv_conf(op)) {
                add_read_resolv_conf(op);
                return;
        }
        if (add_wants_import(op)) {
                add_import(op);
                return;
        }
        if (add_wants_delegate(op)) {
                add_run_delegate(op);
                return;
        }
        int r = add_decide(op, &error);
        if (r < 0)
                add_fail(op, r, &error);
        else if (op->guest)
                guest_commit(op);
        else
                add_commit_row(op, planned_written);
}

static void sync_ready(SyncWaiter *w) {
        add_decide_now((AddOp *) ((char *) w - offsetof(AddOp, sync)));
}

static void network_ready(NetworkWaiter *w, int r, const Error *e) {
        AddOp *op = add_of_waiter(w);
        Error error = ERROR_NULL;

        if (r < 0) {
                (void) error_setf(&error, e->kind, "%s", error_message(e));
                add_fail(op, r, &error);
                return;
        }
        /* Before the last addresses go: what the runtimes have lost without a DEL may be in the way. */
        op->sync.ready = sync_ready;
        if (add_range_is_nearly_full(op) && sync_round_await(op->manager->sync_round, &op->sync))
                return;
        add_decide_now(op);
}

/* --- 2. look into the netns -------------------------------------------------------------------- */

static int inspect_run(Job *job, WorkerContext *w, Error *e) {
        AddOp *op = (AddOp *) job;
        dev_t dev;
        ino_t ino;

        /* Behind a netmgr-nsd that hangs, each would wait in its turn. */
        int r = add_check_wanted(op, e);
        if (r < 0)
                return r;
        op->looked = true;
        r = fd_is_netns(op->request.netns_fd, &dev, &ino);
        if (r < 0)
                return error_set_errnof(e, ERROR_INVALID_ARGUMENT, r, "Netns");
        r = sysctl_allow_check(op->manager->sysctl_allowlist, op->wanted_sysctls,
                               op->n_wanted_sysctls, e);
        if (r < 0)
                return r;
        op->netns.dev = dev;
        op->netns.ino = ino;
        netns_witness_make(op->request.netns_path, dev, ino, &op->netns.witness);
        r = wire_open_netns(w, op->request.netns_fd, &op->pod, &op->netns.cookie, e);
        if (r >= 0)
                r = ports_check_listeners(op->wanted_ports, op->n_wanted_ports, e);
        if (r >= 0 && kind_has_master(op->kind))
                r = add_find_master(op, w, e);
        if (r >= 0 && op->look_for_tables)
                r = add_look_for_tables(op, e);
        if (r >= 0 && op->kind == NET_KIND_HOST_DEVICE)
                r = nic_find(w, &op->device, op->keep, &op->nic, e);
        /* Of an IPAM plugin's caller the interface may be there already: it is not ours to make. */
        if (r < 0 || op->loopback || op->kind == NET_KIND_FOREIGN)
                return r;
        return wire_check_name_is_free(op->pod, op->request.ifname, op->request.netns_path, e);
}

static void inspected(Task *task);

static void inspect(AddOp *op) {
        op->n_nics_home = op->manager->n_nics_home;
        op->look_for_tables = add_looks_for_tables(op);
        op->job.run = inspect_run;
        op->job.task.deliver = inspected;
        workers_submit(op->manager->workers, &op->job);
}

/* A NIC came home while we looked: it may have been seen before it was again what it was. */
static bool inspect_again(AddOp *op) {
        if (op->kind != NET_KIND_HOST_DEVICE || op->n_nics_home == op->manager->n_nics_home)
                return false;
        error_clear(&op->job.task.error);
        op->nic = nic_state_free(op->nic);
        free(TAKE_PTR(op->tables));
        op->n_tables = 0;
        op->pod = kernel_socket_free(op->pod);
        inspect(op);
        return true;
}

static void inspected(Task *task) {
        AddOp *op = (AddOp *) task;
        Sandbox *s = op->attachment->sandbox;

        if (op->looked && task->r == -error_errno(ERROR_TRY_AGAIN))
                manager_set_health(op->manager, HEALTH_NSD, error_message(&task->error));
        else if (op->looked)
                manager_set_health(op->manager, HEALTH_NSD, NULL);
        if (inspect_again(op))
                return;
        if (task->r < 0) {
                add_fail(op, task->r, &task->error);
                return;
        }
        int r = add_check_nic(op, op->nic, &task->error);
        if (r >= 0)
                r = sandbox_identify(s, op->request.netns_path, &op->netns, &task->error);
        if (r < 0) {
                add_fail(op, r, &task->error);
                return;
        }
        if (add_is_over(op))
                return;
        op->waiter.ready = network_ready;
        network_await(op->attachment->network, &op->waiter);
}

static void add_begin_next(Manager *m) {
        while (m->n_adds_begun < ADDS_BEGUN_MAX && !list_is_empty(&m->adds_waiting)) {
                AddOp *op = list_entry(m->adds_waiting.next, AddOp, turn);

                list_unlink(&op->turn);
                if (add_is_over(op))
                        continue;
                op->begun = true;
                m->n_adds_begun++;
                inspect(op);
        }
}

/* --- 1. parse and find ------------------------------------------------------------------------- */

/* A sandbox that lost its interface without a DEL (its netns died) may come again by the same name:
 * what is left of the old one goes first. */
static void healed(int r, const Error *e, void *userdata) {
        AddOp *op = userdata;
        Error error = ERROR_NULL;

        if (r < 0 || error_is_set(e)) { /* or RELEASE_PENDING */
                r = error_setf(&error, e->kind, "%s", error_message(e));
                add_fail(op, r, &error);
                return;
        }
        add_start(op);
}

/* Before an interface of the runtime's own is replaced goes what came with it: it is of the old namespace, too. */
static Attachment *first_to_replace(const AddOp *op, Attachment *a) {
        Attachment *member = attachment_last_member(op->manager, op->request.container_id,
                                                    a->spec.ifname, UINT32_MAX);
        return member && !a->spec.parent[0] && !member->busy ? member : a;
}

void add_start(AddOp *op) {
        Error error = ERROR_NULL;
        Attachment *a = attachment_find(op->manager, op->request.container_id, op->request.ifname);

        if (a && guest_is_of(a, op->request.type)) {
                guest_add(op, a);
                return;
        }
        if (a && a->delegate_pending && !task_can_be_asked(op->manager, op->request.talk)) {
                int r = error_setf(
                                &error, ERROR_TRY_AGAIN,
                                "interface %s of sandbox %s waits for the DEL of plugin %s, which has to "
                                "be run by the caller: call netmgr's CNI plugin, or start netmgr-exec",
                                op->request.ifname, op->request.container_id,
                                a->delegates[a->n_delegates - 1].plugin);
                add_fail(op, r, &error);
                return;
        }
        if (a && !a->busy && (a->state == ATTACHMENT_UP ? a->lost : true)) {
                attachment_release_for(first_to_replace(op, a), -EBADF, op->request.talk,
                                       "replaced",
                                       a->lost ? "its interface was gone when ADD came again"
                                               : "its release had not come to its end",
                                       healed, op);
                return;
        }
        int r = add_prepare(op, a, &error);
        if (r < 0) {
                add_fail(op, r, &error);
                return;
        }
        op->attachment->busy = true;
        r = add_list_sysctls(op, &error);
        if (r >= 0 && (add_list_ports(op) < 0 || add_list_devices(op) < 0))
                r = error_oom(&error);
        if (r < 0) {
                add_fail(op, r, &error);
                return;
        }
        list_append(&op->manager->adds_waiting, &op->turn);
        add_begin_next(op->manager);
}

/* To the operation that makes several of it. */
static void add_hand_over(AddOp *op) {
        Request q = op->request;

        op->request = (Request) { .netns_fd = -EBADF, .host_netns_fd = -EBADF };
        operation_end(op->manager);
        operation_add_networks(op->manager, &q, op->done, op->userdata);
        add_free(op);
}

/* Of an operation that was let in: a member, or what a plugin asks for that was run for one. */
static bool is_part(const Manager *m, const Request *q) {
        const Attachment *a = q->place ? NULL : attachment_find(m, q->container_id, q->ifname);

        return q->place || (a && guest_is_of(a, q->type));
}

void operation_add(Manager *m, Request *q, RequestDone done, void *userdata) {
        Error error = ERROR_NULL;

        if (net_plugin_is_chained(net_plugin_from_string(q->type))) {
                operation_chain(m, q, done, userdata);
                return;
        }
        AddOp *op = new0(AddOp, 1);

        if (!op) {
                request_clear(q);
                done(error_oom(&error), &error, "", userdata);
                error_clear(&error);
                return;
        }
        *op = (AddOp) {
                .manager = m, .request = *q, .done = done, .userdata = userdata, .packet_fd = -EBADF
        };
        *q = (Request) { .netns_fd = -EBADF, .host_netns_fd = -EBADF };
        list_append(&m->adds, &op->list);
        op->deadline = now_monotonic() + (uint64_t) m->conf.add_timeout_sec * 1000000U;

        /* A member counts with the operation that it is of. */
        bool part = is_part(m, &op->request);
        m->n_operations += part;
        int r = part ? 0 : operation_begin(m, &error);
        if (r < 0) {
                op->done(r, &error, "", op->userdata);
                error_clear(&error);
                add_free(op);
                return;
        }
        r = add_parse(op, &error);
        if (r < 0)
                add_fail(op, r, &error);
        else if (networks_wanted(m, &op->request, op->conf))
                add_hand_over(op);
        else
                add_start(op);
}
