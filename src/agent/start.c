/* The public life cycle: start, stop, address, rates, and the start that the environment asks for. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <unistd.h>

#include "agent/life.h"
#include "agent/os/os.h"
#include "base/atomic.h"
#include "base/log.h"

#define API __attribute__((visibility("default")))

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all below */
static struct pd_settings settings;
static struct pd_config config;
static uint32_t started; /* atomic: read without the lock */
static bool by_environment; /* started before the program could say anything */

bool pd_started(void)
{
	return pd_load_acquire(&started);
}

static int start_parts(void)
{
	config = (struct pd_config){
		.access_local = settings.access[0] != 0,
		.token_file = settings.token_file[0] ? settings.token_file : NULL,
		.hosts = settings.hosts[0] ? settings.hosts : NULL,
		.prefix = settings.prefix[0] ? settings.prefix : NULL,
		.log = settings.log[0] ? settings.log : NULL,
		.memory = settings.memory,
	};
	int err = pd_room_for(settings.memory);
	if (!err)
		err = pd_listen_open(settings.listen, &config);
	if (err)
		return err;
	err = pd_fork_watch();
	if (!err)
		err = pd_agent_on(&settings);
	if (err) {
		pd_listen_close(&config);
		pd_log("not started: %s", strerrordesc_np(-err));
		return err;
	}
	err = pd_server_load(&settings, &pd_agent, &config);
	if (err) {
		if (err != -ELIBACC) /* told already, and closer */
			pd_log("not started: the serving part: %s", strerrordesc_np(-err));
		pd_listen_close(&config);
		pd_agent_off();
		return err;
	}
	pd_store_release(&started, 1);
	pd_rights_on();
	if (config.listen_fd >= 0)
		pd_log("serving on %s", config.address);
	else
		pd_log("started without a listener");
	return 0;
}

/* The lock is held. */
static int start_locked(void)
{
	struct pd_fds_filled low;
	pd_fds_fill(&low);
	pd_own_work_begin();
	int err = start_parts();
	pd_own_work_end();
	pd_fds_free(&low);
	return err;
}

int pd_start(const struct pd_settings *s)
{
	pthread_mutex_lock(&lock);
	int err = -EALREADY;
	if (!started) {
		if (s != &settings)
			settings = *s;
		err = start_locked();
	}
	pthread_mutex_unlock(&lock);
	return err;
}

/* The lock is held. */
static void stop_locked(void)
{
	pd_store_release(&started, 0);
	pd_own_work_begin();
	pd_rights_off();
	pd_server_unload(false);
	pd_agent_off();
	pd_own_work_end();
	pd_listen_forget();
	pd_log("stopped");
}

bool pd_start_pause(void)
{
	pthread_mutex_lock(&lock);
	bool was = started;
	if (was)
		stop_locked();
	pthread_mutex_unlock(&lock);
	return was;
}

void pd_start_resume(void)
{
	pd_start(&settings);
}

API int pprofd_start(const struct pprofd_options *options)
{
	static struct pd_settings s; /* too large for small stacks; guarded by the lock */
	if (getauxval(AT_SECURE))
		return -EPERM;
	pthread_mutex_lock(&lock);
	int err = started && !by_environment ? -EALREADY : pd_settings_read(&s, options);
	if (!err && started && memcmp(&s, &settings, sizeof s) != 0)
		stop_locked();
	if (!err && !started) {
		settings = s;
		err = start_locked();
	}
	by_environment = false;
	pthread_mutex_unlock(&lock);
	return err;
}

API int pprofd_stop(void)
{
	pthread_mutex_lock(&lock);
	int err = started ? 0 : -EALREADY;
	if (started)
		stop_locked();
	pthread_mutex_unlock(&lock);
	return err;
}

API int pprofd_address(char *buf, size_t n)
{
	pthread_mutex_lock(&lock);
	int err = 0;
	if (!started)
		err = -ENOTCONN;
	else if (!config.address[0])
		err = -ENOENT;
	else if (strlen(config.address) >= n)
		err = -ERANGE;
	if (n)
		strcpy(buf, err ? "" : config.address);
	pthread_mutex_unlock(&lock);
	return err;
}

API int pprofd_rate_set(const char *name, uint64_t value)
{
	struct pd_rate_change change = { .name = name, .value = value };
	return pd_started() ? pd_rates_set(&change, 1, 0, PD_RATE_API, NULL) : -ENOTCONN;
}

API int pprofd_rate_get(const char *name, uint64_t *value)
{
	struct pd_rate rate[PD_RATES];
	size_t n = pd_started() ? pd_rates(rate, PD_RATES) : 0;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(rate[i].name, name) != 0)
			continue;
		*value = rate[i].value;
		return 0;
	}
	return pd_started() ? -ENOENT : -ENOTCONN;
}

/* In a forked child: nothing is started, and the lock may be held by a thread that is not there. */
const struct pd_settings *pd_start_forked(void)
{
	lock = (pthread_mutex_t)PTHREAD_MUTEX_INITIALIZER;
	pd_write_forked();
	bool was = started;
	started = 0;
	return was ? &settings : NULL;
}

__attribute__((constructor)) static void start_if_asked(void)
{
	if (pd_settings_wanted())
		by_environment = pprofd_start(NULL) == 0;
}
