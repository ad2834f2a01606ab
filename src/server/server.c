/* The two functions this object exports: they put the rooms together and take them apart; and what the program may ask
 * of them meanwhile. */
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "agent/agent.h"
#include "base/log.h"
#include "server/http/http.h"
#include "server/route/route.h"
#include "server/symbol/symbol.h"

#define SYMBOL_CACHE (24u << 20) /* bytes */

#define EXPORTED __attribute__((visibility("default")))

EXPORTED pprofd_server_start_fn pprofd_server_start;
EXPORTED pprofd_server_stop_fn pprofd_server_stop;

/* The one service there is. Under lock. */
static struct {
	pthread_mutex_t lock;
	struct pd_symbols *symbols;
	struct pd_routes *routes;
	struct pd_http *http; /* NULL = not started */
} service = { .lock = PTHREAD_MUTEX_INITIALIZER };

/* ---- for the program itself ---- */

static int error_of(int status)
{
	static const struct {
		int status, error;
	} errors[] = { { 200, 0 }, { 400, -EINVAL }, { 404, -ENOENT }, { 429, -EAGAIN } };
	if (status < 0)
		return status;
	for (size_t i = 0; i < sizeof errors / sizeof *errors; i++)
		if (errors[i].status == status)
			return errors[i].error;
	return -EIO;
}

static int answer(struct pd_ask *ask, struct pd_body *out)
{
	struct pd_buf body;
	int error = error_of(pd_ask_answer(ask, &body));
	if (error == -EIO)
		pd_log("a profile could not be written: %.*s", (int)body.len, body.data ? body.data : "");
	*out = (struct pd_body){ .data = NULL };
	if (error)
		pd_buf_free(&body);
	else
		*out = (struct pd_body){ body.data, body.len };
	return error;
}

/* Only asks: nothing is waited for under the lock. */
static int ask(const char *name, const char *query, bool open_end, struct pd_ask **out)
{
	struct pd_buf path = { .data = NULL };
	pd_buf_fmt(&path, PD_ROUTES_PREFIX "%s", name);
	pd_buf_char(&path, 0);
	int error = path.failed ? -ENOMEM : 0;
	pthread_mutex_lock(&service.lock);
	if (!error && !service.http)
		error = -ENOTCONN;
	if (!error && !open_end)
		error = pd_routes_at_once(service.routes, path.data);
	if (!error)
		error = pd_ask(service.http, path.data, query, open_end, out);
	pthread_mutex_unlock(&service.lock);
	pd_buf_free(&path);
	return error;
}

static int get(const char *name, int debug, struct pd_body *out)
{
	char query[32];
	struct pd_ask *a;
	snprintf(query, sizeof query, "debug=%d", debug);
	int error = ask(name, query, false, &a);
	return error ? error : answer(a, out);
}

static void release(struct pd_body *b)
{
	free(b->data);
	*b = (struct pd_body){ .data = NULL };
}

static int cpu_begin(void **window)
{
	struct pd_ask *a;
	struct pd_body none;
	int error = ask("profile", "", true, &a);
	if (!error && !pd_ask_begun(a)) {
		error = answer(a, &none);
		release(&none);
		return error ? error : -EIO;
	}
	*window = error ? NULL : a;
	return error;
}

static int cpu_end(void *window, struct pd_body *out)
{
	pthread_mutex_lock(&service.lock);
	if (service.http)
		pd_ask_cut(service.http, window);
	pthread_mutex_unlock(&service.lock);
	return answer(window, out);
}

static int serve(int fd)
{
	pthread_mutex_lock(&service.lock);
	int error = service.http ? pd_http_give(service.http, fd) : -ENOTCONN;
	pthread_mutex_unlock(&service.lock);
	return error;
}

static const struct pd_service offered = {
	.get = get,
	.release = release,
	.cpu_begin = cpu_begin,
	.cpu_end = cpu_end,
	.serve = serve,
};

/* ---- start and stop ---- */

static void take_apart(void)
{
	pd_routes_close(service.routes);
	if (service.symbols)
		pd_symbols_close(service.symbols);
	service.routes = NULL;
	service.symbols = NULL;
	service.http = NULL;
}

static int put_together(const struct pd_agent *agent, const struct pd_config *config)
{
	service.symbols = pd_symbols_open(SYMBOL_CACHE);
	if (!service.symbols)
		return -ENOMEM;
	service.routes = pd_routes_open(agent, config, service.symbols);
	if (!service.routes)
		return -ENOMEM;
	struct pd_http_config http = {
		.config = config,
		.agent = agent,
		.handler = pd_routes_handle,
		.arg = service.routes,
		.allow = pd_routes_allow,
	};
	int error = pd_http_start(&http, &service.http);
	if (!error)
		pd_routes_attach(service.routes, service.http);
	if (!error && agent->offer)
		agent->offer(&offered);
	return error;
}

int pprofd_server_start(const struct pd_agent *agent, const struct pd_config *config)
{
	if (!agent || !config || agent->abi != PD_ABI)
		return -ELIBACC;
	pthread_mutex_lock(&service.lock);
	int error = service.http ? -EALREADY : 0;
	if (!error) {
		/* A process that gave up rights since may not write there any more: no reason not to serve. */
		(void)pd_log_open(config->log);
		error = put_together(agent, config);
		if (error)
			take_apart();
	}
	pthread_mutex_unlock(&service.lock);
	return error;
}

/*
 * In a forked child the threads are gone, the lock and the rooms may be as any of them left them:
 * only the connections are let go of, and what the rooms held stays where it is.
 */
static void let_go(void)
{
	struct pd_http *http = service.http;
	pthread_mutex_init(&service.lock, NULL);
	service.symbols = NULL;
	service.routes = NULL;
	service.http = NULL;
	if (http)
		pd_http_stop(http, true);
}

void pprofd_server_stop(bool forked)
{
	if (forked)
		return let_go();
	pthread_mutex_lock(&service.lock);
	if (service.http) {
		pd_routes_cancel(service.routes);
		pd_http_stop(service.http, false);
		take_apart();
	}
	pthread_mutex_unlock(&service.lock);
}
