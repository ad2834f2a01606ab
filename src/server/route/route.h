/*
 * The URLs under /debug/pprof/ and what answers them. Here profiles, symbols, encoders and HTTP
 * meet; no other room knows this one.
 */
#ifndef PD_SERVER_ROUTE_H
#define PD_SERVER_ROUTE_H

#include <stdbool.h>
#include <stddef.h>

#include "agent/agent.h"
#include "server/http/http.h"
#include "server/symbol/symbol.h"

struct pd_routes;

/* State of all handlers; agent, config and symbols must outlive it. NULL = out of memory. */
struct pd_routes *pd_routes_open(const struct pd_agent *agent, const struct pd_config *config,
                                 struct pd_symbols *symbols);
/* Where symbols are prepared and first dumps taken; call once pd_http_start has returned. */
void pd_routes_attach(struct pd_routes *s, struct pd_http *http);
/* Make work under way end soon; call before pd_http_stop. */
void pd_routes_cancel(struct pd_routes *s);
/* After pd_http_stop: no request is left. */
void pd_routes_close(struct pd_routes *s);

#define PD_ROUTES_PREFIX "/debug/pprof/"
/* Is the path (decoded) that of a profile made at once? 0, -ENOENT (no such profile), -EINVAL (one over time, or no
 * profile). Any thread. */
int pd_routes_at_once(struct pd_routes *s, const char *path);

/* pd_http_config's handler; arg is the struct pd_routes. */
void pd_routes_handle(struct pd_request *r, void *arg);
/* pd_http_config's allow. */
const char *pd_routes_allow(const char *path, const char *method, bool *expensive,
                            size_t *max_body);

#endif
