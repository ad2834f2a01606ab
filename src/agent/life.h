/* Between the files that start, stop and fork the agent; nobody else includes it. */
#ifndef PD_AGENT_LIFE_H
#define PD_AGENT_LIFE_H

#include <limits.h>
#include <pprofd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "agent/agent.h"

/* Options and environment, checked, in memory of their own. "" = not given. */
struct pd_settings {
	char listen[256];
	char token_file[PATH_MAX];
	char hosts[1024];
	char access[16];
	char prefix[128];
	char log[PATH_MAX];
	char server[PATH_MAX];
	uint64_t cpu_hz, heap_rate, block_rate, mutex_fraction, io_rate, wall_hz;
	uint64_t memory;
	uint64_t signo;
	uint64_t off;
};

/* Fill from defaults, then options (NULL = none), then the environment. 0 or -errno; tells the log why. */
int pd_settings_read(struct pd_settings *s, const struct pprofd_options *options);
/* Is PPROFD_LISTEN set to something to listen on? "none" is not: it is for programs that call our functions. */
bool pd_settings_wanted(void);

/* Parse s->listen, bind and listen: fills family, addr, loopback, listen_fd and address of c. 0 or -errno. */
int pd_listen_open(const char *listen, struct pd_config *c);
/* Undo pd_listen_open when nobody got to serve. */
void pd_listen_close(const struct pd_config *c);
/* Remove the socket file when it is still the one that was made. */
void pd_listen_forget(void);
/* In a forked child: the file is the parent's. */
void pd_listen_disown(void);

/* Load the serving part and hand it the agent. 0 or -errno. */
int pd_server_load(const struct pd_settings *s, const struct pd_agent *agent, const struct pd_config *c);
void pd_server_unload(bool forked);

/* agent.h's offer. */
void pd_service_offer(const struct pd_service *service);
/* What the serving part does for us; NULL before the first start. It says itself whether it runs. */
const struct pd_service *pd_service(void);
/* In a forked child: forget what the parent's threads were at. */
void pd_write_forked(void);

/* 0 when the process's limits leave room for a service with so much memory; -ENOMEM, told in the log. */
int pd_room_for(uint64_t memory);

/* The agent's thread and what it looks after. 0 or -errno. */
int pd_agent_on(const struct pd_settings *s);
void pd_agent_off(void);
void pd_agent_forked(void);
extern const struct pd_agent pd_agent;
/* Its thread makes a pass now. Any thread that holds no lock of the agent. */
void pd_agent_wake(void);
/* agent.h's self. */
size_t pd_agent_self(struct pd_fact *out, size_t max);
/* Memory for all tables. */
const struct pd_budget *pd_agent_budget(void);
/* The host is loading an object: look for it until it is there. Any thread. */
void pd_agent_loader_changed(void);

/* All samplers, by kind; and the lock that is held while they are opened, closed, and their rates set. */
struct pd_sampler;
extern const struct pd_sampler *const pd_samplers[PD_KINDS];
void pd_samplers_lock(void);
void pd_samplers_unlock(void);

/* agent.h's rates, rates_set and rate_events. */
size_t pd_rates(struct pd_rate *out, size_t max);
int pd_rates_set(struct pd_rate_change *change, size_t n, int64_t for_ns, enum pd_rate_source source, size_t *bad);
size_t pd_rate_events(struct pd_rate_event *out, size_t max);
/* Put the settings' rates in force. 0 or -errno. */
int pd_rates_on(const struct pd_settings *s);
/* No rate can be set or come back any more. Samplers' lock held. */
void pd_rates_off(void);
/* Give back the rates whose time is over; when to look again: `next` or sooner (CLOCK_MONOTONIC). Samplers' lock held. */
int64_t pd_rates_expire(int64_t next);
void pd_rates_forked(void);

bool pd_started(void);
/* In a forked child: forget the service; the settings it had, or NULL when there was none. */
const struct pd_settings *pd_start_forked(void);
/* Start with these settings; the caller holds nothing. 0 or -errno. */
int pd_start(const struct pd_settings *s);
/* Stop for a moment, and start with the same settings again. False: there was nothing to stop. Host's threads only. */
bool pd_start_pause(void);
void pd_start_resume(void);

/* Step aside for what a program cannot do with threads of ours beside its own. 0 or -errno. */
int pd_rights_on(void);
void pd_rights_off(void);
/* The calling thread is in the process that the service was started in, and that is served. */
bool pd_rights_serving(void);
/* Threads ask for no rights any more: the program may be ended for that. */
void pd_rights_confined(void);
/* Called after setsid() or daemon() succeeded in the host. */
void pd_fork_new_session(void);
/* The program is about to be put under a filter of system calls: prog (struct sock_fprog), or the strict one. */
void pd_filter_ahead(bool strict, bool all_threads, const void *prog);
/* No service in children from now on: they would be ended for it. */
void pd_fork_confined(void);
/* Handle forks from now on. 0 or -errno. */
int pd_fork_watch(void);

#endif
